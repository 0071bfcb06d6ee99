"""The worker: one process, one attempt at one job. `python -m engine.jobs.worker --home H JOB ATTEMPT`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from engine import clock
from engine.errors import DogclsError, ForeignResource, LostClaim
from engine.jobs import service
from engine.jobs.context import Context, Stopped
from engine.jobs.kinds import run
from engine.jobs.paths import Home
from engine.jobs.process import start_time
from engine.jobs.scheduler import advance
from engine.secrets import guard_streams
from engine.states import JobState, Request
from engine.store import Store

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
    store = Store(home.store)
    try:
        pid = os.getpid()
        if not store.jobs.claim(arguments.job, arguments.attempt, pid, start_time(pid) or clock.now()):
            return 0  # somebody else has it, or it was cancelled meanwhile
        end = _work(home, store, arguments.job)
        advance(store, home)
        return end
    finally:
        store.close()


def _work(home: Home, store: Store, job_id: int) -> int:
    job = store.jobs.get(job_id)

    def end(state: JobState, message: str, level: str = "info", error: str | None = None) -> None:
        store.jobs.change(
            job_id,
            state,
            expected=(JobState.RUNNING,),
            attempt=job.attempt,
            message=message,
            level=level,
            error=error,
        )

    context = Context(home, store, job)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: context.terminate())
    try:
        with context:
            result = asyncio.run(run(context))
        store.jobs.change(
            job_id,
            JobState.SUCCEEDED,
            expected=(JobState.RUNNING,),
            attempt=job.attempt,
            message="succeeded",
            result=result,
        )
    except Stopped as stopped:
        state, message = _ENDS[stopped.request]
        end(state, message, error=None if stopped.request else message)
    except LostClaim as lost:
        print(lost, file=sys.stderr)
    except ForeignResource as error:  # another process may have the settings of its resource
        end(JobState.WAITING, str(error), "warning")
        store.bindings.hold(job_id, service.waits_for(job))
    except DogclsError as error:
        end(JobState.FAILED, str(error), "error", str(error))
        return 1
    except Exception as error:
        # A defect of ours: the log of the process gets the traceback, the user one line.
        end(
            JobState.FAILED,
            f"unexpected {type(error).__name__}: {error}",
            "error",
            f"{type(error).__name__}: {error}",
        )
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
