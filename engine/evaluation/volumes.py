"""Which contestant at which volume, by cost alone and by value net of cost, and which terms would change the choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.evaluation.economics import Economics, Line, line
from engine.evaluation.terms import Terms
from engine.quantities import counted


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
        crossing, _, at = min(ahead, default=(math.inf, 0.0, 0))
        volume = max(start, crossing / months)
        if math.isinf(volume):  # of lines that are all but parallel the crossing is beyond any number
            return [*found, Stretch(start, math.inf, name)]
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


@dataclass(frozen=True)
class Flip:
    """A term beyond which another contestant is the choice.

    Attributes:
        term: `volume` (images a month), `hosting_hours` or `machine_hours` (a day).
        at: its value there.
        above: the other one is the choice above it, else below.
        name: the other one; None where it is best to query none.
        by_value: the choice is what leaves most, not the cheapest.

    """

    term: str
    at: float
    above: bool
    name: str | None
    by_value: bool = False

    @property
    def sentence(self) -> str:
        """The same in words."""
        where = "above" if self.above else "below"
        who = f"{self.name} is the cheapest of those that this test cannot tell apart"
        if self.by_value:
            who = f"{self.name} leaves the most" if self.name else "no contestant pays for itself"
        if self.term == "volume":
            volume = f"{counted(math.ceil(self.at), 'image')} a month"
            return f"The volume: {f'from {volume} on' if self.above else f'below {volume}'} {who}."
        what = "hosting" if self.term == "hosting_hours" else "machine"
        hours = f"{self.at:.3g} a day" if self.at >= 1 else f"{60 * self.at:.2g} minutes a day"
        return f"The {what} hours: {where} {hours} {who}."


def flips(contestants: Sequence[Economics], terms: Terms, *, by_value: bool) -> list[Flip]:
    """Return where the volume, hosting hours and machine hours would change which contestant is the choice.

    Args:
        contestants: those to choose from.
        terms: all but the one that changes.
        by_value: the choice is what leaves most (see `best_by_value`), none included; else the cheapest.

    """
    if by_value:
        found = _beside(best_by_value(contestants, terms, or_nobody=True), terms.volume, "volume", math.inf)
    else:
        found = _beside(best_by_cost(contestants, terms), terms.volume, "volume", math.inf)
    for term in ("hosting_hours", "machine_hours"):
        hours = getattr(terms, term)
        if hours is None:
            continue  # it is paid in use, and has no hours to change
        lines: list[tuple[str | None, Line]] = []
        for e in contestants:
            none, all_day = (
                (_net(e, t) if by_value else line(e, t)).at(terms.images)
                for t in (_at(terms, term, 0.0), _at(terms, term, 24.0))
            )
            lines.append((e.name, Line(e.name, none, (all_day - none) / 24)))
        if by_value:
            lines.append((None, Line("", 0.0, 0.0)))
        found += _beside(_lowest(lines, 1.0), hours, term, 24.0)
    return [replace(flip, by_value=by_value) for flip in found]


def _at(terms: Terms, term: str, hours: float) -> Terms:
    changed = {term: hours}
    return replace(terms, **changed)  # type: ignore[arg-type]


def _beside(stretches: Sequence[Stretch], now: float, term: str, most: float) -> list[Flip]:
    """Return the ends of the stretch in which a term lies, with what is on the other side of each."""
    at = next((n for n, s in enumerate(stretches) if s.low <= now <= s.high), None)
    if at is None:
        return []
    here = stretches[at]
    found = []
    if at > 0 and here.low >= (1 if term == "volume" else 1e-9):
        found.append(Flip(term, here.low, False, stretches[at - 1].name))
    if at + 1 < len(stretches) and here.high <= most:
        found.append(Flip(term, here.high, True, stretches[at + 1].name))
    return found
