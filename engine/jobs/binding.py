"""Which resource a job belongs to, from its start to its end, wherever and by whoever it is continued.

A job's parameters hold the resource without any secret (`resource`). Settings only add the credential, and only
settings of the same endpoint do. A job of the demo profile belongs to the home's own emulator, which has another port
each time it starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from engine.azure.connection import Endpoint
from engine.settings_sources import resource_of

DEMO = "demo"


@dataclass(frozen=True)
class ResourceBinding:
    """The resource of a job. `endpoint` is empty for the home's own emulator."""

    endpoint: str
    subscription: str | None = None
    resource_group: str | None = None
    account: str | None = None
    arm_endpoint: str = ""
    emulated: bool = False

    @classmethod
    def of(cls, place: Endpoint) -> ResourceBinding:
        """Return the resource that a job is about to be started on."""
        return cls(
            place.endpoint,
            place.subscription,
            place.resource_group,
            place.account,
            place.arm_endpoint,
            place.emulated,
        )

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> ResourceBinding | None:
        """Return the resource in a job's parameters; None for a job of a version that did not keep it."""
        if parameters.get("profile") == DEMO:
            return cls("", emulated=True)
        found = parameters.get("resource")
        return cls(**found) if isinstance(found, dict) else None

    def plain(self) -> dict[str, Any]:
        """Return it as a job's parameters hold it."""
        return asdict(self)

    def matches(self, endpoint: str) -> bool:
        """Whether an endpoint is of this resource, whichever API and spelling it names."""
        return bool(self.endpoint) and resource_of(endpoint) == resource_of(self.endpoint)

    def describe(self) -> str:
        """Return its name for messages."""
        return self.endpoint or "the emulator of this home"

    def apply(self, place: Endpoint) -> Endpoint:
        """Return a matching place with the job's own account; what the job does not know is left to the settings."""
        if not self.endpoint:
            return place
        return replace(
            place,
            subscription=self.subscription or place.subscription,
            resource_group=self.resource_group or place.resource_group,
            account=self.account or place.account,
            arm_endpoint=self.arm_endpoint or place.arm_endpoint,
        )
