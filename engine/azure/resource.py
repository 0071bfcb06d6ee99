"""Everything that stands on a resource, from whatever tool: listed, followed, cancelled, downloaded, deleted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.azure import batches, deployments, files, fine_tuning
from engine.azure.errors import translated
from engine.azure.pages import distinct
from engine.azure.patience import patiently
from engine.errors import InputError
from engine.quantities import counted

if TYPE_CHECKING:
    from engine.azure.connection import Azure


PAGE = 100
"""The most that the service lists at once; more is fetched page by page."""
DOWNLOAD_SECONDS = 60.0
"""How long a download that is not whole is tried again."""


@dataclass(frozen=True)
class Item:
    """One thing on the service."""

    id: str
    name: str
    state: str
    created_at: float | None
    detail: str
    uses: tuple[str, ...] = ()
    """Ids of what it needs or was made of: files of a batch or fine-tuning job, the model of a deployment."""
    mark: str = ""
    """The intent that a batch was created with, by which its maker finds it again."""


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
        async for item in distinct(await page):
            found.append(item)
            if len(found) >= newest:
                break
    return found


async def _batches(azure: Azure, newest: int) -> list[Item]:
    found = []
    for batch in await _first(azure, azure.client.batches.list(limit=min(newest, PAGE)), newest):
        counts = batch.request_counts
        told = f"{counts.completed:,} of {counted(counts.total, 'request')}" if counts and counts.total else ""
        uses = [batch.input_file_id, batch.output_file_id, batch.error_file_id]
        mark = str((batch.metadata or {}).get(batches.INTENT) or "")
        named = tuple(name for name in uses if name)
        found.append(Item(batch.id, batch.id, str(batch.status), batch.created_at, told, named, mark))
    return found


async def _tunings(azure: Azure, newest: int) -> list[Item]:
    return [
        Item(
            job.id,
            job.fine_tuned_model or job.id,
            str(job.status),
            job.created_at,
            str(job.model or ""),
            tuple(name for name in (job.training_file, job.validation_file, *(job.result_files or ())) if name),
        )
        for job in await _first(azure, azure.client.fine_tuning.jobs.list(limit=min(newest, PAGE)), newest)
    ]


async def _files(azure: Azure, newest: int) -> list[Item]:
    return [
        Item(f.id, f.filename, str(f.status), f.created_at, f"{f.purpose}, {_size(f.bytes or 0)}")
        for f in await _first(azure, azure.client.files.list(limit=min(newest, PAGE)), newest)
    ]


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"


async def _deployments(azure: Azure) -> list[Item]:
    return [
        Item(d.name, d.name, d.state, d.created_at, d.model, (d.model,))
        for d in await deployments.list_deployments(azure)
    ]


async def tuned_models(azure: Azure) -> list[Item]:
    """Return the fine-tuned models of the resource."""
    with translated(azure.endpoint.endpoint):
        page = await azure.client.models.list()
        found = [model async for model in distinct(page) if ".ft-" in model.id]
    return [
        Item(m.id, m.id, str(getattr(m, "status", "")), getattr(m, "created_at", None) or m.created, "model")
        for m in found
    ]


def kind_of(item_id: str) -> str:
    """Tell what an id is the id of: `batch`, `fine-tuning`, `file`, `model`, or else `deployment`."""
    for start, kind in (("batch_", "batch"), ("ftjob-", "fine-tuning"), ("file-", "file")):
        if item_id.startswith(start):
            return kind
    return "model" if ".ft-" in item_id else "deployment"


async def standing(azure: Azure, item_id: str) -> tuple[str, bool]:
    """Return how a batch or fine-tuning job stands, in one line, and whether that is its end.

    Raises:
        InputError: it is neither.

    """
    if kind_of(item_id) == "batch":
        batch = await batches.get(azure, item_id)
        counts = f" {batch.completed + batch.failed:,} of {batch.total:,}" if batch.total else ""
        return f"{batch.status}{counts} {batch.problem}".rstrip(), batch.terminal
    if kind_of(item_id) == "fine-tuning":
        job = await fine_tuning.get(azure, item_id)
        return f"{job.status} {job.fine_tuned_model or job.error}".rstrip(), job.terminal
    raise InputError(f"{item_id} is no batch and no fine-tuning job.", "Their ids begin with batch_ and ftjob-.")


async def cancel(azure: Azure, item_id: str) -> None:
    """Cancel a batch or a fine-tuning job; what was done is paid for.

    Raises:
        InputError: it is neither.

    """
    if kind_of(item_id) == "batch":
        await batches.cancel(azure, item_id)
    elif kind_of(item_id) == "fine-tuning":
        await fine_tuning.cancel(azure, item_id)
    else:
        raise InputError(f"{item_id} is no batch and no fine-tuning job.", "Their ids begin with batch_ and ftjob-.")


async def download(azure: Azure, item_id: str, folder: Path) -> list[Path]:
    """Download what a batch or fine-tuning job has made, or a file; return the paths.

    Raises:
        InputError: it is none of these, or has nothing to download yet.

    """
    kind = kind_of(item_id)
    if kind == "batch":
        batch = await batches.get(azure, item_id)
        wanted = {f"{item_id}-output.jsonl": batch.output_file_id, f"{item_id}-errors.jsonl": batch.error_file_id}
    elif kind == "fine-tuning":
        job = await fine_tuning.get(azure, item_id)
        wanted = {f"{item_id}-results-{n}.csv": found for n, found in enumerate(job.result_files, start=1)}
    elif kind == "file":
        wanted = {item_id: item_id}
    else:
        raise InputError(f"{item_id} has nothing to download.", "Name a batch, a fine-tuning job or a file.")
    paths = []
    for name, file_id in wanted.items():
        if file_id:
            await patiently(
                lambda i=file_id, n=name: files.download_whole(azure, i, folder / n),  # type: ignore[misc]
                limit=DOWNLOAD_SECONDS,
                place=azure.endpoint.endpoint,
            )
            paths.append(folder / name)
    if not paths:
        raise InputError(f"{item_id} has made no file yet.", "Wait for its end.")
    return paths


async def delete(azure: Azure, item_id: str) -> None:
    """Delete a file, a tuned model or a deployment; one that is gone already is fine.

    Raises:
        InputError: it is none of these.
        ServiceError: the service refuses it.

    """
    kind = kind_of(item_id)
    if kind == "file":
        await files.delete(azure, item_id)
    elif kind == "model":
        with translated(azure.endpoint.endpoint):
            await azure.client.models.delete(item_id)
    elif kind == "deployment":
        await deployments.delete(azure, item_id)
    else:
        raise InputError(f"{item_id} is not deleted.", "Cancel it; its files can be deleted.")
