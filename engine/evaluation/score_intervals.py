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
    """Return how far the 95% interval of a measure's score reaches below and above it: Wilson's of each class, joined.

    Macro-F1 is taken as linear in the answers here (delta method).
    """
    return _joined(_class_figures(measure, cells))


def pair_interval(measure: Measure, pairs: Pairs, level: float) -> tuple[float, float]:
    """Return how far the interval of a gain reaches below and above it at a level: Tango's of each class, joined."""
    return _joined(_pair_figures(measure, pairs, level))


_Figure = tuple[float, float]
"""How far the interval of a class's part of a score reaches below and above it."""


def worth(measure: Measure, cells: Cells) -> NDArray[Any]:
    """Return what an image of each cell adds to the measure's score, `[m]`; of macro-F1, at the margin."""
    import numpy as np

    if measure.costs is not None:
        return -measure.costs.of(cells.truth, cells.answer) / max(1, cells.n)
    right = cells.truth == cells.answer
    weights: NDArray[Any] = _weights(measure, cells)[cells.truth] * right
    if measure.kind == MeasureKind.MACRO_F1:  # an answer takes from the precision of the class that it names
        sizes = np.maximum(cells.support + cells.named, 1)
        taken = np.append(np.where(cells.support > 0, 2 * cells.right / sizes**2, 0.0), 0.0)
        weights = weights - taken[cells.answer] / max(1, int((cells.support > 0).sum()))
    return weights


def _weights(measure: Measure, cells: Cells) -> NDArray[Any]:
    """Return what one recognised image of each class adds to the score, `[labels]`; not of costs."""
    import numpy as np

    support = cells.support
    if measure.kind == MeasureKind.ACCURACY:
        return np.full(len(support), 1 / max(1, support.sum()))
    held = np.zeros(len(support), dtype=bool)
    held[list(measure.positions) or np.flatnonzero(support)] = True
    sizes = (support + cells.named) / 2 if measure.kind == MeasureKind.MACRO_F1 else support
    return np.where(held, 1 / np.maximum(sizes, 0.5) / max(1, held.sum()), 0.0)


def _class_figures(measure: Measure, cells: Cells) -> Iterator[_Figure]:
    """Yield of each class Wilson's interval of how many of its images add to the score, times what they add."""
    parts = worth(measure, cells)
    for held, n in _classes(cells.truth, cells.count):
        here, count, most = parts[held], cells.count[held], _size(measure, cells, int(cells.truth[held][0]))
        # Costs are negative: what an image adds is what it spares, and if none costs, as much as the dearest mistake.
        least = min(0.0, here.min()) or (-most if measure.less_is_better else 0.0)
        here = here - least
        k = int(count[here > 0].sum())
        size = float(here @ count) / k if k else most
        error = z(1 - LEVEL / 2) * math.sqrt(float(count @ ((here > 0) * (here - size) ** 2)))
        low, high = wilson(k, n)
        yield math.hypot(size * (k - n * low), error), math.hypot(size * (n * high - k), error)


def _pair_figures(measure: Measure, pairs: Pairs, level: float) -> Iterator[_Figure]:
    """Yield of each class Tango's interval of the images that add to the gain on either side, times what they add."""
    parts = worth(measure, pairs.first) - worth(measure, pairs.second)
    for held, n in _classes(pairs.truth, pairs.count):
        here, count = parts[held], pairs.count[held]
        tells = (abs(here) > ROUNDING) & (pairs.a[held] != pairs.b[held])
        here = here * tells
        k_a, k_b = int(count[here > 0].sum()), int(count[here < 0].sum())
        truth = int(pairs.truth[held][0])
        size = float(abs(here) @ count) / (k_a + k_b) if k_a + k_b else _size(measure, pairs.first, truth)
        error = z(1 - level / 2) * math.sqrt(float(count @ (tells * (abs(here) - size) ** 2)))
        low, high = (size * (n * end - (k_a - k_b)) for end in _tango(k_a, k_b, n, level))
        yield math.hypot(low, error), math.hypot(high, error)


def _size(measure: Measure, cells: Cells, truth: int) -> float:
    """Return how much an image of a class can add at most, for classes in which none does."""
    import numpy as np

    if measure.costs is None:
        return float(_weights(measure, cells)[truth])
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
    """Return how far the interval of a sum of independent figures reaches, by their own intervals (MOVER)."""
    below = above = 0.0
    for low, high in parts:
        below += low**2
        above += high**2
    return math.sqrt(below), math.sqrt(above)
