"""Sets jobs going: recovers what died, gives up what cannot be, starts what is ready.

Anybody may call `advance` at any time, workers, the command line and the app alike; guarded updates
in the store decide who really starts a job.
"""

from __future__ import annotations

from engine import clock
from engine.jobs import service
from engine.jobs.context import STALE_SECONDS
from engine.jobs.paths import Home
from engine.jobs.process import alive, detach, start_time
from engine.states import ACTIVE, RESUMABLE, JobState, Request
from engine.store import Store


def recover(store: Store) -> list[int]:
    """Mark jobs whose worker is dead, or silent for too long, as `interrupted`; return them."""
    found = []
    for job in store.jobs.in_state(JobState.RUNNING, JobState.QUEUED):
        silent = clock.now() - (job.heartbeat_at or 0)
        if job.pid is None:  # queued, and its starter has not told the process yet
            dead = silent > STALE_SECONDS
        else:
            dead = silent > STALE_SECONDS or not alive(job.pid, job.pid_started)
        if dead and store.jobs.change(
            job.id,
            JobState.INTERRUPTED,
            expected=(JobState(job.state),),
            attempt=job.attempt,
            level="warning",
            message="the worker is gone; resume goes on from here",
            error="the worker process is gone",
        ):
            found.append(job.id)
    return found


def advance(store: Store, home: Home) -> None:
    """Recover dead jobs, cancel those that wait for what will not come, start those that are ready."""
    recover(store)
    while hopeless := store.jobs.hopeless():
        for job_id, need, state in hopeless:
            store.jobs.change(
                job_id,
                JobState.CANCELLED,
                expected=(JobState.WAITING,),
                level="warning",
                message=f"not started: job {need}, which it needs, is {state}",
                error=f"needs job {need}, which is {state}",
            )
    for job_id in store.jobs.ready():
        job = store.jobs.get(job_id)
        if service.unreachable(home, job) is not None:  # whoever can reach its resource starts it
            store.bindings.hold(job_id, service.waits_for(job))
            continue
        store.bindings.hold(job_id, "")
        start(store, home, job_id)


def start(store: Store, home: Home, job_id: int) -> None:
    """Queue a waiting job and start its worker."""
    if not store.jobs.change(job_id, JobState.QUEUED, expected=(JobState.WAITING,), message="queued"):
        return
    job = store.jobs.get(job_id)
    arguments = ["--home", str(home.root), str(job_id), str(job.attempt)]
    process = detach("engine.jobs.worker", arguments, home.job_log(job))
    store.jobs.spawned(job_id, process.pid, start_time(process.pid) or clock.now())


def resume(store: Store, home: Home, job_id: int) -> list[int]:
    """Set a job and the rest of its experiment going again; return the jobs taken up.

    Raises:
        ForeignResource: the job belongs to another resource than the settings mean.

    """
    recover(store)
    job = store.jobs.get(job_id)
    if job.state in RESUMABLE and (foreign := service.unreachable(home, job)) is not None:
        raise foreign
    taken = []
    for view in store.jobs.views(job.experiment):
        if view.state in RESUMABLE and store.jobs.change(
            view.id, JobState.WAITING, expected=tuple(RESUMABLE), message="resumed"
        ):
            taken.append(view.id)
    advance(store, home)
    return taken


def cancel(store: Store, job_id: int) -> bool:
    """Cancel a job: at once when no worker has it, at the worker's next safe point otherwise."""
    return _stop(store, job_id, Request.CANCEL, JobState.CANCELLED)


def pause(store: Store, job_id: int) -> bool:
    """Pause a job, likewise."""
    return _stop(store, job_id, Request.PAUSE, JobState.PAUSED)


def _stop(store: Store, job_id: int, request: Request, state: JobState) -> bool:
    recover(store)
    job = store.jobs.get(job_id)
    if job.state in ACTIVE:
        return store.jobs.ask(job_id, request)
    idle = (JobState.WAITING, JobState.INTERRUPTED, JobState.PAUSED)
    expected = [s for s in idle if s != state]
    return store.jobs.change(job_id, state, expected=expected, message=f"{state} before it ran on")
