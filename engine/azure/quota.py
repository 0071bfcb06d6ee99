"""What a deployment may be asked, as the control plane tells it: by the minute, or enqueued in batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.azure.errors import translated
from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from engine.azure.connection import Azure

TOKENS_A_CAPACITY = 1000
REQUESTS_A_CAPACITY = 6
"""A minute, where the deployment's own limits are not told (six requests for each 1,000 tokens)."""


@dataclass(frozen=True)
class Quota:
    """A deployment's quota. What is None is not known, or is nothing that such a deployment has."""

    sku: str
    capacity: int
    tokens_a_minute: int | None = None
    requests_a_minute: int | None = None
    enqueued_tokens: int | None = None


def read(sku: str, capacity: int, limits: Any = ()) -> Quota:
    """Return what a SKU and a capacity amount to.

    Args:
        sku: its name.
        capacity: thousands of tokens: enqueued ones of a batch deployment, a minute's of others.
        limits: ARM's `rateLimits` of the deployment, which say it exactly, where it has them.

    """
    if "batch" in sku.lower():
        return Quota(sku, capacity, enqueued_tokens=capacity * TOKENS_A_CAPACITY or None)
    told = {str(rule.key).lower(): _a_minute(rule) for rule in limits or ()}
    provisioned = "provisioned" in sku.lower()  # its capacity is units, not tokens
    tokens = None if provisioned else capacity * TOKENS_A_CAPACITY or None
    requests = None if provisioned else capacity * REQUESTS_A_CAPACITY or None
    return Quota(sku, capacity, told.get("token") or tokens, told.get("request") or requests)


def _a_minute(rule: Any) -> int | None:
    if not rule.count or not rule.renewal_period:
        return None
    each: float = rule.count * 60 / rule.renewal_period
    return round(each)


async def of(azure: Azure, deployment: str) -> Quota:
    """Return a deployment's quota.

    Raises:
        ConfigurationError: the control plane is not configured.
        ServiceError: it does not answer, does not let us in, or has no such deployment.

    """
    place = azure.endpoint
    if not (place.subscription and place.resource_group and place.account):
        raise ConfigurationError(
            "the control plane is not configured",
            "Set AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and AZURE_OPENAI_ACCOUNT.",
        )
    arm = await azure.arm()
    with translated(place.arm_endpoint):
        found = await arm.deployments.get(place.resource_group, place.account, deployment, **azure.arm_options)
    sku, capacity = (str(found.sku.name), int(found.sku.capacity or 0)) if found.sku else ("", 0)
    return read(sku, capacity, found.properties.rate_limits if found.properties else ())
