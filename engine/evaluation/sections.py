"""Findings in words and rows, before anybody decides how they look: text, Markdown and HTML are made of these."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.evaluation.differences import PairedDifference
from engine.evaluation.findings import Findings
from engine.evaluation.latency import PERCENTILES, Figure, LatencyProfile
from engine.evaluation.references import Reference
from engine.evaluation.verdict import dollars, p_value
from engine.evaluation.volumes import Stretch
from engine.states import Outcome


@dataclass(frozen=True)
class Section:
    """A title, sentences, and a table where there is one; its first column is words, the others are figures."""

    title: str
    sentences: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def percent(share: float) -> str:
    """Return a share as it is written: `44.5%`."""
    return f"{share:.1%}"


def interval(low: float, high: float) -> str:
    """Return an interval of shares as it is written: `39.8%–49.3%`."""
    return f"{low:.1%}–{high:.1%}"


def verdict(found: Findings) -> Section:
    """Return the plain sentence, and what may and may not be concluded."""
    v = found.analysis.verdict
    told = [v.sentence, *(f"May be concluded: {line}" for line in v.may)]
    told += [f"May not: {line}" for line in v.may_not]
    told += [f"Would change it: {line}" for line in v.would_change]
    return Section("Verdict", tuple(told))


def differences(found: Findings) -> Section | None:
    """Return all pairs, p corrected for their number; None for fewer than two contestants."""
    pairs = found.analysis.differences
    if not pairs:
        return None
    corrected = f", p corrected for {len(pairs)} pairs (Holm)" if len(pairs) > 1 else ""
    return Section(
        "Differences",
        (f"Image by image: points with a 95% interval{corrected}; how many test images would tell the two apart.",),
        ("pair", "points", "95% interval", "only 1st", "only 2nd", "p", "images needed"),
        tuple(_difference(d) for d in pairs),
    )


def _difference(d: PairedDifference) -> tuple[str, ...]:
    return (
        f"{d.a} – {d.b}" + (f" (on {d.n:,} that both were asked)" if d.partial else ""),
        f"{100 * d.gain:+.1f}",
        f"{100 * d.low:+.1f} to {100 * d.high:+.1f}",
        f"{len(d.only_a):,}",
        f"{len(d.only_b):,}",
        p_value(d.p_holm).removeprefix("p ").removeprefix("= "),
        "–" if d.needed is None else f"{d.needed:,}",
    )


def coverage(found: Findings) -> Section | None:
    """Return what became of every question, and accuracy by both readings."""
    rows = []
    for c in found.analysis.contestants:
        q = c.quality
        rows.append(
            (
                c.name + ("" if c.complete else " (unfinished)"),
                *(f"{q.coverage.outcomes[outcome]:,}" for outcome in Outcome),
                percent(q.coverage.over_all.value),
                percent(q.coverage.over_answered.value),
                "–" if q.leniency is None else percent(q.leniency.lenient.value),
                "–" if q.leniency is None else percent(q.leniency.strict.value),
            )
        )
    if not rows:
        return None
    return Section(
        "Coverage",
        (
            "Of all: what has no right label counts as wrong. Of answered: without what was filtered, failed or is"
            " missing. Lenient: read only because an answer's form was forgiven; strict: accuracy without that.",
        ),
        ("contestant", "answered", "unknown", "filtered", "failed", "missing", "of all", "of answered", "lenient",
         "strict"),
        tuple(rows),
    )  # fmt: skip


def quality(found: Findings) -> Section | None:
    """Return the figures beside accuracy."""
    rows = []
    for c in found.analysis.contestants:
        q, tops = c.quality, {t.k: percent(t.share.value) for t in c.quality.top}
        error = "–" if q.calibration is None else f"{q.calibration.error:.3f}"
        figures = (percent(q.balanced_accuracy), f"{q.macro_f1:.3f}", f"{q.weighted_f1:.3f}")
        rows.append((c.name, *figures, tops.get(3, "–"), tops.get(5, "–"), error))
    if not rows:
        return None
    return Section(
        "Quality",
        (),
        ("contestant", "balanced", "macro F1", "weighted F1", "top 3", "top 5", "calibration error"),
        tuple(rows),
    )


def latency(found: Findings) -> Section | None:
    """Return milliseconds by percentile with their intervals, each kind of request for itself."""
    rows = []
    for c in found.analysis.contestants:
        times = c.latency
        single = "one at a time" if found.economics else "as given"
        kinds: list[tuple[str, LatencyProfile | None]] = [(single, times.single)]
        for name, waits in (("one at a time", times.sequential), ("many at a time", times.concurrent)):
            if waits is not None:
                kinds += [(f"{name}, first attempt", waits.first), (f"{name}, in all", waits.total)]
        rows += [_times(f"{c.name}: {name}", profile) for name, profile in kinds if profile is not None]
    if not rows:
        return None
    return Section(
        "Latency",
        ("Milliseconds with 95% intervals; percentiles by linear interpolation.",),
        ("requests", "n", "mean", *(f"p{p}" for p in PERCENTILES)),
        tuple(rows),
    )


def _times(name: str, profile: LatencyProfile) -> tuple[str, ...]:
    return (name, f"{profile.n:,}", _ms(profile.mean), *(_ms(profile.percentiles[p]) for p in PERCENTILES))


def _ms(figure: Figure) -> str:
    ends = ["?" if end is None else f"{end:,.0f}" for end in (figure.low, figure.high)]
    return f"{figure.value:,.0f}" if ends == ["?", "?"] else f"{figure.value:,.0f} ({ends[0]}–{ends[1]})"


def cost(found: Findings) -> Section | None:
    """Return what each contestant costs under the terms, who breaks even where, and who is best at which volume."""
    if not found.economics:
        return None
    t = found.terms
    rows = [
        (
            e.name,
            dollars(thousand),
            dollars(total.training),
            dollars(total.hosting),
            dollars(total.machine),
            dollars(total.inference),
            dollars(total.usd),
        )
        for e, thousand, total in zip(found.economics, found.per_thousand, found.totals, strict=True)
    ]
    told = [
        f"For {t.volume:,.0f} images a month over {t.months:g} months, hosting {t.hosting_hours:g} hours a day,"
        f" {'in batches where that can be' if t.batch else 'in real time'}, the machine at ${t.machine_hourly:g} an"
        f" hour, a correct answer worth ${t.value:g}."
    ]
    told += [b.sentence for b in found.break_evens]
    told += [f"Cheapest: {_stretches(found.by_cost)}."] if found.by_cost else []
    told += [f"Most value less cost: {_stretches(found.by_value)}."] if found.by_value and t.value else []
    told += [r.sentence for r in found.returns]
    headings = ("contestant", "per 1,000 more", "training", "hosting", "machine", "inference", "in all")
    return Section("Cost", tuple(told), headings, tuple(rows))


def _stretches(stretches: Iterable[Stretch]) -> str:
    told = []
    for s in stretches:
        if s.high < 1:
            continue  # nobody has less than an image a month
        low, high, name = (s.low if s.low >= 1 else 0.0), s.high, s.name or "nobody"
        ends = "at any volume" if low == 0 and math.isinf(high) else f"from {low:,.0f} images a month"
        told.append(f"{name} {ends if math.isinf(high) else f'up to {high:,.0f} images a month' if low == 0 else ends}")
    return ", ".join(told)


def cascades(found: Findings) -> Section | None:
    """Return contestants computed for nothing; None where there are none."""
    if not found.cascades:
        return None
    rows = []
    for c in found.cascades:
        usd = c.per_thousand(found.terms)
        share = f"{c.accuracy:.1%} ({interval(c.low, c.high)})"
        rows.append(
            (c.name, f"{c.threshold:.3f}", percent(c.share_to_second), share, "–" if usd is None else dollars(usd))
        )
    how = "Computed from stored answers: the first answers where it is sure, the second where it is not."
    told = (how, *(f"{c.name}: {c.chosen_on}" for c in found.cascades))
    return Section("Cascades", told, ("cascade", "threshold", "goes on", "accuracy", "per 1,000 more"), tuple(rows))


def properties(found: Findings) -> Section | None:
    """Return accuracy by image property, where there is something to tell apart."""
    rows: list[tuple[str, ...]] = []
    contestants = found.analysis.contestants
    for bucket in contestants[0].by_property if contestants else ():
        others = [
            b for c in contestants for b in c.by_property if (b.property, b.name) == (bucket.property, bucket.name)
        ]
        alike = [b for b in contestants[0].by_property if b.property == bucket.property]
        if len(alike) > 1:
            figures = (f"{b.share.value:.1%} ({interval(b.share.low, b.share.high)})" for b in others)
            rows.append((f"{bucket.name} ({bucket.property})", f"{bucket.share.n:,}", *figures))
    if not rows:
        return None
    told = ("Thirds of each property; whether intervals overlap says whether a difference is more than chance.",)
    return Section("By image property", told, ("images", "n", *(c.name for c in contestants)), tuple(rows))


def confused(found: Findings, most: int = 10) -> Section | None:
    """Return the most frequent mistakes of each contestant."""
    rows = [
        (c.name, pair.truth, pair.answer, f"{pair.count:,} of {pair.support:,}")
        for c in found.analysis.contestants
        for pair in c.quality.confused[:most]
    ]
    return Section("Most confused", (), ("contestant", "truth", "taken for", "images"), tuple(rows)) if rows else None


def suspects(found: Findings, most: int = 20) -> Section | None:
    """Return the labels that may be wrong."""
    if not found.suspects:
        return None
    images = found.evidence.images
    shown = found.suspects[:most]
    rows = tuple((images[s.image].name if images else str(s.image), s.reason) for s in shown)
    more = f", the first {most} of them here" if len(found.suspects) > most else ""
    return Section(
        "Suspect labels",
        (f"{len(found.suspects):,} labels that may be wrong{more}: a reason to look, not a proof.",),
        ("image", "why"),
        rows,
    )


def references(found: Findings) -> Section | None:
    """Return what others have published, and why it does not compare."""
    if not found.references:
        return None
    rows = [
        (
            f"{r.name} (published)",
            f"{r.correct}/{r.n}",
            percent(r.accuracy),
            interval(r.low, r.high),
            f"{r.latency_ms['p50']:,.0f}" if "p50" in r.latency_ms else "–",
            _published_cost(r),
        )
        for r in found.references
    ]
    told = [f"{r.name}: {' '.join((r.sentence, *r.notes))}" for r in found.references]
    headings = ("published elsewhere", "right", "accuracy", "95% interval", "p50 ms", "cost")
    return Section("Published, by others", tuple(told), headings, tuple(rows))


def _published_cost(r: Reference) -> str:
    parts = [f"{dollars(usd)} {item}" for item, usd in r.cost_usd.items()]
    parts += [f"{dollars(r.hosting_hourly)} an hour"] if r.hosting_hourly else []
    return ", ".join(parts) or "–"


def provenance(found: Findings) -> Section:
    """Return everything that decided the figures."""
    return Section("Where it comes from", (), ("what", "which"), tuple(found.provenance.lines()))


def present(sections: Sequence[Section | None]) -> list[Section]:
    """Return the sections that there are."""
    return [s for s in sections if s is not None]
