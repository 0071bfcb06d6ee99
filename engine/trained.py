"""What trained contestants are good for afterwards: predicting, and going elsewhere. `Engine.trained` holds one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.failures import door
from engine.jobs.paths import Home
from engine.states import ContestantKind
from engine.store import Store

if TYPE_CHECKING:
    from engine.jobs.predicting import PredictCost, Predicted

Progress = Callable[[str, int, int], None]
Say = Callable[[str, str], None]


@door
class Trained:
    """The trained contestants of one home."""

    def __init__(self, store: Store, home: Home, *, readonly: bool = False) -> None:
        self._store = store
        self._home = home
        self._readonly = readonly

    async def pictures(self, given: Sequence[Path]) -> list[Path]:
        """Return picture files: those given, and all in the folders given.

        Raises:
            InputError: a folder has no picture in it.

        """
        from engine.jobs.predicting import pictures

        return await asyncio.to_thread(pictures, given)

    async def cost(self, target: str, images: Sequence[Path], deployment: str | None = None) -> PredictCost:
        """Return what predicting would cost; a CNN costs nothing.

        Args:
            target: `EXPERIMENT` or `EXPERIMENT/CONTESTANT`; without the latter the only one, or the only CNN.
            images: files.
            deployment: asked instead of the contestant's own.

        Raises:
            NotFoundError: there is no such experiment or contestant.
            JobError: it is not trained, or its deployment or its checkpoints are gone; says what to do.
            ConfigurationError: no real-time deployment is configured.

        """
        from engine.jobs.predicting import Predicting

        def look() -> PredictCost:
            return Predicting(self._store, self._home, target, deployment).cost(images)

        return await asyncio.to_thread(look)

    async def predict(
        self,
        target: str,
        images: Sequence[Path],
        *,
        top: int = 1,
        deployment: str | None = None,
        progress: Progress = lambda _p, _d, _t: None,
        say: Say = lambda _m, _l: None,
    ) -> list[Predicted]:
        """Predict pictures, in their order; one that cannot be read has its own error. Raises as `cost` does.

        Args:
            target, images, deployment: as for `cost`.
            top: how many of the likeliest labels are told, where the contestant is a CNN.
            progress: is told (phase, done, total), from another thread.
            say: is told (message, level), from another thread.

        Raises:
            ReadOnlyError: it would cost money, and this engine only looks.

        """
        from engine.jobs.predicting import Predicting

        made = await asyncio.to_thread(Predicting, self._store, self._home, target, deployment)
        if self._readonly and made.found.contestant.kind != ContestantKind.CNN:
            raise self._home.refusal("Nothing can be spent")
        return await made.run(images, top=top, progress=progress, say=say)

    async def export(
        self,
        experiment: str,
        contestant: str | None,
        to: Path,
        *,
        progress: Progress = lambda _p, _d, _t: None,
        say: Say = lambda _m, _l: None,
    ) -> list[Path]:
        """Write a trained CNN as ONNX, safetensors and a model card; return the files.

        Args:
            experiment: its name.
            contestant: the only CNN unless named.
            to: a folder; made if it does not exist, and nothing in it is written over.
            progress: is told (phase, done, total), from another thread.
            say: is told (message, level), from another thread.

        Raises:
            InputError: there is no such CNN, or the folder cannot take the files.
            JobError: it is not trained, its checkpoints cannot be read, or ONNX does not say what they say.
            WeightsError: the weights that it started from cannot be had any more.

        """
        return await asyncio.to_thread(self._export, experiment, contestant, to, progress, say)

    def _export(self, experiment: str, contestant: str | None, to: Path, progress: Progress, say: Say) -> list[Path]:
        from engine.errors import InputError
        from engine.jobs.trained import checkpoints, facts, find
        from engine.training.export import export_model

        found = find(self._store, experiment, contestant, ContestantKind.CNN)
        job, folder = checkpoints(found, self._home)
        told, few = facts(self._store, found, job)
        try:
            of = {"job": job.nonce}
            return export_model(folder, self._home.cache, to, told, few, say=say, progress=progress, identity=of)
        except (OSError, ValueError) as error:
            raise InputError(f"{error}.", "Check the dataset's files and the folder.") from error
