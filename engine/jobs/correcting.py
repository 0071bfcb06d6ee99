"""Deployments that were named wrongly: a resume takes the corrected name from the settings, once it was shown.

Only a deployment of the job's own resource can take the place of another, only where it fits (see
`engine.azure.targets`), and only where it serves the model of the answers that the job has already. A deployment that
was chosen for the job alone, and not in the settings, is kept for as long as it fits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.errors import ConfigurationError, ServiceUnavailable
from engine.jobs import service
from engine.jobs.binding import DEMO
from engine.jobs.paths import Home
from engine.states import RESUMABLE, JobKind, JobState
from engine.store import Store
from engine.store.jobs import StoredJob

if TYPE_CHECKING:
    from engine.azure.connection import Azure, Endpoint

_KINDS = (JobKind.BATCH, JobKind.PROBE, JobKind.SCORE)
_STATES = (JobState.WAITING, *RESUMABLE)
"""In which no worker has read a job's parameters; one that has succeeded may be resumed too."""


@dataclass(frozen=True)
class Correction:
    """A deployment's name in a job's parameters (`deployment` or `realtime`), as it is and as the settings have it."""

    job_id: int
    parameter: str
    old: str
    new: str

    @property
    def sentence(self) -> str:
        """The change in words."""
        what = "deployment for real-time calls" if self.parameter == "realtime" else "deployment"
        return f"job {self.job_id}: {what} {self.old} → {self.new}"


async def find(
    store: Store, home: Home, job_ids: Iterable[int], retries: Mapping[int, str] | None = None
) -> tuple[Correction, ...]:
    """Return the corrections that resuming some jobs would make; check the deployments that they will use.

    A job that is not resumed, for it runs or has ended well with all answers, needs none.

    An outage of the service is no reason against a resume: the job waits it out.

    Args:
        store: has the jobs.
        home: of the jobs.
        job_ids: the jobs.
        retries: how a batch job will retry, `batch` or `realtime`, where that is not as it was planned.

    Raises:
        ForeignResource: the settings mean another resource than the job's.
        ConfigurationError: a deployment does not fit, or serves another model than that of the answers so far.

    """
    found: list[Correction] = []
    for job_id in job_ids:
        job = await asyncio.to_thread(store.jobs.get, job_id)
        own = job.parameters.get("profile") == DEMO  # the emulator of this home: its deployments have no settings
        if job.kind in _KINDS and job.parameters.get("deployment") and not own and _is_resumed(job):
            retry = (retries or {}).get(job_id) or str(job.parameters.get("retry") or "")
            found += await _of(store, home, job, retry)
    return tuple(found)


def _is_resumed(job: StoredJob) -> bool:
    left = job.state == JobState.SUCCEEDED and bool((job.result or {}).get("unanswered"))
    return left or job.state in _STATES


async def _of(store: Store, home: Home, job: StoredJob, retry: str) -> list[Correction]:
    from engine.azure.connection import Azure

    place = await asyncio.to_thread(service.endpoint_of, home, job)
    used = {name: _configured(job, name, place) for name in _parameters(job, retry)}
    named = {name: str(job.parameters.get(name) or new or "") for name, new in used.items()}
    configured = {name: new or named[name] for name, new in used.items()}
    first, second = (named, configured) if job.parameters.get("deployment_chosen") else (configured, named)
    served = store.experiments.served(job.contestant_id) if job.contestant_id is not None else None
    try:
        async with Azure(place, client=f"job {job.id}") as azure:
            fits = first
            try:
                await _check(azure, job, first, place, served)
            except ConfigurationError as unfit:
                if first == second or not await _fits(azure, job, second, place, served):
                    if await asyncio.to_thread(store.jobs.open_calls, job.id, "batch"):
                        return []  # what was paid for is fetched, whatever has become of the deployment
                    raise unfit from None
                fits = second
    except ServiceUnavailable:
        return []
    return [Correction(job.id, name, named[name], new) for name, new in fits.items() if new != named[name]]


def _parameters(job: StoredJob, retry: str) -> list[str]:
    """Return the parameters that name the deployments which a job will use."""
    if job.kind != JobKind.BATCH or retry != "realtime":
        return ["deployment"]
    return ["realtime"] if job.state == JobState.SUCCEEDED else ["deployment", "realtime"]


def _configured(job: StoredJob, parameter: str, place: Endpoint) -> str | None:
    """Return the deployment that the settings name for this use."""
    if parameter == "realtime":
        return place.deployment
    return {JobKind.BATCH: place.batch_deployment, JobKind.SCORE: place.ft_deployment}.get(
        JobKind(job.kind), place.deployment
    )


async def _fits(azure: Azure, job: StoredJob, names: dict[str, str], place: Endpoint, served: str | None) -> bool:
    try:
        await _check(azure, job, names, place, served)
    except ConfigurationError:
        return False
    return True


async def _check(azure: Azure, job: StoredJob, names: dict[str, str], place: Endpoint, served: str | None) -> None:
    from engine.azure import targets
    from engine.jobs.preflight import wanted_by

    unused: dict[str, Any] = {"deployment": None, "realtime": None, "retry": "realtime"}
    parameters: dict[str, Any] = job.parameters | unused | names
    wanted = wanted_by([replace(job, parameters=parameters)], place)
    try:
        await targets.check(azure, [replace(one, model=served or one.model) for one in wanted])
    except ConfigurationError as error:
        if served and f"not {served}." in error.message:
            hint = "Start a new experiment with it: answers of two models are not compared as one contestant's."
            raise ConfigurationError(f"{error.message} The answers of job {job.id} are of {served}.", hint) from None
        raise


def apply(store: Store, corrections: Sequence[Correction]) -> None:
    """Change the deployments of jobs that are about to be resumed."""
    for one in corrections:
        store.jobs.replan(one.job_id, {one.parameter: one.new}, states=(JobState.SUCCEEDED, *_STATES))
        store.jobs.log(one.job_id, one.sentence.partition(": ")[2])
