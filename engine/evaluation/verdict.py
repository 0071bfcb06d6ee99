"""The plain sentences on top: which contestant, how sure, at what price, and what would change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.evaluation.differences import LEVEL, PairedDifference, UnpairedDifference
from engine.evaluation.quality import Quality
from engine.evaluation.words import corrected_p, dollars, images, listed, p_value, rate, told_share
from engine.quantities import agrees, counted, points
from engine.states import Outcome


@dataclass(frozen=True)
class Price:
    """What a contestant costs, in US dollars: once, for 1,000 images, and for each hour that it is kept ready.

    `in_all` is the total for the volume and horizon that the verdict is about, where more goes into it than these.
    """

    once: float = 0.0
    per_thousand: float = 0.0
    per_hour: float = 0.0
    in_all: float | None = None

    def total(self, images: float, hours: float = 0.0) -> float:
        """Return what so many images in so many hours cost in all."""
        if self.in_all is not None:
            return self.in_all
        return self.once + self.per_thousand * images / 1000 + self.per_hour * hours


@dataclass(frozen=True)
class Standing:
    """What the verdict has to know of one contestant."""

    name: str
    quality: Quality
    price: Price | None = None
    complete: bool = True
    emulated: bool = False
    prompt: str = ""
    answer_format: str = ""

    @property
    def answered(self) -> int:
        """How many images it was asked about and came to an end with, well or not."""
        return self.quality.coverage.n - self.quality.coverage.outcomes[Outcome.MISSING]


@dataclass(frozen=True)
class Verdict:
    """What a comparison says.

    Attributes:
        best: who got the most right of those that are finished; None where nobody can be judged.
        tied: who cannot be told from the best.
        choice: whom to take: the best, or of those that cannot be told apart the cheapest.
        sure: `clear` (the best is beyond chance against every other), `tied`, `alone`, or `open` (nothing to judge).
        sentence: the above in one or two plain sentences, price included where it is known.
        may: what may be concluded, a sentence each.
        may_not: what may not.
        would_change: what would change the verdict.

    """

    best: str | None
    tied: tuple[str, ...]
    choice: str | None
    sure: Literal["clear", "tied", "alone", "open"]
    sentence: str
    may: tuple[str, ...] = ()
    may_not: tuple[str, ...] = ()
    would_change: tuple[str, ...] = ()


def verdict(
    standings: Sequence[Standing],
    differences: Sequence[PairedDifference],
    *,
    volume: float = 1000,
    hours: float = 0.0,
    horizon: str = "",
) -> Verdict:
    """Return what the figures say, in words.

    Args:
        standings: the contestants.
        differences: between every two of them, corrected for their number.
        volume: for how many images prices are compared.
        hours: for how many hours of hosting.
        horizon: the volume in words, where it takes more than a number.

    """
    finished = [s for s in standings if s.complete and s.quality.coverage.n]
    unfinished = [_unfinished(s) for s in standings if not s.complete]
    unjudged = tuple(f"How good {s.name} is: {_unfinished(s)}" for s in standings if not s.complete)
    if not finished:
        reason = "There is no contestant yet." if not standings else "There are no test images."
        if unfinished:
            reason = " ".join(("No contestant is finished, so nobody can be judged yet.", *unfinished))
        return Verdict(None, (), None, "open", reason, (), unjudged, ())
    ranked = sorted(finished, key=lambda s: -s.quality.accuracy.k)
    best = ranked[0]
    names = {s.name for s in finished}
    pairs = [d for d in differences if d.a in names and d.b in names]
    against = {_other(d, best.name): d for d in pairs if best.name in (d.a, d.b)}
    tied = [s for s in ranked[1:] if s.name not in against or not against[s.name].real]
    choice = _cheapest([best, *tied], volume, hours)
    sure: Literal["clear", "tied", "alone"] = "alone" if len(ranked) == 1 else "tied" if tied else "clear"
    whole = horizon or f"{counted(volume, 'image')}"
    return Verdict(
        best=best.name,
        tied=tuple(s.name for s in tied),
        choice=choice.name,
        sure=sure,
        sentence=" ".join(
            [
                _sentence(best, tied, against, sure, " finished" if unfinished else ""),
                *_emulated(finished),
                *_advice(best, choice, against),
                *_price(best, choice, volume, hours, whole, plainly=any(s.emulated for s in finished)),
            ]
        ),
        may=tuple([_scored(s) for s in ranked] + [_real(d, d.pairs) for d in pairs if d.real]),
        may_not=(
            *(_open(d, d.pairs) for d in pairs if not d.real),
            *unjudged,
            *_limits(ranked),
        ),
        would_change=tuple(_changes(best, tied, ranked, against, volume, hours)),
    )


def said_paired(d: PairedDifference, pairs: int = 1) -> str:
    """Return in words what may be concluded of two contestants, among so many pairs."""
    return _real(d, pairs) if d.real else _chance(d, pairs)


def said_unpaired(a: str, b: str, d: UnpairedDifference) -> str:
    """Return in words what the counts of two contestants say where their images cannot be paired."""
    better, other, sign = (a, b, 1) if d.gain >= 0 else (b, a, -1)
    low, high = sorted((sign * d.low, sign * d.high))
    said = (
        f"Unpaired, for only the counts of {a} and {b} are known: {better} has {abs(100 * d.gain):.1f} points more than"
        f" {other} (95% interval {_unsigned(low)} to {_unsigned(high)}; {corrected_p(d.p, d.pairs)})."
    )
    if d.p >= LEVEL and d.needed is not None:
        said += (
            f" That is within chance; it would take about {counted(d.needed or 0, 'image')} each to tell them apart."
        )
    elif d.p >= LEVEL:
        said += " Nothing tells them apart."
    if d.p_if_paired is not None:
        least, most = d.p_if_paired
        if most < LEVEL:
            said += " If both were asked about the same images, the difference is real whichever those were."
        elif least < LEVEL:
            said += " If both were asked about the same images, it takes the pairs to know whether it is real."
    return said


def priced(price: Price) -> str:
    """Return a price in words."""
    fixed = price.once or price.per_hour
    parts = [f"{dollars(price.per_thousand)} per 1,000 images"] if price.per_thousand or not fixed else []
    parts += [f"{dollars(price.once)} once"] if price.once else []
    parts += [f"{rate(price.per_hour)} for each hour that it is kept ready"] if price.per_hour else []
    return " + ".join(parts)


def _unsigned(share: float) -> str:
    return points(share).removeprefix("+")


def _points(d: PairedDifference, name: str) -> tuple[float, float, float]:
    """Return a difference as points that `name` has more, with its interval."""
    signed = (d.gain, d.low, d.high) if d.a == name else (-d.gain, -d.high, -d.low)
    gain, low, high = (round(100 * value, 1) + 0.0 for value in signed)  # never -0.0
    return gain, low, high


def _other(d: PairedDifference, name: str) -> str:
    return d.b if d.a == name else d.a


def _better(d: PairedDifference) -> str:
    return d.a if d.gain >= 0 else d.b


def _cheapest(standings: Sequence[Standing], volume: float, hours: float) -> Standing:
    """Return the cheapest where all prices are known, else the first, who got the most right."""
    totals = [s.price.total(volume, hours) for s in standings if s.price is not None]
    return standings[totals.index(min(totals))] if len(totals) == len(standings) else standings[0]


def _sentence(
    best: Standing, tied: Sequence[Standing], against: Mapping[str, PairedDifference], sure: str, finished: str
) -> str:
    if sure == "alone":
        what = told_share(best.quality.accuracy)
        return f"{best.name} recognised {what}; there is no other{finished} to hold it against."
    if best.quality.accuracy.k == 0:
        did = "recognised any" if any(s.quality.coverage.replied for s in (best, *tied)) else "answered about any"
        return f"Nobody {did} of {images(best.quality.accuracy.n)}: there is nothing to choose by."
    if sure == "clear":
        nearest = max(against.values(), key=lambda d: d.p_holm)
        gain, low, high = _points(nearest, best.name)
        return (
            f"{best.name} is the best: {told_share(best.quality.accuracy)}, {gain:.1f} points more than"
            f" {_other(nearest, best.name)} (95% interval {low:.1f} to {high:.1f}, {p_value(nearest.p_holm)})."
        )
    equal = tied[0].quality.accuracy.k == best.quality.accuracy.k
    return (
        f"{best.name} recognised {'as many as any' if equal else 'the most'}, {told_share(best.quality.accuracy)}, but"
        f" {listed([s.name for s in tied])} cannot be told from it on {images(best.quality.accuracy.n)}."
    )


def _advice(best: Standing, choice: Standing, against: Mapping[str, PairedDifference]) -> list[str]:
    """Return whom to take where the best cannot be told from somebody cheaper, and what that risks."""
    if choice is best or best.quality.accuracy.k == 0:
        return []
    _, _, high = _points(against[choice.name], best.name)
    return [f"Take {choice.name}, the cheapest of them, if up to {high:.1f} points less do not matter."]


def _price(best: Standing, choice: Standing, volume: float, hours: float, whole: str, *, plainly: bool) -> list[str]:
    """Return what the choice costs; of an emulated one it is list prices, which nobody charges."""
    if choice.price is None or best.quality.accuracy.k == 0:
        return []
    who = "It" if choice is best and not plainly else choice.name  # a sentence between them is about others
    costs = "would cost" if choice.emulated else "costs"
    return [f"{who} {costs} {priced(choice.price)}, {dollars(choice.price.total(volume, hours))} in all for {whole}."]


def _emulated(finished: Sequence[Standing]) -> list[str]:
    """Say plainly what figures of the emulator are not."""
    found = [s for s in finished if s.emulated]
    if not found:
        return []
    who = (
        "Everybody here is emulated" if len(found) == len(finished) else "Whoever is emulated is a small local network"
    )
    return [f"{who}: this says nothing about the real model."]


def _unfinished(s: Standing) -> str:
    right = f", {s.quality.accuracy.k:,} of them right" if s.answered else ""
    return (
        f"{s.name} is not finished: {s.answered:,} of {counted(s.quality.coverage.n, 'image')}"
        f" {agrees(s.answered, 'has', 'have')} been answered{right}; it is left out of the verdict."
    )


def _scored(s: Standing) -> str:
    return f"On {images(s.quality.accuracy.n)} {s.name} recognised {told_share(s.quality.accuracy)}."


def _real(d: PairedDifference, pairs: int) -> str:
    better = _better(d)
    gain, low, high = _points(d, better)
    return (
        f"{better} is better than {_other(d, better)} by {gain:.1f} points (95% interval {low:.1f} to {high:.1f};"
        f" {_p(d, pairs)})."
    )


def _p(d: PairedDifference, pairs: int) -> str:
    return corrected_p(d.p_holm, pairs)


def _chance(d: PairedDifference, pairs: int) -> str:
    if d.needed is None:
        return f"{d.a} and {d.b} recognised equally many; {_hidden(d)}."
    return f"{_better(d)} need not be better than {_other(d, _better(d))}: {_doubt(d, pairs)}."


def _open(d: PairedDifference, pairs: int) -> str:
    """Return what may not be concluded of two that cannot be told apart."""
    if d.needed is None:
        return f"That {d.a} and {d.b} are equally good: they recognised equally many, but {_hidden(d)}."
    return f"That {_better(d)} is better than {_other(d, _better(d))}: {_doubt(d, pairs)}."


def _hidden(d: PairedDifference) -> str:
    if not d.n:
        return "there is no image about which both were asked"
    _, low, high = _points(d, d.a)
    return f"a difference up to {max(-low, high):.1f} points may be hidden in {images(d.n)}"


def _doubt(d: PairedDifference, pairs: int) -> str:
    gain, low, high = _points(d, _better(d))
    return (
        f"{gain:.1f} points (95% interval {low:.1f} to {high:.1f}; {_p(d, pairs)}) may be chance; if that is the"
        f" difference, it takes about {counted(d.needed or 0, 'image')} like these to tell them apart"
    )


def _limits(ranked: Sequence[Standing]) -> list[str]:
    """Return what cannot be concluded from the way in which the test was made; each goes on from "May not"."""
    found = []
    held = [c.support for c in ranked[0].quality.classes if c.support]
    if len(held) == 1:
        found.append("That anybody tells classes apart: all images are of one class, and always naming it is right.")
    elif held and min(held) < 30:
        least = min(held)
        found.append(
            f"Much about single classes: the smallest has {counted(least, 'image')}; each has its own interval."
        )
    for s in ranked:
        if s.quality.coverage.outcomes[Outcome.UNKNOWN_LABEL] == s.quality.coverage.n:
            found.append(
                f"How well {s.name} sees: {s.name} named no label in any answer, which may be the question's fault or"
                f" the labels'."
            )
    emulated = [s.name for s in ranked if s.emulated]
    if emulated:
        verb = "is" if len(emulated) == 1 else "are"
        found.append(
            f"Anything about the real model, GPT-4o or another: {listed(emulated)} {verb} the local emulator's own"
            f" small network."
        )
    asked = {(s.prompt, s.answer_format) for s in ranked if s.prompt}
    if len(asked) > 1:
        found.append(
            "That differences are the models' own: not all were asked the same, so that part of a difference may come"
            " from the prompt or the answer's form."
        )
    found.append("Anything about pictures of another kind than these, or about other labels.")
    return found


def _changes(
    best: Standing,
    tied: Sequence[Standing],
    ranked: Sequence[Standing],
    against: Mapping[str, PairedDifference],
    volume: float,
    hours: float,
) -> list[str]:
    found = []
    needed = [(d.needed, s.name) for s in tied if (d := against.get(s.name)) is not None and d.needed is not None]
    if needed:
        most, name = max(needed)
        found.append(
            f"More test images: about {most:,} like these would tell {best.name} from {name}, if they differ as they do"
            f" here."
        )
    for reading, words in (("over_answered", "Counting answered images only"), ("strict", "Reading answers strictly")):
        leader = _leader(ranked, reading)
        if leader is not None and leader is not best:
            found.append(f"{words}, {leader.name} would be ahead.")
    for s in ranked:
        lost = s.quality.coverage.n - s.quality.coverage.replied
        if lost:
            many = counted(lost, "image")
            found.append(f"Answers to {many} that {s.name} has none for: they count as wrong, and may be right.")
    found += _dearer(best, ranked, against, volume, hours)
    return found


def _leader(ranked: Sequence[Standing], reading: str) -> Standing | None:
    """Return who leads by another reading of accuracy; None where one of them has none."""
    values = []
    for s in ranked:
        if reading == "over_answered":
            values.append(s.quality.coverage.over_answered.value)
        elif s.quality.leniency is None:
            return None
        else:
            values.append(s.quality.leniency.strict.value)
    return ranked[values.index(max(values))]


def _dearer(
    best: Standing, ranked: Sequence[Standing], against: Mapping[str, PairedDifference], volume: float, hours: float
) -> list[str]:
    """Return what each further right answer costs against those who are cheaper and really worse."""
    found = []
    for s in ranked[1:]:
        d = against.get(s.name)
        if s.price is None or best.price is None or d is None or not d.real:
            continue
        more = best.price.total(volume, hours) - s.price.total(volume, hours)
        added = abs(d.gain) * volume
        if more > 0 and added:
            found.append(
                f"The price: for {counted(volume, 'image')}, each further right answer of {best.name} over {s.name}"
                f" costs {dollars(more / added)}; where one is worth less, {s.name} is the choice."
            )
    return found
