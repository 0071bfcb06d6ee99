"""Asking again: a job that has ended well, but for some images, is taken up for these alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.azure.prices import estimate_text_tokens, load_prices, tokens_of_image
from engine.datasets.prompt import Prompt
from engine.errors import ConfigurationError, InputError
from engine.jobs import scheduler, service
from engine.jobs.paths import Home
from engine.jobs.plan import ANSWER_TOKENS, SCORING_HOURS
from engine.states import RESUMABLE, JobKind, JobState, Split
from engine.store import Store
from engine.store.jobs import StoredJob

WAYS = ("batch", "realtime")
_KINDS = (JobKind.BATCH, JobKind.SCORE)
_PAGE = 1000


@dataclass(frozen=True)
class Again:
    """What asking again will take: of how many images, how (`batch` or `realtime`), for how much in US dollars."""

    images: int
    way: str
    usd: float
    emulated: bool

    @property
    def sentence(self) -> str:
        """All of it, in words."""
        how = "in real time" if self.way == "realtime" else "in a batch"
        whose = " (the emulator's: nobody charges it)" if self.emulated else ""
        count = f"{self.images:,} image{'s' if self.images != 1 else ''} without an answer"
        return f"{count} would be asked about again, {how}, for about ${self.usd:.4f}{whose}"


def unanswered(job: StoredJob) -> int:
    """Return how many images a job that has ended well has left without an answer."""
    if job.state != JobState.SUCCEEDED or job.kind not in _KINDS:
        return 0
    return int((job.result or {}).get("unanswered") or 0)


def way_of(job: StoredJob, retry: str | None) -> str:
    """Return how a job would ask again.

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


def again(store: Store, home: Home, job_id: int, retry: str | None) -> Again | None:
    """Return what asking again will take; None for a job that is resumed as any other.

    Raises:
        NotFoundError: there is no such job.
        InputError: it cannot be asked in this way.
        ConfigurationError: no real-time deployment is configured.

    """
    job = store.jobs.get(job_id)
    if not unanswered(job):
        if retry is not None:
            way_of(job, retry)
            _whom(home, job, retry)
        return None
    way = way_of(job, retry)
    _whom(home, job, way)
    p: dict[str, Any] = job.parameters
    dataset = store.datasets.get(str(p["dataset"]))
    text = estimate_text_tokens(Prompt.of(p).text(dataset.labels))
    images = tokens = last = 0
    while page := store.datasets.unsettled(dataset.name, Split.TEST, job.contestant_id or 0, after=last, limit=_PAGE):
        images += len(page)
        tokens += sum(text + tokens_of_image(i.width, i.height, p["detail"], p["model"]) for i in page)
        last = page[-1].id
    prices = load_prices(home.prices)
    usd = prices.inference_cost(p["model"], tokens, ANSWER_TOKENS * images, batch=way == "batch")
    if job.kind == JobKind.SCORE and any(need.kind == JobKind.DEPLOY for need in store.jobs.needed(job_id)):
        usd += prices.hosting_cost(p["model"], SCORING_HOURS * 3600)  # its deployment is made anew, and deleted
    return Again(images, way, usd, service.job_is_emulated(home, job))


def _whom(home: Home, job: StoredJob, way: str) -> str | None:
    """Return the deployment for real-time requests of a batch job, where that is how it asks.

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
    """Set a job and the rest of its experiment going again; return the jobs taken up.

    What was answered is never asked again. A job that has succeeded is taken up if it has left images without an
    answer, and then alone.

    Args:
        store: has the jobs.
        home: has their folders.
        job_id: the job.
        retry: how a batch asks again, `batch` or `realtime`; None leaves it as it was planned.

    Raises:
        NotFoundError: there is no such job.
        InputError, ConfigurationError: see `again`.

    """
    scheduler.recover(store)
    job = store.jobs.get(job_id)
    left = unanswered(job)
    if retry is not None:
        way = way_of(job, retry)
        if job.kind == JobKind.BATCH:
            changes = {"retry": way, "realtime": _whom(home, job, way) or job.parameters.get("realtime")}
            store.jobs.replan(job_id, changes, states=(JobState.SUCCEEDED, *RESUMABLE))
    if not left:
        return scheduler.resume(store, home, job_id)
    if (foreign := service.unreachable(home, job)) is not None:
        raise foreign
    message = f"resumed: {left:,} images without an answer are asked about again"
    taken = store.jobs.change(job_id, JobState.WAITING, expected=(JobState.SUCCEEDED,), message=message)
    scheduler.advance(store, home)
    return [job_id] if taken else []
