"""The worker: one process, one attempt at one job. `python -m engine.jobs.worker --home H JOB ATTEMPT`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.azure.patience import stoppable
from engine.errors import DogclsError, ForeignResource, LostClaim, NotFoundError, StoreError, UnexpectedError
from engine.failures import described
from engine.jobs import kinds, service
from engine.jobs.cancelling import cancel_on_service
from engine.jobs.context import Context, Stopped
from engine.jobs.kinds import run
from engine.jobs.paths import Home, worker_lock
from engine.jobs.process import locked, start_time
from engine.jobs.scheduler import advance
from engine.secrets import guard_streams
from engine.states import JobState, Request
from engine.store import Store, reserve
from engine.store.jobs import StoredJob

END_SECONDS = 20.0
AT_ONCE_SECONDS = 5.0
_ENDS = {
    Request.CANCEL: (JobState.CANCELLED, "cancelled"),
    Request.PAUSE: (JobState.PAUSED, "paused"),
    None: (JobState.INTERRUPTED, "interrupted: the process was told to end"),
}


def main(argv: list[str] | None = None) -> int:
    """Claim the job, do it, write how it ended, and set going what waited for it."""
    parser = argparse.ArgumentParser(prog="engine.jobs.worker")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("job", type=int)
    parser.add_argument("attempt", type=int)
    arguments = parser.parse_args(argv)
    os.umask(0o077)
    guard_streams()
    home = Home(arguments.home)
    try:
        store = Store(home.store)
        try:
            return _claimed(home, store, arguments.job, arguments.attempt)
        finally:
            store.close()
    except (StoreError, NotFoundError) as error:
        print(error, file=sys.stderr)  # whoever reads the store next finds this process gone
        return 1


def _claimed(home: Home, store: Store, job_id: int, attempt: int) -> int:
    with locked(worker_lock(home.root, store.jobs.get(job_id))) as mine:
        if not mine:
            why = "an earlier worker process of this job still runs"
            store.jobs.change(
                job_id,
                JobState.INTERRUPTED,
                expected=(JobState.QUEUED,),
                attempt=attempt,
                message=f"not started: {why}",
                level="warning",
                error=why,
            )
            return 0
        pid = os.getpid()
        if not store.jobs.claim(job_id, attempt, pid, start_time(pid) or 0.0):
            return 0  # another process has it, or it was cancelled meanwhile
        with contextlib.suppress(StoreError, OSError):
            store.db.back_up()
        end = _work(home, store, job_id)
        with contextlib.suppress(StoreError, OSError):
            store.db.back_up()
    try:
        advance(store, home)
    except Exception:  # this job's end is written; what waits is started by whoever advances next
        traceback.print_exc()
    return end


def _work(home: Home, store: Store, job_id: int) -> int:
    """Do the job, and what is left to cancel of it on the service."""
    job = store.jobs.get(job_id)
    code = _run(home, store, job) if job.state == JobState.RUNNING else 0
    now = store.jobs.get(job_id)
    if (now.state, now.attempt, now.pid) == (JobState.CANCELLING, job.attempt, os.getpid()):
        _cancel(home, store, now)
    return code


def _run(home: Home, store: Store, job: StoredJob) -> int:
    held = home.job(job) / ".reserve"

    def write(state: JobState, message: str, level: str, more: dict[str, Any]) -> None:
        how: dict[str, Any] = {"expected": (JobState.RUNNING,), "attempt": job.attempt, "level": level, **more}
        requested = store.jobs.get(job.id).request == Request.CANCEL
        if state == JobState.CANCELLED or (requested and state != JobState.SUCCEEDED):
            # However the run has ended: the user wants it cancelled. A process that must end leaves that to another.
            store.jobs.cancel(job.id, message=message, released=state == JobState.INTERRUPTED, **how)
        else:
            store.jobs.change(job.id, state, message=message, **how)

    def end(state: JobState, message: str, level: str = "info", **more: Any) -> None:
        with contextlib.suppress(OSError):
            held.unlink()
        _insistently(lambda: write(state, message, level, more))

    try:
        context = Context(home, store, job)
    except OSError as error:
        why = str(described(error, home.root))
        end(JobState.FAILED, why, "error", error=why)
        return 1
    with contextlib.suppress(OSError):
        reserve.hold(held)
    _obey_signals(context)
    try:
        with context:
            result = asyncio.run(run(context))
        end(JobState.SUCCEEDED, "succeeded", result=result)
    except Stopped as stopped:
        request = stopped.request
        if request == Request.CANCEL and not _cancel_at_once(home, store, job):
            request = None  # the process must end meanwhile: another continues to cancel
        state, message = _ENDS[request]
        end(state, message, error=None if request else message)
    except LostClaim as lost:
        print(lost, file=sys.stderr)
    except ForeignResource as error:  # another process may have the settings of its resource
        end(JobState.WAITING, str(error), "warning")
        store.bindings.hold(job.id, service.waits_for(job))
    except DogclsError as error:
        end(JobState.FAILED, str(error), "error", error=str(error))
        return 1
    except Exception as error:
        known = described(error, home.root)
        if isinstance(known, UnexpectedError):
            # A defect of ours: the log of the process gets the traceback, the user one line.
            traceback.print_exc()
            what = f"{type(error).__name__}: {error}"
            end(JobState.FAILED, f"unexpected {what}", "error", error=what)
        else:  # a full disk, a folder that was removed …
            end(JobState.FAILED, str(known), "error", error=str(known))
        return 1
    return 0


def _cancel_at_once(home: Home, store: Store, job: StoredJob) -> bool:
    """Try for some seconds to end what the job has on the service, before it is shown as `cancelling` for longer.

    Returns:
        False where the process was told to end meanwhile.

    """
    if not store.jobs.on_service(job.id):
        return True
    context = Context(home, store, job, cancels=True)
    _obey_signals(context)

    async def work() -> None:
        async with asyncio.timeout(AT_ONCE_SECONDS):
            await stoppable(kinds.cancel(context), context.check)

    try:
        with context:
            asyncio.run(work())
    except Stopped:
        return False
    except LostClaim as lost:
        print(lost, file=sys.stderr)
    except Exception as error:  # it is tried again, and reported, while the job is `cancelling`
        print(f"not cancelled on the service at once: {error or type(error).__name__}", file=sys.stderr)
    return True


def _cancel(home: Home, store: Store, job: StoredJob) -> None:
    """End what the job has on the service; a process that must end leaves the job to another."""
    context = Context(home, store, job, cancels=True)
    _obey_signals(context)
    try:
        with context:
            asyncio.run(cancel_on_service(context))
        _insistently(
            lambda: store.jobs.change(
                job.id,
                JobState.CANCELLED,
                expected=(JobState.CANCELLING,),
                attempt=job.attempt,
                message="cancelled, here and on the service",
            )
        )
    except (Stopped, LostClaim) as stopped:
        print(stopped, file=sys.stderr)


def _obey_signals(context: Context) -> None:
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: context.terminate())


def _insistently(write: Callable[[], object]) -> None:
    """Write how a job has ended, for a while again and again: a full disk or a busy store may pass."""
    until = time.monotonic() + END_SECONDS
    while True:
        try:
            write()
            return
        except StoreError:
            if time.monotonic() > until:
                raise
            time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
