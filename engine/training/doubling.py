"""Points of a learning curve, and what they say of more labels. Nothing is trained here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.quantities import points


@dataclass(frozen=True)
class Point:
    """What was reached with so many labels.

    Attributes:
        per_class: training images a class, the mean where classes differ.
        images: training images in all.
        accuracy: share of the validation images, the mean over `seeds` draws.
        low, high: its 95% Wilson interval.
        n: validation images.
        seeds: how many sets of this size were drawn and learned from.
        spread: standard deviation of the accuracy between them; None of one.
        all: whether this is every training image there is.
        seconds: that it took to learn.

    """

    per_class: int
    images: int
    accuracy: float
    low: float
    high: float
    n: int
    seeds: int
    spread: float | None
    all: bool
    seconds: float


@dataclass(frozen=True)
class Doubling:
    """What twice the labels are likely to bring.

    Accuracy grows about linearly with the logarithm of the number of images (Sun et al. 2017,
    https://arxiv.org/abs/1707.02968), and less and less where it nears its ceiling: the slope of the last points in
    log2(images) is what one more doubling brings at best.

    Attributes:
        gain: that slope, by least squares, as a share; never more than what is wrong now.
        low, high: its 95% interval, from the validation images, which all points share.
        per_class: the points that it is taken from.

    """

    gain: float
    low: float
    high: float
    per_class: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """It in words."""
        way = "→".join(f"{count:,}" for count in self.per_class)
        told = f"twice the labels: about {points(self.gain)} points (from {way} a class)"
        return told if self.low > 0 else f"{told}, which may be chance"


def doubling(points: Sequence[Point], rights: Sequence[np.ndarray]) -> Doubling | None:
    """Return what another doubling would bring, by the last two points, or by three where two lie close together.

    Args:
        points: the fewest labels first.
        rights: of each point, how often each validation image was right, 0 to 1: `[n]`.

    Returns:
        None where one point is no curve.

    """
    logs = [math.log2(point.images) for point in points]
    last = 3 if len(points) > 2 and logs[-1] - logs[-2] < 0.75 else 2
    x = np.array(logs[-last:])
    if len(x) < 2 or x[-1] <= x[0]:
        return None
    lean = (x - x.mean()) / ((x - x.mean()) ** 2).sum()  # the least-squares slope is a weighted sum of accuracies
    each = lean @ np.stack(rights[-last:])  # and that is the mean of each image's own
    gain = float(each.mean())
    error = 1.96 * float(each.std()) / math.sqrt(len(each))
    room = 1 - points[-1].accuracy
    low, high = min(gain - error, room), min(gain + error, room)
    return Doubling(min(gain, room), low, high, tuple(point.per_class for point in points[-last:]))
