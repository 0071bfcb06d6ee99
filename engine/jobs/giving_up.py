"""Giving up a cancel that can never succeed: the resource was deleted, or access to it is gone for good.

The user accepts that what the job has on the service may still run and cost there. The job's log names it.
"""

from __future__ import annotations

from engine.azure.prices import if_known, load_prices
from engine.errors import InputError
from engine.jobs import scheduler
from engine.jobs.kinds.deploy import charge_hours, living_since
from engine.jobs.paths import Home
from engine.states import JobKind, JobState
from engine.store import Store
from engine.store.jobs import StoredJob

_WORKING = (JobState.QUEUED, JobState.RUNNING)


def remains(store: Store, home: Home, job_id: int) -> tuple[str, ...]:
    """Return in sentences what stays on the service when the cancel of a job is given up, with its price an hour.

    Raises:
        NotFoundError: there is no such job.
        InputError: a worker has the job, or it has nothing on the service.

    """
    job = store.jobs.get(job_id)
    if job.state in _WORKING:
        raise InputError(f"Job {job_id} is {job.state}.", f"Cancel it first: dogcls-tui cancel {job_id}")
    makers = [store.jobs.get(number) for number in _makers(store, job_id)]
    found = [line for maker in makers for line in _lines(store, home, maker)]
    if not found and job.state != JobState.CANCELLING:
        raise InputError(f"Job {job_id} is {job.state} and has nothing on the service: there is nothing to give up.")
    return tuple(found)


def give_up(store: Store, home: Home, job_id: int) -> tuple[str, ...]:
    """Make a job `cancelled` without the service; return what may still run and cost there.

    A worker that still tries to cancel it loses it. The hosting meter of its deployment is closed.

    Raises:
        NotFoundError: there is no such job.
        InputError: see `remains`; or the job has changed meanwhile.

    """
    found = remains(store, home, job_id)
    for number in _makers(store, job_id):
        maker = store.jobs.get(number)
        if living_since(home.job(maker)) is not None:  # before the state: cut off here, it can be given up again
            usd = charge_hours(store, home, maker, ended=True)
            store.jobs.log(
                number,
                f"the hosting meter of deployment dogcls-{maker.nonce} is closed at"
                f" {'an unknown sum' if usd is None else f'${usd:.4f}'}; what it costs from now on is not counted here",
                "warning",
            )
    kept = " ".join(found)
    if not store.jobs.give_up(
        job_id,
        _makers(store, job_id),
        expected=[state for state in JobState if state not in _WORKING],
        message=f"the cancel was given up; on the service this may still run and cost: {kept or 'nothing known.'}",
        error=f"Given up. On the service this may still run and cost: {kept}" if kept else None,
    ):
        raise InputError(f"Job {job_id} has changed meanwhile.", "See: dogcls-tui jobs")
    scheduler.advance(store, home)
    return found


def _makers(store: Store, job_id: int) -> list[int]:
    """Return the job, and the jobs without a worker that made deployments which only this job needs."""
    others = [n for n in store.jobs.idle_deployments(job_id) if n != job_id]
    return [job_id, *(n for n in others if store.jobs.get(n).state not in _WORKING)]


def _lines(store: Store, home: Home, job: StoredJob) -> list[str]:
    """Return in sentences what one job has on the service."""
    found = []
    for operation, what, price in (
        ("batch", "Batch", "the requests that it still answers are charged, nothing by the hour"),
        ("fine-tune", "Fine-tuning job", "the tokens that it still trains on are charged, nothing by the hour"),
    ):
        for key, remote_id in store.jobs.open_calls(job.id, operation).items():
            found.append(f"{what} {remote_id or f'of unknown id (request {key})'}: {price}.")
    if store.jobs.open_calls(job.id, "deployment") or living_since(home.job(job)) is not None:
        hourly = _hourly(home, job)
        price = "unknown" if hourly is None else f"${hourly:.2f}"
        found.append(f"Deployment dogcls-{job.nonce}: price an hour: {price}, until it is deleted.")
    return found


def _hourly(home: Home, job: StoredJob) -> float | None:
    if job.kind != JobKind.DEPLOY:
        return None
    return if_known(lambda: load_prices(home.prices).hosting_cost(str(job.parameters["model"]), 3600))
