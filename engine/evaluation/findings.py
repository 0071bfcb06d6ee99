"""All that there is to show of an experiment, in one value, for screens and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from engine.evaluation.analysis import Analysis, analyse, standings_of
from engine.evaluation.cascade import Cascade, Sweep, cascades, members, sweep
from engine.evaluation.comparison import Comparison, ContestantInput, shown_name
from engine.evaluation.details import Answers
from engine.evaluation.differences import PairedDifference, holm, paired
from engine.evaluation.economics import (
    BreakEven,
    Economics,
    Total,
    by_name,
    hourly,
    once,
    pairs,
    per_thousand,
    total,
)
from engine.evaluation.frontier import Point, frontier, points
from engine.evaluation.properties import ImageProperties
from engine.evaluation.provenance import Provenance
from engine.evaluation.reading import Synonyms
from engine.evaluation.references import DatasetInfo, Reference, among, references
from engine.evaluation.returns import Return, return_on
from engine.evaluation.suspects import Suspect, suspects
from engine.evaluation.terms import Terms
from engine.evaluation.thresholds import Checked
from engine.evaluation.verdict import Price, verdict
from engine.evaluation.volumes import Curves, Stretch, best_by_cost, best_by_value, curves, flips
from engine.evaluation.words import dollars, listed
from engine.quantities import counted
from engine.states import ContestantKind


@dataclass(frozen=True)
class TestImage:
    """A test image: its name below the data set, and where it lies; what is not known is None or empty."""

    __test__ = False  # its name would make pytest collect it

    name: str
    path: Path | None = None
    sha256: str = ""
    bytes: int | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Asked:
    """What is known of one query besides its answer.

    Milliseconds until the answer of the attempt that was answered: `latency_ms` where the request had the service to
    itself, `concurrent_ms` where many were made at a time.
    """

    latency_ms: float | None = None
    concurrent_ms: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Evidence:
    """What findings are made of; everything in the order of the comparison's contestants.

    Attributes:
        comparison, answers, inputs: of the same experiment.
        economics: one a contestant; none where nothing is known of what they cost.
        data: what the test images are part of; None where that is not known.
        images: the test images, in the order that all share.
        asked: what is known of each question, by contestant and image; empty where nothing is.
        properties: of the test images.
        validated: what each local network made of its validation images, by its plain name and by image.
        bought: whether a contestant was right about validation images that were paid for, by plain name and by image.
        sure: probability of each answer, by plain name, of contestants that tell one.
        rankings: (label, probability) of the likeliest labels, by plain name, likewise.
        provenance: everything that decided the figures.
        notes: what has to be known besides, in sentences.

    """

    comparison: Comparison
    answers: Answers
    inputs: Sequence[ContestantInput]
    economics: Sequence[Economics]
    data: DatasetInfo | None
    provenance: Provenance
    images: Sequence[TestImage] = ()
    asked: Sequence[Sequence[Asked]] = ()
    properties: ImageProperties | None = None
    synonyms: Synonyms | None = None
    validated: Mapping[str, Mapping[int, Checked]] = field(default_factory=dict)
    bought: Mapping[str, Mapping[int, bool]] = field(default_factory=dict)
    sure: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    rankings: Mapping[str, Sequence[Sequence[tuple[int, float]]]] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Findings:
    """What came out, under the terms that money is computed by.

    `totals` and `per_thousand` have None where what a contestant costs is not known: it is not finished, or a price is
    missing.
    `cautions` say why figures may promise too much, `notes` what else has to be known. `cascade_differences`
    has each cascade against the better of its members, corrected for the number of cascades. `sweeps` has a cascade of
    each pair over its whole range. `evidence` is what all of it was made of.
    """

    analysis: Analysis
    comparison: Comparison
    answers: Answers
    terms: Terms
    totals: tuple[Total | None, ...]
    per_thousand: tuple[float | None, ...]
    by_cost: tuple[Stretch, ...]
    by_value: tuple[Stretch, ...]
    break_evens: tuple[BreakEven, ...]
    returns: tuple[Return, ...]
    cascades: tuple[Cascade, ...]
    cascade_differences: tuple[PairedDifference, ...]
    frontier: tuple[Point, ...]
    suspects: tuple[Suspect, ...]
    references: tuple[Reference, ...]
    cautions: tuple[str, ...]
    provenance_lines: tuple[tuple[str, str], ...]
    evidence: Evidence
    curves: Curves | None = None
    sweeps: tuple[Sweep, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def provenance(self) -> Provenance:
        """Everything that decided the figures."""
        return self.evidence.provenance

    @property
    def published_pairs(self) -> list[str]:
        """What the counts of every two rows of one publication say."""
        return among(self.references)

    @property
    def economics(self) -> tuple[Economics, ...]:
        """What each contestant's costs are made of; none where nothing is known of them."""
        return tuple(self.evidence.economics)


def find(evidence: Evidence, terms: Terms) -> Findings:
    """Return all that can be said of an experiment.

    Raises:
        ValueError: contestants that cannot be compared; see `analysis.analyse`.

    """
    comparison, answers, known = evidence.comparison, evidence.answers, list(evidence.economics)
    named = by_name(known)
    # Of who is not finished, neither accuracy nor price is known yet.
    settled = [c for c in comparison.contestants if c.complete]
    finished = {c.name for c in settled}
    priced = [e for e in known if e.known(terms) and e.name in finished]
    unknown = " ".join(
        _unknown([e.name for e in known if e.name in finished and e.priced == charged and not e.known(terms)], why)
        for charged, why in ((False, "a charge has no price"), (True, "the time of an answer was not measured"))
    ).strip()
    totals = [total(e, terms) if e in priced else None for e in known]
    by_value = best_by_value(priced, terms, or_nobody=True) if priced else []
    analysis = _worth(_analysis(evidence, terms, totals), priced, by_value, terms)
    if unknown:
        said = analysis.verdict
        analysis = replace(analysis, verdict=replace(said, sentence=f"{said.sentence} {unknown}"))
    unfinished = {c.name for c, r in zip(evidence.inputs, comparison.contestants, strict=True) if not r.complete}
    done = replace(answers, contestants=tuple(c for c in answers.contestants if c.name not in unfinished))
    mixed = cascades(done, evidence.validated, evidence.bought, sure=evidence.sure, economics=named, terms=terms)
    pairs_of = members(done.contestants)
    return Findings(
        analysis=analysis,
        comparison=comparison,
        answers=answers,
        terms=terms,
        totals=tuple(totals),
        per_thousand=tuple(per_thousand(e, terms) if e in priced else None for e in known),
        by_cost=tuple(best_by_cost(priced, terms)),
        by_value=tuple(by_value),
        break_evens=tuple(pairs(priced, terms)),
        returns=tuple(_returns(analysis, priced, terms)),
        cascades=tuple(mixed),
        cascade_differences=_cascade_differences(mixed, answers),
        frontier=tuple(frontier(points(settled, mixed, named, terms))),
        suspects=tuple(
            suspects(
                answers,
                evidence.sure,
                evidence.rankings,
                {i.name: shown_name(i) for i in evidence.inputs},
                # An emulated contestant looks with the network that most of our own recipes look with.
                [i.name for i in evidence.inputs if i.emulated or i.kind == ContestantKind.CNN],
            )
        ),
        references=tuple(references(evidence.data)) if evidence.data else (),
        cautions=tuple(f"{c.name}: {c.caution}" for c in comparison.contestants if c.caution),
        provenance_lines=tuple(evidence.provenance.lines()),
        evidence=evidence,
        curves=curves(priced, terms) if priced else None,
        sweeps=tuple(
            sweep(answers, one, other, sure=evidence.sure.get(one.name), economics=named, terms=terms)
            for one, other in pairs_of
        ),
        notes=(*evidence.notes, *([unknown] if unknown else [])),
    )


def _unknown(names: Sequence[str], why: str) -> str:
    """Return in a sentence whose costs are not known; nothing where all are."""
    if not names:
        return ""
    cost, are = ("costs", "It is") if len(names) == 1 else ("cost", "They are")
    return f"What {listed(names)} {cost} is unknown, because {why}. {are} left out wherever costs are compared."


def _analysis(evidence: Evidence, terms: Terms, totals: Sequence[Total | None]) -> Analysis:
    """Return the analysis; its verdict says nothing of prices where nothing is known of them."""
    comparison = evidence.comparison
    known = zip(evidence.inputs, evidence.economics, totals, strict=True) if evidence.economics else ()
    found = analyse(
        comparison.experiment,
        comparison.dataset,
        comparison.split,
        evidence.answers.labels,
        evidence.inputs,
        properties=evidence.properties,
        synonyms=evidence.synonyms,
        prices={
            i.name: Price(once(e, terms), per_thousand(e, terms), hourly(e, terms), t.usd) for i, e, t in known if t
        },
        volume=round(terms.images),
        horizon=terms.horizon,
        judged=comparison.judged,
    )
    if evidence.economics:
        return found
    standings = standings_of(found.contestants, found.judged, priced=False)
    return replace(found, verdict=verdict(standings, found.differences, found.judged))


def _worth(analysis: Analysis, priced: Sequence[Economics], by_value: Sequence[Stretch], terms: Terms) -> Analysis:
    """Return the analysis, its verdict with what another value, volume, or number of hours would change."""
    v = analysis.verdict
    if v.choice is None:
        return analysis
    told = []
    here = next((s for s in by_value if s.low <= terms.volume <= s.high), None)
    if terms.value and here is not None:
        if here.name != v.choice:
            who = f"{here.name} leaves" if here.name else "asking nobody leaves"
            told.append(
                f"The value: at ${terms.value:g} a correct answer {who} the most, at"
                f" {counted(terms.volume, 'image')} a month and if accuracies are as measured."
            )
        told += [flip.sentence for flip in flips(priced, terms, by_value=True)]
    else:
        above = analysis.judged.baselines  # one that is not better than these is no choice, however cheap
        alike = {v.best, *(name for name in v.tied if above.beaten_by(name))}
        among = [e for e in priced if e.name in alike]
        if len(among) == len(alike):
            told += [flip.sentence for flip in flips(among, terms, by_value=False)]
        told += _cheaper_answers(analysis, priced, terms)
    return replace(analysis, verdict=replace(v, would_change=(*told, *v.would_change)))


def _cheaper_answers(analysis: Analysis, priced: Sequence[Economics], terms: Terms) -> list[str]:
    """Return what volume and hours do to the price of each further right answer, where the best is the dearer one."""
    best = next((e for e in priced if e.name == analysis.verdict.best), None)
    if best is None:
        return []
    found = []
    for e in priced:
        if e is best or not (d := analysis.between(best.name, e.name)).real:
            continue
        more = d.gain if d.a == best.name else -d.gain
        if more <= 0:  # the best by another measure may recognise fewer
            continue

        def usd(t: Terms, e: Economics = e, gain: float = more) -> float:
            return (total(best, t).usd - total(e, t).usd) / (gain * t.images)

        if usd(terms) <= 0:
            continue
        ways = [(f"{counted(10 * terms.volume, 'image')} a month", replace(terms, volume=10 * terms.volume))]
        for name, words, paid in (
            ("hosting_hours", "hosting", best.hosting_hourly or e.hosting_hourly),
            ("machine_hours", "the machine", terms.machine_hourly * (best.machines + e.machines)),
        ):
            hours = getattr(terms, name)
            if hours and paid:
                ways.append((f"{words} {hours / 3:g} hours a day", replace(terms, **{name: hours / 3})))
        prices = listed([f"{dollars(max(0.0, usd(t)))} at {way}" for way, t in ways])
        found.append(
            f"Volume and hours: each further right answer of {best.name} over {e.name} costs {dollars(usd(terms))};"
            f" {prices}."
        )
    return found


def _cascade_differences(mixed: Sequence[Cascade], answers: Answers) -> tuple[PairedDifference, ...]:
    """Return each cascade against the better of its members, image by image."""

    def hits(predicted: Sequence[int | None]) -> list[bool]:
        return [said == truth for said, truth in zip(predicted, answers.truths, strict=True)]

    found = []
    for cascade in mixed:
        rest = {name: hits(answers.of(name).predicted) for name in (cascade.second, cascade.first)}
        better = max(rest, key=lambda name: sum(rest[name]))
        found.append(paired(cascade.name, better, hits(cascade.predicted), rest[better]))
    return holm(found)


def _returns(analysis: Analysis, known: Sequence[Economics], terms: Terms) -> list[Return]:
    """Return what each contestant earns in place of each other one that costs no more, in their order."""
    found = []
    for one, other in combinations(known, 2):
        d = analysis.between(one.name, other.name)
        cost = total(one, terms).usd - total(other, terms).usd
        dear, base = (one, other) if (cost, d.gain if d.a == one.name else -d.gain) >= (0.0, 0.0) else (other, one)
        sign, only = (1, (d.only_a, d.only_b)) if d.a == dear.name else (-1, (d.only_b, d.only_a))
        low, high = sorted((sign * d.low, sign * d.high))
        counts = len(only[0]), len(only[1])
        found.append(return_on(dear, base, sign * d.gain, low, high, terms, only=counts))
    return found
