"""What contestants cost beyond this test: once, by the hour and by the image, for a volume and a horizon.

Money is US dollars. Under given `Terms` each contestant's cost is a straight line over the number of images a
month; `line` is that line, and all that follows is arithmetic on lines.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.evaluation.comparison import ContestantResult
from engine.evaluation.terms import Terms
from engine.states import ContestantKind, Outcome

if TYPE_CHECKING:
    from engine.azure.prices import ModelPrices

EMULATED = " (emulated)"
"""How the comparison ends the name of an emulated contestant."""
DAYS_A_MONTH = 365 / 12
"""With 24 hours a day it makes the 730 hours by which Azure's price pages reckon a month."""


@dataclass(frozen=True)
class Economics:
    """What a contestant's costs are made of. No terms are in it.

    Attributes:
        name: the contestant.
        once: US dollars of training on a service.
        per_thousand: US dollars that a service takes for 1,000 images more, in real time where both ways are known.
        batch_per_thousand: the same in batches; None: it cannot be asked in batches, or the price is not known.
        hosting_hourly: US dollars an hour for which it is deployed.
        machines: how many machines of one's own it needs.
        machine_seconds: for which an image keeps such a machine busy; 0 where that was not measured.
        machine_once_seconds: for which the training did.
        accuracy: share of the test images; None where nobody knows.
        kind: of the contestant.
        emulated: it is list prices that nobody charges.
        priced: False where the price of something that it needs is not known: its sums are not used then.
        hosting_seconds: for which an image keeps its deployment busy; 0 where that was not measured.
        labels: labelled images that it learns from, training and validation.
        tested: labelled images by which it was tested: the same for all contestants.

    """

    name: str
    once: float
    per_thousand: float
    batch_per_thousand: float | None = None
    hosting_hourly: float = 0.0
    machines: int = 0
    machine_seconds: float = 0.0
    machine_once_seconds: float = 0.0
    accuracy: float | None = None
    kind: str = ""
    emulated: bool = False
    priced: bool = True
    hosting_seconds: float = 0.0
    labels: int = 0
    tested: int = 0

    def known(self, terms: Terms) -> bool:
        """Whether all of its costs are known under these terms: not those of hours in use that were not measured."""
        hosted = terms.hosting_hours is not None or not self.hosting_hourly or self.hosting_seconds > 0
        computed = (
            terms.machine_hours is not None or not (self.machines and terms.machine_hourly) or self.machine_seconds > 0
        )
        return self.priced and hosted and computed

    @property
    def capacity(self) -> float:
        """Images that one machine can do in an hour; inf where it needs none, or its speed is not known."""
        return 3600 / self.machine_seconds if self.machine_seconds else math.inf


def economics(
    result: ContestantResult,
    prices: ModelPrices | None = None,
    tokens: tuple[float, float] | None = None,
    *,
    machine_seconds: float | None = None,
    labels: int = 0,
    tested: int = 0,
) -> Economics:
    """Return what a contestant's costs are made of.

    Args:
        result: its row of the comparison.
        prices: of its model; without them an image costs what it did in the test, whichever way it was queried, and
            what a tuned model costs is not known.
        tokens: mean tokens of an image, in and out; without them likewise.
        machine_seconds: of a local network, for an image; the mean of its single images' latency unless given.
        labels: labelled images of training and validation, which only contestants that learn from them need.
        tested: labelled test images, which all of them need.

    """
    asked = result.n - result.outcomes[Outcome.MISSING]
    per_thousand = 1000 * (result.cost.inference or 0.0) / asked if asked else 0.0
    batch = None
    if prices is not None and tokens is not None:
        into, out = tokens
        per_thousand = (into * prices.input + out * prices.output) / 1000
        if result.kind == ContestantKind.ZERO_SHOT:  # the Batch API takes no tuned model
            batch = (into * prices.batch_input + out * prices.batch_output) / 1000
    local, tuned = result.kind == ContestantKind.CNN, result.kind == ContestantKind.FINE_TUNED
    busy = result.latency.mean / 1000 if result.latency else 0.0
    if machine_seconds is None:
        machine_seconds = busy if local else 0.0
    return Economics(
        name=result.name,
        once=result.cost.training or 0.0,
        per_thousand=per_thousand,
        batch_per_thousand=batch,
        hosting_hourly=prices.hosting if prices is not None and tuned else 0.0,
        machines=int(local),
        machine_seconds=machine_seconds,
        machine_once_seconds=(result.train_seconds or 0.0) if local else 0.0,
        accuracy=result.accuracy if result.n else None,
        kind=str(result.kind),
        emulated=result.emulated,
        priced=result.cost.total is not None and not (tuned and prices is None),
        hosting_seconds=busy if tuned else 0.0,
        labels=labels if local or tuned else 0,
        tested=tested,
    )


def by_name(contestants: Iterable[Economics]) -> dict[str, Economics]:
    """Return them by name, and an emulated one by its plain name as well, which is the one that `Answers` has."""
    found = {}
    for e in contestants:
        found[e.name] = found[e.name.removesuffix(EMULATED)] = e
    return found


@dataclass(frozen=True)
class Line:
    """A contestant's cost under given terms: `fixed` + `per_image` × images, over the whole horizon."""

    name: str
    fixed: float
    per_image: float

    def at(self, images: float) -> float:
        """Return US dollars for a number of images."""
        return self.fixed + self.per_image * images


@dataclass(frozen=True)
class Total:
    """US dollars over the horizon, item by item.

    `machine` is the one of a local network, its training included; `labels` are those that it learns from and the test
    labels, 0 where labels are not priced.
    """

    name: str
    images: float
    training: float
    hosting: float
    machine: float
    inference: float
    labels: float = 0.0

    @property
    def usd(self) -> float:
        """All of it."""
        return self.training + self.labels + self.hosting + self.machine + self.inference

    @property
    def per_thousand(self) -> float:
        """US dollars for 1,000 images, with their share of what is paid once and by the hour."""
        return 1000 * self.usd / self.images


def per_thousand(e: Economics, terms: Terms) -> float:
    """Return US dollars for 1,000 images more: nothing that is paid once or by the hour."""
    service = e.batch_per_thousand if terms.batch and e.batch_per_thousand is not None else e.per_thousand
    return service + 1000 * (_machine_per_image(e, terms) + _hosting_per_image(e, terms))


def kept_hours(hours_a_day: float | None, terms: Terms) -> float:
    """Return the hours of the whole horizon for which something is kept ready; none where it is paid in use."""
    return (hours_a_day or 0.0) * DAYS_A_MONTH * terms.months


def once(e: Economics, terms: Terms) -> float:
    """Return US dollars that are paid once: training, on a service or a machine of one's own, and labels."""
    return e.once + _labels(e, terms) + terms.machine_hourly * e.machine_once_seconds / 3600


def hourly(e: Economics, terms: Terms) -> float:
    """Return US dollars for each hour that it is kept ready: of its deployment, and of its machines."""
    hosted = e.hosting_hourly if terms.hosting_hours is not None else 0.0
    return hosted + (e.machines * terms.machine_hourly if terms.machine_hours is not None else 0.0)


def _machine_per_image(e: Economics, terms: Terms) -> float:
    return terms.machine_hourly * e.machine_seconds / 3600 if terms.machine_hours is None else 0.0


def _hosting_per_image(e: Economics, terms: Terms) -> float:
    return e.hosting_hourly * e.hosting_seconds / 3600 if terms.hosting_hours is None else 0.0


def _machine_fixed(e: Economics, terms: Terms) -> float:
    kept = kept_hours(terms.machine_hours, terms) * e.machines
    return terms.machine_hourly * (kept + e.machine_once_seconds / 3600)


def _hosting(e: Economics, terms: Terms) -> float:
    return e.hosting_hourly * kept_hours(terms.hosting_hours, terms)


def _labels(e: Economics, terms: Terms) -> float:
    return (terms.label_price or 0.0) * (e.labels + e.tested)


def line(e: Economics, terms: Terms) -> Line:
    """Return a contestant's cost as a line over the number of images (of the whole horizon, not of a month)."""
    fixed = e.once + _labels(e, terms) + _hosting(e, terms) + _machine_fixed(e, terms)
    return Line(e.name, fixed, per_thousand(e, terms) / 1000)


def total(e: Economics, terms: Terms) -> Total:
    """Return what a contestant costs for the volume and the horizon."""
    machine, hosted = _machine_per_image(e, terms), _hosting_per_image(e, terms)
    return Total(
        name=e.name,
        images=terms.images,
        training=e.once,
        hosting=_hosting(e, terms) + hosted * terms.images,
        machine=_machine_fixed(e, terms) + machine * terms.images,
        inference=(per_thousand(e, terms) / 1000 - machine - hosted) * terms.images,
        labels=_labels(e, terms),
    )


def overloaded(e: Economics, terms: Terms) -> bool:
    """Tell whether the volume is more than the machines can do in the hours for which they are kept."""
    hours = 24 if terms.machine_hours is None else terms.machine_hours
    return terms.volume > e.capacity * hours * DAYS_A_MONTH * max(1, e.machines)


@dataclass(frozen=True)
class BreakEven:
    """Where two contestants cost the same.

    Attributes:
        a: the one.
        b: the other.
        volume: images a month at which they do. 0: they cost the same before the first image, and `above` is cheaper
            from there on. inf: an image costs the same with both, so the one that starts cheaper stays it. None:
            nowhere, for one is cheaper at any volume, or everywhere, for they are alike.
        below: the cheaper one at fewer images; None where there is none.
        above: the cheaper one at more images; None where there is none.

    """

    a: str
    b: str
    volume: float | None
    below: str | None
    above: str | None

    @property
    def sentence(self) -> str:
        """The same in words."""
        if self.volume is None or math.isinf(self.volume):
            winner = self.below or self.above
            if winner is None:
                return f"{self.a} and {self.b} cost the same at any volume."
            return f"{winner} is cheaper than {self.b if winner == self.a else self.a} at any volume."
        other = self.b if self.above == self.a else self.a
        # Nobody has less than an image a month, and at a part of one more the other is still cheaper.
        since = "from the first image" if self.volume <= 1 else f"from {math.ceil(self.volume):,} images a month on"
        return f"{self.above} is cheaper than {other} {since}."


def even(a: Economics, b: Economics, terms: Terms) -> BreakEven:
    """Return at which number of images a month two contestants cost the same over the horizon.

    The volume of the terms is not looked at; everything else is.
    """
    first, second = line(a, terms), line(b, terms)
    fixed, slope = _apart(first.fixed, second.fixed), _apart(first.per_image, second.per_image)
    cheaper_start = None if fixed == 0 else (a.name if fixed < 0 else b.name)
    cheaper_image = None if slope == 0 else (a.name if slope < 0 else b.name)
    if cheaper_image is None:
        return BreakEven(a.name, b.name, math.inf if cheaper_start else None, cheaper_start, None)
    if cheaper_start is None:
        return BreakEven(a.name, b.name, 0.0, None, cheaper_image)
    if cheaper_start == cheaper_image:
        return BreakEven(a.name, b.name, None, cheaper_start, cheaper_start)
    return BreakEven(a.name, b.name, -fixed / slope / terms.months, cheaper_start, cheaper_image)


def _apart(x: float, y: float) -> float:
    """Return the difference, and 0 where it is rounding: a break-even in the quadrillions would come of it."""
    return 0.0 if math.isclose(x, y, rel_tol=1e-12, abs_tol=1e-15) else x - y


def pairs(contestants: Sequence[Economics], terms: Terms) -> list[BreakEven]:
    """Return the break-even of any two, in the order in which they were named."""
    return [even(a, b, terms) for n, a in enumerate(contestants) for b in contestants[n + 1 :]]
