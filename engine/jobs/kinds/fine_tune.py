"""Supervised vision fine-tuning on the service."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

from engine.azure import files, fine_tuning
from engine.azure.connection import Azure
from engine.azure.fine_tuning import TuningStatus
from engine.azure.patience import patiently
from engine.azure.prices import load_prices
from engine.datasets.jsonl import write_training_file
from engine.errors import JobError, ServiceError
from engine.jobs.context import Context, Stopped
from engine.jobs.kinds.asking import prompt_of
from engine.jobs.service import connected
from engine.states import Request, Split
from engine.store.files import private_folder, write_atomic

POLL_SECONDS = 60.0
EMULATED_POLL_SECONDS = 0.3


async def run(context: Context) -> dict[str, Any]:
    """Upload both files, create the fine-tuning job or find it again, and follow it to its end."""
    async with connected(context) as azure:
        tuning_id, key = await _submit(context, azure)
        try:
            status = await _follow(context, azure, tuning_id)
        except Stopped as stopped:
            await _stop(context, azure, tuning_id, key, stopped.request)
            raise
        events = await _events(context, azure, tuning_id)
        if status.status != "succeeded" or status.fine_tuned_model is None:
            _charge(context, key, fine_tuning.billed_tokens(events) or 0)
            # The next attempt is a new fine-tuning job: this one is over.
            (context.folder / key / "over").touch()
            raise JobError(
                f"Fine-tuning {tuning_id} ended {status.status}: {status.error or 'no reason given'}.",
                "Correct the cause, then resume the job.",
            )
        await _results(context, azure, status)
    billed = fine_tuning.billed_tokens(events) or status.trained_tokens or 0
    usd = _charge(context, key, billed)
    context.say(f"model {status.fine_tuned_model}; {billed:,} tokens billed, ${usd:.2f}")
    if context.job.contestant_id is not None:
        took = status.finished_at - status.created_at if status.finished_at and status.created_at else None
        context.store.experiments.describe_contestant(
            context.job.contestant_id, model=status.fine_tuned_model, train_seconds=took
        )
    return {"model": status.fine_tuned_model, "tuning_id": tuning_id, "billed_tokens": billed}


async def _submit(context: Context, azure: Azure) -> tuple[str, str]:
    """Return the fine-tuning job's id on the service and the key of its round."""
    jobs, job = context.store.jobs, context.job
    number = 1
    while (context.folder / f"round-{number}" / "over").exists():
        number += 1
    key = f"round-{number}"
    folder = private_folder(context.folder / key)
    intended, tuning_id = jobs.intend(job.id, "fine-tune", key)
    if tuning_id is not None:
        return tuning_id, key
    uploaded = []
    for split in (Split.TRAIN, Split.VAL):
        path = folder / f"{split}.jsonl"
        if not path.exists():
            await asyncio.to_thread(_write, context, path, split)
        name = f"dogcls-{job.nonce}-{key}-{split}.jsonl"
        file_id = await files.ensure_uploaded(azure, path, "fine-tune", name, say=context.say)
        await files.wait_processed(azure, file_id, say=context.say)
        uploaded.append(file_id)
    context.check()
    p = job.parameters
    status = await fine_tuning.ensure_created(
        azure,
        p["model"],
        uploaded[0],
        uploaded[1],
        suffix=f"dogcls-{job.nonce}",
        seed=p["seed"],
        epochs=p["epochs"],
        batch_size=p["batch_size"],
        lr_multiplier=p["lr_multiplier"],
        find_first=intended,
        say=context.say,
    )
    jobs.made(job.id, "fine-tune", key, status.id)
    context.say(f"{'found' if intended else 'created'} fine-tuning job {status.id}")
    return status.id, key


def _write(context: Context, path: Path, split: Split) -> None:
    p = context.job.parameters
    dataset = context.store.datasets.get(p["dataset"])
    images = context.store.datasets.images(dataset.name, split)
    shard = write_training_file(
        ((image.path, dataset.labels[image.label]) for image in images), prompt_of(p), dataset.labels, path
    )
    context.say(f"wrote {shard.requests} {split} examples, {shard.bytes / 1e6:.1f} MB")


async def _follow(context: Context, azure: Azure, tuning_id: str) -> TuningStatus:
    """Poll until the fine-tuning job has ended; store its events and metrics on the way."""
    wait = EMULATED_POLL_SECONDS if azure.endpoint.emulated else POLL_SECONDS
    p = context.job.parameters
    examples = context.store.datasets.get(p["dataset"]).train
    steps = p["epochs"] * math.ceil(examples / p["batch_size"])
    said = ""
    while True:
        context.check()
        status = await patiently(lambda: fine_tuning.get(azure, tuning_id), say=context.say)
        if status.status == "paused":
            context.say("the service has it paused: resuming it")
            await patiently(lambda: fine_tuning.resume(azure, tuning_id), say=context.say)
        if status.status != said:
            said = status.status
            context.say(f"fine-tuning job {tuning_id} is {said}")
        events = await _events(context, azure, tuning_id)
        step = max((s for e in events for s, *_ in fine_tuning.step_metrics(e)), default=0)
        context.progress(step, max(step, steps), status.status)
        if status.terminal:
            return status
        await context.sleep(wait)


async def _events(context: Context, azure: Azure, tuning_id: str) -> list[Any]:
    """Fetch all events, log those that are new, keep their metrics; return all of them, oldest first."""
    events = await patiently(lambda: fine_tuning.events_since(azure, tuning_id, set()), say=context.say)
    known = context.store.jobs.remote_event_ids(context.job.id)
    for event in events:
        if event.id not in known:
            context.say(event.message, event.level, event.id)
            context.metrics([(name, step, None, value) for step, name, value in fine_tuning.step_metrics(event)])
    return events


async def _results(context: Context, azure: Azure, status: TuningStatus) -> None:
    """Download the results file and keep its columns as metrics."""
    if not status.result_files:
        return
    path = context.folder / "results.csv"
    await patiently(lambda: files.download(azure, status.result_files[0], path), say=context.say)
    rows = fine_tuning.read_results(path)
    context.metrics(
        [(name, int(row["step"]), None, value) for row in rows for name, value in row.items() if name != "step"]
    )


def _charge(context: Context, key: str, billed: int) -> float:
    """Write down what a round was billed; return the cost of all rounds in US dollars."""
    write_atomic(context.folder / key / "billed", str(billed))
    tokens = sum(int(path.read_text(encoding="ascii")) for path in context.folder.glob("round-*/billed"))
    usd = load_prices(context.home.prices).training_cost(context.job.parameters["model"], tokens)
    context.store.jobs.charge(context.job.id, context.job.contestant_id, "training", usd)
    return usd


async def _stop(context: Context, azure: Azure, tuning_id: str, key: str, request: Request | None) -> None:
    """Pass a request on to the service; a worker that is merely ending leaves it running there."""
    if request is None:
        return
    act = fine_tuning.cancel if request == Request.CANCEL else fine_tuning.pause
    try:
        await patiently(lambda: act(azure, tuning_id), say=context.say)
        context.say(f"{request} sent to the service")
    except ServiceError as error:
        context.say(f"the service did not {request} it: {error}", "warning")
    if request != Request.CANCEL:
        return
    wait = EMULATED_POLL_SECONDS if azure.endpoint.emulated else POLL_SECONDS
    while True:
        status = await patiently(lambda: fine_tuning.get(azure, tuning_id), say=context.say)
        if status.terminal:
            break
        await asyncio.sleep(wait)
    events = await _events(context, azure, tuning_id)
    billed = fine_tuning.billed_tokens(events) or status.trained_tokens or 0
    usd = _charge(context, key, billed)
    context.say(f"fine-tuning job {tuning_id} is {status.status}; {billed:,} tokens billed, ${usd:.2f} in all")
    (context.folder / key / "over").touch()
