"""The engine: what the app and the command line hold. Everything they may do is a method here.

All methods that touch a disk, a process or a network are coroutines and leave the event loop free.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine import error_log
from engine.browsing import Browser
from engine.curating import Curating, stoppable
from engine.emulation import Emulation
from engine.errors import InputError, PriceError, StoreError
from engine.events import DatasetView, ExperimentView, JobView, LogLine, Metric
from engine.failures import door
from engine.jobs import scheduler
from engine.jobs.paths import open_home
from engine.jobs.spec import Spec
from engine.outcomes import Outcomes
from engine.piloting import Piloting
from engine.remote import Remote
from engine.settings import load_settings
from engine.states import ACTIVE, ContestantKind, JobKind, JobState
from engine.store import Store, reserve
from engine.store.files import write_atomic
from engine.trained import Trained

if TYPE_CHECKING:
    from engine.azure.connection import Endpoint
    from engine.evaluation.comparison import Comparison
    from engine.jobs.correcting import Correction
    from engine.jobs.measuring import Chosen
    from engine.jobs.outline import Outline
    from engine.jobs.plan import Plan, Price

Progress = Callable[[str, int, int], None]
DEMO = "demo"
T = TypeVar("T")


@door
class Engine:
    """One home and one profile."""

    def __init__(self, home: Path | None = None, profile: str | None = None, *, readonly: bool = False) -> None:
        """Open (or make) a home.

        Args:
            home: `--home`; else `DOGCLS_HOME`, else the platform's data folder.
            profile: `--profile`; else what the settings say, else `azure` if an endpoint is configured,
                else `demo`.
            readonly: refuse everything that would change, start, stop or cost something.

        Raises:
            InputError: unknown profile, unreadable settings, a store made by a newer version; with `readonly`, no home.
            ConfigurationError: the profile lacks its endpoint.

        """
        self.home = open_home(home, readonly=readonly)
        readonly = self.home.readonly
        settings = load_settings(self.home.root)
        self.profile = profile or settings.default_profile()
        if self.profile != DEMO:
            settings.resource(self.profile)
        self.readonly = readonly
        self.store = Store(self.home.store, readonly=readonly)
        if not readonly:
            reserve.keep(self.home.root)
        error_log.keep_in(None if readonly else self.home.root)
        self.curate = Curating(self.store, self.home, readonly=readonly)
        self.browse = Browser(self.store, self.home, self.profile)
        self.pilots = Piloting(self.store, self.home, self.profile, readonly=readonly)
        self.remote = Remote(self.store, self.home, self.profile, readonly=readonly)
        self.outcomes = Outcomes(self.store, self.home)
        self.trained = Trained(self.store, self.home, readonly=readonly)
        self.emulation = Emulation(self.home, self.profile, readonly=readonly)

    def _writing(self) -> None:
        """Stand before everything that changes something.

        Raises:
            ReadOnlyError: this engine only looks.

        """
        if self.readonly:
            raise self.home.refusal()

    def close(self) -> None:
        """Close the store. Jobs go on."""
        self.browse.close()
        self.store.close()
        error_log.leave(self.home.root)

    # -- datasets

    async def add_dataset(self, source: str, name: str, progress: Progress | None = None, **split: Any) -> DatasetView:
        """Catalogue a dataset.

        Args:
            source: see `engine.datasets.sources.open_source`; or `demo`, `digits`, `stanford-dogs`.
            name: its name in the store.
            progress: called with (phase, done, total), from another thread.
            split: options of `engine.datasets.catalog.build_catalog`, and of `sources.stanford.stanford_dogs`.

        Raises:
            InputError: names what is wrong with the source; nothing is half-written.

        """
        from engine.jobs.importing import add_dataset

        self._writing()
        return await stoppable(lambda tell: add_dataset(self.store, self.home, source, name, tell, split), progress)

    async def datasets(self) -> list[DatasetView]:
        """Return all datasets."""
        return await asyncio.to_thread(self.store.datasets.all)

    async def dataset(self, name: str) -> DatasetView:
        """Return one dataset; raises NotFoundError."""
        return await asyncio.to_thread(self.store.datasets.get, name)

    async def class_counts(self, name: str) -> list[tuple[str, int, int, int]]:
        """Return (label, train, val, test) counts of a dataset."""
        return await asyncio.to_thread(self.store.datasets.class_counts, name)

    # -- experiments

    async def plan(self, spec: Spec) -> tuple[Plan, Price]:
        """Return what an experiment would do and cost. Nothing is started but the embedded emulator."""
        from engine.jobs.plan import make_plan

        remote = any(kind != ContestantKind.CNN for kind in spec.contestants)
        return await asyncio.to_thread(self._priced, spec, remote, make_plan)

    async def plan_job(self, kind: JobKind, spec: Spec, **options: Any) -> tuple[Plan, Price]:
        """Return what one job alone would do and cost.

        Args:
            spec: its parameters; the dataset may be "" for a deployment.
            options: of `engine.jobs.plan.single`.

        """
        from engine.jobs.plan import single

        make = partial(single, kind, **options)
        return await asyncio.to_thread(self._priced, spec, kind != JobKind.TRAIN, make)

    def _priced(
        self, spec: Spec, remote: bool, make: Callable[[Spec, Endpoint | None, str], Plan]
    ) -> tuple[Plan, Price]:
        from engine.azure.prices import load_prices
        from engine.jobs import plan as planning
        from engine.jobs import service

        dataset = self.store.datasets.get(spec.dataset) if spec.dataset else None
        place = service.endpoint(self.home, self.profile) if remote else None
        plan = make(spec, place, self.profile)
        planning.check_images(plan, dataset)
        emulated = place is None or place.emulated
        price = planning.make_price(plan, self.store, dataset, load_prices(self.home.prices), emulated=emulated)
        if spec.max_cost is not None and price.total > spec.max_cost:
            raise PriceError(
                f"This would cost about ${price.total:.2f}, over the limit of ${spec.max_cost:.2f}.",
                "Raise --max-cost, or choose fewer contestants or epochs.",
            )
        return replace(plan, estimates=planning.estimates(plan, price)), price

    async def outline(self, spec: Spec, plan: Plan) -> Outline:
        """Return a plan in words: its command, its requests, its likely time."""
        from engine.jobs import service
        from engine.jobs.outline import outline

        def make() -> Outline:
            remote = any(job.kind != JobKind.TRAIN for job in plan.jobs)
            place = service.endpoint(self.home, self.profile) if remote else None
            return outline(self.store, spec, plan, self.store.datasets.get(spec.dataset), place)

        return await asyncio.to_thread(make)

    async def check(self, plan: Plan) -> None:
        """Check everything that can be checked before money is spent: sign-in, endpoint, deployments, recipe.

        Raises:
            SignInError, ConfigurationError, InputError: name what is wrong and the cure.

        """
        from engine.jobs.preflight import check

        await check(self.home, self.profile, plan.jobs)

    async def start(self, spec: Spec, plan: Plan) -> str:
        """Write an experiment down, with what it is expected to cost, and start its first jobs; return its name."""
        self._writing()
        _file_name(spec.name)

        def write() -> str:
            name = spec.name or self.store.experiments.free_name(spec.dataset or plan.jobs[0].kind)
            named = spec.model_copy(update={"name": name})
            self.store.experiments.add(
                name,
                dataset=spec.dataset or None,
                profile=self.profile,
                spec=named.to_toml(),
                contestants=plan.contestants,
                jobs=plan.jobs,
                estimates=plan.estimates,
            )
            with contextlib.suppress(OSError):  # a copy for people; the store has it anyway
                write_atomic(self.home.experiments / f"{_file_name(name)}.toml", named.to_toml())
            scheduler.advance(self.store, self.home)
            return name

        return await _to_its_end(write)

    async def demo(self, progress: Progress | None = None) -> str:
        """Set the built-in demo going, from nothing: draw its dogs if needed, start the comparison."""
        self._writing()
        if not await asyncio.to_thread(self.store.datasets.exists, DEMO):
            await self.add_dataset(DEMO, DEMO, progress)
        spec = Spec(dataset=DEMO)
        plan, _ = await self.plan(spec)
        await self.check(plan)
        return await self.start(spec, plan)

    async def experiments(self) -> list[ExperimentView]:
        """Return all experiments, newest first."""
        return await asyncio.to_thread(self.store.experiments.views)

    async def experiment_file(self, name: str) -> str:
        """Return an experiment's parameters as TOML, to be saved and run again."""
        return (await asyncio.to_thread(self.store.experiments.get, name)).spec

    async def comparison(
        self, experiment: str | None = None, baseline: str | None = None, chosen: Chosen | None = None
    ) -> Comparison:
        """Compare an experiment's contestants (the newest experiment's unless told) with one of them.

        They are judged by the measure that is kept with the experiment, unless one is given.

        Raises:
            NotFoundError: there is no such experiment, or none at all.

        """
        from engine.jobs.comparing import comparison

        return await asyncio.to_thread(comparison, self.store, experiment, baseline, chosen)

    async def table(self, comparison: Comparison) -> str:
        """Return a comparison as text for a terminal."""
        from engine.evaluation.report import to_table

        return await asyncio.to_thread(to_table, comparison)

    # -- jobs

    async def jobs(self, experiment: str | None = None) -> list[JobView]:
        """Return jobs in order of number."""
        return await asyncio.to_thread(self.store.jobs.views, experiment)

    async def job(self, job_id: int) -> JobView:
        """Return one job; raises NotFoundError."""
        return await asyncio.to_thread(self.store.jobs.view, job_id)

    async def log(self, job_id: int, after: int = 0, limit: int = 500) -> list[LogLine]:
        """Return log lines after a line's id; `after=-1` returns the newest `limit`."""
        return await asyncio.to_thread(self.store.jobs.lines, job_id, after, limit)

    async def metrics(self, job_id: int) -> list[Metric]:
        """Return everything that a job measured."""
        return await asyncio.to_thread(self.store.jobs.metrics, job_id)

    async def tick(self) -> None:
        """Recover dead jobs and start ready ones. Call it now and then while watching."""
        if not self.readonly:
            await _to_its_end(scheduler.advance, self.store, self.home)

    async def recover(self) -> None:
        """Only mark dead jobs as interrupted, and continue what was cancelled; start nothing else."""
        if self.readonly:
            return

        def work() -> None:
            scheduler.recover(self.store)
            scheduler.continue_cancelling(self.store, self.home)

        with contextlib.suppress(StoreError):  # a full disk: what is known can be read all the same
            await _to_its_end(work)

    async def cancel(self, job_id: int) -> bool:
        """Cancel a job, here and on the service; return whether there was anything to cancel.

        A job that has something on the service is `cancelling` until its worker has ended that too.
        """
        self._writing()

        def work() -> bool:
            found = scheduler.cancel(self.store, job_id)
            scheduler.advance(self.store, self.home)
            return found

        return await _to_its_end(work)

    async def give_up(self, job_id: int) -> tuple[str, ...]:
        """Make a job `cancelled` that cannot be cancelled on the service; return what may still run and cost there.

        Raises:
            InputError: a worker has the job, or it has nothing on the service (`Browser.remains` returns what).

        """
        from engine.jobs.giving_up import give_up

        self._writing()
        return await _to_its_end(give_up, self.store, self.home, job_id)

    async def pause(self, job_id: int) -> bool:
        """Pause a job; return whether there was anything to pause."""
        self._writing()
        return await asyncio.to_thread(scheduler.pause, self.store, job_id)

    async def resume(self, job_id: int, retry: str | None = None, corrections: Sequence[Correction] = ()) -> list[int]:
        """Start a job again, with what it needs and what was cancelled because of it; return the jobs.

        See `engine.jobs.again` for the rule, and `Engine.browse.again` for the price. `corrections` are those of
        `Remote.corrections` that were shown and accepted.
        """
        from engine.jobs import again, correcting

        self._writing()
        await asyncio.to_thread(correcting.apply, self.store, corrections)
        return await _to_its_end(again.resume, self.store, self.home, job_id, retry)

    async def delete_experiment(self, name: str) -> None:
        """Delete an experiment with its predictions and its jobs' files.

        Raises:
            InputError: something of it still runs, here or on the service, waits there to be collected, or costs money.

        """
        from engine.jobs.deleting import delete_experiment

        self._writing()
        await self.recover()
        await _to_its_end(delete_experiment, self.store, self.home, name)

    # -- the service

    async def delete_deployment(self, job_id: int, *, force: bool = False) -> str:
        """Delete the deployment that a job made; return its name.

        Args:
            job_id: the job.
            force: also one that a job of this home still needs.

        Raises:
            InputError: a job still needs it.

        """
        from engine.jobs.standing import delete_deployment

        self._writing()
        name = f"dogcls-{self.store.jobs.get(job_id).nonce}"
        why = "" if force else await self.browse.needed("deployment", name)
        if why:
            raise InputError(f"Deployment {name} is {why}.", "Cancel the job first, or wait for its end.")
        return await delete_deployment(self.store, self.home, job_id)


async def _to_its_end(work: Callable[..., T], *arguments: Any) -> T:
    """Do work in a thread and, when cancelled meanwhile, wait for its end all the same.

    A job that is queued and whose worker is not started yet would be left behind by a store that closes.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def at_rest(jobs: Iterable[JobView]) -> bool:
    """Tell whether nothing will happen to these jobs by itself."""
    states = [JobState.PAUSED if job.waits_for_settings else job.state for job in jobs]
    moving = any(state in ACTIVE for state in states)
    stuck = {JobState.PAUSED, JobState.INTERRUPTED}
    return not moving and (JobState.WAITING not in states or bool(stuck.intersection(states)))


def _file_name(name: str) -> str:
    if "/" in name or name.startswith("."):
        raise InputError(f"{name!r} cannot be an experiment's name.", "Use letters, digits, - and _.")
    return name
