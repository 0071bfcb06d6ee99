"""What stands on the service, ours or not, as one list."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.errors import ServiceError
from engine.events import RemoteItem
from engine.jobs import service
from engine.jobs.paths import Home
from engine.store import Store

if TYPE_CHECKING:
    from engine.azure.connection import Azure

NEWEST = 50
"""Of each kind, so many are asked for: the list is for looking, not for keeping books."""
PATIENCE_SECONDS = 20.0
"""Somebody sits there and waits."""


async def remote_items(store: Store, home: Home, profile: str) -> list[RemoteItem]:
    """Ask the service for its batches, fine-tuning jobs, deployments and files.

    Raises:
        ServiceError, ConfigurationError: it cannot be reached, or does not let us in.

    """
    from engine.azure.connection import Azure

    place = await asyncio.to_thread(service.endpoint, home, profile)
    owners = await asyncio.to_thread(store.jobs.owners)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), Azure(place, client="monitor") as azure:
            return await _all(azure, owners)
    except TimeoutError:
        raise ServiceError(
            f"{place.endpoint}: no answer within {PATIENCE_SECONDS:.0f} seconds.", "Check the network and the endpoint."
        ) from None


async def delete_remote(home: Home, profile: str, kind: str, item_id: str) -> None:
    """Delete a deployment or a file on the service."""
    from engine.azure import deployments, files
    from engine.azure.connection import Azure

    place = await asyncio.to_thread(service.endpoint, home, profile)
    async with Azure(place, client="monitor") as azure:
        if kind == "deployment":
            await deployments.delete(azure, item_id)
        else:
            await files.delete(azure, item_id)


async def _all(azure: Azure, owners: dict[str, int]) -> list[RemoteItem]:
    from engine.azure import resource

    found: list[RemoteItem] = []
    for kind, listed in await resource.everything(azure, NEWEST):
        found += [
            RemoteItem(kind, i.id, i.name, i.state, i.created_at, i.detail, owners.get(i.id) or owners.get(i.name))
            for i in listed
        ]
    return found
