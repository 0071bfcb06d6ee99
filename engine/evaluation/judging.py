"""The measure that a comparison judges by, worked out once: values, baselines, pairs, and what other measures say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Protocol

from engine.evaluation.baselines import Baselines, baselines, reserved
from engine.evaluation.costs import Costs
from engine.evaluation.differences import LEVEL, shared
from engine.evaluation.measured import Contrast, contrasts, interval
from engine.evaluation.measures import (
    ACCURACY,
    STANDARD,
    Cells,
    Measure,
    MeasureKind,
    Pairs,
    codes,
    pairs_of,
    tally,
    usable,
)
from engine.evaluation.score_intervals import ROUNDING
from engine.states import Outcome


class Answered(Protocol):
    """What has to be known of a contestant: `predictions` and `outcomes` by test image."""

    @property
    def predictions(self) -> Sequence[str | None]:
        """The label of each answer, or None."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """How each question ended."""

    @property
    def complete(self) -> bool:
        """Whether it is finished."""


@dataclass(frozen=True)
class Measured:
    """A contestant's value of the measure and its 95% interval; of the images asked about where it is not finished."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rival:
    """Another measure by which another contestant leads: `name`, `value` there, and `other`, `other_value` ours.

    `p_holm` is of these two by that measure, corrected for all pairs.
    """

    measure: Measure
    name: str
    value: float
    other: str
    other_value: float
    p_holm: float

    @property
    def real(self) -> bool:
        """Whether the difference by that measure is beyond chance at 5%."""
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class Judged:
    """All of it; contestants by their shown names.

    `pairs` has every two contestants in their order, corrected for their number; it is empty by accuracy, which
    `differences.holm` has. `untrained` are classes with test images and no training images, `untested` those without
    test images.
    """

    measure: Measure = ACCURACY
    values: Mapping[str, Measured] = field(default_factory=dict)
    baselines: Baselines = field(default_factory=Baselines)
    pairs: Mapping[tuple[str, str], Contrast] = field(default_factory=dict)
    rivals: tuple[Rival, ...] = ()
    untrained: tuple[str, ...] = ()
    untested: tuple[str, ...] = ()

    def score(self, name: str) -> float:
        """Return a contestant's value so that the higher one is better."""
        return self.measure.score(self.values[name].value)


def judge(
    labels: Sequence[str],
    truths: Sequence[str],
    contestants: Mapping[str, Answered],
    *,
    measure: Measure = ACCURACY,
    costs: Costs | None = None,
    training: Sequence[int] = (),
    seed: int = 0,
) -> Judged:
    """Judge contestants by a measure.

    Args:
        labels: all classes.
        truths: the label of each test image.
        contestants: by their shown names.
        measure: by which.
        costs: of mistakes, where they are known: then their cost is one of the other measures.
        training: training images of each class; empty where there are none.
        seed: of draws.

    Raises:
        ValueError: an answer is not among the labels, a contestant has a baseline's name, or a class whose recall is
            the measure has no test images.

    """
    import numpy as np

    for name in contestants:
        if reserved(name):
            raise ValueError(f"a contestant is called {name!r}, as a row that every comparison has: call it otherwise")
    k, truth = len(labels), codes(truths, labels)
    support = np.bincount(truth, minlength=k)
    if len(truth):
        usable(measure, support)
    answers = {name: codes(given.predictions, labels) for name, given in contestants.items()}

    def pairs(a: str, b: str) -> Pairs:
        one, other = contestants[a], contestants[b]
        among = shared(one.outcomes, other.outcomes, complete=one.complete and other.complete)
        both = slice(None) if among is None else among
        return pairs_of(truth[both], answers[a][both], answers[b][both], k)

    def contrasted(by: Measure) -> dict[tuple[str, str], Contrast]:
        found = {both: pairs(*both) for both in combinations(contestants, 2)}
        found = {both: each for both, each in found.items() if len(each.count)}  # without an image there is no test
        return dict(zip(found, contrasts(by, list(found.values()), seed=seed), strict=True))

    cells = {}
    for name, given in contestants.items():
        asked = slice(None) if given.complete else [n for n, o in enumerate(given.outcomes) if o != Outcome.MISSING]
        cells[name] = tally(truth[asked], answers[name][asked], k)
    finished = {name: cells[name] for name, given in contestants.items() if given.complete and len(truth)}
    known = any(training)
    return Judged(
        measure=measure,
        values={name: Measured(measure.of(c), *interval(measure, c, seed=seed)) for name, c in cells.items()},
        baselines=baselines(labels, support, measure, finished, training, seed=seed),
        pairs={} if measure == ACCURACY else contrasted(measure),
        rivals=tuple(_rivals(measure, costs, finished, contrasted)),
        untrained=tuple(label for at, label in enumerate(labels) if known and support[at] and not training[at]),
        untested=tuple(label for at, label in enumerate(labels) if len(truth) and not support[at]),
    )


def _rivals(
    measure: Measure,
    costs: Costs | None,
    finished: Mapping[str, Cells],
    contrasted: Callable[[Measure], Mapping[tuple[str, str], Contrast]],
) -> Iterator[Rival]:
    """Yield the measures by which another contestant leads than by this one."""
    if len(finished) < 2:
        return
    best = max(finished, key=lambda name: measure.score(measure.of(finished[name])))
    others = [*STANDARD, *([Measure(MeasureKind.COST, costs=costs)] if costs is not None else [])]
    for other in others:
        if other.kind == measure.kind:
            continue
        values = {name: other.of(cells) for name, cells in finished.items()}
        name = max(values, key=lambda n: other.score(values[n]))
        if other.score(values[name]) - other.score(values[best]) > ROUNDING:
            found = contrasted(other)
            p_holm = (found.get((name, best)) or found[best, name]).p_holm
            yield Rival(other, name, values[name], best, values[best], p_holm)
