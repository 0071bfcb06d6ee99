"""What a running job may do: tell, keep its heart beating, and find out what is asked of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

from engine.errors import LostClaim
from engine.jobs.paths import Home
from engine.states import Request
from engine.store import Store
from engine.store.files import private_folder
from engine.store.jobs import StoredJob

HEARTBEAT_SECONDS = 1.0
STALE_SECONDS = 30.0
PROGRESS_SECONDS = 0.2
"""Progress is written at most this often: a screen repaints no faster anyway."""


class Stopped(BaseException):
    """Somebody asked for a stop. A BaseException, so that no handler of errors swallows it."""

    def __init__(self, request: Request | None) -> None:
        super().__init__(request or "interrupted")
        self.request = request
        """What was asked; None when the worker's own process was told to end."""


class Context:
    """One attempt at one job. `check` is called at every safe point; it may raise `Stopped`."""

    def __init__(self, home: Home, store: Store, job: StoredJob) -> None:
        self.home = home
        self.store = store
        self.job = job
        self.folder = private_folder(home.job(job))
        self._request: Request | None = None
        self._lost: LostClaim | None = None
        self._terminated = threading.Event()
        self._closed = threading.Event()
        self._progress = (0, 0, "")
        self._progress_at = 0.0
        self._metrics: list[tuple[str, int, float | None, float]] = []
        self._beat = threading.Thread(target=self._beating, name="heartbeat", daemon=True)

    def __enter__(self) -> Context:
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._beat.join()
        self.flush()

    def _beating(self) -> None:
        while not self._closed.is_set():
            try:
                self._request = self.store.jobs.heartbeat(self.job.id, self.job.attempt)
            except LostClaim as lost:
                self._lost = lost
                return
            self._closed.wait(HEARTBEAT_SECONDS)

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
        return bool(self._request or self._lost or self._terminated.is_set())

    def check(self) -> None:
        """Raise `Stopped` or `LostClaim` when this attempt must end here."""
        if self._lost is not None:
            raise self._lost
        if self._terminated.is_set():
            raise Stopped(None)
        if self._request is not None:
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
