"""Sets jobs going: recovers what died, gives up what cannot be, starts what is ready.

Anybody may call `advance` at any time, workers, the command line and the app alike; guarded updates
in the store decide who really starts a job.
"""

from __future__ import annotations

import os

from engine import clock
from engine.errors import InputError
from engine.events import JobView
from engine.jobs import service
from engine.jobs.context import STALE_SECONDS
from engine.jobs.paths import Home, worker_lock
from engine.jobs.process import alive, detach, is_locked, start_time
from engine.quantities import agrees, counted
from engine.states import CANCELLABLE, ENDED, RESUMABLE, JobKind, JobState, Request
from engine.store import Store
from engine.store.jobs import StoredJob

RESTART_SECONDS = 3.0
"""A worker that cancels on the service and has died is started again after so long: a broken one starts rarely."""


def recover(store: Store) -> list[int]:
    """Mark jobs whose worker process is gone as `interrupted`; return them.

    A process that lives keeps its job, however long it is silent: it may be stopped, or wait for a busy store, and the
    clock may have been set or the machine suspended.
    """
    return [
        job.id
        for job in store.jobs.in_state(JobState.RUNNING, JobState.QUEUED)
        if not _lives(store, job) and _interrupted(store, job)
    ]


def _interrupted(store: Store, job: StoredJob) -> bool:
    """Record that a job's worker is gone; a job that it was requested to cancel is cancelled all the same."""
    expected = (JobState(job.state),)
    if job.request == Request.CANCEL:
        message = "the worker is gone; the job is cancelled without it"
        return store.jobs.cancel(job.id, expected=expected, attempt=job.attempt, message=message)
    return store.jobs.change(
        job.id,
        JobState.INTERRUPTED,
        expected=expected,
        attempt=job.attempt,
        level="warning",
        message="the worker is gone; a resume continues from here",
        error="the worker process is gone",
    )


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
            store.jobs.cancel(
                job_id,
                expected=(JobState.WAITING,),
                level="warning",
                message=f"not started: job {need}, which it needs, is {state}",
                error=f"needs job {need}, which is {state}",
                cancelled_with=need,
            )
    continue_cancelling(store, home)
    for job_id in store.jobs.ready():
        job = store.jobs.get(job_id)
        if service.unreachable(home, job) is not None:  # whoever can reach its resource starts it
            store.bindings.hold(job_id, service.waits_for(job))
            continue
        store.bindings.hold(job_id, "")
        start(store, home, job_id)


def unneeded(store: Store, job_id: int) -> list[JobView]:
    """Return the unfinished deploy jobs whose deployment only this job would use: they are cancelled with it."""
    job = store.jobs.view(job_id)
    views = store.jobs.views(job.experiment)
    return [
        view
        for view in views
        if view.id in job.needs
        and view.kind == JobKind.DEPLOY
        and view.state != JobState.SUCCEEDED
        and (view.state not in ENDED or view.on_service)
        and not any(view.id in other.needs and other.id != job_id and other.state not in ENDED for other in views)
    ]


def start(store: Store, home: Home, job_id: int) -> None:
    """Queue a waiting job and start its worker; without one, it is interrupted and names the reason."""
    if not store.jobs.change(
        job_id, JobState.QUEUED, expected=(JobState.WAITING,), message="queued", process=_this_process()
    ):
        return
    _spawn(store, home, store.jobs.get(job_id))


def _this_process() -> tuple[int, float]:
    pid = os.getpid()
    return pid, start_time(pid) or 0.0


def _spawn(store: Store, home: Home, job: StoredJob) -> None:
    """Start the worker of a job's attempt, which claims it."""
    arguments = ["--home", str(home.root), str(job.id), str(job.attempt)]
    try:
        process = detach("engine.jobs.worker", arguments, home.job_log(job))
    except OSError as error:
        why = f"the worker process could not be started: {error.strerror or error}"
        store.jobs.describe(job.id, "", why)  # of a job that is cancelling: the next advance tries again
        store.jobs.change(
            job.id,
            JobState.INTERRUPTED,
            expected=(JobState.QUEUED,),
            attempt=job.attempt,
            level="error",
            message=why,
            error=why,
        )
        return
    store.jobs.spawned(job.id, job.attempt, process.pid, start_time(process.pid) or 0.0)


def resumed_with(store: Store, job_id: int) -> list[int]:
    """Return the jobs that a resume of this one starts again; none where there is nothing to resume.

    That is the job, the unfinished jobs that it needs, directly or through others, and the jobs that were cancelled
    only because of one of these. Other jobs of the experiment stay as they are, and so does a job that the user
    cancelled, unless it is the one that is named.

    Raises:
        NotFoundError: there is no such job.
        InputError: it, or a job that it needs, is being cancelled; or the user cancelled a job that it needs.

    """
    job = store.jobs.view(job_id)
    views = {view.id: view for view in store.jobs.views(job.experiment)}
    if job.state not in (*RESUMABLE, JobState.WAITING, JobState.CANCELLING) and not job.unanswered:
        return []
    chosen, left = {job_id}, [job]
    while left:
        view = left.pop()
        if view.state == JobState.CANCELLING:
            raise InputError(
                f"Job {view.id} is still being cancelled on the service.",
                f"Wait until it is cancelled, then resume it; see: dogcls-tui logs {view.id}",
            )
        for need in (views[number] for number in view.needs):
            if need.state == JobState.CANCELLED and need.cancelled_with is None and need.id != job_id:
                raise InputError(
                    f"Job {view.id} needs job {need.id}, which you cancelled.",
                    f"Resume that one, and what needs it is resumed too: dogcls-tui resume {need.id}",
                )
            if need.state != JobState.SUCCEEDED and need.id not in chosen:
                chosen.add(need.id)
                left.append(need)
    for view in views.values():  # in the order of their numbers: what a job needs comes before it
        if view.state == JobState.CANCELLED and view.cancelled_with in chosen and chosen.intersection(view.needs):
            chosen.add(view.id)
    return [
        number for number in sorted(chosen) if views[number].state in RESUMABLE or (number == job_id and job.unanswered)
    ]


def resume(store: Store, home: Home, job_id: int) -> list[int]:
    """Start a job again with what `resumed_with` names; return the jobs.

    Raises:
        ForeignResource: the job belongs to another resource than the settings mean.
        InputError: see `resumed_with`.

    """
    recover(store)
    job = store.jobs.view(job_id)
    if (job.state in RESUMABLE or job.unanswered) and (
        foreign := service.unreachable(home, store.jobs.get(job_id))
    ) is not None:
        raise foreign
    taken = []
    for number in resumed_with(store, job_id):
        left = store.jobs.view(number).unanswered
        states = (JobState.SUCCEEDED,) if left else tuple(RESUMABLE)
        message = (
            f"resumed: {counted(left, 'image')} without an answer {agrees(left, 'is', 'are')} asked about again"
            if left
            else "resumed"
        )
        if store.jobs.change(number, JobState.WAITING, expected=states, message=message):
            taken.append(number)
    advance(store, home)
    return taken


def cancel(store: Store, job_id: int, *, cancelled_with: int | None = None) -> bool:
    """Cancel a job, whatever state it is in; return whether there was anything to cancel.

    A running job ends at its worker's next safe point. A job that has something on the service is `cancelling` until a
    worker has ended that too (see `continue_cancelling`), any other is `cancelled` at once. A deploy job that only this
    one needs is cancelled with it.

    Args:
        store: has the job.
        job_id: the job.
        cancelled_with: the job because of which this one is cancelled; None where the user named it.

    """
    recover(store)
    alone = [view.id for view in unneeded(store, job_id)]
    job = store.jobs.view(job_id)
    if job.state in (JobState.QUEUED, JobState.RUNNING):
        done = store.jobs.ask(job_id, Request.CANCEL, cancelled_with=cancelled_with)
    elif job.state == JobState.CANCELLING:
        # A new worker has the settings of today, and loses none of what the old one has done.
        done = job.error is None or store.jobs.abandon(job_id, job.attempt)
    else:
        states = [s for s in JobState if s in CANCELLABLE or (job.on_service and s != JobState.CANCELLING)]
        if job.kind != JobKind.DEPLOY:
            states = [s for s in states if s != JobState.SUCCEEDED]
        done = store.jobs.cancel(
            job_id, expected=states, message="cancelled before it continued", cancelled_with=cancelled_with
        )
        if job.cancelled_with is not None and cancelled_with is None:
            done |= store.jobs.cancelled_by_user(job_id)
    for number in alone:
        cancel(store, number, cancelled_with=job_id)
    return done


def continue_cancelling(store: Store, home: Home) -> None:
    """Start a worker for each job that is cancelling and has none that lives, if this process reaches its resource."""
    for job in store.jobs.in_state(JobState.CANCELLING):
        started = job.heartbeat_at
        if started is not None and (_lives(store, job) or clock.now() - started < RESTART_SECONDS):
            continue
        if (foreign := service.unreachable(home, job)) is not None:
            store.jobs.describe(job.id, service.waits_for(job), f"{foreign} {way_out(job.id)}")
            continue
        if store.jobs.cancel_again(job.id, job.attempt, _this_process()):
            _spawn(store, home, store.jobs.get(job.id))


def way_out(job_id: int) -> str:
    """Return a sentence for a job whose cancel does not succeed."""
    return f"If it can never be cancelled there, give it up: dogcls-tui cancel {job_id} --give-up"


def pause(store: Store, job_id: int) -> bool:
    """Pause a job: at once when no worker has it, at the worker's next safe point otherwise."""
    recover(store)
    if store.jobs.get(job_id).state in (JobState.QUEUED, JobState.RUNNING):
        return store.jobs.ask(job_id, Request.PAUSE)
    idle = (JobState.WAITING, JobState.INTERRUPTED)
    return store.jobs.change(job_id, JobState.PAUSED, expected=idle, message="paused before it continued")
