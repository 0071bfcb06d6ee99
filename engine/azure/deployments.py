"""Deployments of tuned models, on the control plane (Azure Resource Manager)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.azure.connection import Azure, empty_chat
from engine.azure.errors import translated
from engine.azure.pages import distinct
from engine.azure.patience import Say, patiently
from engine.errors import ServiceError, ServiceUnavailable

if TYPE_CHECKING:
    from azure.mgmt.cognitiveservices.models import Deployment as ArmDeployment

SETTLING = frozenset({"DeploymentNotFound", "BadRequestForDependentService"})
BROKEN = frozenset({"Failed", "Canceled"})
"""States of a deployment that never came to be: it costs nothing, and can be asked for again."""
SKU = "GlobalStandard"
CAPACITY = 100
"""Thousands of tokens a minute, of a deployment that is made here."""
POLL_SECONDS = 15.0
EMULATED_POLL_SECONDS = 0.2
STATE_SECONDS = 3 * 3600.0
"""How long a deployment may be made or deleted."""
SETTLE_SECONDS = 12 * 30.0
"""A new deployment may answer 404 for its first five minutes."""


@dataclass(frozen=True)
class Deployment:
    """A deployment: its name, its model, how far it is, and since when it is there, where ARM tells."""

    name: str
    model: str
    state: str
    created_at: float | None = None


def _parse(found: ArmDeployment) -> Deployment:
    properties = found.properties
    model = properties.model.name if properties and properties.model else ""
    state = str(properties.provisioning_state) if properties else ""
    created = found.system_data.created_at if found.system_data else None
    return Deployment(
        found.name or "", model or "", state.rsplit(".", 1)[-1].title(), created.timestamp() if created else None
    )


async def list_deployments(azure: Azure) -> list[Deployment]:
    """Return all deployments of the account."""
    place = azure.endpoint
    arm = await azure.arm()
    with translated(place.arm_endpoint):
        found = arm.deployments.list(str(place.resource_group), str(place.account), **azure.arm_options)
        return [_parse(d) async for d in distinct(found)]


async def get(azure: Azure, name: str, *, say: Say | None = None) -> Deployment | None:
    """Return a deployment, or None where there is none of this name; `say` receives a line for each outage."""
    place = azure.endpoint
    arm = await azure.arm()

    async def call() -> Deployment:
        with translated(place.arm_endpoint):
            return _parse(
                await arm.deployments.get(str(place.resource_group), str(place.account), name, **azure.arm_options)
            )

    try:
        return await patiently(call, say=say, place=place.arm_endpoint)
    except ServiceError as error:
        if error.status == 404:
            return None
        raise


async def create(
    azure: Azure, name: str, model: str, *, sku: str = SKU, capacity: int = CAPACITY, say: Say | None = None
) -> None:
    """Ask for a deployment. Doing it twice under one name is doing it once (PUT). Costs money by the hour.

    Args:
        azure: the connection.
        name: of the deployment; carry the job's own mark in it.
        model: a tuned model, or one of its checkpoints.
        sku: its kind.
        capacity: thousands of tokens a minute.
        say: receives a line for each outage.

    """
    from azure.mgmt.cognitiveservices.models import Deployment as ArmDeployment
    from azure.mgmt.cognitiveservices.models import DeploymentModel, DeploymentProperties, Sku

    place = azure.endpoint
    arm = await azure.arm()
    wanted = ArmDeployment(
        sku=Sku(name=sku, capacity=capacity),
        properties=DeploymentProperties(model=DeploymentModel(format="OpenAI", name=model, version="1")),
    )

    async def call() -> None:
        with translated(place.arm_endpoint):
            await arm.deployments.begin_create_or_update(
                str(place.resource_group),
                str(place.account),
                name,
                wanted,
                polling=False,
                **azure.arm_options,
            )

    await patiently(call, say=say, place=place.arm_endpoint)


async def wait_gone(
    azure: Azure, name: str, *, say: Say | None = None, stop: Callable[[], bool] = lambda: False
) -> Deployment | None:
    """Return a deployment as it stands; one that is being deleted is waited for until it is gone, or `stop` says so."""
    said = False
    until = time.monotonic() + STATE_SECONDS
    while True:
        found = await get(azure, name, say=say)
        if found is None or found.state != "Deleting" or stop() or time.monotonic() > until:
            return found
        if say is not None and not said:
            said = True
            say(f"deployment {name} is still being deleted")
        await asyncio.sleep(_wait(azure))


async def wait_ready(
    azure: Azure, name: str, *, say: Say | None = None, stop: Callable[[], bool] = lambda: False
) -> None:
    """Wait until a deployment is there and answers, or `stop` says so.

    Raises:
        ServiceError: it failed, or still does not answer after six minutes.

    """
    said = ""
    until = time.monotonic() + STATE_SECONDS
    while not stop():
        found = await get(azure, name, say=say)
        state = found.state if found else "Missing"
        if say is not None and state != said:
            said = state
            say(f"deployment {name} is {state}")
        if state == "Succeeded":
            break
        if state in BROKEN or state == "Missing":
            raise ServiceError(f"Deployment {name} is {state}.", "See the resource's activity log; then resume.")
        if time.monotonic() > until:
            raise ServiceUnavailable(f"Deployment {name} is still {state}.", "See the resource's activity log.")
        await asyncio.sleep(_wait(azure))
    waited = 0.0
    while not stop():
        try:
            await patiently(lambda: empty_chat(azure, name), say=say, place=azure.endpoint.endpoint)
            return
        except ServiceError as error:
            if (error.status != 404 and error.code not in SETTLING) or waited > SETTLE_SECONDS:
                raise
        wait = _wait(azure)
        await asyncio.sleep(wait)
        waited += wait


def _wait(azure: Azure) -> float:
    """Return how long to wait between two looks; with jitter, so that many do not look at once."""
    return (EMULATED_POLL_SECONDS if azure.endpoint.emulated else POLL_SECONDS) * random.uniform(1.0, 1.25)


async def delete(azure: Azure, name: str, *, say: Say | None = None) -> None:
    """Begin to delete a deployment; one that is gone already is fine."""
    place = azure.endpoint
    arm = await azure.arm()

    async def call() -> None:
        try:
            with translated(place.arm_endpoint):
                await arm.deployments.begin_delete(
                    str(place.resource_group), str(place.account), name, polling=False, **azure.arm_options
                )
        except ServiceError as error:
            if error.status != 404:
                raise

    await patiently(call, say=say, place=place.arm_endpoint)


async def wait_deleted(azure: Azure, name: str, *, lost: bool, say: Say | None = None) -> None:
    """Wait until a deployment is gone; one that is there again, or still, is deleted again.

    Args:
        azure: the connection.
        name: of the deployment.
        lost: whether a request to create it may still be under way: then it is looked for once more.
        say: told of outages.

    """
    while True:
        found = await get(azure, name, say=say)
        if found is None and not lost:
            return
        if found is None:
            lost = False
        elif found.state != "Deleting":
            await delete(azure, name, say=say)
        await asyncio.sleep(_wait(azure))
