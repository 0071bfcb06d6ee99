"""From a profile's name to the service that its jobs talk to."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.azure.connection import PUBLIC_ARM, Endpoint, cloud_of
from engine.errors import ServiceError
from engine.jobs import embedded
from engine.jobs.paths import Home
from engine.settings import load_settings

if TYPE_CHECKING:
    from engine.azure.connection import Azure
    from engine.jobs.context import Context

DEMO = "demo"
GUARD_SECONDS = 0.5


def endpoint(home: Home, profile: str) -> Endpoint:
    """Return a profile's endpoint, starting the embedded emulator for `demo`. May block for a minute.

    Raises:
        InputError, ConfigurationError: see `Settings.resource`.
        ServiceUnavailable: the emulator would not start.

    """
    if profile == DEMO:
        service = embedded.ensure(home)
        return Endpoint(
            endpoint=service.endpoint,
            api_key=service.api_key,
            deployment=service.deployment,
            batch_deployment=service.batch_deployment,
            subscription=service.subscription,
            resource_group=service.resource_group,
            account=service.account,
            arm_endpoint=service.arm_endpoint,
            emulated=True,
        )
    resource = load_settings(home.root).resource(profile)
    return Endpoint(
        endpoint=resource.endpoint,
        api_key=resource.api_key.get_secret_value() if resource.api_key else None,
        api_version=resource.api_version,
        deployment=resource.deployment,
        batch_deployment=resource.batch_deployment,
        ft_deployment=resource.ft_deployment,
        subscription=resource.subscription,
        resource_group=resource.resource_group,
        account=resource.account,
        arm_endpoint=cloud_of(resource.endpoint).arm if resource.arm_endpoint == PUBLIC_ARM else resource.arm_endpoint,
        emulated=is_emulated(home, profile),
    )


def is_emulated(home: Home, profile: str) -> bool:
    """Tell whether a profile's service is an emulator, without talking to it.

    Azure OpenAI is never on the loopback interface, so whatever is there is an emulator, and every
    result says so.
    """
    if profile == DEMO:
        return True
    host = urlsplit(load_settings(home.root).resource(profile).endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def connected(context: Context) -> AsyncIterator[Azure]:
    """Give a job its connection, and keep the embedded emulator alive for as long as it is open."""
    from engine.azure.connection import Azure

    profile = str(context.job.parameters["profile"])
    place = await asyncio.to_thread(endpoint, context.home, profile)
    guard = asyncio.create_task(_guard(context.home)) if profile == DEMO else None
    try:
        async with Azure(place, client=f"job {context.job.id}") as azure:
            yield azure
    finally:
        if guard is not None:
            guard.cancel()
            with contextlib.suppress(asyncio.CancelledError, ServiceError):
                await guard


async def _guard(home: Home) -> None:
    """Start the embedded emulator again whenever it has died; requests meanwhile wait and retry."""
    while True:
        await asyncio.to_thread(embedded.ensure, home)
        await asyncio.sleep(GUARD_SECONDS)
