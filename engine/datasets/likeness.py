"""How alike two pictures look: small fingerprints find who may be near, their pixels tell who is.

ImageHash has the same fingerprints but brings PyWavelets along for one that is not needed here; these are some
lines over numpy. A picture without detail (one colour) has no fingerprint: every such picture would equal every other.

Fingerprints are made for photographs. Among digits, icons or scans most pictures differ in few bits, so that a pair
counts only if its pixels, at a small size, are much nearer to each other than either is to the rest of the set.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from engine.backbones.images import as_seen_in_grey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bits = NDArray[np.uint64]
    Floats = NDArray[np.float32]
    Rows = NDArray[np.intp]

NEAR = 8
"""So many of the 64 bits of the cosine fingerprint may differ. Among 6,000 real photographs all pairs within both
limits were one picture, scaled or coloured anew; beyond them came dogs that merely stand alike."""
NEAR_STEPS = 8
"""So many of the 64 bits of the step fingerprint may differ."""
FLAT = 3.0
"""A picture whose greys spread less than this (of 255) has no fingerprint."""
SMALLEST = 32
"""Of a picture with a shorter side than this, a copy that is scaled or saved anew may have other fingerprints."""
BANDS = NEAR + 1
"""Two fingerprints that differ in at most `NEAR` bits are equal in one of so many bands (pigeonhole)."""
BLOCK = 512
OTHERS = 256
"""So many pictures of the set stand for all, when it is asked how near a picture is to them."""
CLOSER = 0.15
"""A pair is so much nearer (in 1 - correlation) than chance. True pairs of photographs came to 0.09 at most."""
PAIRS_SHARE = 0.5
"""Of the time that groups take, about what it takes to find the pairs."""
CROWDED = 0.65
"""Chance correlations above this are those of a set whose pictures are all of a kind (photographs: 0.64 at most,
digits: 0.82 and 0.90 in the middle). There, only pictures that are equal but for an encoder's noise count."""
EQUAL = 0.998
NEAR_CROWDED = 4
_SIDE = 32
_SMALL = 8
_FREQUENCIES = 8
_COSINES = np.array(
    [[math.cos(math.pi * u * (2 * x + 1) / (2 * _SIDE)) for x in range(_SIDE)] for u in range(_FREQUENCIES)],
    dtype=np.float32,
)


_POOL = np.kron(np.eye(_SMALL), np.full(_SIDE // _SMALL, _SMALL / _SIDE)).astype(np.float32)


class Print(NamedTuple):
    """A picture's fingerprints, 64 bits each as a signed integer, and its pixels at 8×8, as signed bytes."""

    cosines: int
    steps: int
    pixels: bytes


def fingerprint(image: Image.Image) -> Print | None:
    """Return the fingerprints of a picture as it is seen: low cosine frequencies, and steps from left to right.

    None where the picture has no detail.
    """
    small = as_seen_in_grey(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float32)
    if float(pixels.std()) < FLAT:
        return None
    low = (_COSINES @ pixels @ _COSINES.T).ravel()
    steps = np.asarray(small.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    few = _POOL @ pixels @ _POOL.T
    few -= few.mean()
    few *= 127 / max(1e-3, float(np.abs(few).max()))  # brightness and contrast are no matter
    # The mean stands apart from all other frequencies, and would hide in their median.
    return Print(
        _bits(low > np.partition(low[1:], 31)[31]),  # their median, 63 in all
        _bits((steps[:, 1:] > steps[:, :-1]).ravel()),
        few.round().astype(np.int8).tobytes(),
    )


def _bits(flags: Any) -> int:
    return int.from_bytes(np.packbits(flags).tobytes(), "big", signed=True)


class Likeness:
    """Collects fingerprints, 89 bytes a picture, and groups those that are near each other."""

    def __init__(self) -> None:
        self._keys, self._cosines, self._steps = array("q"), array("q"), array("q")
        self._pixels, self._tiny = bytearray(), bytearray()
        self._crowded: list[int] = []

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: int, found: Print, *, tiny: bool = False) -> None:
        """Add a picture; of a tiny one (`SMALLEST`) only those that are nearly equal count as alike."""
        self._keys.append(key)
        self._cosines.append(found.cosines)
        self._steps.append(found.steps)
        self._pixels += found.pixels
        self._tiny.append(tiny)

    def crowded(self) -> list[int]:
        """Return the keys of pictures that have many like them, so that only equal ones counted; after `groups`."""
        return self._crowded

    def groups(self, progress: Callable[[float], None] | None = None) -> Iterator[list[int]]:
        """Yield keys of pictures that look alike: one that came early, then all that look like that very one.

        Nobody is in a group because of somebody in between; a picture may be in several groups.

        Args:
            progress: called with the share that is done, 0 to 1; may raise to stop.

        """
        if len(self._keys) < 2:
            return
        cosines, steps = (np.frombuffer(values, dtype=np.uint64) for values in (self._cosines, self._steps))
        pixels = np.frombuffer(self._pixels, dtype=np.int8).reshape(-1, _SMALL * _SMALL)
        first, some, copies = _distinct(cosines, steps, pixels)
        tiny = np.frombuffer(self._tiny, dtype=np.bool_)[first]
        near = _Near(cosines[first], steps[first], pixels, first, tiny, some)
        report = progress or (lambda _share: None)
        stars, several = near.stars(lambda share: report(PAIRS_SHARE * share)), copies.several()
        for leader, members in _without_repetition(stars, several):
            report(PAIRS_SHARE + (1 - PAIRS_SHARE) * leader / len(first))
            head, *same = copies.of(leader)
            rest = sorted([*same, *(n for member in members for n in copies.of(member))])
            yield [self._keys[n] for n in (head, *rest)]
        self._crowded = sorted(self._keys[int(n)] for at in near.crowded() for n in copies.of(at))


def _distinct(cosines: Bits, steps: Bits, pixels: NDArray[np.int8]) -> tuple[Rows, Rows, _Copies]:
    """Return the first of each of the different pictures, some that stand for all, and who is the same as whom.

    Equal ones are one, so that a thousand copies are no million pairs. They are in the order in which they came; on
    who stands for all, that has no influence.
    """
    random = np.random.default_rng(1).integers(1, 2**63, 10, dtype=np.uint64) | np.uint64(1)
    mixed = cosines * random[0] ^ steps * random[1]
    for column, factor in zip(pixels.view(np.uint64).T, random[2:], strict=True):
        mixed = (mixed ^ column) * factor
        mixed ^= mixed >> np.uint64(29)
    _, first, inverse = np.unique(mixed, return_index=True, return_inverse=True)
    came = np.argsort(first)
    order = np.argsort(inverse, kind="stable")
    starts = np.concatenate(([0], np.flatnonzero(np.diff(inverse[order])) + 1, [len(order)]))
    return first[came], np.sort(np.argsort(came)[:OTHERS]), _Copies(order, starts[came], starts[came + 1])


class _Copies(NamedTuple):
    """Who is the same as whom: the different pictures' places in one long row."""

    order: Rows
    starts: Rows
    ends: Rows

    def of(self, number: int) -> list[int]:
        """Return all that are the same as one of the different pictures, that one first."""
        found: list[int] = self.order[self.starts[number] : self.ends[number]].tolist()
        return found

    def several(self) -> list[int]:
        """Return those of which there are several."""
        found: list[int] = np.flatnonzero(self.ends - self.starts > 1).tolist()
        return found


def _without_repetition(stars: dict[int, set[int]], alone: list[int]) -> Iterator[tuple[int, set[int]]]:
    """Yield stars in order, without those that lie wholly in another one; `alone` are such without members."""
    of: dict[int, list[int]] = {}
    for leader, members in stars.items():
        for member in members:
            of.setdefault(member, []).append(leader)
    for leader in sorted({*stars, *alone}):
        members = stars.get(leader, set())
        if not any(members <= stars[other] | {other} for other in of.get(leader, ()) if _first(stars, other, leader)):
            yield leader, members


def _first(stars: dict[int, set[int]], one: int, other: int) -> bool:
    """Tell which of two stars stays where they are the same."""
    return (-len(stars.get(one, ())), one) < (-len(stars.get(other, ())), other)


class _Near:
    """Looks for pictures that are near each other."""

    def __init__(
        self, cosines: Bits, steps: Bits, pixels: NDArray[np.int8], first: Rows, tiny: NDArray[np.bool_], some: Rows
    ) -> None:
        self._cosines, self._steps, self._pixels, self._first, self._tiny = cosines, steps, pixels, first, tiny
        self._chance = np.full(len(first), np.nan, dtype=np.float32)
        self._others = self._of(some)
        # Of a small set, the few that may be copies of a picture are not what is there by chance.
        self._rank = min(len(some), 1 + max(4, len(some) // 20))

    def crowded(self) -> list[int]:
        """Return who was found to have many like it."""
        return np.flatnonzero(self._chance > CROWDED).tolist()

    def stars(self, report: Callable[[float], None]) -> dict[int, set[int]]:
        """Return who leads whom. Who is led leads nobody but one that is led by none: pairs stay few.

        `report` is called with the share that is done.
        """
        led = np.zeros(len(self._first), dtype=bool)
        stars: dict[int, set[int]] = {}
        for left, right in self._candidates(report):
            open_ = ~(led[left] & led[right])
            left, right = left[open_], right[open_]
            near = self._nearer_than_chance(left, right)
            for one, other in zip(left[near].tolist(), right[near].tolist(), strict=True):
                if not led[one]:
                    stars.setdefault(one, set()).add(other)
                    led[other] = True
                elif not led[other]:
                    stars.setdefault(other, set()).add(one)
        return stars

    def _nearer_than_chance(self, left: Rows, right: Rows) -> NDArray[np.bool_]:
        chance = np.maximum(self._chance_of(left), self._chance_of(right))
        crowded = (chance > CROWDED) | self._tiny[left] | self._tiny[right]
        bits = np.maximum(
            np.bitwise_count(self._cosines[left] ^ self._cosines[right]),
            np.bitwise_count(self._steps[left] ^ self._steps[right]),
        )
        found: NDArray[np.bool_] = ~crowded | (bits <= NEAR_CROWDED)
        left, right, chance, crowded = left[found], right[found], chance[found], crowded[found]
        alike = np.einsum("ij,ij->i", self._of(left), self._of(right))
        found[found] = np.where(crowded, alike >= EQUAL, 1 - alike <= CLOSER * (1 - chance))
        return found

    def _of(self, rows: Rows) -> Floats:
        """Return the pixels of some, so that their product is the correlation."""
        pixels = self._pixels[self._first[rows]].astype(np.float32)
        pixels -= pixels.mean(axis=1, keepdims=True)
        pixels /= np.linalg.norm(pixels, axis=1, keepdims=True) + 1e-6
        return pixels

    def _chance_of(self, rows: Rows) -> Floats:
        """Return how near one in twenty of the others is to each of some pictures."""
        new = np.unique(rows[np.isnan(self._chance[rows])])
        for at in range(0, len(new), BLOCK):
            some = new[at : at + BLOCK]
            near = self._of(some) @ self._others.T
            at_rank = near.shape[1] - self._rank
            self._chance[some] = np.partition(near, at_rank, axis=1)[:, at_rank]
        return self._chance[rows]

    def _candidates(self, report: Callable[[float], None]) -> Iterator[tuple[Rows, Rows]]:
        """Yield pairs with near fingerprints, the earlier one left: they share a band, and only such are compared."""
        cosines, steps = self._cosines, self._steps
        width = 64 / BANDS
        for band in range(BANDS):
            low, high = round(band * width), round((band + 1) * width)
            values = (cosines >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
            order = np.argsort(values, kind="stable")
            edges = np.flatnonzero(np.diff(values[order])) + 1
            passed = 0
            for bucket in _runs(order, edges):
                # In blocks, so that a bucket that holds everything takes time but no memory.
                for start in range(0, len(bucket), BLOCK):
                    report((band + passed / len(order)) / BANDS)
                    passed += len(bucket[start : start + BLOCK])
                    rows = bucket[start : start + BLOCK]
                    for other in range(start, len(bucket), BLOCK):
                        columns = bucket[other : other + BLOCK]
                        near = np.bitwise_count(cosines[rows, None] ^ cosines[None, columns]) <= NEAR
                        near &= np.bitwise_count(steps[rows, None] ^ steps[None, columns]) <= NEAR_STEPS
                        left, right = np.nonzero(near)
                        left, right = rows[left], columns[right]
                        if (left < right).any():
                            yield left[left < right], right[left < right]


def _runs(order: Rows, edges: Rows) -> Iterator[Rows]:
    start = 0
    for end in [*edges.tolist(), len(order)]:
        if end - start > 1:
            yield order[start:end]
        start = end
