"""The plain sentences on top: which contestant, how sure, at what price, and what would change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Literal

from engine.evaluation.conclusions import (
    bar,
    changes,
    gap_of,
    held_against,
    limits,
    never_named,
    not_above,
    other_of,
    real,
    rival,
    scored,
    unsettled,
)
from engine.evaluation.differences import PairedDifference
from engine.evaluation.judging import Judged, Measured
from engine.evaluation.measures import MeasureKind
from engine.evaluation.quality import Quality
from engine.evaluation.words import dollars, images, listed, p_value, rate, some, told_share
from engine.quantities import agrees, counted
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


NOT_MEASURED = Measured(0.0, 0.0, 1.0)


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
    measured: Measured = NOT_MEASURED
    """By the comparison's measure."""

    @property
    def answered(self) -> int:
        """How many images it was asked about and came to an end with, well or not."""
        return self.quality.coverage.n - self.quality.coverage.outcomes[Outcome.MISSING]


@dataclass(frozen=True)
class Verdict:
    """What a comparison says.

    Attributes:
        best: the finished contestant with the best value of the measure, if it is better than the baselines; else None.
        tied: who cannot be told from the best.
        choice: whom to take: the best, or of those that cannot be told apart, and are better than the baselines, the
            cheapest.
        sure: `clear` (the best is beyond chance against every other), `tied`, `alone`, `none` (no contestant is better
            than the majority class and chance), or `open` (nothing to judge).
        sentence: the above in one or two plain sentences, price included where it is known.
        may: what may be concluded, a sentence each.
        may_not: what may not.
        would_change: what would change the verdict.
        measure: by which it judges.

    """

    best: str | None
    tied: tuple[str, ...]
    choice: str | None
    sure: Literal["clear", "tied", "alone", "none", "open"]
    sentence: str
    may: tuple[str, ...] = ()
    may_not: tuple[str, ...] = ()
    would_change: tuple[str, ...] = ()
    measure: str = str(MeasureKind.ACCURACY)


def verdict(
    standings: Sequence[Standing],
    differences: Sequence[PairedDifference],
    judged: Judged,
    *,
    volume: float = 1000,
    hours: float = 0.0,
    horizon: str = "",
) -> Verdict:
    """Return what the figures say, in words.

    Args:
        standings: the contestants.
        differences: between every two of them by the measure, corrected for their number.
        judged: the measure, the baselines, and what other measures say.
        volume: for how many images prices are compared.
        hours: for how many hours of hosting.
        horizon: the volume in words, where it takes more than a number.

    """
    measure, pairs_in_all = judged.measure, max((d.pairs for d in differences), default=1)
    finished = [s for s in standings if s.complete and s.quality.coverage.n]
    unfinished = [_unfinished(s) for s in standings if not s.complete]
    unjudged = tuple(f"How good {s.name} is: {_unfinished(s)}" for s in standings if not s.complete)
    if not finished:
        reason = "There is no contestant yet." if not standings else "There are no test images."
        if unfinished:
            reason = " ".join(("No contestant is finished, so nobody can be judged yet.", *unfinished))
        return Verdict(None, (), None, "open", reason, (), unjudged, (), measure.name)
    ranked = sorted(finished, key=lambda s: -measure.score(s.measured.value))
    above = [s for s in ranked if judged.baselines.beaten_by(s.name)]
    names = {s.name for s in finished}
    pairs = [d for d in differences if d.a in names and d.b in names]
    edges = [judged.baselines.edges[s.name] for s in ranked]
    may = [scored(s, measure) for s in ranked] + [held_against(e, judged) for e in edges if e.better]
    may += [real(d, d.pairs) for d in pairs if d.real]
    may_not = [unsettled(d, d.pairs) for d in pairs if not d.real]
    may_not += [not_above(e, judged) for e in edges if not e.better]
    may_not += [*unjudged, *limits(ranked, judged)]
    disagree = _disagree(judged, pairs_in_all)
    if not above:
        told = [_none(ranked, judged, " finished" if unfinished else ""), *_never(ranked[0]), *disagree]
        would_change = changes(None, (), ranked, {}, judged, volume, hours)
        sentence = " ".join([*told, *_emulated(finished)])
        return Verdict(None, (), None, "none", sentence, tuple(may), tuple(may_not), tuple(would_change), measure.name)
    best = above[0]
    against = {other_of(d, best.name): d for d in pairs if best.name in (d.a, d.b)}
    tied = [s for s in ranked if s is not best and (s.name not in against or not against[s.name].real)]
    choice = _cheapest([best, *(s for s in tied if s in above)], volume, hours)
    sure: Literal["clear", "tied", "alone"] = "alone" if len(ranked) == 1 else "tied" if tied else "clear"
    whole = horizon or counted(volume, "image")
    told = [
        _sentence(best, tied, against, judged, sure, " finished" if unfinished else ""),
        *_never(best),
        *(_never(choice) if choice is not best else ()),
        *disagree,
        *_emulated(finished),
        *_advice(best, choice, against),
        *_price(best, choice, volume, hours, whole, plainly=any(s.emulated for s in finished)),
    ]
    return Verdict(
        best=best.name,
        tied=tuple(s.name for s in tied),
        choice=choice.name,
        sure=sure,
        sentence=" ".join(told),
        may=tuple(may),
        may_not=tuple(may_not),
        would_change=tuple(changes(best, tied, ranked, against, judged, volume, hours)),
        measure=measure.name,
    )


def priced(price: Price) -> str:
    """Return a price in words."""
    fixed = price.once or price.per_hour
    parts = [f"{dollars(price.per_thousand)} per 1,000 images"] if price.per_thousand or not fixed else []
    parts += [f"{dollars(price.once)} once"] if price.once else []
    parts += [f"{rate(price.per_hour)} for each hour that it is kept ready"] if price.per_hour else []
    return " + ".join(parts)


def _cheapest(standings: Sequence[Standing], volume: float, hours: float) -> Standing:
    """Return the cheapest where all prices are known, else the first, who got the most right."""
    totals = [s.price.total(volume, hours) for s in standings if s.price is not None]
    return standings[totals.index(min(totals))] if len(totals) == len(standings) else standings[0]


def _sentence(
    best: Standing,
    tied: Sequence[Standing],
    against: Mapping[str, PairedDifference],
    judged: Judged,
    sure: str,
    finished: str,
) -> str:
    """Return who is the best by the measure, and against whom."""
    measure, on = judged.measure, images(best.quality.accuracy.n)
    plain = measure.kind == MeasureKind.ACCURACY
    what = told_share(best.quality.accuracy) if plain else measure.told(*astuple(best.measured))
    if sure == "alone":
        who = f"{best.name} recognised {what}" if plain else f"The {measure.name} of {best.name} is {what}"
        return f"{who}, better than {bar(judged)}; there is no other{finished} to hold it against."
    if sure == "clear":
        nearest = max(against.values(), key=lambda d: d.p_holm)
        gain, low, high = gap_of(nearest, best.name)
        return (
            f"{best.name} is the best{'' if plain else f' by {measure.name}'}: {what}, {gain}{measure.unit}"
            f" {'less' if measure.less_is_better else 'more'} than {other_of(nearest, best.name)}"
            f" (95% interval {low} to {high}, {p_value(nearest.p_holm)})."
        )
    equal = tied[0].measured.value == best.measured.value
    if plain:
        who = f"{best.name} recognised {'as many as any' if equal else 'the most'}, {what}"
    else:
        who = f"{best.name} has {'as good a' if equal else 'the best'} {measure.name}{' as any' * equal}, {what}"
    return f"{who}, but {listed([s.name for s in tied])} cannot be told from it on {on}."


def _none(ranked: Sequence[Standing], judged: Judged, finished: str) -> str:
    """Return that no contestant is better than the baselines, and what each reached."""
    measure, accuracy = judged.measure, ranked[0].quality.accuracy
    held = [c.label for c in ranked[0].quality.classes if c.support]
    if len(held) == 1:
        return f"All test images are of one class, {held[0]}: always naming it is right, so no contestant is the best."
    if not any(s.quality.accuracy.k for s in ranked):
        did = "recognised any" if any(s.quality.coverage.replied for s in ranked) else "answered about any"
        return f"No contestant{finished} {did} of {images(accuracy.n)}: there is nothing to choose by."
    reached = []
    for s in ranked[:4]:
        edge = judged.baselines.edges[s.name]
        sure = f" ({p_value(edge.p_holm)})" if edge.gain > 0 else ""
        reached.append(f"{s.name} has {measure.shown(s.measured.value)}{sure}")
    more = f", and {len(ranked) - 4} more have less" if len(ranked) > 4 else ""
    return (
        f"No{finished} contestant is better than {bar(judged)} by {measure.name}, so none is the best:"
        f" {', '.join(reached)}{more}."
    )


def _disagree(judged: Judged, pairs: int) -> list[str]:
    """Return by which other measures another contestant is better, beyond chance."""
    found = [rival(r, pairs) for r in judged.rivals if r.real]
    return [f"Measures disagree: {'; '.join(found)}."] if found else []


def _never(s: Standing) -> list[str]:
    """Return which classes a contestant never predicts."""
    classes = never_named(s)
    return [f"{s.name} never predicts {some(classes)}."] if classes else []


def _advice(best: Standing, choice: Standing, against: Mapping[str, PairedDifference]) -> list[str]:
    """Return whom to take where the best cannot be told from somebody cheaper, and what that risks."""
    if choice is best:
        return []
    d = against[choice.name]
    _, _, high = gap_of(d, best.name)
    lost = " points less" if d.measure.kind == MeasureKind.ACCURACY else d.measure.unit_of
    return [f"Take {choice.name}, the cheapest of them, if up to {high}{lost} do not matter."]


def _price(best: Standing, choice: Standing, volume: float, hours: float, whole: str, *, plainly: bool) -> list[str]:
    """Return what the choice costs; of an emulated one it is list prices, which nobody charges."""
    if choice.price is None:
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
