"""Which contestant at which volume, by cost alone and by value net of cost, as data to be drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.evaluation.economics import Economics, Line, Terms, line


@dataclass(frozen=True)
class Stretch:
    """A range of images a month, and who is best in it: from `low` (0 at first) to `high` (inf at last).

    `name` is None where it is best to ask nobody: see `best_by_value`.
    """

    low: float
    high: float
    name: str | None


@dataclass(frozen=True)
class Curves:
    """Costs over volumes.

    Attributes:
        volumes: images a month, logarithmically spaced.
        usd: of each contestant, US dollars over the horizon at each volume.
        net: the same of what its correct answers are worth, less what it costs; only where its accuracy is known.

    """

    volumes: tuple[float, ...]
    usd: dict[str, tuple[float, ...]]
    net: dict[str, tuple[float, ...]]


def _net(e: Economics, terms: Terms) -> Line:
    """Return cost less worth, so that less is better, as it is of cost."""
    cost = line(e, terms)
    return replace(cost, per_image=cost.per_image - (e.accuracy or 0.0) * terms.value)


def best_by_cost(contestants: Sequence[Economics], terms: Terms) -> list[Stretch]:
    """Return who is cheapest at which volume. The volume of the terms is not looked at."""
    return _lowest([(e.name, line(e, terms)) for e in contestants], terms.months)


def best_by_value(contestants: Sequence[Economics], terms: Terms, *, or_nobody: bool = False) -> list[Stretch]:
    """Return who leaves most, at which volume: correct answers × the value of one, less cost.

    Args:
        contestants: those of unknown accuracy are left out.
        terms: its volume is not looked at.
        or_nobody: to ask nobody is a choice too, costs nothing and is worth nothing; its stretches have no name.

    """
    lines: list[tuple[str | None, Line]] = [(e.name, _net(e, terms)) for e in contestants if e.accuracy is not None]
    if or_nobody:
        lines.append((None, Line("", 0.0, 0.0)))
    return _lowest(lines, terms.months)


def _lowest(lines: Sequence[tuple[str | None, Line]], months: float) -> list[Stretch]:
    """Return the lower envelope. Of two that are alike the first named stands."""
    if not lines:
        return []
    name, best = min(lines, key=lambda item: (item[1].fixed, item[1].per_image))
    found: list[Stretch] = []
    start = 0.0
    while True:
        # Only a flatter line can come below this one; of those that do so first, the flattest stays there.
        ahead = [
            ((other.fixed - best.fixed) / (best.per_image - other.per_image), other.per_image, at)
            for at, (_, other) in enumerate(lines)
            if other.per_image < best.per_image
        ]
        if not ahead:
            return [*found, Stretch(start, math.inf, name)]
        crossing, _, at = min(ahead)
        volume = max(start, crossing / months)
        if volume > start:
            found.append(Stretch(start, volume, name))
        name, best = lines[at]
        start = volume


def curves(
    contestants: Sequence[Economics], terms: Terms, low: float = 100, high: float = 10_000_000, points: int = 51
) -> Curves:
    """Return each contestant's cost, and worth less cost, at `points` volumes from `low` to `high` images a month."""
    ratio = (high / low) ** (1 / (points - 1))
    volumes = tuple(low * ratio**n for n in range(points))

    def drawn(of: Line, sign: int) -> tuple[float, ...]:
        return tuple(sign * of.at(volume * terms.months) for volume in volumes)

    usd = {e.name: drawn(line(e, terms), 1) for e in contestants}
    return Curves(volumes, usd, {e.name: drawn(_net(e, terms), -1) for e in contestants if e.accuracy is not None})
