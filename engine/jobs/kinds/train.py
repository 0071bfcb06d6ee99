"""The local CNN: trains, then predicts the same test images as everyone else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.errors import InputError, JobError
from engine.jobs.context import Context
from engine.states import Outcome, Split
from engine.store.predictions import Prediction
from engine.training.data import Example
from engine.training.loop import train
from engine.training.predict import Predictor, load_predictor
from engine.training.recipes import get_recipe

CHUNK = 64


class _Watch:
    """What the training loop tells, told to the store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def phase(self, name: str, done: int, total: int) -> None:
        self._context.progress(done, total, name)

    def metric(self, name: str, value: float, step: int, epoch: float | None = None) -> None:
        self._context.metric(name, value, step, epoch)

    def say(self, message: str) -> None:
        self._context.say(message)

    def check(self) -> None:
        self._context.check()


async def run(context: Context) -> dict[str, Any]:
    """Train by the recipe (or go on from the last checkpoint), then predict."""
    p = context.job.parameters
    store = context.store
    dataset = store.datasets.get(p["dataset"])
    watch = _Watch(context)
    recipe = get_recipe(p["recipe"], epochs=p.get("train_epochs"))

    def examples(split: Split) -> list[Example]:
        return [Example(i.path, i.label, i.sha256) for i in store.datasets.images(dataset.name, split)]

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
    )
    context.flush()
    result = {"model": trained.model, "weights": trained.weights, "seconds": trained.seconds}
    if context.job.contestant_id is None:
        return result
    store.experiments.describe_contestant(context.job.contestant_id, model=trained.model, train_seconds=trained.seconds)
    predictor = load_predictor(context.folder / "checkpoints", context.home.cache)
    _predict(context, predictor, dataset.labels)
    _latency(context, predictor)
    return result


def _predict(context: Context, predictor: Predictor, labels: tuple[str, ...]) -> None:
    contestant = context.job.contestant_id
    assert contestant is not None
    images = context.store.datasets.images(context.job.parameters["dataset"], Split.TEST)
    settled = context.store.predictions.settled(contestant)
    todo = [image for image in images if image.id not in settled]
    for start in range(0, len(todo), CHUNK):
        context.check()
        chunk = todo[start : start + CHUNK]
        try:
            probabilities = predictor.predict([image.path for image in chunk])
        except OSError as error:
            raise InputError(f"{error}.", "The dataset's files have changed; add it again.") from error
        context.store.predictions.add(
            contestant,
            [
                Prediction(image.id, f"{labels[best]} ({row[best]:.4f})", best, Outcome.ANSWERED)
                for image, row in zip(chunk, probabilities, strict=True)
                for best in [int(row.argmax())]
            ],
        )
        context.progress(len(images) - len(todo) + start + len(chunk), len(images), "predicting")
    if len(context.store.predictions.settled(contestant)) != len(images):
        raise JobError("Not every test image was predicted.")


def _latency(context: Context, predictor: Predictor) -> None:
    """Measure from file to label, one image at a time, after one that is not counted."""
    contestant = context.job.contestant_id
    assert contestant is not None
    images = context.store.datasets.images(context.job.parameters["dataset"], Split.TEST)
    images = images[: context.job.parameters["probe"]]
    if not images:
        return
    predictor.predict_one(images[0].path)
    for number, image in enumerate(images, start=1):
        context.check()
        _, _, ms = predictor.predict_one(image.path)
        context.store.predictions.add_latency(contestant, image.id, ms)
        context.progress(number, len(images), "measuring latency")
