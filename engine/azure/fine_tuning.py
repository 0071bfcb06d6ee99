"""Fine-tuning jobs: created exactly once, found again by their training file, followed by their events."""

from __future__ import annotations

import asyncio
import csv
import random
import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.azure.errors import translated
from engine.azure.pages import distinct
from engine.azure.patience import Say, admitted, patiently
from engine.errors import ServiceError, ServiceUnavailable

if TYPE_CHECKING:
    from engine.azure.connection import Azure

TERMINAL = frozenset({"succeeded", "failed", "cancelled", "canceled"})
WAITING = frozenset({"created", "validating_files", "pending", "queued", "notrunning"})
"""It has not begun, and counts among the queued ones."""
MODELS = ("gpt-4o-2024-08-06", "gpt-4.1-2025-04-14")
"""The models that can be fine-tuned on images; so can whatever was tuned from them (continual fine-tuning)."""
CREATE_SECONDS = (1.0, 30.0)
"""The first and the longest wait before an unanswered creation is looked for, and tried again."""
CREATE_TRIES = 8
"""How often creating may fail while the service answers other calls."""
_CONFLICT = 409
_OVERLAP = 20
"""Known events in a row after which no unknown one is expected: those of one second come in any order."""
_BILLED = re.compile(r"training tokens billed:\s*([\d,]+)", re.IGNORECASE)
_STEP = re.compile(r"step (\d+)(?:/\d+)?: training loss=([-+.\deE]+)", re.IGNORECASE)


@dataclass(frozen=True)
class TuningStatus:
    """A fine-tuning job. `status` is an open string: the service has more than are documented."""

    id: str
    status: str
    training_file: str
    fine_tuned_model: str | None
    result_files: tuple[str, ...]
    trained_tokens: int | None
    created_at: float | None
    finished_at: float | None
    error: str
    epochs: int | None = None
    batch_size: int | None = None
    """What the service trains with, also where the choice was left to it; None while it has not said."""

    @property
    def terminal(self) -> bool:
        """Whether it has ended, whichever way."""
        return self.status in TERMINAL


@dataclass(frozen=True)
class Event:
    """One line of what the service tells about a job."""

    id: str
    created_at: float
    level: str
    message: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A model that can be deployed, from the end of an epoch."""

    id: str
    step: int
    model: str
    metrics: dict[str, float]


def parse(job: Any) -> TuningStatus:
    """Read a fine-tuning job."""
    error = job.error
    return TuningStatus(
        id=job.id,
        status=str(job.status).lower(),
        training_file=job.training_file,
        fine_tuned_model=job.fine_tuned_model or None,
        result_files=tuple(job.result_files or ()),
        trained_tokens=job.trained_tokens,
        created_at=job.created_at,
        finished_at=job.finished_at,
        error=str((error and getattr(error, "message", None)) or ""),
        epochs=_chosen(job, "n_epochs"),
        batch_size=_chosen(job, "batch_size"),
    )


def _chosen(job: Any, name: str) -> int | None:
    """Return a hyperparameter's value; -1, `auto` and nothing at all mean that none is chosen yet."""
    value = getattr(job.hyperparameters, name, None)
    return value if isinstance(value, int) and value > 0 else None


def base_model(model: str) -> str:
    """Return what a model, a tuned one or one of its checkpoints was tuned from at first."""
    return model.split(".ft-")[0]


async def get(azure: Azure, tuning_id: str) -> TuningStatus:
    """Return a job as it stands."""
    with translated(azure.endpoint.endpoint):
        return parse(await azure.client.fine_tuning.jobs.retrieve(tuning_id))


async def everything(azure: Azure) -> list[TuningStatus]:
    """Return all of the resource's jobs, whoever made them, newest first."""
    with translated(azure.endpoint.endpoint):
        page = await azure.client.fine_tuning.jobs.list(limit=100)
        return [parse(job) async for job in distinct(page)]


async def training_files(azure: Azure) -> list[tuple[str, int]]:
    """Return (name, bytes) of the resource's fine-tuning files, whoever uploaded them: they count against its quota."""
    with translated(azure.endpoint.endpoint):
        page = await azure.client.files.list(purpose="fine-tune", limit=100)
        return [(file.filename, file.bytes or 0) async for file in distinct(page) if str(file.status) != "deleted"]


async def cancel(azure: Azure, tuning_id: str) -> None:
    """Cancel a job; the work done is paid for.

    Raises:
        ServiceError: it has ended otherwise.

    """
    await _move(azure, tuning_id, lambda jobs: jobs.cancel(tuning_id), ("cancelled", "canceled", "cancelling"))


async def pause(azure: Azure, tuning_id: str) -> None:
    """Pause a running job; it leaves a checkpoint that can be deployed.

    Raises:
        ServiceError: it does not run, or has not made a step.

    """
    await _move(azure, tuning_id, lambda jobs: jobs.pause(tuning_id), ("pausing", "paused"))


async def resume(azure: Azure, tuning_id: str) -> None:
    """Resume a paused job.

    Raises:
        ServiceError: it is not paused.

    """
    await _move(azure, tuning_id, lambda jobs: jobs.resume(tuning_id), ("resuming", "running", "succeeded"))


async def _move(azure: Azure, tuning_id: str, ask: Callable[[Any], Awaitable[Any]], reached: Collection[str]) -> None:
    """Ask for a change of state. One that was reached already, by a request whose answer was lost, is fine.

    A conflict is an answer here and not an outage: the job is in another state, and will be when asked again.
    """
    try:
        with translated(azure.endpoint.endpoint):
            await ask(azure.client.with_options(max_retries=0).fine_tuning.jobs)
    except ServiceUnavailable as error:
        if error.status != _CONFLICT:
            raise
        found = await get(azure, tuning_id)
        if found.status not in reached:
            raise ServiceError(f"Fine-tuning job {tuning_id} is {found.status}.", status=_CONFLICT) from None


async def find(azure: Azure, training_file: str) -> TuningStatus | None:
    """Return the job that trains on this file. The file is one job's own, so its id is the job's mark."""
    page = await azure.client.fine_tuning.jobs.list(limit=100)
    async for job in distinct(page):
        if job.training_file == training_file:
            return parse(job)
    return None


async def ensure_created(
    azure: Azure,
    model: str,
    training_file: str,
    validation_file: str | None,
    *,
    suffix: str,
    seed: int,
    epochs: int | None,
    batch_size: int | None,
    lr_multiplier: float | None,
    find_first: bool,
    say: Say | None = None,
) -> TuningStatus:
    """Create a fine-tuning job exactly once. Costs money.

    Args:
        azure: the connection.
        model: the base model.
        training_file: a file id that no other job uses.
        validation_file: a file id, or None.
        suffix: of the tuned model's name; at most 40 of `[A-Za-z0-9-_]`.
        seed: of the training.
        epochs: None leaves it to the service, as the next two.
        batch_size: examples a step.
        lr_multiplier: of the service's own learning rate.
        find_first: whether an earlier attempt may have created it.
        say: told of outages.

    Raises:
        ServiceError: the service refuses it.

    """
    knobs = {"n_epochs": epochs, "batch_size": batch_size, "learning_rate_multiplier": lr_multiplier}
    client = azure.client.with_options(max_retries=0)

    async def create() -> Any:
        return await client.fine_tuning.jobs.create(
            model=model,
            training_file=training_file,
            validation_file=validation_file,
            suffix=suffix,
            seed=seed,
            hyperparameters={k: v for k, v in knobs.items() if v is not None},  # type: ignore[arg-type]
        )

    look, failures = find_first, 0
    wait, longest = CREATE_SECONDS
    while True:
        if look:
            found = await patiently(lambda: find(azure, training_file), say=say, place=azure.endpoint.endpoint)
            if found is not None:
                return found
        try:
            return parse(await admitted(create, say=say, place=azure.endpoint.endpoint))
        except ServiceUnavailable as error:
            failures += look and error.status != 429  # the list has just been answered: the service lives
            if failures >= CREATE_TRIES:
                raise ServiceError(
                    f"The fine-tuning job was not created in {failures} tries: {error.message}",
                    "Resume the job: one that was created all the same is found.",
                    status=error.status,
                    code=error.code,
                ) from None
            look = True  # it may have been created although no answer came
            if say is not None:
                say(f"waiting: {error.message}")
            await asyncio.sleep(wait * random.uniform(1.0, 1.25))
            wait = min(wait * 2, longest)


async def events_since(azure: Azure, tuning_id: str, known: set[str]) -> list[Event]:
    """Return the events that are not known yet, oldest first.

    The service lists the newest first, so paging ends where only known ones come any more.
    """
    found: list[Event] = []
    known_in_a_row = 0
    with translated(azure.endpoint.endpoint):
        page = await azure.client.fine_tuning.jobs.list_events(tuning_id, limit=100)
        async for event in distinct(page):
            if event.id in known:
                known_in_a_row += 1
                if known_in_a_row == _OVERLAP:
                    break
                continue
            known_in_a_row = 0
            data = event.data if isinstance(event.data, dict) else {}
            level = {"warn": "warning"}.get(event.level, event.level)
            found.append(Event(event.id, event.created_at, level, event.message, data))
    return found[::-1]


async def checkpoints(azure: Azure, tuning_id: str) -> list[Checkpoint]:
    """Return a job's checkpoints, oldest first."""
    found: list[Checkpoint] = []
    with translated(azure.endpoint.endpoint):
        page = await azure.client.fine_tuning.jobs.checkpoints.list(tuning_id)
        async for c in distinct(page):
            metrics = {k: float(v) for k, v in c.metrics.model_dump().items() if isinstance(v, int | float)}
            found.append(Checkpoint(c.id, c.step_number, c.fine_tuned_model_checkpoint, metrics))
    return sorted(found, key=lambda c: c.step)


def billed_tokens(events: Iterable[Event]) -> int | None:
    """Return what is paid, as the last event says; `trained_tokens` can be far larger for images."""
    for event in reversed(list(events)):
        match = _BILLED.search(event.message)
        if match:
            return int(match[1].replace(",", ""))
    return None


def step_metrics(event: Event) -> list[tuple[int, str, float]]:
    """Return (step, name, value) of what an event measured, from its data or else its message."""
    step = event.data.get("step")
    if isinstance(step, int):
        values = ((k, v) for k, v in event.data.items() if k not in ("step", "total_steps"))
        return [(step, k, float(v)) for k, v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    match = _STEP.search(event.message)
    return [(int(match[1]), "train_loss", float(match[2]))] if match else []


def read_results(path: Path) -> list[dict[str, float]]:
    """Read a results file: one row a step, only the cells that hold a number."""
    rows = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            values: dict[str, float] = {}
            for name, cell in row.items():
                try:
                    values[name] = float(cell)
                except (TypeError, ValueError):
                    continue
            if "step" in values:
                rows.append(values)
    return rows
