"""Resuming: which jobs a resume starts again, and what will be paid once more for it.

The rule: the job, the jobs that it needs, and the jobs that were cancelled only because of these. A job that the user
cancelled is resumed by its own number only. What the service has made or answered is never paid twice: a job that
only follows what is there costs nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.azure.prices import Prices, estimate_text_tokens, load_prices, tokens_of_image
from engine.datasets.prompt import Prompt
from engine.errors import ConfigurationError, InputError
from engine.events import JobView
from engine.jobs import scheduler, service
from engine.jobs.paths import Home
from engine.jobs.plan import ANSWER_TOKENS, SCORING_HOURS, Plan, make_price
from engine.quantities import agrees, counted
from engine.states import RESUMABLE, JobKind, JobState, Outcome, Split
from engine.store import Store
from engine.store.experiments import NewJob
from engine.store.jobs import StoredJob

WAYS = ("batch", "realtime")
_KINDS = (JobKind.BATCH, JobKind.SCORE)
_PAGE = 1000


@dataclass(frozen=True)
class PaidAgain:
    """One thing that a resume pays for once more; `usd` is None where the price table does not have it."""

    job_id: int
    what: str
    usd: float | None


@dataclass(frozen=True)
class Again:
    """What a resume does: the jobs that it starts again, and what is paid for once more."""

    jobs: tuple[JobView, ...]
    lines: tuple[PaidAgain, ...]
    emulated: bool

    @property
    def usd(self) -> float | None:
        """US dollars in total; None where a part of it is unknown."""
        sums = [line.usd for line in self.lines]
        return None if None in sums else sum(usd for usd in sums if usd is not None)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it in words: a line for each thing that is paid again, then the total."""
        if not self.lines:
            return ()
        found = [f"job {line.job_id}: {line.what}, for {_about(line.usd)}" for line in self.lines]
        charged = " (the emulator's: it is not charged)" if self.emulated else ""
        return (*found, f"{_about(self.usd)} in total{charged}")


def _about(usd: float | None) -> str:
    return "an unknown price" if usd is None else f"about ${usd:.4f}"


def unanswered(job: StoredJob) -> int:
    """Return how many images a job that has ended well has left without an answer."""
    if job.state != JobState.SUCCEEDED or job.kind not in _KINDS:
        return 0
    return int((job.result or {}).get("unanswered") or 0)


def way_of(job: StoredJob, retry: str | None) -> str:
    """Return how a job would query again.

    Raises:
        InputError: it cannot in the way that is wanted.

    """
    if retry is not None and retry not in WAYS:
        raise InputError(f"{retry!r} is no way to ask again.", f"Choose --retry {' or '.join(WAYS)}.")
    if job.kind == JobKind.SCORE:
        if retry == "batch":
            raise InputError("A tuned model cannot be asked in a batch.", "Choose --retry realtime.")
        return "realtime"
    if job.kind != JobKind.BATCH:
        raise InputError(f"Job {job.id} is a {job.kind} job: it asks about no images.", "Leave --retry out.")
    return retry or ("realtime" if job.parameters.get("retry") == "realtime" else "batch")


def again(store: Store, home: Home, job_id: int, retry: str | None = None) -> Again:
    """Return what a resume would start again and pay for again; nothing is changed.

    Raises:
        NotFoundError: there is no such job.
        InputError: it cannot be resumed so.
        ConfigurationError: no real-time deployment is configured.

    """
    job = store.jobs.get(job_id)
    if retry is not None or unanswered(job):
        way = way_of(job, retry)
        _realtime_deployment(home, job, way)
    ids = scheduler.resumed_with(store, job_id)
    jobs = [store.jobs.get(number) for number in ids]
    prices = load_prices(home.prices)
    lines = [
        line for each in jobs for line in _paid_again(store, home, each, prices, retry if each.id == job_id else None)
    ]
    emulated = all(each.kind == JobKind.TRAIN or service.job_is_emulated(home, each) for each in jobs)
    return Again(tuple(store.jobs.view(number) for number in ids), tuple(lines), emulated)


def _paid_again(store: Store, home: Home, job: StoredJob, prices: Prices, retry: str | None) -> list[PaidAgain]:
    """Return what a job would pay for once more. What it has not paid for yet was accepted at its start."""
    if job.kind == JobKind.FINE_TUNE:
        return _training(store, home, job, prices)
    if job.kind == JobKind.DEPLOY:
        return _hosting(store, job, job, prices)
    if job.kind not in _KINDS:
        return []
    found = []
    if not (job.kind == JobKind.BATCH and store.jobs.open_calls(job.id, "batch")):
        found = _queries(store, job, prices, way_of(job, retry))
    if job.kind == JobKind.SCORE:
        for need in store.jobs.needed(job.id):
            if need.kind == JobKind.DEPLOY and need.state == JobState.SUCCEEDED:
                found += _hosting(store, job, need, prices)
    return found


def _training(store: Store, home: Home, job: StoredJob, prices: Prices) -> list[PaidAgain]:
    number = 1
    while (home.job(job) / f"round-{number}" / "over").exists():
        number += 1
    if number == 1 or f"round-{number}" in store.jobs.intents(job.id, "fine-tune"):
        return []
    dataset = store.datasets.get(str(job.parameters["dataset"]))
    plan = Plan([], [NewJob(job.kind, job.parameters)])
    what = "another fine-tuning job is created and trains from the beginning"
    try:
        (line,) = make_price(plan, store, dataset, prices, emulated=False).lines
    except InputError:
        return [PaidAgain(job.id, what, None)]
    return [PaidAgain(job.id, f"{what}: {line.detail}", line.usd)]


def _hosting(store: Store, job: StoredJob, maker: StoredJob, prices: Prices) -> list[PaidAgain]:
    """Return a deployment's price where it was made before and is deleted."""
    if not store.jobs.intents(maker.id, "deployment") or store.jobs.open_calls(maker.id, "deployment"):
        return []
    try:
        hourly = prices.hosting_cost(str(maker.parameters["model"]), 3600)
    except InputError:
        return [PaidAgain(job.id, "its deployment is created again, at an unknown price an hour", None)]
    what = f"its deployment is created again, at ${hourly:.2f} an hour for {SCORING_HOURS * 60:.0f} minutes or more"
    return [PaidAgain(job.id, what, hourly * SCORING_HOURS)]


def _queries(store: Store, job: StoredJob, prices: Prices, way: str) -> list[PaidAgain]:
    """Return the price of the images that were queried without an answer and are queried again."""
    counts = store.predictions.counts(job.contestant_id or 0)
    tried = max(counts.get(Outcome.FAILED, 0) + counts.get(Outcome.MISSING, 0), unanswered(job))
    if not tried:
        return []
    p: dict[str, Any] = job.parameters
    dataset = store.datasets.get(str(p["dataset"]))
    text = estimate_text_tokens(Prompt.of(p).text(dataset.labels))
    images = tokens = last = 0
    while page := store.datasets.unsettled(dataset.name, Split.TEST, job.contestant_id or 0, after=last, limit=_PAGE):
        images += len(page)
        tokens += sum(text + tokens_of_image(i.width, i.height, p["detail"], p["model"]) for i in page)
        last = page[-1].id
    tokens = round(tokens * tried / max(images, 1))
    how = "in real time" if way == "realtime" else "in a batch"
    what = f"{counted(tried, 'image')} without an answer {agrees(tried, 'is', 'are')} queried again"
    try:
        usd = prices.inference_cost(p["model"], tokens, ANSWER_TOKENS * tried, batch=way == "batch")
    except InputError:
        return [PaidAgain(job.id, f"{what}, {how}", None)]
    return [PaidAgain(job.id, f"{what}, {how}", usd)]


def _realtime_deployment(home: Home, job: StoredJob, way: str) -> str | None:
    """Return the deployment for real-time requests of a batch job, where that is how it queries.

    Raises:
        ConfigurationError: there is none.

    """
    if job.kind != JobKind.BATCH or way != "realtime":
        return None
    found = job.parameters.get("realtime") or service.endpoint_of(home, job).deployment
    if not found:
        raise ConfigurationError(
            "No deployment for real-time requests is configured.", "Set AZURE_OPENAI_DEPLOYMENT_NAME."
        )
    return str(found)


def resume(store: Store, home: Home, job_id: int, retry: str | None = None) -> list[int]:
    """Start a job again with what it needs and what was cancelled because of it; return the jobs.

    What was answered is never queried again. A job that has succeeded is started again if it has left images without
    an answer, for these only.

    Args:
        store: has the jobs.
        home: has their folders.
        job_id: the job.
        retry: how a batch queries again, `batch` or `realtime`; None leaves it as it was planned.

    Raises:
        NotFoundError: there is no such job.
        InputError, ConfigurationError: see `again`.

    """
    scheduler.recover(store)
    job = store.jobs.get(job_id)
    if retry is not None:
        way = way_of(job, retry)
        if job.kind == JobKind.BATCH:
            changes = {"retry": way, "realtime": _realtime_deployment(home, job, way) or job.parameters.get("realtime")}
            store.jobs.replan(job_id, changes, states=(JobState.SUCCEEDED, *RESUMABLE))
    return scheduler.resume(store, home, job_id)
