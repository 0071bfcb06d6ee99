"""Looking at what learns on this machine: recipes, a run while it learns, and what it came to.

All that is read here is in the store and in small files; nothing that trains is imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from engine.errors import NotFoundError
from engine.events import CurvePoint, JobView, RecipeView, TrainingView, WorstPicture
from engine.failures import door
from engine.quantities import counted
from engine.states import JobKind, JobState, Split
from engine.store import Store

if TYPE_CHECKING:
    from engine.evaluation.comparison import ContestantResult

PACKAGED = "efficientnet-lite"
"""Backbones of this family come with their weights; asking their own module would load torch."""
FROM_CACHE = 0.05
"""Share of features from the cache above which a training run's time is not that of a first one."""
WORST = 100
"""As many pictures as anybody looks through."""


@door
class Learning:
    """Reads one home's training runs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def recipes(self, dataset: str | None = None) -> list[RecipeView]:
        """Return all recipes, the quickest first, with the time each would take on a dataset if that is known."""
        return await asyncio.to_thread(self._recipes, dataset)

    async def run(self, job_id: int) -> TrainingView:
        """Return how a training job stands; raises NotFoundError."""
        return await asyncio.to_thread(self._run, job_id)

    async def worst(self, job_id: int, limit: int = WORST) -> list[WorstPicture]:
        """Return the last validation's images of a training job, the least likely truth first.

        Empty while nothing was validated; raises NotFoundError.
        """
        return await asyncio.to_thread(self._worst, job_id, limit)

    async def outcome(self, job_id: int) -> dict[str, Any]:
        """Return all that a training job came to, as plain values for programs; raises NotFoundError."""
        return await asyncio.to_thread(self._outcome, job_id)

    # -- in a thread

    def _recipes(self, dataset: str | None) -> list[RecipeView]:
        from engine.training.recipes import recipes

        images = self._images(dataset)
        return [
            RecipeView(
                name=recipe.name,
                about=recipe.about,
                backbones=recipe.backbones,
                phases=tuple(_phase(**phase.model_dump()) for phase in recipe.phases),
                weights=_weights(recipe.backbones),
                settings=recipe.model_dump(mode="json"),
                seconds=seconds_here(self._store, recipe.name, images),
            )
            for recipe in recipes().values()
        ]

    def _images(self, dataset: str | None) -> int | None:
        if dataset is None or not self._store.datasets.exists(dataset):
            return None
        return self._store.datasets.get(dataset).train

    def _run(self, job_id: int) -> TrainingView:
        job = self._store.jobs.get(job_id)
        result = job.result or {}
        best = result.get("val_accuracy")
        return TrainingView(
            recipe=str(job.parameters.get("recipe") or ""),
            device=str(result.get("device") or self._device(job_id) or job.parameters.get("device") or ""),
            weights=tuple(str(each.get("weights")) for each in _rows(result.get("weights"))),
            val_accuracy=float(best) if isinstance(best, int | float) else None,
            curve=tuple(_point(each) for each in _rows(result.get("learning_curve")) if "accuracy" in each),
            caution=str(result.get("caution") or ""),
            curve_note=str((result.get("learning_curve_about") or {}).get("note") or ""),
            doubled=_sentence(str((result.get("labels_doubled") or {}).get("sentence") or "")),
        )

    def _device(self, job_id: int) -> str:
        """Return the device of a run without a result: it says so in its log, in one of its first lines."""
        for line in self._store.jobs.lines(job_id, 0, 20):
            before, on, device = line.message.partition(" on ")
            if on and before.startswith("recipe "):
                return device
        return ""

    def _worst(self, job_id: int, limit: int) -> list[WorstPicture]:
        dataset = str(self._store.jobs.get(job_id).parameters.get("dataset") or "")
        found = self._store.validations.all(job_id, limit=limit)
        if not found or not self._store.datasets.exists(dataset):
            return []
        view = self._store.datasets.get(dataset)
        images = {image.id: image for image in self._store.datasets.images(dataset, Split.VAL)}
        rows = []
        for each in found:
            image = images.get(each.image_id)
            if image is not None:
                path = PurePath(image.path)
                name = str(path.relative_to(view.root)) if path.is_relative_to(view.root) else path.name
                truth, said = view.labels[image.label], view.labels[each.label]
                rows.append(
                    WorstPicture(image.id, str(path), name, truth, said, each.probability, each.truth_probability)
                )
        return rows

    def _outcome(self, job_id: int) -> dict[str, Any]:
        from engine.jobs.comparing import comparison

        stored, view = self._store.jobs.get(job_id), self._store.jobs.view(job_id)
        found: ContestantResult | None = None
        if stored.kind == JobKind.TRAIN:
            try:
                compared = comparison(self._store, view.experiment).contestants
            except NotFoundError:  # a job without a contestant
                compared = []
            found = next((each for each in compared if each.name == view.contestant), None)
        return outcome(view, stored.parameters, stored.result or {}, found)


def outcome(
    view: JobView, parameters: Mapping[str, Any], result: Mapping[str, Any], found: ContestantResult | None
) -> dict[str, Any]:
    """Put together what a training job was told, what it came to, and how it did on the test images."""
    told: dict[str, Any] = {
        "job": view.id,
        "experiment": view.experiment,
        "state": view.state,
        "dataset": parameters.get("dataset"),
        "recipe": parameters.get("recipe"),
        "seed": parameters.get("seed"),
    }
    if view.state != JobState.SUCCEEDED:
        return told | {"error": view.error}
    weights = _rows(result.get("weights"))
    told["backbone"] = " + ".join(str(each.get("backbone")) for each in weights) or None
    told["weights"] = weights
    if found is not None:
        told |= {name: getattr(found, name) for name in ("n", "correct", "accuracy", "accuracy_low", "accuracy_high")}
    told["val_accuracy"] = result.get("val_accuracy")
    told["train_seconds"] = result.get("seconds")
    told["train_from_cache"] = result.get("from_cache")
    told["seconds_to_accuracy"] = result.get("seconds_to_accuracy", {})
    # Without decoding and features it would be the rate of the last layer only.
    told["images_per_second"] = None if is_from_cache(result) else result.get("images_per_second")
    told["predictions_per_second"] = result.get("predictions_per_second")
    latency = found.latency if found is not None else None
    percentiles = ("mean", "p50", "p90", "p95", "p99")
    told["latency_ms"] = {name: getattr(latency, name) for name in percentiles} if latency is not None else None
    told["device"] = result.get("device")
    told["best_epochs"] = result.get("best_epochs", [])
    for name in ("learning_curve", "labels_doubled", "learning_curve_about", "caution"):
        if name in result:
            told[name] = result[name]
    return told


def is_from_cache(result: Mapping[str, Any]) -> bool:
    """Return whether a training run had its features or decoded pictures from the cache, and so took no time for them.

    Args:
        result: of the job; one of an older version does not say, and counts as one that computed them.

    """
    share = result.get("from_cache")
    return isinstance(share, int | float) and share > FROM_CACHE


def seconds_here(store: Store, recipe: str, images: int | None) -> float | None:
    """Return how long a recipe is likely to train here, from its last run in this home; None while there was none.

    A run with features from the cache took no time for them, and is passed over.

    Args:
        store: which remembers the runs.
        recipe: its name.
        images: training images there will be; as many as there were unless given.

    """
    for view in reversed(store.jobs.of_kind(JobKind.TRAIN)):
        if view.state != JobState.SUCCEEDED:
            continue
        job = store.jobs.get(view.id)
        seconds = (job.result or {}).get("seconds")
        if is_from_cache(job.result or {}):
            continue
        if job.parameters.get("recipe") != recipe or job.parameters.get("train_epochs") or seconds is None:
            continue
        then = str(job.parameters.get("dataset") or "")
        before = store.datasets.get(then).train if images is not None and store.datasets.exists(then) else 0
        return float(seconds) * ((images or 0) / before if before else 1.0)
    return None


def _rows(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _point(told: Mapping[str, Any]) -> CurvePoint:
    accuracy = float(told["accuracy"])
    return CurvePoint(
        int(told.get("per_class", 0)),
        int(told.get("images", 0)),
        accuracy,
        float(told.get("low", accuracy)),
        float(told.get("high", accuracy)),
    )


def _phase(*, train: str, blocks: int, epochs: int, patience: int, **_: object) -> str:
    what = {
        "head": "a new last layer on features taken once",
        "blocks": f"the last {counted(blocks, 'block')} and the last layer",
        "all": "every weight, on pictures augmented anew",
    }[train]
    return f"{what}: {'up to ' if patience else ''}{counted(epochs, 'epoch')}"


def _weights(backbones: tuple[str, ...]) -> str:
    if all(name.startswith(PACKAGED) for name in backbones):
        return "of ImageNet, packaged: nothing to download"
    return "of ImageNet, by torchvision: downloaded, or from a file"


def _sentence(text: str) -> str:
    """Return a line of a log as a sentence."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""
