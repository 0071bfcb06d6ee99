"""The whole resource, whoever started what: listed, followed, cancelled, downloaded, cleaned up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ServiceError
from engine.events import Leftover, RemoteItem
from engine.jobs import service
from engine.jobs.paths import Home
from engine.store import Store

if TYPE_CHECKING:
    from engine.azure.connection import Azure

NEWEST = 50
"""Of each kind, so many are asked for where the list is for looking, not for keeping books."""
ALL = 10_000
PATIENCE_SECONDS = 20.0
"""Somebody sits there and waits."""
POLL_SECONDS = 15.0
EMULATED_POLL_SECONDS = 0.3
OURS = "dogcls-"
"""What the names of all that we make on a service begin with, and the suffixes of our models."""
UNFINISHED = ("validating", "in_progress", "finalizing", "cancelling", "created", "pending", "queued", "running",
              "pausing", "paused", "resuming", "validating_files")  # fmt: skip


@asynccontextmanager
async def _open(home: Home, profile: str) -> AsyncIterator[Azure]:
    from engine.azure.connection import Azure

    place = await asyncio.to_thread(service.endpoint, home, profile)
    async with Azure(place, client="monitor") as azure:
        yield azure


async def remote_items(store: Store, home: Home, profile: str) -> list[RemoteItem]:
    """Ask the service for its newest batches, fine-tuning jobs, deployments and files.

    Raises:
        ServiceError, ConfigurationError: it cannot be reached, or does not let us in.

    """
    from engine.azure import resource
    from engine.azure.connection import Azure

    place = await asyncio.to_thread(service.endpoint, home, profile)
    owners = await asyncio.to_thread(store.jobs.owners)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), Azure(place, client="monitor") as azure:
            return [
                RemoteItem(kind, i.id, i.name, i.state, i.created_at, i.detail, owners.get(i.id) or owners.get(i.name))
                for kind, listed in await resource.everything(azure, NEWEST)
                for i in listed
            ]
    except TimeoutError:
        raise ServiceError(
            f"{place.endpoint}: no answer within {PATIENCE_SECONDS:.0f} seconds.", "Check the network and the endpoint."
        ) from None


async def follow_remote(home: Home, profile: str, item_id: str) -> AsyncIterator[str]:
    """Yield how a batch or fine-tuning job stands whenever that changes, until its end."""
    from engine.azure import resource
    from engine.azure.patience import patiently

    async with _open(home, profile) as azure:
        wait = EMULATED_POLL_SECONDS if azure.endpoint.emulated else POLL_SECONDS
        last = ""
        while True:
            now, ended = await patiently(lambda: resource.standing(azure, item_id), place=azure.endpoint.endpoint)
            if now != last:
                yield now
                last = now
            if ended:
                return
            await asyncio.sleep(wait)


async def cancel_remote(home: Home, profile: str, item_id: str) -> None:
    """Cancel a batch or a fine-tuning job."""
    from engine.azure import resource

    async with _open(home, profile) as azure:
        await resource.cancel(azure, item_id)


async def download_remote(home: Home, profile: str, item_id: str, folder: Path) -> list[Path]:
    """Download what a batch or a fine-tuning job has made, or a file; return the paths."""
    from engine.azure import resource

    async with _open(home, profile) as azure:
        return await resource.download(azure, item_id, folder)


async def delete_remote(home: Home, profile: str, item_id: str) -> None:
    """Delete a deployment, a file or a tuned model on the service."""
    from engine.azure import resource

    async with _open(home, profile) as azure:
        await resource.delete(azure, item_id)


async def leftovers(home: Home, profile: str, *, everybodys: bool) -> list[Leftover]:
    """Return what could be deleted: deployments first, for they cost by the hour, then models, then files.

    Args:
        everybodys: also what other tools have made.

    """
    from engine.azure import resource

    async with _open(home, profile) as azure:
        listed = dict(await resource.everything(azure, ALL))
        models = await resource.tuned_models(azure)
    busy = {
        name: item.id
        for kind in ("batch", "fine-tuning")
        for item in listed[kind]
        if item.state.lower() in UNFINISHED
        for name in item.uses
    }
    deployed = {item.uses[0]: item.name for item in listed.get("deployment", ())}
    found = [
        Leftover("deployment", d.id, d.name, d.detail, d.created_at, "")
        for d in listed.get("deployment", ())
        if ".ft-" in d.detail
    ]
    found += [
        Leftover("model", m.id, m.name, "", m.created_at, f"deployed as {deployed[m.id]}" if m.id in deployed else "")
        for m in models
    ]
    found += [
        Leftover("file", f.id, f.name, f.detail, f.created_at, f"{busy[f.id]} needs it" if f.id in busy else "")
        for f in listed["file"]
    ]
    ours = {f.id for f in listed["file"] if f.name.startswith(OURS)}
    made_by_ours = {
        name
        for kind in ("batch", "fine-tuning")
        for item in listed[kind]
        if ours.intersection(item.uses)
        for name in item.uses
    }
    return [item for item in found if everybodys or _is_ours(item) or item.id in made_by_ours]


def _is_ours(item: Leftover) -> bool:
    return item.name.startswith(OURS) or f"-{OURS}" in item.name
