"""A measure's interval, and which of two contestants is better by it: all from confusion matrices.

Accuracy of pairs has figures of its own (`differences`). By the other measures the test is the paired permutation test
(Edgington 1964; Yeh 2000): if two contestants are alike, their answers to an image may be swapped. Intervals take the
number of test images of each class as fixed. Those of recall and of cost are score intervals of each class, joined by
the variance estimates recovered from them (MOVER; Zou and Donner 2008), so that a rare class without a mistake is
uncertain, as it should be; those of macro-F1 are by the bootstrap (Efron 1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.evaluation.differences import FEW, LEVEL, POWER, corrected
from engine.evaluation.measures import Cells, Measure, MeasureKind, Pairs
from engine.evaluation.metrics import mcnemar, wilson
from engine.evaluation.score_intervals import ROUNDING, class_interval, pair_interval, worth, z

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

MOST_DRAWS, FEWEST_DRAWS, WORK = 10_000, 1_000, 20_000_000
"""Draws of a test or an interval, and how many numbers they may take together before there are fewer draws."""
_AT_ONCE = 500_000
"""Numbers that are in memory at a time, about."""


@dataclass(frozen=True)
class Contrast:
    """Contestant a less contestant b by a measure, positive where a is better.

    `gain` is in the measure's unit, with its interval, which `interval` names the method of. `p` is two-sided, `p_holm`
    the same after Holm's correction for all pairs. `needed` is about how many images like these would tell the two
    apart; None where they do not differ.
    """

    gain: float
    low: float
    high: float
    interval: str
    p: float
    p_holm: float
    needed: int | None


def interval(measure: Measure, cells: Cells, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95% interval of a measure's value; of no images, all that it can be."""
    import numpy as np

    right = int(cells.right.sum())
    if measure.kind == MeasureKind.ACCURACY or not cells.n:
        return wilson(right, cells.n)
    if measure.kind == MeasureKind.MACRO_F1 and min(right, cells.n - right) >= FEW:
        size, rng = _draws(len(cells.count)), np.random.default_rng(seed)
        drawn = _Drawn(measure, cells, size)
        for at, count in _by_class(cells.truth, cells.count, rng, size):
            drawn.add(int(cells.truth[at]), int(cells.answer[at]), count)
        low, high = (float(end) for end in np.quantile(drawn.scores(), (LEVEL / 2, 1 - LEVEL / 2)))
        if low < high:
            return low, high
    score, (below, above) = measure.score(measure.of(cells)), class_interval(measure, cells)
    low, high = sorted((measure.score(score - below), measure.score(score + above)))
    return max(0.0, low), high if measure.less_is_better else min(1.0, high)


def contrasts(measure: Measure, compared: Sequence[Pairs], *, seed: int = 0) -> list[Contrast]:
    """Compare every two contestants by a measure, corrected for the number of comparisons (Holm 1979).

    An interval is at the level at which Holm's procedure has tested its pair. It never contradicts the test: it reaches
    to 0 where the test finds no difference at that level, and not beyond 0 where it finds one.

    Args:
        measure: by which.
        compared: all pairs.
        seed: of the draws.

    """
    tests = [_Test(measure, pairs, seed) for pairs in compared]
    levels = corrected([test.p for test in tests])
    return [test.contrast(p, level, LEVEL / len(tests)) for test, (p, level) in zip(tests, levels, strict=True)]


class _Test:
    """One pair: p, and what its interval is made of."""

    def __init__(self, measure: Measure, pairs: Pairs, seed: int) -> None:
        import numpy as np

        self._measure, self._pairs, self._n = measure, pairs, int(pairs.count.sum())
        self._gain = measure.score(measure.of(pairs.first)) - measure.score(measure.of(pairs.second))
        self._rarest = int(min(pairs.first.support[pairs.truth], default=1))
        self._gains: NDArray[Any] = np.zeros(0)
        if measure.kind != MeasureKind.MACRO_F1:
            self.p = _linear_p(measure, pairs, seed)
            return
        telling = int(pairs.count[pairs.a != pairs.b].sum())
        self.p = _permuted_p(measure, pairs, self._gain, seed) if telling else 1.0
        if telling >= FEW:
            gains = _resampled(measure, pairs, seed)
            outside = len(gains) - max(int((gains > 0).sum()), int((gains < 0).sum()))
            self.p = max(self.p, min(1.0, 2 * (outside + 1) / (len(gains) + 1)))  # so that both agree
            self._gains = gains if gains.min() < gains.max() else self._gains

    def contrast(self, p_holm: float, level: float, strictest: float) -> Contrast:
        """Return the comparison, its interval at a level, and the images needed at the strictest one."""
        import numpy as np

        if not self._n:
            return Contrast(0.0, -1.0, 1.0, "no images", self.p, p_holm, None)
        if len(self._gains):
            low, high = (float(end) for end in np.quantile(self._gains, (level / 2, 1 - level / 2)))
            how, error = "paired bootstrap", float(self._gains.std())
        else:
            below, above = pair_interval(self._measure, self._pairs, level)
            low, high, how = self._gain - below, self._gain + above, "score interval"
            error = (below + above) / 2 / z(1 - level / 2)
        if self._measure.is_share or not self._measure.less_is_better:
            low, high = max(-1.0, low), min(1.0, high)
        if self.p >= level:
            low, high = min(low, 0.0), max(high, 0.0)
        elif low < 0 < high:
            low, high = (0.0, high) if self._gain > 0 else (low, 0.0)
        needed = None
        if abs(self._gain) > ROUNDING:
            needed = math.ceil(self._n * ((z(1 - strictest / 2) + z(POWER)) * error / self._gain) ** 2)
            # Fewer would have no image of the rarest class, or too few that differ for any test to find something.
            differ = int(self._pairs.count[self._pairs.a != self._pairs.b].sum())
            fewest = math.floor(1 - math.log2(strictest)) + 1
            needed = max(needed, math.ceil(self._n * fewest / differ), math.ceil(2 * self._n / self._rarest))
        return Contrast(self._gain, low, high, how, self.p, p_holm, needed)


def chance_p(measure: Measure, cells: Cells, *, seed: int = 0) -> float:
    """Return the two-sided p of a contestant's measure if every image had been answered with any label as likely.

    Of accuracy and of the recall of one class it is the exact binomial test, else that of drawn answers.
    """
    import numpy as np
    from scipy.stats import binomtest

    k, support, right = cells.labels, cells.support, cells.right
    if not cells.n:
        return 1.0
    if measure.kind == MeasureKind.ACCURACY or len(measure.positions) == 1:
        held = list(measure.positions) or list(range(k))
        return float(binomtest(int(right[held].sum()), int(support[held].sum()), 1 / k).pvalue)
    rng = np.random.default_rng(seed)
    draws = _draws(cells.n)
    truths = np.repeat(np.arange(k), support.astype(np.int64))
    scores, at_once = np.empty(draws), max(1, _AT_ONCE // len(truths))
    for first in range(0, draws, at_once):
        size = min(at_once, draws - first)
        answers = rng.integers(0, k, size=(size, len(truths)))
        row = np.arange(size)[:, None] * k
        named = np.bincount((row + answers).ravel(), minlength=size * k).reshape(size, k)
        hits = np.bincount((row + truths)[answers == truths], minlength=size * k).reshape(size, k)
        cost = np.zeros(size)
        if measure.costs is not None:
            cost = measure.costs.of(np.broadcast_to(truths, answers.shape), answers).sum(axis=1)
        scores[first : first + size] = measure.scores(hits.T, named.T, support, cost)
    seen = measure.score(measure.of(cells))
    above, below = int((scores >= seen - ROUNDING).sum()), int((scores <= seen + ROUNDING).sum())
    return min(1.0, 2 * (min(above, below) + 1) / (draws + 1))


# -- tests


def _linear_p(measure: Measure, pairs: Pairs, seed: int) -> float:
    """Return the two-sided p of the paired permutation test where each image adds its own part to the gain.

    Images whose parts are of one size need one binomial number a draw; where all are, the test is exact (McNemar's).
    """
    import numpy as np

    parts = worth(measure, pairs.first) - worth(measure, pairs.second)
    telling = np.abs(parts) > ROUNDING
    parts, count = parts[telling], pairs.count[telling]
    if not len(parts):
        return 1.0
    sizes, group = np.unique(np.round(np.abs(parts), 12), return_inverse=True)
    images = np.bincount(group, weights=count).astype(np.int64)
    better = np.bincount(group, weights=count * (parts > 0)).astype(np.int64)
    if len(sizes) == 1:
        return mcnemar(int(better[0]), int(images[0] - better[0]))
    size = _draws(len(sizes))
    drawn = np.random.default_rng(seed).binomial(images, 0.5, size=(size, len(sizes)))
    gains = np.abs((2 * drawn - images) @ sizes)
    seen = abs(float((2 * better - images) @ sizes))
    return float((1 + (gains >= seen - ROUNDING).sum()) / (size + 1))


def _permuted_p(measure: Measure, pairs: Pairs, gain: float, seed: int) -> float:
    """Return the two-sided p of the paired permutation test of macro-F1."""
    import numpy as np

    size, rng = _draws(int((pairs.a != pairs.b).sum())), np.random.default_rng(seed)
    one, other = _Drawn(measure, pairs.first, size), _Drawn(measure, pairs.second, size)
    for truth, a, b, count in zip(pairs.truth, pairs.a, pairs.b, pairs.count, strict=True):
        kept = rng.binomial(count, 0.5, size=size) if a != b else count
        one.add(truth, a, kept)
        other.add(truth, b, kept)
        if a != b:
            one.add(truth, b, count - kept)
            other.add(truth, a, count - kept)
    gains = np.abs(one.scores() - other.scores())
    return float((1 + (gains >= abs(gain) - ROUNDING).sum()) / (size + 1))


def _resampled(measure: Measure, pairs: Pairs, seed: int) -> NDArray[Any]:
    """Return gains on test sets whose images were drawn with replacement, as many of each class as there are."""
    import numpy as np

    size, rng = _draws(len(pairs.count)), np.random.default_rng(seed)
    one, other = _Drawn(measure, pairs.first, size), _Drawn(measure, pairs.second, size)
    for at, count in _by_class(pairs.truth, pairs.count, rng, size):
        one.add(pairs.truth[at], pairs.a[at], count)
        other.add(pairs.truth[at], pairs.b[at], count)
    gains: NDArray[Any] = one.scores() - other.scores()
    return gains


class _Drawn:
    """What macro-F1 needs of `size` drawn test sets, filled cell by cell."""

    def __init__(self, measure: Measure, cells: Cells, size: int) -> None:
        import numpy as np

        self._measure, self._support = measure, cells.support
        self._right = np.zeros((cells.labels, size))
        self._named = np.zeros((cells.labels + 1, size))

    def add(self, truth: int, answer: int, count: NDArray[Any] | int) -> None:
        """Count images of one cell, `[size]` of them."""
        self._named[answer] += count
        if truth == answer:
            self._right[truth] += count

    def scores(self) -> NDArray[Any]:
        """Return the measure of each, `[size]`."""
        return self._measure.scores(self._right, self._named[:-1], self._support, self._right[0])


def _by_class(
    truths: NDArray[Any], counts: NDArray[Any], rng: Generator, size: int
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield (cell, how often it was drawn, `[size]`): images of each class with replacement; truths are in order."""
    import numpy as np

    starts = np.flatnonzero(np.diff(truths, prepend=-1))
    for first, last in zip(starts, [*starts[1:], len(truths)], strict=True):
        n = counts[first:last].sum()
        drawn = rng.multinomial(n, counts[first:last] / n, size=size)
        for at in range(first, last):
            yield at, drawn[:, at - first]


def _draws(numbers: int) -> int:
    """Return how often to draw where each draw takes so many numbers."""
    return min(MOST_DRAWS, max(FEWEST_DRAWS, WORK // max(1, numbers)))
