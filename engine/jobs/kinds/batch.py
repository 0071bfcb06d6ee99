"""Zero-shot through the Batch API: shards → files → batches → answers.

Work goes in rounds. A round asks about all images without a final answer; it is over when every batch
of it has ended, however it ended. A job that is resumed goes on with its round; one that is resumed
after its round ended (cancelled, expired, some requests failed) starts another for what is left.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from engine.azure import batches, files
from engine.azure.batches import BatchStatus
from engine.azure.connection import Azure
from engine.azure.patience import patiently
from engine.datasets.jsonl import write_batch_shards
from engine.errors import JobError
from engine.jobs.context import Context, Stopped
from engine.jobs.kinds.asking import Asking, custom_id
from engine.jobs.service import connected
from engine.states import Outcome, Request
from engine.store.files import private_folder, write_atomic
from engine.store.predictions import Prediction

POLL_SECONDS = 60.0
EMULATED_POLL_SECONDS = 0.3


async def run(context: Context) -> dict[str, Any]:
    """Ask about every test image, and store what came back."""
    asking = Asking.of(context)
    folder = _round(context.folder)
    if not asking.unsettled():
        return _finish(asking)
    shards = await asyncio.to_thread(_shards, asking, folder)
    async with connected(context) as azure:
        ids = [await _submit(context, azure, folder, index) for index in range(len(shards))]
        try:
            ended = await _watch(context, azure, ids)
        except Stopped as stopped:
            if stopped.request != Request.CANCEL:
                raise
            ended = await _cancel(context, azure, ids)
            await _collect(asking, azure, folder, ended)
            _charge(asking)
            raise
        await _collect(asking, azure, folder, ended)
    return _finish(asking)


def _round(folder: Path) -> Path:
    """Return the folder of the round to go on with: the last one, or a new one if that is over."""
    number = 1
    while (folder / f"round-{number}" / "over").exists():
        number += 1
    return private_folder(folder / f"round-{number}")


def _shards(asking: Asking, folder: Path) -> list[str]:
    """Write the round's request files once; return their names."""
    manifest = folder / "shards.json"
    if not manifest.exists():
        images = asking.unsettled()
        parameters = asking.context.job.parameters
        shards = write_batch_shards(
            ((custom_id(image), image.path) for image in images),
            asking.prompt,
            asking.labels,
            parameters["deployment"],
            folder,
            "requests",
        )
        size = sum(shard.bytes for shard in shards)
        asking.context.say(f"wrote {len(images)} requests in {len(shards)} file(s), {size / 1e6:.1f} MB")
        write_atomic(manifest, json.dumps([shard.path.name for shard in shards]))
    names: list[str] = json.loads(manifest.read_text(encoding="utf-8"))
    return names


async def _submit(context: Context, azure: Azure, folder: Path, index: int) -> str:
    """Upload one shard and create its batch, or find what an earlier attempt made of it."""
    jobs, job = context.store.jobs, context.job
    key = f"{folder.name}-{index}"
    intended, batch_id = jobs.intend(job.id, "batch", key)
    if batch_id is not None:
        return batch_id
    name = f"dogcls-{job.nonce}-{key}.jsonl"
    path = folder / json.loads((folder / "shards.json").read_text(encoding="utf-8"))[index]
    file_id = await files.ensure_uploaded(azure, path, "batch", name, say=context.say)
    await files.wait_processed(azure, file_id, say=context.say)
    context.check()
    status = await batches.ensure_created(azure, file_id, f"{job.nonce}-{key}", find_first=intended, say=context.say)
    jobs.made(job.id, "batch", key, status.id)
    context.say(f"{'found' if intended else 'created'} batch {status.id}")
    return status.id


async def _watch(context: Context, azure: Azure, ids: list[str]) -> list[BatchStatus]:
    """Poll until every batch has ended, whichever way."""
    wait = EMULATED_POLL_SECONDS if azure.endpoint.emulated else POLL_SECONDS
    said: dict[str, str] = {}
    while True:
        context.check()
        states = [await patiently(lambda i=i: batches.get(azure, i), say=context.say) for i in ids]  # type: ignore[misc]
        for state in states:
            if said.get(state.id) != state.status:
                said[state.id] = state.status
                context.say(f"batch {state.id} is {state.status}")
        done = sum(s.completed + s.failed for s in states)
        context.progress(done, max(done, sum(s.total for s in states)), ", ".join({s.status for s in states}))
        if all(state.terminal for state in states):
            return states
        await context.sleep(wait)


async def _cancel(context: Context, azure: Azure, ids: list[str]) -> list[BatchStatus]:
    """Cancel the batches and wait until they have: the finished part is kept, and was paid for."""
    wait = EMULATED_POLL_SECONDS if azure.endpoint.emulated else POLL_SECONDS
    context.say("cancelling; requests already answered are kept")
    states = []
    for batch_id in ids:
        state = await patiently(lambda i=batch_id: batches.get(azure, i), say=context.say)  # type: ignore[misc]
        if not state.terminal:
            await patiently(lambda i=batch_id: batches.cancel(azure, i), say=context.say)  # type: ignore[misc]
        while not state.terminal:
            await asyncio.sleep(wait)
            state = await patiently(lambda i=batch_id: batches.get(azure, i), say=context.say)  # type: ignore[misc]
        states.append(state)
    return states


async def _collect(asking: Asking, azure: Azure, folder: Path, ended: list[BatchStatus]) -> None:
    """Download all files and store a prediction for each image of the round; then the round is over."""
    context = asking.context
    paths = []
    for state in ended:
        if state.status != "completed":
            context.say(f"batch {state.id} ended {state.status} {state.problem}".rstrip(), "warning")
        for part, file_id in (("output", state.output_file_id), ("errors", state.error_file_id)):
            if file_id is not None:
                path = folder / f"{part}-{state.id}.jsonl"
                await patiently(lambda f=file_id, p=path: files.download(azure, f, p), say=context.say)  # type: ignore[misc]
                paths.append(path)
    asked = {custom_id(image): image.id for image in asking.unsettled()}
    found: list[Prediction] = []
    for answer in batches.read_output(paths, set(asked)):
        found.append(asking.prediction(answer))
        asked.pop(answer.custom_id, None)
    found += [Prediction(image, None, None, Outcome.MISSING) for image in asked.values()]
    context.store.predictions.add(asking.contestant_id, found)
    write_atomic(folder / "over", "")


def _charge(asking: Asking) -> None:
    """Write down what the answers cost, from the tokens that the service reported."""
    context = asking.context
    usage = context.store.predictions.usage(asking.contestant_id)
    usd = asking.prices.inference_cost(
        context.job.parameters["model"], usage.prompt_tokens, usage.completion_tokens, batch=True
    )
    context.store.jobs.charge(context.job.id, asking.contestant_id, "inference", usd)


def _finish(asking: Asking) -> dict[str, Any]:
    _charge(asking)
    predictions = asking.context.store.predictions.of(asking.contestant_id)
    unsettled = len(asking.unsettled())
    if unsettled == len(asking.images):
        errors = [p.error for p in predictions.values() if p.error]
        raise JobError(
            f"No request of the batch was answered{': ' + errors[0] if errors else ''}.",
            "Resume the job to ask again.",
        )
    if unsettled:
        asking.context.say(f"{unsettled} images have no answer; they count as wrong", "warning")
    asking.context.progress(len(asking.images), len(asking.images), "")
    return {"images": len(asking.images), "unanswered": unsettled}
