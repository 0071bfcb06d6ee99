"""Intervals of means over classes, of recalls and of costs: score intervals of each class, joined.

The number of test images of each class is fixed. Of a class whose images differ in what they add (costs of several
kinds of mistake), the spread of these is added to the score interval of how many do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.evaluation.differences import LEVEL, tango
from engine.evaluation.measures import Cells, Measure, MeasureKind, Pairs
from engine.evaluation.metrics import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDING = 1e-12


def class_interval(measure: Measure, cells: Cells) -> tuple[float, float]:
    """Return the 95% interval of a measure's value: Wilson's of each class, joined (MOVER). Not of macro-F1."""
    return _joined(_class_figures(measure, cells))


def pair_interval(measure: Measure, pairs: Pairs, level: float) -> tuple[float, float]:
    """Return the interval of a gain at a level: Tango's of each class, joined (MOVER). Not of macro-F1."""
    return _joined(_pair_figures(measure, pairs, level))


_Figure = tuple[float, float, float]
"""A class's part of a measure, and the ends of its interval."""


def worth(measure: Measure, cells: Cells) -> NDArray[Any]:
    """Return what an image of each cell adds to the measure's score, `[m]`; not of macro-F1."""
    if measure.costs is not None:
        return -measure.costs.of(cells.truth, cells.answer) / max(1, cells.n)
    weights: NDArray[Any] = _weights(measure, cells.support)[cells.truth] * (cells.truth == cells.answer)
    return weights


def _weights(measure: Measure, support: NDArray[Any]) -> NDArray[Any]:
    """Return what one recognised image of each class adds to a mean of recalls, or to accuracy, `[labels]`."""
    import numpy as np

    if measure.kind == MeasureKind.ACCURACY:
        return np.full(len(support), 1 / max(1, support.sum()))
    held = np.zeros(len(support), dtype=bool)
    held[list(measure.positions) or np.flatnonzero(support)] = True
    return np.where(held, 1 / np.maximum(support, 1) / max(1, held.sum()), 0.0)


def _class_figures(measure: Measure, cells: Cells) -> Iterator[_Figure]:
    """Yield each class's part of a measure's value: Wilson's interval of the images that add to it."""
    parts = worth(measure, cells) * (-1 if measure.less_is_better else 1)
    for held, n in _classes(cells.truth, cells.count):
        here, count = parts[held], cells.count[held]
        k, value = int(count[here > 0].sum()), float(here @ count)
        size = value / k if k else _size(measure, cells, int(cells.truth[held][0]))
        error = z(1 - LEVEL / 2) * math.sqrt(float(count @ ((here > 0) * (here - size) ** 2)))
        low, high = wilson(k, n)
        yield value, value - math.hypot(size * (k - n * low), error), value + math.hypot(size * (n * high - k), error)


def _pair_figures(measure: Measure, pairs: Pairs, level: float) -> Iterator[_Figure]:
    """Yield each class's part of a gain: Tango's interval of the images that add to it on either side."""
    parts = worth(measure, pairs.first) - worth(measure, pairs.second)
    for held, n in _classes(pairs.truth, pairs.count):
        here, count = parts[held], pairs.count[held]
        tells = abs(here) > ROUNDING
        k_a, k_b, value = (
            int(count[tells & (here > 0)].sum()),
            int(count[tells & (here < 0)].sum()),
            float(here @ count),
        )
        size = (
            float(abs(here) @ count) / (k_a + k_b)
            if tells.any()
            else _size(measure, pairs.first, int(pairs.truth[held][0]))
        )
        error = z(1 - level / 2) * math.sqrt(float(count @ (tells * (abs(here) - size) ** 2)))
        low, high = (size * (n * end - (k_a - k_b)) for end in _tango(k_a, k_b, n, level))
        yield value, value - math.hypot(low, error), value + math.hypot(high, error)


def _size(measure: Measure, cells: Cells, truth: int) -> float:
    """Return how much an image of a class can add at most, for classes in which none does."""
    import numpy as np

    if measure.costs is None:
        return float(_weights(measure, cells.support)[truth])
    answers = np.arange(cells.labels + 1)
    return float(measure.costs.of(np.full_like(answers, truth), answers).max() / cells.n)


def _classes(truths: NDArray[Any], counts: NDArray[Any]) -> Iterator[tuple[slice, int]]:
    """Yield of each class the cells that are its own, and its number of images; truths are in order."""
    import numpy as np

    starts = np.flatnonzero(np.diff(truths, prepend=-1))
    for first, last in zip(starts, [*starts[1:], len(truths)], strict=True):
        yield slice(first, last), int(counts[first:last].sum())


@lru_cache(maxsize=4096)
def _tango(only_a: int, only_b: int, n: int, level: float) -> tuple[float, float]:
    return tango(only_a, only_b, n, level)


@lru_cache(maxsize=64)
def z(probability: float) -> float:
    """Return the quantile of the normal distribution."""
    from scipy.stats import norm

    return float(norm.ppf(probability))


def _joined(parts: Iterable[_Figure]) -> tuple[float, float]:
    """Return the interval of a sum of independent figures by their own intervals."""
    middle = below = above = 0.0
    for value, low, high in parts:
        middle += value
        below += (value - low) ** 2
        above += (high - value) ** 2
    return middle - math.sqrt(below), middle + math.sqrt(above)
