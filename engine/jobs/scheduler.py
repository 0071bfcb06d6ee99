"""Sets jobs going: recovers what died, gives up what cannot be, starts what is ready.

Anybody may call `advance` at any time, workers, the command line and the app alike; guarded updates
in the store decide who really starts a job.
"""

from __future__ import annotations

import os

from engine import clock
from engine.jobs import service
from engine.jobs.context import STALE_SECONDS
from engine.jobs.paths import Home, worker_lock
from engine.jobs.process import alive, detach, is_locked, start_time
from engine.states import ACTIVE, RESUMABLE, JobState, Request
from engine.store import Store
from engine.store.jobs import StoredJob


def recover(store: Store) -> list[int]:
    """Mark jobs whose worker process is gone as `interrupted`; return them.

    A process that lives keeps its job, however long it is silent: it may be stopped, or wait for a busy store, and the
    clock may have been set or the machine suspended.
    """
    return [
        job.id
        for job in store.jobs.in_state(JobState.RUNNING, JobState.QUEUED)
        if not _lives(store, job)
        and store.jobs.change(
            job.id,
            JobState.INTERRUPTED,
            expected=(JobState(job.state),),
            attempt=job.attempt,
            level="warning",
            message="the worker is gone; resume goes on from here",
            error="the worker process is gone",
        )
    ]


def _lives(store: Store, job: StoredJob) -> bool:
    """Whether a job's worker lives, or the process that is about to start one."""
    if is_locked(worker_lock(store.db.path.parent, job)):
        return True
    if job.pid is None:  # queued by a version that did not record the starter's process
        return clock.now() - (job.heartbeat_at or 0) <= STALE_SECONDS
    return alive(job.pid, job.pid_started)


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
    """Queue a waiting job and start its worker; without one, it is interrupted and names the reason."""
    pid = os.getpid()
    starter = (pid, start_time(pid) or 0.0)
    if not store.jobs.change(job_id, JobState.QUEUED, expected=(JobState.WAITING,), message="queued", process=starter):
        return
    job = store.jobs.get(job_id)
    arguments = ["--home", str(home.root), str(job_id), str(job.attempt)]
    try:
        process = detach("engine.jobs.worker", arguments, home.job_log(job))
    except OSError as error:
        why = f"the worker process could not be started: {error.strerror or error}"
        store.jobs.change(
            job_id,
            JobState.INTERRUPTED,
            expected=(JobState.QUEUED,),
            attempt=job.attempt,
            level="error",
            message=why,
            error=why,
        )
        return
    store.jobs.spawned(job_id, job.attempt, process.pid, start_time(process.pid) or 0.0)


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
