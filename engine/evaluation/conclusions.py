"""What may be concluded of contestants and of pairs, what may not, and what would change it: one sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.evaluation.baselines import Edge
from engine.evaluation.differences import LEVEL, PairedDifference, UnpairedDifference
from engine.evaluation.judging import Judged, Rival
from engine.evaluation.measures import Measure, MeasureKind
from engine.evaluation.score_intervals import ROUNDING
from engine.evaluation.words import corrected_p, dollars, images, listed, p_value, some, told_share
from engine.quantities import counted, points
from engine.states import Outcome

if TYPE_CHECKING:
    from engine.evaluation.verdict import Standing


def said_paired(d: PairedDifference, pairs: int = 1) -> str:
    """Return in words what may be concluded of two contestants, among so many pairs."""
    return real(d, pairs) if d.real else _chance(d, pairs)


def said_unpaired(a: str, b: str, d: UnpairedDifference) -> str:
    """Return in words what the counts of two contestants say where their images cannot be paired."""
    better, other, sign = (a, b, 1) if d.gain >= 0 else (b, a, -1)
    low, high = sorted((sign * d.low, sign * d.high))
    said = (
        f"Unpaired, for only the counts of {a} and {b} are known: {better} has {abs(100 * d.gain):.1f} points more than"
        f" {other} (95% interval {_unsigned(low)} to {_unsigned(high)}; {corrected_p(d.p, d.pairs)})."
    )
    if d.p >= LEVEL and d.needed is not None:
        said += f" That is within chance; it would take about {counted(d.needed, 'image')} each to tell them apart."
    elif d.p >= LEVEL:
        said += " Nothing tells them apart."
    if d.p_if_paired is not None:
        least, most = d.p_if_paired
        if most < LEVEL:
            said += " If both were asked about the same images, the difference is real whichever those were."
        elif least < LEVEL:
            said += " If both were asked about the same images, it takes the pairs to know whether it is real."
    return said


def _unsigned(share: float) -> str:
    return points(share).removeprefix("+")


def gap_of(d: PairedDifference, name: str) -> tuple[str, str, str]:
    """Return by how much `name` is better, and the ends of the interval, as they are written."""
    signed = (d.gain, d.low, d.high) if d.a == name else (-d.gain, -d.high, -d.low)
    gain, low, high = (d.measure.gap(value) for value in signed)
    return gain, low, high


def other_of(d: PairedDifference, name: str) -> str:
    """Return the other one of a pair."""
    return d.b if d.a == name else d.a


def _better(d: PairedDifference) -> str:
    return d.a if d.gain >= 0 else d.b


def scored(s: Standing, measure: Measure) -> str:
    """Return what a contestant reached."""
    recognised = f"recognised {told_share(s.quality.accuracy)}"
    if measure.kind == MeasureKind.ACCURACY:
        return f"On {images(s.quality.accuracy.n)} {s.name} {recognised}."
    told = measure.told(s.measured.value, s.measured.low, s.measured.high)
    return f"On {images(s.quality.accuracy.n)} the {measure.name} of {s.name} is {told}; it {recognised}."


def real(d: PairedDifference, pairs: int) -> str:
    """Return what may be concluded of two that the test has told apart."""
    better = _better(d)
    gain, low, high = gap_of(d, better)
    return (
        f"{better} is better than {other_of(d, better)} by {gain}{d.measure.unit_of} (95% interval {low} to {high};"
        f" {corrected_p(d.p_holm, pairs)})."
    )


def _chance(d: PairedDifference, pairs: int) -> str:
    if d.needed is None:
        return f"{d.a} and {d.b} {_equally(d)}; {_hidden(d)}."
    return f"{_better(d)} need not be better than {other_of(d, _better(d))}: {_doubt(d, pairs)}."


def unsettled(d: PairedDifference, pairs: int) -> str:
    """Return what may not be concluded of two that cannot be told apart."""
    if d.needed is None:
        return f"That {d.a} and {d.b} are equally good: they {_equally(d)}, but {_hidden(d)}."
    return f"That {_better(d)} is better than {other_of(d, _better(d))}: {_doubt(d, pairs)}."


def _equally(d: PairedDifference) -> str:
    if d.measure.kind == MeasureKind.ACCURACY:
        return "recognised equally many"
    return f"have the same {d.measure.name}"


def _hidden(d: PairedDifference) -> str:
    if not d.n:
        return "there is no image about which both were asked"
    most = d.measure.gap(max(-d.low, d.high))
    return f"a difference up to {most}{d.measure.unit_of} may be hidden in {images(d.n)}"


def _doubt(d: PairedDifference, pairs: int) -> str:
    gain, low, high = gap_of(d, _better(d))
    return (
        f"{gain}{d.measure.unit_of} (95% interval {low} to {high}; {corrected_p(d.p_holm, pairs)}) may be chance; if"
        f" that is the difference, it takes about {counted(d.needed or 0, 'image')} like these to tell them apart"
    )


def held_against(edge: Edge, judged: Judged) -> str:
    """Return a contestant that is better than the baselines, in a sentence."""
    measure = judged.measure
    gain = measure.gap(edge.gain)
    several = corrected_for(edge.p_holm, len(judged.baselines.edges))
    return f"{edge.name} is better than {bar(judged)} by {gain}{measure.unit_of} ({several})."


def not_above(edge: Edge, judged: Judged) -> str:
    """Return what may not be concluded of a contestant that is not better than the baselines."""
    measure, gap = judged.measure, judged.measure.gap(abs(edge.gain))
    several = corrected_for(edge.p_holm, len(judged.baselines.edges))
    if abs(edge.gain) <= ROUNDING:
        why = "they are equal"
    elif edge.gain < 0:
        why = f"it is {gap}{measure.unit_of} worse ({several})"
        why += ", which may be chance" if edge.p_holm >= LEVEL else ""
    else:
        why = f"{gap}{measure.unit_of} ({several}) may be chance"
    return f"That {edge.name} is better than {bar(judged)}: {why}."


def bar(judged: Judged) -> str:
    """Return the better one of the baselines with its value, as a sentence has it."""
    best = judged.baselines.best
    if best is None:
        return "nothing"
    value = judged.measure.shown(best.value) + (" an image" if judged.measure.less_is_better else "")
    if best.label is None:
        return f"{best.name} ({value})"
    return f"the {best.name} (always {best.label}, by the {best.source}: {value})"


def corrected_for(p: float, contestants: int) -> str:
    """Return a p after Holm's correction for so many contestants, as it is written."""
    return p_value(p) + (f" corrected for {contestants} contestants" if contestants > 1 else "")


def rival(r: Rival, pairs: int) -> str:
    """Return by which other measure another contestant is better, as a clause."""
    shown = f"{r.measure.shown(r.value)} to {r.measure.shown(r.other_value)}"
    return f"by {r.measure.name} {r.name} is better than {r.other} ({shown}, {corrected_p(r.p_holm, pairs)})"


def never_named(s: Standing) -> tuple[str, ...]:
    """Return the classes with test images that no answer of a contestant names; none where it names no class."""
    if not any(c.named for c in s.quality.classes):
        return ()
    return tuple(c.label for c in s.quality.classes if c.support and not c.named)


def limits(ranked: Sequence[Standing], judged: Judged) -> list[str]:
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
        if never := never_named(s):
            them = "it" if len(never) == 1 else "them"
            found.append(f"How well {s.name} recognises {some(never)}: none of its answers names {them}.")
    for classes, what, of in (
        (judged.untrained, "What training does for", "training"), (judged.untested, "Anything about", "test"),
    ):  # fmt: skip
        if classes:
            have = "it has" if len(classes) == 1 else "they have"
            found.append(f"{what} {some(classes)}: {have} no {of} images.")
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


def changes(
    best: Standing | None,
    tied: Sequence[Standing],
    ranked: Sequence[Standing],
    against: Mapping[str, PairedDifference],
    judged: Judged,
    volume: float,
    hours: float,
) -> list[str]:
    """Return what would change the verdict; `best` is None where no contestant is better than the baselines."""
    found = []
    needed = [(d.needed, s.name) for s in tied if (d := against.get(s.name)) is not None and d.needed is not None]
    if needed and best is not None:
        most, name = max(needed)
        found.append(
            f"More test images: about {most:,} like these would tell {best.name} from {name}, if they differ as they do"
            f" here."
        )
    for r in judged.rivals:
        shown = f"{r.measure.shown(r.value)} to {r.measure.shown(r.other_value)} of {r.other}"
        within = "" if r.real else ", within chance"
        found.append(f"The measure: by {r.measure.name} {r.name} would be ahead ({shown}{within}).")
    if judged.measure.kind == MeasureKind.ACCURACY:
        for reading, words in (
            ("over_answered", "Counting answered images only"),
            ("strict", "Reading answers strictly"),
        ):
            leader = _leader(ranked, reading)
            if leader is not None and leader is not ranked[0]:
                found.append(f"{words}, {leader.name} would be ahead.")
    for s in ranked:
        lost = s.quality.coverage.n - s.quality.coverage.replied
        if lost:
            many = counted(lost, "image")
            found.append(f"Answers to {many} that {s.name} has none for: they count as wrong, and may be right.")
    return found + (_dearer(best, ranked, against, volume, hours) if best is not None else [])


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
        added = (best.quality.accuracy.value - s.quality.accuracy.value) * volume
        if more > 0 and added > 0:
            found.append(
                f"The price: for {counted(volume, 'image')}, each further right answer of {best.name} over {s.name}"
                f" costs {dollars(more / added)}; where one is worth less, {s.name} is the choice."
            )
    return found
