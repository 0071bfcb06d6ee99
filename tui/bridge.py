"""From the engine to the screens: looks at the store now and then, and posts what changed as messages.

Data flows one way. The screen in front says what it wants to know and which experiment it looks at;
everything comes as messages. Where nobody has written to the store, nothing is read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from typing import TYPE_CHECKING

from textual.message import Message

from engine import ACTIVE, NotFoundError, described
from tui.pace import Pace

if TYPE_CHECKING:
    from engine import Chosen, Comparison, Engine, ExperimentView, JobView, Score, StandingCost

LOOK_SECONDS = 0.5
TICK_SECONDS = 1.0
"""How often dead workers are looked for, and ages move on."""
COMPARE_SECONDS = 2.0
EMULATOR_SECONDS = 2.0
"""How often the emulator is asked for its faults, if it runs, while jobs are under way."""
QUIET_SECONDS = 10.0
"""How often otherwise."""
now = time.time
"""The clock that ages are read from; tests stop it."""

COMPARISON = "comparison"
SCORES = "scores"


class Looked(Message):
    """What there is now. `at` is when."""

    def __init__(
        self,
        experiments: list[ExperimentView],
        experiment: str | None,
        jobs: list[JobView],
        standing: list[StandingCost],
        scores: list[Score],
        faults: int = 0,
    ) -> None:
        super().__init__()
        self.at = now()
        self.experiments = experiments
        self.experiment = experiment
        self.jobs = jobs
        self.standing = standing
        self.scores = scores
        self.faults = faults
        """How many faults the emulator has on."""

    @property
    def own_jobs(self) -> list[JobView]:
        """The chosen experiment's jobs."""
        return [job for job in self.jobs if job.experiment == self.experiment]


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
    """Watches one engine for whichever screen is in front."""

    def __init__(self, experiment: str | None = None) -> None:
        self.pace = Pace()
        self.baseline: str | None = None
        self.chosen: Chosen | None = None
        """The measure, where it is not kept with the experiment; None: the one that is kept."""
        self.strangers: dict[str, float | None] = {}
        """Deployments of tuned models that are not ours, as the service was last seen; US dollars an hour, if known."""
        self._post: Callable[[Message], object] = lambda _: None
        self._wants: Collection[str] = ()
        self._wake = asyncio.Event()
        self._experiment = experiment
        self._version = -1
        self._stale = True
        self._ticked = 0.0
        self._last: Looked | None = None
        self._compared: tuple[object, float] = (None, 0.0)
        self._faults = 0

    @property
    def experiment(self) -> str | None:
        """The chosen experiment."""
        return self._experiment

    def attach(self, post: Callable[[Message], object], wants: Collection[str]) -> None:
        """Tell another screen from now on, and at once."""
        self._post, self._wants = post, wants
        self._compared = (None, 0.0)
        self.look_now()

    def choose_experiment(self, name: str | None) -> None:
        """Look at another experiment."""
        if name != self._experiment:
            self._experiment, self.baseline, self.chosen = name, None, None
            self._compared = (None, 0.0)
            self.look_now()

    def choose_baseline(self, name: str | None) -> None:
        """Hold the contestants against another one."""
        self.baseline = name
        self._compared = (None, 0.0)
        self.look_now()

    def choose_measure(self, chosen: Chosen | None) -> None:
        """Judge the contestants by another measure; None by the one that is kept with the experiment."""
        self.chosen = chosen
        self._compared = (None, 0.0)
        self.look_now()

    def look_now(self) -> None:
        """Do not wait for the next look."""
        self._stale = True
        self._wake.set()

    async def run(self, engine: Engine) -> None:
        """Look until cancelled."""
        # Beside the looks: however long the emulator takes to answer, nothing else waits for it.
        emulator = asyncio.create_task(self._watch_emulator(engine)) if engine.profile == "demo" else None
        try:
            while True:
                self._wake.clear()
                await self._try(self._look(engine))
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            if emulator is not None:
                emulator.cancel()

    async def _watch_emulator(self, engine: Engine) -> None:
        """Know which faults are on. Nothing is asked of an emulator that does not run, and none is started."""
        asked = -QUIET_SECONDS
        while True:
            busy = self._last is not None and any(job.state in ACTIVE for job in self._last.jobs)
            if busy or time.monotonic() - asked > QUIET_SECONDS:
                asked = time.monotonic()
                await self._try(self._count_faults(engine))
            await asyncio.sleep(EMULATOR_SECONDS)

    async def _count_faults(self, engine: Engine) -> None:
        self.faults_on(len((await engine.emulation.view()).active))

    async def _try(self, work: Coroutine[object, object, None]) -> None:
        """Do work; post what it raises, whatever that is, as one line."""
        try:
            await work
        except Exception as error:
            self._post(Trouble(str(described(error))))

    def faults_on(self, count: int) -> None:
        """Tell everybody how many faults are on, if that is new."""
        if count != self._faults:
            self._faults = count
            self.look_now()

    async def _look(self, engine: Engine) -> None:
        if time.monotonic() - self._ticked > TICK_SECONDS:
            self._ticked = time.monotonic()
            await self._try(engine.tick())  # on a full disk nothing can be started, but everything can be read
        version = await engine.browse.version()
        if version != self._version or self._stale or self._last is None:
            self._version, self._stale = version, False
            experiments = await engine.experiments()
            names = [e.name for e in experiments]
            if self._experiment not in names:
                self._experiment = names[0] if names else None
            jobs = await engine.jobs()
            standing = await engine.browse.standing() if jobs else []
            scores = await engine.browse.scores() if SCORES in self._wants else []
            self._last = Looked(experiments, self._experiment, jobs, standing, scores, self._faults)
        elif not any(job.state in ACTIVE for job in self._last.jobs):
            return
        last = self._last
        looked = Looked(last.experiments, self._experiment, last.jobs, last.standing, last.scores, self._faults)
        self.pace.watch(looked.jobs, looked.at)
        self._post(looked)
        if COMPARISON in self._wants:
            await self._compare(engine, looked.own_jobs)

    async def _compare(self, engine: Engine, jobs: list[JobView]) -> None:
        """Compare again when the jobs have got on, but not all the time while they do."""
        marks = (self._experiment, self.baseline, tuple((j.id, j.state, j.attempt, j.done) for j in jobs))
        known, at = self._compared
        busy = any(j.state in ACTIVE for j in jobs)
        if marks == known or (busy and time.monotonic() - at < COMPARE_SECONDS):
            return
        try:
            found = await engine.comparison(self._experiment, self.baseline, self.chosen) if self._experiment else None
        except NotFoundError:
            found = None
        self._compared = (marks, time.monotonic())
        if found is None or found.experiment == self._experiment:
            self._post(Compared(found))
