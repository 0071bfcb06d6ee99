"""Which contestants and cascades nobody beats in both cost and accuracy, as data to be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from engine.evaluation.cascade import Cascade
from engine.evaluation.comparison import ContestantResult
from engine.evaluation.economics import Economics, total
from engine.evaluation.terms import Terms


@dataclass(frozen=True)
class Point:
    """A contestant or a cascade by what it costs and what it gets right.

    Attributes:
        name: its name.
        kind: a contestant's kind, or `cascade`.
        usd: for 1,000 images; training, hosting and machine in it by their share.
        accuracy: share of all test images; `low` and `high` are its interval.
        low: see there.
        high: see there.
        dominated_by: who costs no more, is right no less often, and is better in one of both; the most accurate first.

    """

    name: str
    kind: str
    usd: float
    accuracy: float
    low: float
    high: float
    dominated_by: tuple[str, ...] = ()

    @property
    def dominated(self) -> bool:
        """Whether somebody else is better in one and no worse in the other."""
        return bool(self.dominated_by)


def points(
    results: Iterable[ContestantResult], cascades: Iterable[Cascade], economics: Mapping[str, Economics], terms: Terms
) -> list[Point]:
    """Return what is to be held against each other; whose costs are not known is left out.

    Args:
        results: the comparison's rows.
        cascades: computed ones.
        economics: of the contestants as `economics.by_name` has them.
        terms: volume and horizon, over which what is paid once and by the hour is spread.

    """
    found = []
    for r in results:
        if r.name in economics and economics[r.name].known(terms):
            usd = total(economics[r.name], terms).per_thousand
            found.append(Point(r.name, str(r.kind), usd, r.accuracy, r.accuracy_low, r.accuracy_high))
    for c in cascades:
        if c.economics is not None and c.economics.known(terms):
            found.append(
                Point(c.name, c.economics.kind, total(c.economics, terms).per_thousand, c.accuracy, c.low, c.high)
            )
    return found


def frontier(candidates: Iterable[Point]) -> list[Point]:
    """Return all of them, the cheapest first, each with those that dominate it (Pareto).

    Measured accuracies are compared as they are; whether a difference is beyond chance is for the paired test to find.
    """
    everyone = sorted(candidates, key=lambda p: (p.usd, -p.accuracy))
    return [
        replace(
            p,
            dominated_by=tuple(
                o.name for o in sorted(everyone, key=lambda o: (-o.accuracy, o.usd)) if _dominates(o, p)
            ),
        )
        for p in everyone
    ]


def _dominates(one: Point, other: Point) -> bool:
    no_worse = one.usd <= other.usd and one.accuracy >= other.accuracy
    return no_worse and (one.usd < other.usd or one.accuracy > other.accuracy)
