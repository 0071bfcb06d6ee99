"""What a running job may do: tell, keep its heart beating, and find out what is asked of it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Sequence

from engine.errors import LostClaim, StoreError
from engine.jobs.identity import Identity, own_folder
from engine.jobs.paths import Home
from engine.states import Request
from engine.store import Store
from engine.store.files import write_under
from engine.store.guarded import GuardedDatabase
from engine.store.jobs import StoredJob

HEARTBEAT_SECONDS = 1.0
STALE_SECONDS = 30.0
"""Of a queued job that names no process: versions before this one left such behind."""
LEASE_SECONDS = 60.0
"""A store that cannot be read for so long no longer proves that the job is this worker's."""
PROGRESS_SECONDS = 0.2
"""Progress is written at most this often: a screen repaints no faster anyway."""


class Stopped(BaseException):
    """Somebody asked for a stop. A BaseException, so that no handler of errors swallows it."""

    def __init__(self, request: Request | None) -> None:
        super().__init__(request or "interrupted")
        self.request = request
        """What was asked; None when the worker's own process was told to end."""


class Context:
    """One attempt at one job. `check` is called at every safe point; it may raise `Stopped`.

    Attributes:
        store: guarded: each write raises LostClaim once the job is no longer this attempt's.
        folder: the job's own; its writers call `prove_lease` first, see `engine.store.files.write_under`.
        identity: what a file of an earlier attempt has to be made for.
        known: whether an earlier attempt had a folder, also one that the store no longer knows of (a restored copy).

    Args:
        home: has the job's folder.
        store: is guarded for the attempt.
        job: the job at this attempt.
        cancels: whether this is the end of a job that is to be cancelled: only the end of the process and a lost lease
            stop it, no request, and its time is not the job's work.

    """

    def __init__(self, home: Home, store: Store, job: StoredJob, *, cancels: bool = False) -> None:
        self.home = home
        self.store = store.guarded(job.id, job.attempt, waits=lambda: not self._terminated.is_set())
        self.job = job
        self._cancels = cancels
        self.identity = Identity.of(store, job)
        self.known = home.job(job).exists()
        self.folder, self._foreign = own_folder(home.job(job), self.identity)
        self._all = store
        self._request: Request | None = None
        self._lost: LostClaim | None = None
        self._terminated = threading.Event()
        self._closed = threading.Event()
        self._began = self._proved = time.monotonic()
        self._progress = (0, 0, "")
        self._progress_at = 0.0
        self._metrics: list[tuple[str, int, float | None, float]] = []
        self._beat = threading.Thread(target=self._beating, name="heartbeat", daemon=True)

    def __enter__(self) -> Context:
        self._beat.start()
        write_under(self.prove_lease)
        if self._foreign:
            self.say(self._foreign, "warning")
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._beat.join()
        write_under(None)
        with contextlib.suppress(StoreError):  # the job's end is written next, and reports it if it has to
            self.flush()

    def _beating(self) -> None:
        while True:
            closed = self._closed.is_set()  # the last beat counts the last second
            try:
                seconds = None if self._cancels else time.monotonic() - self._began
                self._request = self._all.jobs.heartbeat(self.job.id, self.job.attempt, seconds)
                self._proved = time.monotonic()
            except LostClaim as lost:
                self._lost = lost
                return
            except Exception as error:  # busy, full, removed: the lease is kept by the process, and proved by reading
                if not closed:
                    print(f"no heartbeat: {error}", file=sys.stderr, flush=True)
            if closed:
                return
            self._closed.wait(HEARTBEAT_SECONDS)

    # -- the lease

    def prove_lease(self) -> None:
        """Check that the job is still this attempt's: before a file is written, before anything that costs money.

        Needs no lock, so that it works while another process writes to the store.

        Raises:
            LostClaim: it is another's.
            StoreError: that could not be read for `LEASE_SECONDS`.

        """
        if self._lost is not None:
            raise self._lost
        assert isinstance(self.store.db, GuardedDatabase)
        try:
            self.store.db.prove()
            self._proved = time.monotonic()
        except StoreError:
            if time.monotonic() - self._proved > LEASE_SECONDS:
                raise
        except LostClaim as lost:
            self._lost = lost
            raise

    async def await_lease(self) -> None:
        """Check likewise before a remote call; wait for as long as the store cannot be read.

        Raises:
            LostClaim: the job is another's.
            Stopped: the process was told to end meanwhile.

        """
        while True:
            try:
                return self.prove_lease()
            except StoreError:
                if self._terminated.is_set():
                    raise Stopped(None) from None
                await asyncio.sleep(0.5)

    def terminate(self) -> None:
        """The process was told to end; the next `check` raises. Safe to call from a signal handler."""
        self._terminated.set()

    # -- telling

    def say(self, message: str, level: str = "info", remote_id: str | None = None) -> None:
        """Add a line to the job's log."""
        self.store.jobs.log(self.job.id, message, level, remote_id)

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Tell how far the job is, as often as one likes."""
        self._progress = (done, total, note)
        if done >= total or time.monotonic() - self._progress_at > PROGRESS_SECONDS:
            self.flush()

    def metric(self, name: str, value: float, step: int, epoch: float | None = None) -> None:
        """Tell a measured value."""
        self._metrics.append((name, step, epoch, value))

    def metrics(self, values: Sequence[tuple[str, int, float | None, float]]) -> None:
        """Tell many measured values (name, step, epoch, value)."""
        self._metrics.extend(values)

    def flush(self) -> None:
        """Write what was told and not written yet."""
        self._progress_at = time.monotonic()
        done, total, note = self._progress
        self._request = self.store.jobs.progress(self.job.id, self.job.attempt, done, total, note) or self._request
        if self._metrics:
            self.store.jobs.add_metrics(self.job.id, self._metrics)
            self._metrics = []

    # -- being told

    def asked(self) -> bool:
        """Tell whether a stop is wanted, without raising."""
        requested = self._request is not None and not self._cancels
        return bool(requested or self._lost or self._terminated.is_set())

    def check(self) -> None:
        """Raise `Stopped` or `LostClaim` when this attempt must end here."""
        self.prove_lease()
        if self._terminated.is_set():
            raise Stopped(None)
        if self._request is not None and not self._cancels:
            raise Stopped(self._request)

    async def sleep(self, seconds: float) -> None:
        """Wait, but notice a request at once (within a fifth of a second)."""
        until = time.monotonic() + seconds
        while True:
            self.check()
            left = until - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, 0.2))
