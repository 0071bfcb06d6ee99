"""Everything that stands on a resource, listed side by side."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.azure import deployments
from engine.azure.errors import translated

if TYPE_CHECKING:
    from engine.azure.connection import Azure


@dataclass(frozen=True)
class Item:
    """One thing on the service."""

    id: str
    name: str
    state: str
    created_at: float | None
    detail: str


async def everything(azure: Azure, newest: int) -> list[tuple[str, list[Item]]]:
    """Return (kind, items) of batches, fine-tuning jobs, files and, where ARM is configured, deployments.

    Args:
        azure: the connection.
        newest: of each kind, so many at the most.

    """
    place = azure.endpoint
    asked = [_batches(azure, newest), _tunings(azure, newest), _files(azure, newest)]
    kinds = ["batch", "fine-tuning", "file"]
    if place.subscription and place.resource_group and place.account:
        asked.append(_deployments(azure))
        kinds.append("deployment")
    return list(zip(kinds, await asyncio.gather(*asked), strict=True))


async def _first(azure: Azure, page: Any, newest: int) -> list[Any]:
    found = []
    with translated(azure.endpoint.endpoint):
        async for item in await page:
            found.append(item)
            if len(found) >= newest:
                break
    return found


async def _batches(azure: Azure, newest: int) -> list[Item]:
    found = []
    for batch in await _first(azure, azure.client.batches.list(limit=newest), newest):
        counts = batch.request_counts
        told = f"{counts.completed:,} of {counts.total:,} requests" if counts and counts.total else ""
        found.append(Item(batch.id, batch.id, str(batch.status), batch.created_at, told))
    return found


async def _tunings(azure: Azure, newest: int) -> list[Item]:
    return [
        Item(job.id, job.fine_tuned_model or job.id, str(job.status), job.created_at, str(job.model or ""))
        for job in await _first(azure, azure.client.fine_tuning.jobs.list(limit=newest), newest)
    ]


async def _files(azure: Azure, newest: int) -> list[Item]:
    return [
        Item(f.id, f.filename, str(f.status), f.created_at, f"{f.purpose}, {(f.bytes or 0) / 1e6:,.1f} MB")
        for f in await _first(azure, azure.client.files.list(limit=newest), newest)
    ]


async def _deployments(azure: Azure) -> list[Item]:
    return [Item(d.name, d.name, d.state, None, d.model) for d in await deployments.list_deployments(azure)]
