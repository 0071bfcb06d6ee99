"""The local CNN: trains, then predicts the same test images as everyone else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import InputError, JobError, WeightsError
from engine.jobs.context import Context
from engine.quantities import agrees, counted
from engine.states import Outcome, Split
from engine.store.datasets import StoredImage
from engine.store.predictions import Prediction
from engine.store.validations import Validation
from engine.training import stages
from engine.training.caution import imagenet_caution
from engine.training.curve import learning_curve
from engine.training.data import Example, Judged
from engine.training.loop import Trained, train
from engine.training.predict import Predictor, load_predictor
from engine.training.recipes import Recipe, get_recipe

CHUNK = 64
RANKS = 5
"""How many of the likeliest labels are kept of each test image."""
WHOLE = 1000
"""Of this many parts a training job's progress is told, for its stages count different things."""
VALIDATIONS_SECONDS = 2.0
"""Validations are stored at most this often: where only a last layer learns, there are several a second."""


class _Watch:
    """What the training loop tells, told to the store, with the share of the whole job that is done."""

    def __init__(self, context: Context, shares: stages.Shares) -> None:
        self._context = context
        self._shares = shares
        self._span, self._stage = (0.0, 0.0), ""
        self._validated_at = 0.0
        self._waiting: Sequence[Judged] = ()

    def stage(self, name: str) -> None:
        self._span, self._stage = self._shares[name], name

    def phase(self, name: str, done: int, total: int) -> None:
        first, last = self._span
        share = first + (last - first) * min(1.0, done / total if total else 0.0)
        counts = total and not stages.learns(self._stage)  # whose name has the epoch
        note = f"{name}: {done:,} of {total:,}" if counts else name
        self._context.progress(int(share * WHOLE), WHOLE, note)

    def metric(self, name: str, value: float, step: int, epoch: float | None = None) -> None:
        self._context.metric(name, value, step, epoch)

    def say(self, message: str, level: str = "info") -> None:
        self._context.say(message, level)

    def validated(self, judged: Sequence[Judged]) -> None:
        self._waiting = judged
        if time.monotonic() - self._validated_at > VALIDATIONS_SECONDS:
            self.store_validation()

    def store_validation(self) -> None:
        rows = [Validation(j.image, j.label, j.probability, j.truth_probability) for j in self._waiting]
        self._context.store.validations.replace(self._context.job.id, rows)
        self._validated_at = time.monotonic()

    def check(self) -> None:
        self._context.check()


async def run(context: Context) -> dict[str, Any]:
    """Train by the recipe (or go on from the last checkpoint), then predict."""
    p = context.job.parameters
    store = context.store
    dataset = store.datasets.get(p["dataset"])
    recipe = get_recipe(p["recipe"], epochs=p.get("train_epochs"))
    counts = (dataset.train, dataset.val, dataset.test)
    watch = _Watch(context, stages.shares(recipe, *counts, min(int(p["probe"]), dataset.test)))

    def examples(split: Split) -> list[Example]:
        return [Example(i.path, i.label, i.sha256, i.bytes, i.id) for i in store.datasets.images(dataset.name, split)]

    try:
        trained = train(
            recipe,
            dataset.labels,
            examples(Split.TRAIN),
            examples(Split.VAL),
            folder=context.folder / "checkpoints",
            cache=context.home.cache,
            seed=p["seed"],
            watch=watch,
            weights=Path(p["weights"]) if p["weights"] else None,
            device=p.get("device") or "auto",
            job=context.job.nonce,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{error}.", "Check the dataset's files, or add it again.") from error
    watch.store_validation()
    context.flush()
    predictor = load_predictor(
        context.folder / "checkpoints", context.home.cache, context.say, {"job": context.job.nonce}
    )
    result = _told(p["recipe"], trained)
    if context.job.contestant_id is not None:
        store.experiments.describe_contestant(
            context.job.contestant_id, model=result["model"], train_seconds=trained.seconds
        )
        watch.stage(stages.PREDICT)
        result["predictions_per_second"] = _predict(context, watch, predictor, dataset.labels)
        watch.stage(stages.LATENCY)
        _latency(context, watch, predictor)
    images = (image for split in Split for image in store.datasets.images(dataset.name, split))
    named = ((image.path, dataset.labels[image.label], image.split) for image in images)
    if caution := imagenet_caution(dataset.labels, named):
        result["caution"] = caution
        context.say(caution, "warning")
    watch.stage(stages.CURVE)
    return result | _curve(context, recipe, dataset.labels, examples(Split.TRAIN), examples(Split.VAL), watch)


def _curve(
    context: Context,
    recipe: Recipe,
    labels: Sequence[str],
    training: Sequence[Example],
    validation: Sequence[Example],
    watch: _Watch,
) -> dict[str, Any]:
    """Return the learning curve as the job's result has it; nothing where there is none.

    The run is over and its answers are stored: what goes wrong now is said, and takes nothing from it.
    """
    p = context.job.parameters
    try:
        curve = learning_curve(
            recipe,
            labels,
            training,
            validation,
            cache=context.home.cache,
            seed=p["seed"],
            watch=watch,
            weights=Path(p["weights"]) if p["weights"] else None,
        )
    except (OSError, ValueError, InputError, JobError, WeightsError) as error:
        context.say(f"there is no learning curve: {error}", "warning")
        return {}
    if curve is None:
        return {}
    if curve.note:
        context.say(f"learning curve: {curve.note}")
    if curve.doubling is not None:
        context.say(curve.doubling.sentence)
    return curve.told()


def _told(recipe: str, trained: Trained) -> dict[str, Any]:
    """Return what a training run came to, as its job's result."""
    backbones = " + ".join(origin.backbone for origin in trained.origins)
    return {
        "model": f"{backbones} ({recipe})",
        "recipe": recipe,
        "weights": [asdict(origin) for origin in trained.origins],
        "device": trained.device,
        "seconds": trained.seconds,
        "val_accuracy": trained.val_accuracy,
        "best_epochs": list(trained.best_epochs),
        "from_cache": trained.from_cache,
        "images_per_second": trained.images_per_second,
        "seconds_to_accuracy": {str(level): seconds for level, seconds in trained.seconds_to_accuracy.items()},
    }


def _predict(context: Context, watch: _Watch, predictor: Predictor, labels: tuple[str, ...]) -> float | None:
    """Predict the test images that are not predicted yet; return how many a second, if there were any."""
    contestant = context.job.contestant_id
    assert contestant is not None
    images = context.store.datasets.images(context.job.parameters["dataset"], Split.TEST)
    settled = context.store.predictions.settled(contestant)
    todo = [image for image in images if image.id not in settled]
    busy = 0.0
    for start in range(0, len(todo), CHUNK):
        context.check()
        chunk = todo[start : start + CHUNK]
        began = time.monotonic()
        try:
            probabilities = predictor.predict([image.read for image in chunk])
        except InputError:
            chunk = _readable(context, chunk)
            probabilities = predictor.predict([image.read for image in chunk]) if chunk else np.empty((0, len(labels)))
        busy += time.monotonic() - began
        order = probabilities.argsort(1)[:, ::-1][:, :RANKS]
        context.store.predictions.add(
            contestant,
            [
                Prediction(
                    image.id,
                    f"{labels[best[0]]} ({row[best[0]]:.4f})",
                    int(best[0]),
                    Outcome.ANSWERED,
                    ranking=tuple((int(label), round(float(row[label]), 6)) for label in best),
                )
                for image, row, best in zip(chunk, probabilities, order, strict=True)
            ],
        )
        watch.phase("predicting", len(images) - len(todo) + min(start + CHUNK, len(todo)), len(images))
    if left := len(images) - len(context.store.predictions.settled(contestant)):
        why = context.store.predictions.an_error(contestant)
        raise JobError(
            f"{left:,} of {counted(len(images), 'test image')} {agrees(left, 'was', 'were')} not predicted: {why}",
            "Then resume the job.",
        )
    return len(todo) / busy if todo else None


def _readable(context: Context, images: Sequence[StoredImage]) -> list[StoredImage]:
    """Return the images that are still what they were; of the others, store why they are not predicted."""
    found, lost = [], []
    for image in images:
        try:
            image.read()
            found.append(image)
        except InputError as error:
            context.say(str(error), "warning")
            lost.append(Prediction(image.id, None, None, Outcome.FAILED, error=str(error)))
    context.store.predictions.add(context.job.contestant_id or 0, lost)
    return found


def _latency(context: Context, watch: _Watch, predictor: Predictor) -> None:
    """Measure from file to label, one image at a time, after one that is not counted."""
    contestant = context.job.contestant_id
    assert contestant is not None
    images = context.store.datasets.images(context.job.parameters["dataset"], Split.TEST)
    images = images[: context.job.parameters["probe"]]
    if not images:
        return
    predictor.predict_one(images[0].read)
    for number, image in enumerate(images, start=1):
        context.check()
        _, _, ms = predictor.predict_one(image.read)
        context.store.predictions.add_latency(contestant, image.id, ms)
        watch.phase("measuring latency", number, len(images))
