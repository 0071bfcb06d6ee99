"""Supervised vision fine-tuning on the service.

Work goes in rounds, as in a batch: a round is one fine-tuning job of the service's. One that has failed or
was cancelled is over, and a job that is resumed after it makes another.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from engine.azure import files, fine_tuning
from engine.azure.connection import Azure
from engine.azure.fine_tuning import Checkpoint, Event, TuningStatus
from engine.azure.patience import patiently, stoppable
from engine.azure.prices import if_known, load_prices
from engine.errors import JobError, ServiceError
from engine.jobs import tuning_checks
from engine.jobs.context import Context, Stopped
from engine.jobs.kinds.training_data import images_of, prepare, refuse
from engine.jobs.service import connected
from engine.quantities import agrees, counted
from engine.states import Request, Split
from engine.store.charges import Charge
from engine.store.files import private_folder, write_atomic

POLL_SECONDS = 60.0
EMULATED_POLL_SECONDS = 0.3
CANCELLED = ("cancelled", "canceled")
OPERATION = "fine-tune"
LAST_EVENTS = 5
"""How often the events of an ended job are read again for the billed tokens, which may be reported after its end."""
LAST_EVENT_SECONDS = 15.0
RESULTS_SECONDS = 600.0
"""How long the download of the results file is tried."""
PAUSE_SECONDS = 5.0
"""A pause is sent to the service for so long; in an outage the fine-tuning job continues there."""


@dataclass
class _Run:
    """One fine-tuning job of the service's, as far as it is known."""

    context: Context
    azure: Azure
    id: str
    key: str
    """Of the round: the folder's name, and the intent's."""
    events: list[Event] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.context.folder / self.key

    @property
    def step(self) -> int:
        """The last step that was measured."""
        return max((step for e in self.events for step, *_ in fine_tuning.step_metrics(e)), default=0)

    @property
    def billed(self) -> int | None:
        return fine_tuning.billed_tokens(self.events)

    def over(self) -> None:
        """The next attempt makes another."""
        (self.folder / "over").touch()
        self.context.store.jobs.ended(self.context.job.id, OPERATION, self.key)


async def run(context: Context) -> dict[str, Any]:
    """Upload both files, create the fine-tuning job or find it again, and follow it to its end."""
    async with connected(context) as azure:
        made = await stoppable(_submit(context, azure), context.check)
        try:
            status = await _follow(made)
        except Stopped as stopped:
            if stopped.request == Request.PAUSE:
                await _pause(made)
            raise
        if status.status in CANCELLED:  # by somebody else, or by an attempt that was killed before it could say so
            settle(made, status)
            raise Stopped(Request.CANCEL)
        if status.status != "succeeded" or status.fine_tuned_model is None:
            if made.billed:  # failed jobs are not charged
                charge(made, made.billed)
            made.over()
            raise JobError(
                f"Fine-tuning {made.id} ended {status.status}: {status.error or 'no reason given'}.",
                "Correct the cause, then resume the job.",
            )
        steps = await stoppable(_results(made, status), context.check)
        points = await stoppable(_checkpoints(made), context.check)
    billed, estimated = made.billed, made.billed is None
    if billed is None:
        billed = status.trained_tokens or _facts(made)["tokens"] * (status.epochs or 1)
    usd = charge(made, billed, estimated=estimated)
    about = "about " if estimated else ""
    context.say(f"model {status.fine_tuned_model}; {about}{counted(billed, 'token')} billed, {about}${usd:.2f}")
    if estimated:
        context.say("the service did not report the billed tokens: the training cost is an estimate", "warning")
    steps = max([steps, *(point.step for point in points)])  # events name each tenth step, not the last one
    left_out = await asyncio.to_thread(_left_out, made, status, billed, steps)
    if context.job.contestant_id is not None:
        took = status.finished_at - status.created_at if status.finished_at and status.created_at else None
        context.store.experiments.describe_contestant(
            context.job.contestant_id, model=status.fine_tuned_model, train_seconds=took
        )
    return {
        "model": status.fine_tuned_model,
        "tuning_id": made.id,
        "billed_tokens": billed,
        "billed_is_estimate": estimated,
        "epochs": status.epochs,
        "batch_size": status.batch_size,
        "checkpoints": [asdict(point) for point in points],
        "left_out": left_out,
    }


def upload_name(context: Context, key: str, split: Split) -> str:
    """Return a file's name on the service, which no other file has."""
    return f"dogcls-{context.job.nonce}-{key}-{split}.jsonl"


# -- to the service


async def _submit(context: Context, azure: Azure) -> _Run:
    """Make the round's fine-tuning job, or find what an earlier attempt made of it."""
    jobs, job, p = context.store.jobs, context.job, context.job.parameters
    number = 1
    while (context.folder / f"round-{number}" / "over").exists():
        number += 1
    key = f"round-{number}"
    folder = private_folder(context.folder / key)
    intended, tuning_id = jobs.intend(job.id, OPERATION, key)
    if tuning_id is not None:
        return _Run(context, azure, tuning_id, key)
    suffix = f"dogcls-{job.nonce}"
    splits = [Split.TRAIN, *([Split.VAL] if images_of(context, Split.VAL) else [])]
    paths = {split: folder / f"{split}.jsonl" for split in splits}
    names = {split: upload_name(context, key, split) for split in paths}
    for split, path in paths.items():
        epochs = _number(p["epochs"]) if split == Split.TRAIN else 1
        await asyncio.to_thread(prepare, context, path, split, suffix, epochs)
    if not intended:
        await _check_resource(context, azure, {names[split]: path.stat().st_size for split, path in paths.items()})
    uploaded = []
    for split, path in paths.items():
        context.check()
        file_id = await files.ensure_uploaded(azure, path, "fine-tune", names[split], say=context.say)
        await files.wait_processed(azure, file_id, say=context.say)
        uploaded.append(file_id)
    context.check()
    status = await fine_tuning.ensure_created(
        azure,
        p["model"],
        uploaded[0],
        uploaded[1] if len(uploaded) > 1 else None,
        suffix=suffix,
        seed=p["seed"],
        epochs=_number(p["epochs"]),
        batch_size=_number(p["batch_size"]),
        lr_multiplier=_number(p["lr_multiplier"]),
        find_first=intended or context.known,
        say=context.say,
    )
    jobs.made(job.id, OPERATION, key, status.id)
    context.say(f"{'found' if intended else 'created'} fine-tuning job {status.id}")
    return _Run(context, azure, status.id, key)


def _number(value: Any) -> Any:
    """Return a hyperparameter; None where it is left to the service."""
    return None if value == "auto" else value


async def _check_resource(context: Context, azure: Azure, new: dict[str, int]) -> None:
    """Find out for nothing whether the resource has room for the files and the job."""
    place = azure.endpoint.endpoint
    there = await patiently(lambda: fine_tuning.training_files(azure), say=context.say, place=place)
    jobs = await patiently(lambda: fine_tuning.everything(azure), say=context.say, place=place)
    refuse(context, tuning_checks.check_resource(there, jobs, list(new.items())), "The service has no room")


# -- while it runs


def poll_seconds(azure: Azure) -> float:
    """Return how long to wait between two looks; with jitter, so that many jobs do not look at once."""
    seconds = EMULATED_POLL_SECONDS if azure.endpoint.emulated else POLL_SECONDS
    return seconds * random.uniform(1.0, 1.25)


async def read_status(made: _Run) -> TuningStatus:
    """Return the fine-tuning job as the service has it."""
    return await patiently(
        lambda: fine_tuning.get(made.azure, made.id), say=made.context.say, place=made.azure.endpoint.endpoint
    )


async def _follow(made: _Run) -> TuningStatus:
    """Poll until the fine-tuning job has ended; store its events and metrics on the way. A stop ends it at once."""
    return await stoppable(_poll(made), made.context.check)


async def _poll(made: _Run) -> TuningStatus:
    context, azure = made.context, made.azure
    said = ""
    while True:
        context.check()
        status = await read_status(made)
        if status.status == "paused":
            context.say("the service has it paused: resuming it")
            try:
                await patiently(lambda: fine_tuning.resume(azure, made.id), say=context.say)
            except ServiceError as error:  # it is not paused any more; the next look tells what it is
                context.say(f"the service did not resume it: {error}", "warning")
        if status.status != said:
            said = status.status
            context.say(f"fine-tuning job {made.id} is {said}")
        await read_events(made)
        step, steps = made.step, _steps(made, status)
        context.progress(step, max(step, steps) if steps else 0, status.status)
        if status.terminal:
            await last_events(made, status)
            return status
        await context.sleep(poll_seconds(azure))


async def last_events(made: _Run, status: TuningStatus) -> None:
    """Read the events of an ended job until they report the billed tokens; a failed one is not billed."""
    for _ in range(0 if status.status == "failed" else LAST_EVENTS):
        if made.billed is not None:
            return
        await made.context.sleep(min(poll_seconds(made.azure), LAST_EVENT_SECONDS))
        await read_events(made)


def _steps(made: _Run, status: TuningStatus) -> int:
    """Return how many steps there will be; 0 while the service has not chosen what was left to it."""
    told = [event.data["total_steps"] for event in made.events if isinstance(event.data.get("total_steps"), int)]
    if told:
        return int(told[-1])
    p = made.context.job.parameters
    epochs, size = status.epochs or _number(p["epochs"]), status.batch_size or _number(p["batch_size"])
    return epochs * math.ceil(_facts(made)["examples"] / size) if epochs and size else 0


def _facts(made: _Run) -> dict[str, int]:
    """Return how many examples were uploaded, and their tokens by our estimate."""
    path = made.folder / f"{Split.TRAIN}.facts.json"
    if path.exists():
        facts: dict[str, int] = json.loads(path.read_text(encoding="ascii"))
        return facts
    return {"examples": len(images_of(made.context, Split.TRAIN)), "tokens": 0}


async def read_events(made: _Run) -> None:
    """Fetch the events that this attempt has not seen; keep their metrics, then log them.

    In this order, and oldest first: killed anywhere in between, the next attempt finds the event not logged
    yet, and measures again what was measured already, which changes nothing.
    """
    context = made.context
    seen = {event.id for event in made.events}
    new = await patiently(
        lambda: fine_tuning.events_since(made.azure, made.id, seen),
        say=context.say,
        place=made.azure.endpoint.endpoint,
    )
    made.events += new
    logged = context.store.jobs.remote_event_ids(context.job.id)
    values = [(name, step, None, value) for e in new for step, name, value in fine_tuning.step_metrics(e)]
    context.store.jobs.add_metrics(context.job.id, values)
    for event in new:
        if event.id not in logged:
            context.say(event.message, event.level, event.id)


async def _pause(made: _Run) -> None:
    context = made.context
    try:
        async with asyncio.timeout(PAUSE_SECONDS):
            await patiently(lambda: fine_tuning.pause(made.azure, made.id), say=context.say)
        context.say("pause sent to the service")
    except TimeoutError:
        context.say(
            f"The service did not answer: fine-tuning job {made.id} continues there, and costs. "
            "Resume this job to follow it, or cancel it.",
            "warning",
        )
    except ServiceError as error:
        context.say(f"the service did not pause it, and goes on: {error}", "warning")


# -- at its end


def settle(made: _Run, status: TuningStatus) -> None:
    """Charge a cancelled round and close it."""
    facts, steps = _facts(made), _steps(made, status)
    billed = made.billed
    about = ""
    if billed is None and steps and status.epochs:  # no event says what the part that was done has cost
        about = "about "
        billed = round(facts["tokens"] * status.epochs * min(1.0, made.step / steps))
    usd = charge(made, billed or 0, estimated=made.billed is None)
    made.context.say(
        f"fine-tuning job {made.id} is {status.status}; {about}{counted(billed or 0, 'token')} billed, ${usd:.2f}"
        f" in all"
    )
    made.over()


def charge(made: _Run, billed: int, *, estimated: bool = False) -> float:
    """Charge what a round was billed; return the cost of all rounds in US dollars."""
    context = made.context
    write_atomic(made.folder / "billed", str(billed))
    jobs, job, prices = context.store.jobs, context.job, load_prices(context.home.prices)
    usd = if_known(lambda: prices.training_cost(job.parameters["model"], billed))
    charge = Charge("training", f"fine-tune:{made.id}", usd, training_tokens=billed, estimated=estimated)
    jobs.record(job.id, job.contestant_id, charge)
    return sum(c.usd or 0.0 for c in jobs.charges(job.id) if c.item == "training")


async def _results(made: _Run, status: TuningStatus) -> int:
    """Download the results file and keep its columns as metrics; return its last step."""
    if not status.result_files:
        return 0
    context, azure = made.context, made.azure
    path = made.folder / "results.csv"
    fetch = partial(files.download_whole, azure, status.result_files[0], path)
    try:
        await patiently(fetch, say=context.say, limit=RESULTS_SECONDS, place=azure.endpoint.endpoint)
    except ServiceError as error:  # its columns are in the events too, and the model is not lost for them
        context.say(f"the results file could not be downloaded: {error}", "warning")
        return 0
    rows = fine_tuning.read_results(path)
    context.store.jobs.add_metrics(
        context.job.id,
        [(name, int(row["step"]), None, value) for row in rows for name, value in row.items() if name != "step"],
    )
    return int(max((row["step"] for row in rows), default=0))


async def _checkpoints(made: _Run) -> list[Checkpoint]:
    """Fetch the checkpoints that the service keeps, and name each in the log once."""
    context = made.context
    points = await patiently(
        lambda: fine_tuning.checkpoints(made.azure, made.id), say=context.say, place=made.azure.endpoint.endpoint
    )
    for point in points:
        measured = ", ".join(f"{k} {v:.3f}" for k, v in sorted(point.metrics.items()) if "loss" in k)
        context.say(
            f"checkpoint of step {point.step}: {point.model}{f' ({measured})' if measured else ''}", "info", point.id
        )
    return points


def _left_out(made: _Run, status: TuningStatus, billed: int, steps: int) -> dict[str, Any]:
    """Tell which images the service has not trained on: it drops people, faces and CAPTCHAs without a word."""
    context, facts, p = made.context, _facts(made), made.context.job.parameters
    names = [str(image.path) for image in images_of(context, Split.TRAIN)]
    named = tuning_checks.named(made.events, names)
    epochs, size = status.epochs or _number(p["epochs"]), status.batch_size or _number(p["batch_size"])
    count = tuning_checks.unused(
        facts["examples"], tokens=facts["tokens"], billed=billed, epochs=epochs, batch_size=size, steps=steps
    )
    count = max(count, len(named))
    if count:
        context.say(
            f"about {count:,} of {counted(facts['examples'], 'training image')} {agrees(count, 'was', 'were')} not"
            f" used by the service",
            "warning",
        )
    for name in named:
        context.say(f"not used: {name}", "warning")
    return {"about": count, "named": named}
