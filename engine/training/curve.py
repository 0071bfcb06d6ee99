"""A learning curve: how accuracy grows with labels, from features that are cached already, in seconds.

It answers "label more, or fine-tune?". The recipe's last layer is trained on a few images of each class, on twice as
many, and so on. Larger sets hold the smaller ones, so that a step of the curve is due to what came in addition.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.backbones import Backbone, cached_views, load_backbone
from engine.evaluation.metrics import wilson
from engine.quantities import counted
from engine.training.data import Example, Watch
from engine.training.device import Runtime
from engine.training.doubling import Doubling, Point, doubling
from engine.training.models import BACKBONES, network, parameter_groups, start_head
from engine.training.recipes import Recipe, get_recipe
from engine.training.step import rate_factor, step

SMALLEST = 5
SEEDS = 3
"""Draws of a small set: which five images of a breed are taken moves the accuracy by points."""
SMALL = 20
"""Images a class up to which several sets are drawn; above, draws differ less than the interval is wide."""
MOST_SECONDS = 60.0
"""A point that would take the curve beyond this is left out, and the larger ones with it; the note names them."""
MOST_JUDGES = 3_000
"""So many validation images judge a point; more would narrow its interval by little, and take most of the time."""
STAND_IN = "efficientnet-lite0"
"""Whose features are taken for a recipe that trains every weight and has no features of its own."""


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy by labels.

    Attributes:
        backbone: whose features were learned from.
        points: the fewest labels first.
        doubling: None where one point is no curve.
        note: what has to be known to read it; may be empty.
        seconds: of all.

    """

    backbone: str
    points: tuple[Point, ...]
    doubling: Doubling | None
    note: str
    seconds: float

    def told(self) -> dict[str, Any]:
        """Return it as plain values for a job's result: `learning_curve`, a list of points, and what goes with it."""
        doubling = None if self.doubling is None else asdict(self.doubling) | {"sentence": self.doubling.sentence}
        return {
            "learning_curve": [asdict(point) for point in self.points],
            "labels_doubled": doubling,
            "learning_curve_about": {"backbone": self.backbone, "note": self.note, "seconds": self.seconds},
        }


class _NotCached(Exception):
    """A picture would have to be looked at."""


@dataclass
class _Data:
    """Views of features `[n, width]` and labels `[n]`, of training and of validation."""

    training: list[np.ndarray]
    truths: np.ndarray
    validation: list[torch.Tensor]
    expected: torch.Tensor
    classes: list[np.ndarray] = field(default_factory=list)  # of each class, its training images

    def __post_init__(self) -> None:
        self.classes = [np.flatnonzero(self.truths == label) for label in np.unique(self.truths)]


def learning_curve(
    recipe: Recipe,
    labels: Sequence[str],
    training: Sequence[Example],
    validation: Sequence[Example],
    *,
    cache: Path,
    seed: int,
    watch: Watch,
    weights: Path | None = None,
) -> LearningCurve | None:
    """Measure a learning curve; the test images have no part in it.

    Each point is the recipe's `head` phase, of its first backbone, on fewer images: same start, same steps an image,
    same choice of the best epoch. So that the choice flatters no point, it is made on one half of the validation
    images and judged on the other, and the other way round.

    Args:
        recipe: one that trains all weights has its curve from the features of EfficientNet-Lite0 and the head of
            recipe `quick`, where those features are cached already.
        labels: the classes.
        training: drawn from, class by class.
        validation: what is judged on.
        cache: of backbones and features.
        seed: of the draws and of everything else that is random.
        watch: is told, and may stop by raising.
        weights: the run's own file of weights, if it has one.

    Returns:
        the curve; None where nothing is cached that it could be taken from, or there is no validation image.

    Raises:
        WeightsError: the backbone's weights cannot be had any more.
        OSError, ValueError: features had to be computed again, and a picture cannot be read any more.

    """
    started = time.monotonic()
    own = recipe.phases[0].train == "head"
    learner = recipe if own else get_recipe("quick")
    if not training or not validation or not (own or any((cache / "features").glob(f"{STAND_IN}-*"))):
        return None
    name = learner.backbones[0] if own else STAND_IN
    backbone = load_backbone(cache / BACKBONES, name, weights=weights if own else None)
    try:
        data = _features(learner, backbone, training, validation, cache, watch, only_cached=not own)
    except _NotCached:
        return None
    sizes = _sizes(data)
    measured: list[tuple[Point, np.ndarray]] = []
    with _one_thread():
        for number, size in enumerate(sizes):
            if measured and time.monotonic() - started + _expected(measured[-1][0], data, size) > MOST_SECONDS:
                break
            measured.append(_measure(learner, backbone, labels, data, size, seed, watch, (number, len(sizes))))
    points = [point for point, _ in measured]
    notes = [_note(recipe, name, own=own), _left_out(sizes[len(points) :], len(training))]
    if len(validation) > len(data.expected):
        notes.append(f"judged on {len(data.expected):,} of {counted(len(validation), 'validation image')}")
    return LearningCurve(
        name,
        tuple(points),
        doubling(points, [right for _, right in measured]),
        "; ".join(filter(None, notes)),
        time.monotonic() - started,
    )


def _expected(last: Point, data: _Data, size: int | None) -> float:
    """Return the seconds that a point is likely to take, by the point before it."""
    images, judges = _count(data, size), len(data.expected)
    return last.seconds / last.seeds * _draws(size) * (images + judges) / (last.images + judges)


def _left_out(sizes: Sequence[int | None], training: int) -> str:
    """Return which points were left out, in words."""
    if not sizes:
        return ""
    told = " and ".join(
        f"all {counted(training, 'image')}" if size is None else f"{size:,} a class" for size in sizes[-2:]
    )
    more = f"{sizes[0]:,} a class to " if len(sizes) > 2 else ""
    return f"left out: {more}{told}, as the curve would take longer than {MOST_SECONDS:.0f} s"


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute on one thread: a last layer's step is shorter than threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _note(recipe: Recipe, name: str, *, own: bool) -> str:
    if not own:
        return f"of a new last layer on {name}: recipe {recipe.name} trains every weight, and has no features to cache"
    if len(recipe.backbones) > 1 or len(recipe.phases) > 1:
        return f"of a new last layer on {name} alone: what else recipe {recipe.name} does comes on top"
    return ""


def _features(
    recipe: Recipe,
    backbone: Backbone,
    training: Sequence[Example],
    validation: Sequence[Example],
    cache: Path,
    watch: Watch,
    *,
    only_cached: bool,
) -> _Data:
    """Return the features that a training run has cached, in the order in which it did."""

    def refuse() -> bytes:
        raise _NotCached

    def look(examples: Sequence[Example]) -> list[np.ndarray]:
        found = cached_views(
            backbone,
            [refuse if only_cached else example.read for example in examples],
            [example.sha256 for example in examples],
            cache / "features",
            lambda _done, _total: watch.check(),
            views=(False, True) if recipe.mirror else (False,),
            say=watch.say,
        )
        return [np.asarray(view) for view in found]

    judges = np.arange(len(validation))
    if len(judges) > MOST_JUDGES:  # they are in order of label: each class keeps its share
        judges = judges[:MOST_JUDGES] * len(validation) // MOST_JUDGES
    return _Data(
        look(training),
        np.array([example.label for example in training]),
        [torch.from_numpy(view[judges]).float() for view in look(validation)],
        torch.tensor([validation[number].label for number in judges.tolist()]),
    )


def _sizes(data: _Data) -> list[int | None]:
    """Return images a class: 5 and its doublings, as far as most classes have more, then None for all there are."""
    median = float(np.median([len(images) for images in data.classes]))
    sizes: list[int | None] = []
    size = SMALLEST
    while size < median:
        sizes.append(size)
        size *= 2
    return [*sizes, None]


def _measure(
    recipe: Recipe,
    backbone: Backbone,
    labels: Sequence[str],
    data: _Data,
    size: int | None,
    seed: int,
    watch: Watch,
    place: tuple[int, int],
) -> tuple[Point, np.ndarray]:
    """Return a point, and of each validation image how often it was right, 0 to 1."""
    started = time.monotonic()
    draws = _draws(size)
    rights = []
    for draw in range(draws):
        chosen = _drawn(data, size, (seed, draw))
        watch.phase(f"learning curve, {counted(len(chosen), 'image')}", place[0], place[1])
        rights.append(_learn(recipe, backbone, labels, data, chosen, seed + draw, watch))
    watch.phase("learning curve", place[0] + 1, place[1])
    each = np.stack(rights).astype(float)
    accuracies, n = each.mean(1), each.shape[1]
    accuracy = float(accuracies.mean())
    low, high = wilson(round(accuracy * n), n)
    point = Point(
        per_class=size if size is not None else round(len(data.truths) / len(data.classes)),
        images=len(chosen),
        accuracy=accuracy,
        low=min(low, accuracy),
        high=max(high, accuracy),
        n=n,
        seeds=draws,
        spread=float(accuracies.std(ddof=1)) if draws > 1 else None,
        all=size is None,
        seconds=time.monotonic() - started,
    )
    return point, each.mean(0)


def _draws(size: int | None) -> int:
    return SEEDS if size is not None and size <= SMALL else 1


def _count(data: _Data, size: int | None) -> int:
    """Return how many images a point learns from."""
    return sum(len(images) if size is None else min(size, len(images)) for images in data.classes)


def _drawn(data: _Data, size: int | None, seed: tuple[int, int]) -> np.ndarray:
    """Return the first `size` images of each class in an order of the seed's; a class with fewer gives all it has."""
    orders = [
        np.random.default_rng([*seed, number]).permutation(images)[:size] for number, images in enumerate(data.classes)
    ]
    return np.sort(np.concatenate(orders))


def _learn(
    recipe: Recipe,
    backbone: Backbone,
    labels: Sequence[str],
    data: _Data,
    chosen: np.ndarray,
    seed: int,
    watch: Watch,
) -> np.ndarray:
    """Train a head on the chosen images; return of each validation image whether it is right."""
    phase, runtime = recipe.phases[0], Runtime(torch.device("cpu"), torch.float32, threads=1, workers=0)
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = network(recipe, phase, backbone, len(labels), None)
    start_head(model, backbone, labels, recipe.head)
    optimizer = torch.optim.AdamW(parameter_groups(model, phase), weight_decay=phase.weight_decay)
    scaler = runtime.scaler()
    steps = -(-len(chosen) // phase.batch_size)
    choice = _Choice(data.expected.numpy(), phase.patience)
    for epoch in range(phase.epochs):
        model.train()
        order = random.permutation(chosen)
        for number in range(steps):
            watch.check()
            turn = order[number * phase.batch_size : (number + 1) * phase.batch_size]
            inputs = data.training[0][turn]
            if len(data.training) > 1:
                coins = random.random(len(turn)) < 0.5
                inputs[coins] = data.training[1][turn[coins]]
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * rate_factor(phase, (epoch * steps + number) / (phase.epochs * steps))
            step(
                model,
                optimizer,
                scaler,
                runtime,
                torch.from_numpy(inputs).float(),
                torch.from_numpy(data.truths[turn]),
                smoothing=phase.label_smoothing,
                part=phase.batch_size,
            )
        choice.add(*_judge(model, data))
        if choice.over:
            break
    return choice.right()


@torch.inference_mode()
def _judge(model: torch.nn.Module, data: _Data) -> tuple[np.ndarray, np.ndarray]:
    """Return of each validation image whether it is right, and its loss."""
    model.eval()
    probabilities = torch.stack([model(view).softmax(1) for view in data.validation]).mean(0)
    losses = torch.nn.functional.nll_loss(probabilities.clamp_min(1e-12).log(), data.expected, reduction="none")
    return (probabilities.argmax(1) == data.expected).numpy(), losses.numpy()


class _Choice:
    """The best epoch, chosen for each half of the validation images on the other half."""

    def __init__(self, expected: np.ndarray, patience: int) -> None:
        """`expected` are the labels of the validation images; `patience` is the training loop's."""
        # Of each class every other image; classes start in turns, so that one image each is not all in one half.
        rank = np.zeros(len(expected), int)
        for start, label in enumerate(np.unique(expected)):
            members = np.flatnonzero(expected == label)
            rank[members] = start + np.arange(len(members))
        half = (rank % 2).astype(bool)
        self._halves = (half, ~half) if half.any() and not half.all() else ()
        self._patience = patience
        self._rights: list[np.ndarray] = []
        self._scores: list[list[tuple[float, float]]] = [[] for _ in self._halves]

    def add(self, right: np.ndarray, losses: np.ndarray) -> None:
        """Add an epoch: of each image whether it is right, and its loss."""
        self._rights.append(right)
        for half, scores in zip(self._halves, self._scores, strict=True):
            scores.append((float(right[~half].mean()), -float(losses[~half].mean())))

    @property
    def over(self) -> bool:
        """Whether no later epoch can be chosen any more."""
        done = len(self._rights)
        best = [_best(scores, self._patience) for scores in self._scores]
        return bool(best) and self._patience > 0 and all(done - number > self._patience for number in best)

    def right(self) -> np.ndarray:
        """Return what is right at the best epoch."""
        found = np.array(self._rights[-1])
        for half, scores in zip(self._halves, self._scores, strict=True):
            found[half] = self._rights[_best(scores, self._patience)][half]
        return found


def _best(scores: Sequence[tuple[float, float]], patience: int) -> int:
    """Return the best epoch before `patience` epochs without a better one, as the training loop finds it."""
    best = 0
    for number, score in enumerate(scores):
        if patience and number - best > patience:
            break
        if score > scores[best]:
            best = number
    return best
