"""Looking after datasets: checks, and what they have found. `Engine.curate` holds one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from engine.errors import ReadOnlyError
from engine.store import Store

if TYPE_CHECKING:
    from engine.datasets.findings import CheckReport, Finding

Progress = Callable[[str, int, int], None]
T = TypeVar("T")


class Curating:
    """The datasets of one home."""

    def __init__(self, store: Store, *, readonly: bool = False) -> None:
        self._store = store
        self._readonly = readonly

    async def check(self, dataset: str, progress: Progress | None = None) -> CheckReport:
        """Look at every image of a dataset again, and keep what is found in the place of what was known.

        Args:
            dataset: its name.
            progress: called with (phase, done, total), from another thread.

        Raises:
            NotFoundError: there is no such dataset.
            ReadOnlyError: this engine only looks.

        """
        from engine.jobs.importing import check_dataset

        if self._readonly:
            raise ReadOnlyError("A check writes down what it finds: --readonly.", "Leave --readonly out.")
        return await stoppable(lambda tell: check_dataset(self._store, dataset, tell), progress)

    async def report(self, dataset: str) -> CheckReport:
        """Return what the last check came to; raises NotFoundError, InputError (never checked)."""
        from engine.jobs.importing import report

        return await asyncio.to_thread(report, self._store, dataset)

    async def findings(self, dataset: str, offset: int = 0, limit: int = 100, kind: str | None = None) -> list[Finding]:
        """Return some findings of the last check, the worst first, each with its first files."""
        from engine.jobs.importing import findings

        return await asyncio.to_thread(findings, self._store, dataset, offset, limit, kind)

    async def files(self, finding: int, offset: int = 0, limit: int = 100) -> list[tuple[str, str]]:
        """Return some files of a finding: the path below the dataset's root, and a word about it."""
        return await asyncio.to_thread(self._store.findings.files, finding, offset, limit)


class _Stopped(BaseException):
    """Ends a thread's work; no handler of errors takes it for one."""


async def stoppable(work: Callable[[Progress], T], progress: Progress | None) -> T:
    """Do work in a thread that, when this is cancelled, ends where it next tells its progress, and cleans up.

    Args:
        work: called with what it is to tell its progress to.
        progress: told in turn, from the thread.

    """
    stopped = threading.Event()

    def tell(phase: str, done: int, total: int) -> None:
        if stopped.is_set():
            raise _Stopped
        if progress is not None:
            progress(phase, done, total)

    def run() -> T | None:
        try:
            return work(tell)
        except _Stopped:
            return None

    task = asyncio.ensure_future(asyncio.to_thread(run))
    try:
        return cast(T, await asyncio.shield(task))  # None only after a cancellation
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
