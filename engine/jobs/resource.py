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
from engine.jobs.needed import MARK, Needed, is_marked
from engine.jobs.paths import Home
from engine.store import Store

if TYPE_CHECKING:
    from engine.azure.connection import Azure
    from engine.azure.resource import Item

NEWEST = 50
"""Of each kind, so many are asked for where the list is for looking, not for keeping books."""
ALL = 10_000
PATIENCE_SECONDS = 20.0
"""Somebody sits there and waits."""
POLL_SECONDS = 15.0
EMULATED_POLL_SECONDS = 0.3
OTHER_HOME, OTHER_TOOL = "another home's", "another tool's"
UNFINISHED = ("validating", "in_progress", "finalizing", "cancelling", "created", "pending", "queued", "running",
              "pausing", "paused", "resuming", "validating_files")  # fmt: skip


@asynccontextmanager
async def _open(home: Home, profile: str) -> AsyncIterator[Azure]:
    from engine.azure.connection import Azure

    place = await asyncio.to_thread(service.endpoint, home, profile)
    async with Azure(place, client="monitor") as azure:
        yield azure


async def remote_items(store: Store, home: Home, profile: str, *, readonly: bool = False) -> list[RemoteItem]:
    """Ask the service for its newest batches, fine-tuning jobs, deployments and files.

    A deployment of ours that it has no longer stops counting as one that costs, unless nothing may be written.

    Raises:
        ServiceError, ConfigurationError: it cannot be reached, or does not let us in.

    """
    from engine.azure import resource
    from engine.azure.connection import Azure
    from engine.azure.deployments import BROKEN
    from engine.jobs.standing import close_gone

    place = await asyncio.to_thread(service.endpoint, home, profile)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), Azure(place, client="monitor") as azure:
            listed = dict(await resource.everything(azure, NEWEST))
    except TimeoutError:
        raise ServiceError(
            f"{place.endpoint}: no answer within {PATIENCE_SECONDS:.0f} seconds.", "Check the network and the endpoint."
        ) from None
    if "deployment" in listed and not readonly:
        there = {i.name for i in listed["deployment"] if i.state.title() not in BROKEN}
        await asyncio.to_thread(close_gone, store, home, place, there)
    needed = await asyncio.to_thread(Needed, store, home)
    known_by = _known_by(listed)
    found = []
    for kind, items in listed.items():
        for i in items:
            names = known_by.get(i.id) or (i.id, i.name, f"{MARK}{i.mark}")
            why = await asyncio.to_thread(needed.reason, kind, names) if kind in ("deployment", "file") else ""
            found.append(RemoteItem(kind, i.id, i.name, i.state, i.created_at, i.detail, needed.job_of(names), why))
    return found


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


async def leftovers(store: Store, home: Home, profile: str, *, everybodys: bool) -> list[Leftover]:
    """Return what could be deleted: deployments first, for they cost by the hour, then models, then files.

    Args:
        store: has the jobs of this home.
        home: has their folders.
        profile: of the resource.
        everybodys: also what other homes and other tools have made.

    """
    from engine.azure import resource

    async with _open(home, profile) as azure:
        listed = dict(await resource.everything(azure, ALL))
        models = await resource.tuned_models(azure)
    needed = await asyncio.to_thread(Needed, store, home)
    known_by = _known_by(listed)
    busy = {
        name: item.id
        for kind in ("batch", "fine-tuning")
        for item in listed[kind]
        if item.state.lower() in UNFINISHED
        for name in item.uses
    }
    deployed = {item.uses[0]: item.name for item in listed.get("deployment", ())}
    tuned = [item for item in listed.get("deployment", ()) if ".ft-" in item.detail]
    found = []
    for kind, items in (("deployment", tuned), ("model", models), ("file", listed["file"])):
        for item in items:
            names = known_by.get(item.id) or (item.id, item.name)
            kept = await asyncio.to_thread(needed.reason, kind, names)
            if not kept and kind == "model" and item.id in deployed:
                kept = f"deployed as {deployed[item.id]}"
            if not kept and item.id in busy:
                kept = f"{busy[item.id]} needs it"
            job_id = needed.job_of(names)
            detail = "" if kind == "model" else item.detail
            origin = "" if needed.is_ours(names) else OTHER_HOME if is_marked(names) else OTHER_TOOL
            found.append(Leftover(kind, item.id, item.name, detail, item.created_at, kept, job_id, origin, names))
    return [item for item in found if everybodys or not item.origin]


def _known_by(listed: dict[str, list[Item]]) -> dict[str, tuple[str, ...]]:
    """Return for each file what it is known by: its id and name, and those of what was made with it.

    The output of a batch has a name of the service's own: only its batch leads to the job, by its id, by its mark and
    by the name of its input.
    """
    names = {file.id: {file.id: None, file.name: None} for file in listed["file"]}
    for item in (*listed["batch"], *listed["fine-tuning"]):
        together = [item.id, *([f"{MARK}{item.mark}"] if item.mark else [])]
        together += [name for used in item.uses for name in names.get(used, ())]
        for used in item.uses:
            if used in names:
                names[used].update(dict.fromkeys(together))
    return {file_id: tuple(known) for file_id, known in names.items()}
