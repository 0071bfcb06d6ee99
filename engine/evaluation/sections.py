"""Findings in words and rows, before anybody decides how they look: text, Markdown and HTML are made of these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.evaluation.analysis import ContestantAnalysis
from engine.evaluation.differences import PairedDifference
from engine.evaluation.economics import overloaded
from engine.evaluation.findings import Findings
from engine.evaluation.latency import PERCENTILES, Figure, LatencyProfile
from engine.evaluation.measures import MeasureKind
from engine.evaluation.quality import Share
from engine.evaluation.reading import Rule
from engine.evaluation.references import Reference
from engine.evaluation.suspects import kinship
from engine.evaluation.volumes import Stretch
from engine.evaluation.words import dollars, p_value
from engine.quantities import between, counted, points
from engine.states import Outcome


@dataclass(frozen=True)
class Section:
    """A title, sentences, and a table where there is one; its first column is words, the others are figures."""

    title: str
    sentences: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


_PARTS = ("training", "labels", "hosting", "machine", "inference", "usd")


def percent(share: float) -> str:
    """Return a share as it is written: `44.5%`."""
    return f"{share:.1%}"


def interval(low: float, high: float) -> str:
    """Return an interval of shares as it is written: `39.8%–49.3%`."""
    return f"{low:.1%}–{high:.1%}"


def verdict(found: Findings) -> Section | None:
    """Return what may and may not be concluded, and what would change the verdict; its sentence stands on top."""
    v = found.analysis.verdict
    told = [f"May be concluded: {line}" for line in v.may]
    told += [f"May not be concluded: {line}" for line in v.may_not]
    told += [f"Would change it: {line}" for line in v.would_change]
    return Section("Verdict", tuple(told)) if told else None


def differences(found: Findings) -> Section | None:
    """Return all pairs, p corrected for their number; None for fewer than two contestants."""
    pairs = found.analysis.differences
    if not pairs:
        return None
    measure = found.analysis.judged.measure
    if measure.kind == MeasureKind.ACCURACY:
        told = "Image by image: points with a 95% interval, McNemar's exact p"
    else:
        what = f"points of {measure.name}" if measure.is_share else f"{measure.name}{measure.unit}"
        told = f"Image by image: {what} with a 95% interval, positive where the first is better, p of the paired"
        told += " permutation test"
    corrected = max(d.pairs for d in pairs)
    if corrected > 1:
        told += f", both corrected for {counted(corrected, 'pair')} (Holm)"
    told += "; how many test images would tell the two apart four times in five, if they differ as they do here."
    if measure.kind != MeasureKind.ACCURACY:
        told += " “only 1st” and “only 2nd” count the images that were recognised, whatever their class."
    gain = "points" if measure.is_share else measure.name
    return Section(
        "Differences",
        (told,),
        ("pair", gain, "95% interval", "only 1st", "only 2nd", "p", "images needed"),
        tuple(_difference(d) for d in pairs),
    )


def _difference(d: PairedDifference) -> tuple[str, ...]:
    if not d.n:
        return (f"{d.a} – {d.b} (no image that both were asked)", *["–"] * 6)
    return (
        f"{d.a} – {d.b}" + (f" (on {d.n:,} that both were asked)" if d.partial else ""),
        d.measure.gap(d.gain, sign=True),
        f"{d.measure.gap(d.low, sign=True)} to {d.measure.gap(d.high, sign=True)}",
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
                _who(c),
                *(f"{q.coverage.outcomes[outcome]:,}" for outcome in Outcome),
                _of(q.coverage.over_all),
                _of(q.coverage.over_answered),
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
            " missing. Lenient: read only because an answer's form was forgiven; strict: accuracy without that."
            + _partial(found),
        ),
        ("contestant", "answered", "unknown", "filtered", "failed", "missing", "of all", "of answered", "lenient",
         "strict"),
        tuple(rows),
    )  # fmt: skip


def _who(c: ContestantAnalysis) -> str:
    """Return a contestant's name; one that is not finished says so wherever its figures stand."""
    return c.name + ("" if c.complete else " (unfinished)")


def _of(share: Share) -> str:
    """Return a share; nothing where it is of nothing."""
    return percent(share.value) if share.n else "–"


def _partial(found: Findings) -> str:
    """Return what has to be known of figures where somebody is not finished."""
    unfinished = any(not c.complete for c in found.analysis.contestants)
    return " Unfinished: of the images that it has answered so far." if unfinished else ""


def reading(found: Findings) -> Section | None:
    """Return the rules by which answers were read, in their order, and how many each has read; None without any."""
    told = [(c, c.quality.leniency) for c in found.analysis.contestants if c.quality.leniency is not None]
    rows = [
        (rule.sentence, *(f"{leniency.rules.get(rule, 0):,}" for _, leniency in told))
        for rule in Rule
        if any(rule in leniency.rules for _, leniency in told)
    ]
    if not rows:
        return None
    how = "Each answer is read by the first rule that fits; none knows the truth. Those that read nothing are not here."
    today = "would be read otherwise today; what was stored counts."
    changed = [f"{_who(c)}: {counted(leniency.changed, 'answer')} {today}"
               for c, leniency in told if leniency.changed]  # fmt: skip
    return Section("How answers were read", (how, *changed), ("rule", *(_who(c) for c, _ in told)), tuple(rows))


def quality(found: Findings) -> Section | None:
    """Return the figures beside accuracy."""
    rows = []
    for c in found.analysis.contestants:
        q, tops = c.quality, {t.k: percent(t.share.value) for t in c.quality.top}
        error = "–" if q.calibration is None else f"{q.calibration.error:.3f}"
        figures = (percent(q.balanced_accuracy), f"{q.macro_f1:.3f}", f"{q.weighted_f1:.3f}")
        figures = figures if q.accuracy.n else ("–",) * 3  # nothing was answered yet
        rows.append((_who(c), *figures, tops.get(3, "–"), tops.get(5, "–"), error))
    if not rows:
        return None
    for b in found.analysis.judged.baselines.rows:
        rows.append((b.shown, percent(b.balanced_accuracy), f"{b.macro_f1:.3f}", "–", "–", "–", "–"))
    return Section(
        "Quality",
        (),
        ("contestant", "balanced accuracy", "macro-F1", "weighted F1", "top 3", "top 5", "calibration error"),
        tuple(rows),
    )


def classes(found: Findings) -> Section | None:
    """Return precision, recall and F1 of each contestant and label that has images or was named; None without any."""
    rows = [
        (
            _who(c),
            k.label,
            f"{k.support:,}",
            percent(k.precision) if k.named else "–",
            f"{percent(k.recall.value)} ({interval(k.recall.low, k.recall.high)})" if k.support else "–",
            f"{k.f1:.3f}",
        )
        for c in found.analysis.contestants
        for k in c.quality.classes
        if k.support or k.named
    ]
    if not rows:
        return None
    told = f"n: test images of the class. Recall with its 95% interval.{_partial(found)}"
    return Section("Classes", (told,), ("contestant", "class", "n", "precision", "recall", "F1"), tuple(rows))


def latency(found: Findings) -> Section | None:
    """Return milliseconds by percentile with their intervals, each kind of request for itself."""
    rows = []
    for c in found.analysis.contestants:
        times = c.latency
        single = "one at a time, answered attempt" if found.economics else "as given"
        kinds: list[tuple[str, LatencyProfile | None]] = [(single, times.single)]
        for name, waits in (("one at a time", times.sequential), ("many at a time", times.concurrent)):
            if waits is not None:
                kinds += [(f"{name}, first attempt", waits.first), (f"{name}, in all", waits.total)]
        rows += [_times(f"{c.name}: {name}", profile) for name, profile in kinds if profile is not None]
    if not rows:
        return None
    told = "Milliseconds with 95% intervals; percentiles by linear interpolation."
    if any("?" in cell or "too few" in cell for row in rows for cell in row[1:]):
        told += " “?”: too few requests for that end of an interval; “too few”: for both."
    return Section(
        "Latency",
        (told,),
        ("requests", "n", "mean", *(f"p{p}" for p in PERCENTILES)),
        tuple(rows),
    )


def _times(name: str, profile: LatencyProfile) -> tuple[str, ...]:
    return (name, f"{profile.n:,}", _ms(profile.mean), *(_ms(profile.percentiles[p]) for p in PERCENTILES))


def _ms(figure: Figure) -> str:
    ends = ["?" if end is None else f"{end:,.0f}" for end in (figure.low, figure.high)]
    return f"{figure.value:,.0f} ({'too few' if ends == ['?', '?'] else '–'.join(ends)})"


def cost(found: Findings) -> Section | None:
    """Return what each contestant costs under the terms, who breaks even where, and who is best at which volume."""
    if not found.economics:
        return None
    t = found.terms
    parts = [part for part in _PARTS if part != "labels" or t.label_price is not None]
    rows = []
    for e, thousand, total, c in zip(
        found.economics, found.per_thousand, found.totals, found.comparison.contestants, strict=True
    ):
        # A contestant that is not finished has no costs ahead: what it would cost once it is, nothing measured yet.
        sums = [None if total is None else getattr(total, part) for part in parts]
        shown = [dollars(usd) if c.complete else "–" for usd in (thousand, *sums)]
        rows.append((e.name + ("" if c.complete else " (unfinished)"), *shown))
    told = [f"For {t.horizon}; {', '.join(t.assumptions)}."]
    told += overloads(found)
    told += [b.sentence for b in found.break_evens]
    told += [f"Cheapest: {_stretches(found.by_cost)}."] if found.by_cost else []
    told += [f"Most value less cost: {_stretches(found.by_value)}."] if found.by_value and t.value else []
    told += [r.sentence for r in found.returns]
    headings = ("contestant", "per 1,000 more", *("in all" if part == "usd" else part for part in parts))
    return Section("Cost", tuple(told), headings, tuple(rows))


def overloads(found: Findings) -> list[str]:
    """Return of whom one machine is not enough at the volume that is reckoned with."""
    t = found.terms
    return [
        f"{e.name}: {counted(t.volume, 'image')} a month are more than one machine can do at its pace"
        + ("." if t.machine_hours is None else "; what it costs to keep more of them is not counted.")
        for e, total in zip(found.economics, found.totals, strict=True)
        if total is not None and overloaded(e, t)
    ]


def _stretches(stretches: Iterable[Stretch]) -> str:
    told = []
    for s in stretches:
        if s.high < 1:
            continue  # nobody has less than an image a month
        name = s.name or "nobody"
        told.append(f"{name} {between(s.low, s.high, 'images a month')}")
    return ", ".join(told)


def frontier(found: Findings) -> Section | None:
    """Return contestants and cascades by cost and accuracy, the cheapest first; None where no cost is known."""
    if not found.frontier:
        return None
    rows = [
        (p.name, dollars(p.usd), f"{percent(p.accuracy)} ({interval(p.low, p.high)})", ", ".join(p.dominated_by) or "–")
        for p in found.frontier
    ]
    how = (
        "By what 1,000 images cost with their share of all that is paid. Whom nobody beats is on the frontier; to beat"
        " is to be better in cost or accuracy, and in neither worse, as measured: which differences in accuracy are"
        " beyond chance is under Differences."
    )
    headings = ("contestant or cascade", "per 1,000 in all", "accuracy", "beaten by")
    return Section("Frontier", (how,), headings, tuple(rows))


def cascades(found: Findings) -> Section | None:
    """Return contestants computed for nothing; None where there are none."""
    if not found.cascades:
        return None
    rows = []
    for c, d in zip(found.cascades, found.cascade_differences, strict=True):
        usd = c.per_thousand(found.terms)
        share = f"{c.accuracy:.1%} ({interval(c.low, c.high)})"
        gained = f"{points(d.gain)} ({points(d.low)} to {points(d.high)})"
        per_thousand = "–" if usd is None else dollars(usd)
        p = p_value(d.p_holm).removeprefix("p ").removeprefix("= ")
        rows.append((c.name, f"{c.threshold:.3f}", percent(c.share_to_second), share, gained, p, per_thousand))
    several = f", both corrected for {counted(len(rows), 'cascade')} (Holm)" if len(rows) > 1 else ""
    how = (
        "Computed from stored answers: the first answers where it is sure, the second where it is not. Points are those"
        f" that it has more than the better of its two, with a 95% interval and McNemar's exact p{several}; the"
        " contestants' own are not corrected for cascades."
    )
    told = (how, *(f"{c.name}: {c.chosen_on}" for c in found.cascades))
    headings = ("cascade", "threshold", "goes on", "accuracy", "points", "p", "per 1,000 more")
    return Section("Cascades", told, headings, tuple(rows))


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
    told = ("Thirds of each property, each share with a 95% interval of its own; whether they differ is not tested.",)
    return Section("By image property", told, ("images", "n", *map(_who, contestants)), tuple(rows))


def confused(found: Findings, most: int = 10) -> Section | None:
    """Return the most frequent mistakes of each contestant."""
    rows = [
        (_who(c), pair.truth, pair.answer, f"{pair.count:,} of {pair.support:,}")
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
    told = f"{counted(len(found.suspects), 'label')} that may be wrong{more}: a reason to look, not a proof."
    return Section(
        "Suspect labels",
        (f"{told} {kinship(found.suspects)}".rstrip(),),
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
    told += found.published_pairs
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
