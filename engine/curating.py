"""Looking after datasets: checks and what they have found, prompts, request files. `Engine.curate` holds one."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from engine.errors import InputError
from engine.exports import Exports
from engine.failures import door
from engine.jobs.paths import Home
from engine.store import Store
from engine.store.files import write_atomic

if TYPE_CHECKING:
    from engine.datasets.export import Exported
    from engine.datasets.findings import CheckReport, Finding
    from engine.datasets.prompt import Prompt
    from engine.jobs.choices import Choice
    from engine.jobs.exporting import Order

Progress = Callable[[str, int, int], None]
T = TypeVar("T")
GLANCE = 60
"""Images on which forms are tried while somebody waits; the command line takes more."""


@door
class Curating:
    """The datasets of one home."""

    def __init__(self, store: Store, home: Home, *, readonly: bool = False) -> None:
        self._store = store
        self._home = home
        self._readonly = readonly
        self._exports = Exports(store.db, home)

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
            raise self._home.refusal("A check stores its findings, which cannot be done")
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

    # -- the question

    def prompt_file(self, dataset: str) -> Path:
        """Return where a dataset's prompt is kept, if it is."""
        return self._home.prompts / f"{dataset}.toml"

    async def prompt(self, dataset: str) -> tuple[Prompt, bool] | None:
        """Return the prompt that was kept for a dataset, and whether it binds all contestants to its form of answer.

        Raises:
            InputError: somebody has changed its file so that it cannot be read.

        """
        from engine.datasets.prompt import Prompt

        def read() -> tuple[Prompt, bool] | None:
            path = self.prompt_file(dataset)
            if not path.exists():
                return None
            prompt = Prompt.from_file(path, "json")
            return prompt, prompt.answer == Prompt.from_file(path, "text").answer

        return await asyncio.to_thread(read)

    async def keep_prompt(self, dataset: str, prompt: Prompt, *, with_answer: bool = False) -> Path:
        """Keep a prompt as the file that an experiment may name; return it.

        Args:
            dataset: whose it is.
            prompt: all of it but its detail.
            with_answer: bind all contestants to its form of answer; else zero-shot answers in JSON, a tuned model
                with the label.

        Raises:
            InputError: it never says `{labels}`.
            ReadOnlyError: this engine only looks.

        """
        from engine.datasets.prompt import Prompt

        if self._readonly:
            raise self._home.refusal("A prompt cannot be kept")
        if "{labels}" not in prompt.words:
            raise InputError("The prompt never says {labels}.", "Put {labels} where the classes go.")

        def write() -> Path:
            path = self.prompt_file(dataset)
            write_atomic(path, prompt.to_toml(with_answer=with_answer))
            Prompt.from_file(path)
            return path

        return await asyncio.to_thread(write)

    async def forget_prompt(self, dataset: str) -> None:
        """Ask as the article does again."""
        if not self._readonly:
            await asyncio.to_thread(self.prompt_file(dataset).unlink, missing_ok=True)

    # -- files for the service

    async def forms(self, order: Order, progress: Progress | None = None) -> tuple[list[Choice], list[str]]:
        """Return what each form of the images would come to, and what is worth knowing before; raises NotFoundError."""

        def measure(tell: Progress) -> tuple[list[Choice], list[str]]:
            return self._exports.choices(order, most=GLANCE, progress=tell), self._exports.cautions(order)

        return await stoppable(measure, progress)

    async def batch_deployment(self, profile: str) -> str:
        """Return whom a profile's batches ask; "" where its settings name nobody."""
        return await asyncio.to_thread(self._exports.batch_deployment, profile)

    async def export(
        self, order: Order, to: Path, *, skip_bad: bool = False, progress: Progress | None = None
    ) -> tuple[Exported, list[str]]:
        """Write request files as `Exports.write` does; a cancelled one goes on where it was when asked again."""
        return await stoppable(lambda tell: self._exports.write(order, to, skip_bad=skip_bad, progress=tell), progress)


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
        _start_tracker()
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


def _start_tracker() -> None:
    """Start what watches over processes, where a screen has put something without a number in stderr's place.

    `multiprocessing` would take that number (-1) for a file's, and raise ValueError with the first process.
    """
    try:
        on_screen = sys.stderr.fileno() < 0
    except (AttributeError, OSError, ValueError):
        return  # which it takes in good part
    if on_screen:
        from multiprocessing import resource_tracker

        with contextlib.redirect_stderr(sys.__stderr__):
            resource_tracker.ensure_running()
