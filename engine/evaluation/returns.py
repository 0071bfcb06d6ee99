"""What one contestant returns in place of another: added correct answers × the value of one, against its extra cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.evaluation.economics import Economics, line, total
from engine.evaluation.terms import Terms
from engine.evaluation.words import dollars
from engine.quantities import counted, nouns, signed


@dataclass(frozen=True)
class Range:
    """A figure with the interval that comes from the accuracy difference's."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Return:
    """The return on one contestant instead of another, over the horizon; money is US dollars.

    The article's rule: worth it when (added correct answers × value of one) > (training + amortised hosting); here
    what inference costs more is on the right side too.

    Attributes:
        name: the contestant that is paid more for.
        base: the one in whose place it would come.
        images: in all.
        value: of one correct answer.
        added: correct answers more.
        worth: of these.
        training: more than with the base, as the next three; machines of one's own are in `inference`.
        labels: likewise.
        hosting: likewise.
        inference: likewise.
        net: worth less cost.
        pays_from: images a month from which on it pays for itself, if the difference is as measured; None: never.
        pays_from_low: the same at the difference's high end, so the fewest images.
        pays_from_high: the same at its low end, so the most.
        needed_points: percentage points of accuracy that would pay for it; inf where an answer is worth nothing.
        needed_value: US dollars that a correct answer must be worth; None where none is added.
        needed_low: the same at the difference's high end; None where none is added even there.
        needed_high: the same at its low end; None where none is added there.
        only: test images that only the one got right, and only the base; None where that is not known.

    """

    name: str
    base: str
    images: float
    value: float
    added: Range
    worth: Range
    training: float
    hosting: float
    inference: float
    net: Range
    pays_from: float | None
    pays_from_low: float | None
    pays_from_high: float | None
    needed_points: float
    needed_value: float | None
    needed_low: float | None = None
    needed_high: float | None = None
    only: tuple[int, int] | None = None
    labels: float = 0.0

    @property
    def cost(self) -> float:
        """All that it costs more than the base; negative where it costs less."""
        return self.training + self.labels + self.hosting + self.inference

    @property
    def ratio(self) -> float | None:
        """Dollars that come back net for each dollar more; None where it costs no more."""
        return self.net.value / self.cost if self.cost > 0 else None

    @property
    def sure(self) -> bool | None:
        """True: it pays at both ends of the interval. False: at neither. None: the test does not tell."""
        if self.net.low > 0:
            return True
        return False if self.net.high <= 0 else None

    @property
    def sentence(self) -> str:
        """The result in words, with what may and may not be concluded."""
        if not self.value:
            return self._unset
        added, low, high = (signed(value, 0) for value in (self.added.value, self.added.low, self.added.high))
        told = (
            f"{self.name} against {self.base}, {counted(self.images, 'image')} at ${self.value:g} a correct answer:"
            f" {added} {nouns(abs(round(self.added.value)), 'correct answer')} ({low} to {high}) are worth"
            f" {_usd(self.worth.value)}, and it costs {_usd(abs(self.cost))} {'more' if self.cost >= 0 else 'less'}."
        )
        ends = f"({_usd(self.net.low)} to {_usd(self.net.high)})"
        if self.sure is None:
            return f"{told} Whether it pays for itself this test cannot tell: net {_usd(self.net.value)} {ends}."
        verdict = "It pays for itself" if self.sure else "It does not pay for itself"
        return f"{told} {verdict}: net {_usd(self.net.value)} {ends}."

    @property
    def _unset(self) -> str:
        """The result in words where no value of a correct answer is set."""
        told = f"{self.name} costs {_usd(abs(self.cost))} {'more' if self.cost > 0 else 'less'} than {self.base}"
        more = "more" if self.added.value > 0 else "fewer"
        count = (
            counted(abs(self.added.value), f"{more} correct answer") if self.added.value else "no more correct answers"
        )
        if self.added.value > 0 and self.cost > 0:
            told += " and pays where a correct answer is worth more than"
            if self.needed_high is None:
                told += f" {dollars(self.needed_value)}, if accuracies are as measured; whether it has more correct"
                return f"{told} answers at all this test cannot tell."
            ends = f"({dollars(self.needed_low)} to {dollars(self.needed_high)})"
            return f"{told} {dollars(self.needed_value)} {ends}; what one is worth is not set."
        told += f" and has {count} in {counted(self.images, 'image')}"
        if self.only is not None:
            told += f" (test images that only it got right: {self.only[0]:,}, only {self.base}: {self.only[1]:,})"
        if self.added.value <= 0 < self.cost:
            told += ": as measured, no value of a correct answer pays for it"
        if self.added.low <= 0 < self.added.high:
            told += "; which of both has more this test cannot tell"
        return f"{told}."


def _usd(amount: float) -> str:
    return f"{'−' if round(amount, 2) < 0 else ''}${abs(amount):,.2f}"


def return_on(
    tuned: Economics,
    base: Economics,
    gain: float,
    low: float,
    high: float,
    terms: Terms,
    *,
    only: tuple[int, int] | None = None,
) -> Return:
    """Return what one contestant brings instead of another.

    Args:
        tuned: the one that is paid for.
        base: the one in whose place it would come.
        gain: difference of their accuracies, as a fraction.
        low: the low end of that difference's interval, corrected as its p is.
        high: its high end.
        terms: volume, horizon, hours, and the value of a correct answer.
        only: test images that only the one got right, and only the other.

    """
    more, less = total(tuned, terms), total(base, terms)
    training, hosting, labels = more.training - less.training, more.hosting - less.hosting, more.labels - less.labels
    cost = more.usd - less.usd
    first, second = line(tuned, terms), line(base, terms)
    fixed, per_image = first.fixed - second.fixed, first.per_image - second.per_image

    def over(scale: float, shift: float = 0.0) -> Range:
        return Range(gain * scale - shift, low * scale - shift, high * scale - shift)

    def pays_from(difference: float) -> float | None:
        left = difference * terms.value - per_image
        return max(0.0, fixed / left / terms.months) if left > 0 else None

    def needed(difference: float) -> float | None:
        return max(0.0, cost) / (difference * terms.images) if difference > 0 else None

    stake = terms.images * terms.value
    return Return(
        name=tuned.name,
        base=base.name,
        images=terms.images,
        value=terms.value,
        added=over(terms.images),
        worth=over(stake),
        training=training,
        hosting=hosting,
        inference=cost - training - labels - hosting,
        net=over(stake, cost),
        pays_from=pays_from(gain),
        pays_from_low=pays_from(high),
        pays_from_high=pays_from(low),
        needed_points=100 * cost / stake if stake else math.inf if cost > 0 else 0.0,
        needed_value=needed(gain),
        needed_low=needed(high),
        needed_high=needed(low),
        only=only,
        labels=labels,
    )
