"""From the engine to the screen: looks at the store now and then, and posts what changed as messages.

Data flows one way. The screen says which experiment and job it looks at; everything else comes as messages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.message import Message

from engine import ACTIVE, DogclsError, Engine, ExperimentView, JobView, LogLine, NotFoundError

if TYPE_CHECKING:
    from engine import Comparison

LOOK_SECONDS = 0.4
now = time.time
"""The clock that ages are read from; tests stop it."""
COMPARE_SECONDS = 2.0
LOG_LINES = 2_000


class Looked(Message):
    """What there is now: all experiments, and the jobs of the chosen one."""

    def __init__(self, experiments: list[ExperimentView], experiment: str | None, jobs: list[JobView]) -> None:
        super().__init__()
        self.at = now()
        self.experiments = experiments
        self.experiment = experiment
        self.jobs = jobs


class LogGrew(Message):
    """New lines of a job's log; `fresh` when they replace another job's."""

    def __init__(self, job_id: int, lines: list[LogLine], fresh: bool) -> None:
        super().__init__()
        self.job_id = job_id
        self.lines = lines
        self.fresh = fresh


class Compared(Message):
    """The chosen experiment's comparison; None when there is nothing to compare."""

    def __init__(self, comparison: Comparison | None) -> None:
        super().__init__()
        self.comparison = comparison


class Trouble(Message):
    """The engine could not do something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Bridge:
    """Watches one engine for one screen."""

    def __init__(self, engine: Engine, post: Callable[[Message], object]) -> None:
        self._engine = engine
        self._post = post
        self._wake = asyncio.Event()
        self._experiment: str | None = None
        self._job: int | None = None
        self._last_line = -1
        self._compared: tuple[object, float] = (None, 0.0)

    def choose_experiment(self, name: str | None) -> None:
        """Look at another experiment."""
        if name != self._experiment:
            self._experiment = name
            self._compared = (None, 0.0)
            self.look_now()

    def choose_job(self, job_id: int | None) -> None:
        """Look at another job's log."""
        if job_id != self._job:
            self._job, self._last_line = job_id, -1
            self.look_now()

    def look_now(self) -> None:
        """Do not wait for the next look."""
        self._wake.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._engine.tick()
                await self._look()
            except DogclsError as error:
                self._post(Trouble(str(error)))
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _look(self) -> None:
        experiments = await self._engine.experiments()
        names = [e.name for e in experiments]
        if self._experiment not in names:
            self._experiment = names[0] if names else None
        jobs = await self._engine.jobs(self._experiment) if self._experiment else []
        self._post(Looked(experiments, self._experiment, jobs))
        await self._look_at_log()
        await self._compare(jobs)

    async def _look_at_log(self) -> None:
        job, fresh = self._job, self._last_line < 0
        if job is None:
            return
        lines = await self._engine.log(job, self._last_line, LOG_LINES)
        if job != self._job or not (lines or fresh):
            return
        self._last_line = lines[-1].id if lines else 0
        self._post(LogGrew(job, lines, fresh))

    async def _compare(self, jobs: list[JobView]) -> None:
        """Compare again when the jobs have got on, but not all the time while they do."""
        marks = (self._experiment, tuple((j.id, j.state, j.attempt, j.done) for j in jobs))
        known, at = self._compared
        busy = any(j.state in ACTIVE for j in jobs)
        if marks == known or (busy and time.monotonic() - at < COMPARE_SECONDS):
            return
        try:
            found = await self._engine.comparison(self._experiment) if self._experiment else None
        except NotFoundError:
            found = None
        self._compared = (marks, time.monotonic())
        if found is None or found.experiment == self._experiment:
            self._post(Compared(found))
