"""How alike two pictures look: two small fingerprints, and all pairs that are near, without comparing all pairs.

ImageHash has the same fingerprints but brings PyWavelets along for one that is not needed here; these are some
lines over numpy. A picture without detail (one colour) has no fingerprint: every such picture would equal every other.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bits = NDArray[np.uint64]

NEAR = 8
"""So many of the 64 bits of the cosine fingerprint may differ. Among 6,000 real photographs all pairs within both
limits were one picture, scaled or coloured anew; beyond them came dogs that merely stand alike."""
NEAR_STEPS = 8
"""So many of the 64 bits of the step fingerprint may differ."""
FLAT = 3.0
"""A picture whose greys spread less than this (of 255) has no fingerprint."""
BANDS = NEAR + 1
"""Two fingerprints that differ in at most `NEAR` bits are equal in one of so many bands (pigeonhole)."""
BLOCK = 512
_SIDE = 32
_FREQUENCIES = 8
_COSINES = np.array(
    [[math.cos(math.pi * u * (2 * x + 1) / (2 * _SIDE)) for x in range(_SIDE)] for u in range(_FREQUENCIES)],
    dtype=np.float32,
)


def fingerprint(image: Image.Image) -> tuple[int, int] | None:
    """Return a decoded picture's two fingerprints: low cosine frequencies, and steps from left to right.

    Both are 64 bits as signed integers, as SQLite keeps them; None where the picture has no detail.
    """
    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float32)
    if float(pixels.std()) < FLAT:
        return None
    low = (_COSINES @ pixels @ _COSINES.T).ravel()
    steps = np.asarray(small.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    # The mean stands apart from all other frequencies, and would hide in their median.
    return _bits(low > np.median(low[1:])), _bits((steps[:, 1:] > steps[:, :-1]).ravel())


def _bits(flags: Any) -> int:
    return int.from_bytes(np.packbits(flags).tobytes(), "big", signed=True)


class Likeness:
    """Collects fingerprints, 24 bytes a picture, and groups those that are near each other."""

    def __init__(self) -> None:
        self._keys, self._cosines, self._steps = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: int, cosines: int, steps: int) -> None:
        """Add a picture."""
        self._keys.append(key)
        self._cosines.append(cosines)
        self._steps.append(steps)

    def groups(self) -> Iterator[list[int]]:
        """Yield the keys of pictures that look alike, in the order in which they were added."""
        if len(self._keys) < 2:
            return
        cosines = np.frombuffer(self._cosines, dtype=np.uint64)
        steps = np.frombuffer(self._steps, dtype=np.uint64)
        # Equal ones are one, so that a thousand copies are no million pairs.
        both = np.stack([cosines, steps], axis=1)
        distinct, first = np.unique(both, axis=0, return_inverse=True)
        first = first.ravel()
        parents = np.arange(len(distinct))
        for left, right in _pairs(distinct[:, 0].copy(), distinct[:, 1].copy()):
            a, b = _root(parents, left), _root(parents, right)
            if a != b:
                parents[max(a, b)] = min(a, b)
        while not np.array_equal(parents, parents[parents]):
            parents = parents[parents]
        roots = parents[first]
        order = np.argsort(roots, kind="stable")
        edges = np.flatnonzero(np.diff(roots[order])) + 1
        starts, ends = np.concatenate(([0], edges)), np.concatenate((edges, [len(order)]))
        several = np.flatnonzero(ends - starts > 1)
        found = [order[starts[n] : ends[n]] for n in several]
        for members in sorted(found, key=lambda m: int(m[0])):
            yield [self._keys[int(n)] for n in members]


def _pairs(cosines: Bits, steps: Bits) -> Iterator[tuple[int, int]]:
    """Yield pairs that are near: candidates share a band, and only they are compared."""
    width = 64 / BANDS
    for band in range(BANDS):
        low, high = round(band * width), round((band + 1) * width)
        values = (cosines >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(values, kind="stable")
        edges = np.flatnonzero(np.diff(values[order])) + 1
        for bucket in _runs(order, edges):
            # In blocks, so that a bucket that holds everything takes time but no memory.
            for start in range(0, len(bucket), BLOCK):
                rows = bucket[start : start + BLOCK]
                for other in range(start, len(bucket), BLOCK):
                    columns = bucket[other : other + BLOCK]
                    near = np.bitwise_count(cosines[rows, None] ^ cosines[None, columns]) <= NEAR
                    near &= np.bitwise_count(steps[rows, None] ^ steps[None, columns]) <= NEAR_STEPS
                    for left, right in zip(*(axis.tolist() for axis in np.nonzero(near)), strict=True):
                        if rows[left] < columns[right]:
                            yield int(rows[left]), int(columns[right])


def _runs(order: NDArray[np.intp], edges: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    start = 0
    for end in [*edges.tolist(), len(order)]:
        if end - start > 1:
            yield order[start:end]
        start = end


def _root(parents: NDArray[np.intp], node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = int(parents[node])
    return int(node)
