"""Pilots: a few images for cents, before the whole is bought. `Engine.pilots` holds one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.errors import PriceError
from engine.failures import door
from engine.jobs.paths import Home
from engine.jobs.spec import Spec
from engine.store import Store

if TYPE_CHECKING:
    from engine.evaluation.terms import Terms
    from engine.jobs.pilot import PilotCost, PilotResult

Progress = Callable[[str, int, int], None]


@door
class Piloting:
    """The pilots of one home and profile."""

    def __init__(self, store: Store, home: Home, profile: str, *, readonly: bool = False) -> None:
        self._store = store
        self._home = home
        self._profile = profile
        self._readonly = readonly

    async def cost(self, spec: Spec, images: int) -> PilotCost:
        """Return what a pilot would still cost; images that were asked before cost nothing more.

        Raises:
            InputError: there are too few validation images, or the number is out of range.
            ConfigurationError: no real-time deployment is configured.

        """
        from engine.jobs.pilot import Pilot

        def look() -> PilotCost:
            return Pilot(self._store, self._home, self._profile, spec, images).cost()

        return await asyncio.to_thread(look)

    async def run(self, spec: Spec, images: int, *, terms: Terms, progress: Progress | None = None) -> PilotResult:
        """Ask a deployment about some validation images; return what follows from its answers.

        Args:
            spec: dataset, prompt, detail and model are taken from it, and `max_cost`.
            images: how many, evenly spread over the classes.
            terms: under which money is computed; see `Outcomes.terms`.
            progress: called with (phase, done, total).

        Raises:
            PriceError: it would cost more than the experiment's limit.
            DogclsError: the service failed; what was answered is kept, and not asked again.

        """
        from engine.jobs.pilot import Pilot

        if self._readonly:
            raise self._home.refusal()
        made = await asyncio.to_thread(Pilot, self._store, self._home, self._profile, spec, images)
        cost = await asyncio.to_thread(made.cost)
        if spec.max_cost is not None and cost.usd > spec.max_cost:
            raise PriceError(
                f"The pilot would cost about ${cost.usd:.2f}, over the limit of ${spec.max_cost:.2f}.",
                "Raise --max-cost, or ask fewer images.",
            )
        await made.run(progress)
        return await asyncio.to_thread(made.result, terms)
