"""A comparison as text for people: a table for a terminal, and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engine import clock
from engine.evaluation import sections
from engine.evaluation.baselines import Baseline
from engine.evaluation.comparison import Comparison, ContestantResult
from engine.evaluation.findings import Findings
from engine.evaluation.judging import Judged
from engine.evaluation.measures import Measure, MeasureKind
from engine.evaluation.sections import Section
from engine.evaluation.words import UNKNOWN, corrected_p
from engine.quantities import agrees, counted
from engine.states import Outcome

# C0 and C1 controls, and the marks that turn the direction of what follows.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LOST = {
    Outcome.UNKNOWN_LABEL: "with no known label",
    Outcome.FILTERED: "filtered",
    Outcome.FAILED: "failed",
    Outcome.MISSING: "missing",
}
WIDTH = 80


_SPARED = ("p95 ms",)
"""Columns that go where 80 are too few; macro-F1 as well, unless it is what contestants are judged by."""


def headings(measure: Measure) -> tuple[str, ...]:
    """Return the headings of a comparison: the measure with its interval, then accuracy and macro-F1."""
    rest = [name for name in ("accuracy", "macro-F1") if name != measure.name]
    return ("contestant", "right", measure.name, "95% interval", *rest, "p50 ms", "p95 ms", "cost", "training")


def cells(c: ContestantResult, judged: Judged, *, priced: bool = True) -> tuple[str, ...]:
    """Return a contestant's row under `headings`; without a cost where none is known."""
    # Of a contestant that is not finished, the share of right answers among all images would be a lie.
    m = judged.values[c.name]
    shares = _shares(judged.measure, m.value, m.low, m.high, f"{c.correct}/{c.n}", c.accuracy, c.macro_f1)
    return (
        literal(c.name) + ("" if c.complete else " …"),
        *(shares if c.complete else ("–",) * len(shares)),
        f"{c.latency.p50:,.0f}" if c.latency else "–",
        f"{c.latency.p95:,.0f}" if c.latency else "–",
        _sum(c) if priced else "–",
        _trained(c),
    )


def baseline_cells(b: Baseline, measure: Measure) -> tuple[str, ...]:
    """Return a baseline's row under `headings`: it has no latency, no cost and no training."""
    right = "–" if b.correct is None else f"{b.correct}/{b.n}"
    return (b.shown, *_shares(measure, b.value, b.low, b.high, right, b.accuracy, b.macro_f1), "–", "–", "–", "–")


def _shares(
    measure: Measure, value: float, low: float | None, high: float | None, right: str, accuracy: float, macro_f1: float
) -> tuple[str, ...]:
    ends = "–" if low is None or high is None else f"{measure.shown(low)}–{measure.shown(high)}"
    rest = {"accuracy": f"{accuracy:.1%}", "macro-F1": f"{macro_f1:.3f}"}
    rest.pop(measure.name, None)
    return (right, measure.shown(value), ends, *rest.values())


def _trained(c: ContestantResult) -> str:
    """Return how long it trained; with features from the cache a first run takes longer."""
    if c.train_seconds is None:
        return "–"
    return f"{'≥ ' if c.train_from_cache else ''}{clock.seconds(c.train_seconds)}"


def _sum(c: ContestantResult) -> str:
    """Return what a contestant has cost; nothing of one that is not finished and was charged nothing so far."""
    if c.cost.total is None:
        return UNKNOWN
    return f"${c.cost.total:,.2f}" if c.complete or c.cost.total else "–"


def to_table(comparison: Comparison) -> str:
    """Return the comparison as plain text for a terminal, then what it does and does not say."""
    return "\n".join([_title(comparison), "", *_comparison_rows(comparison), "", *notes(comparison)])


def table_rows(comparison: Comparison, *, priced: bool = True) -> list[tuple[str, ...]]:
    """Return the rows under `headings`: contestants, then the baselines."""
    judged = comparison.judged
    rows = [cells(c, judged, priced=priced) for c in comparison.contestants]
    return rows + [baseline_cells(b, judged.measure) for b in judged.baselines.rows]


def _comparison_rows(comparison: Comparison, *, priced: bool = True) -> list[str]:
    names, measure = headings(comparison.judged.measure), comparison.judged.measure
    rows = [names, *table_rows(comparison, priced=priced)]
    spared = {*_SPARED, *({"macro-F1"} - {measure.name})}
    kept = [i for i, heading in enumerate(names) if heading not in spared]
    return _aligned([tuple(row[i] for i in kept) for row in rows] if _width(rows) > WIDTH else rows)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows under their headings, words to the left and figures to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join((first, *others)).rstrip())
        if number == 0:
            lines.append("─" * min(WIDTH, sum(widths) + 2 * (len(widths) - 1)))
    return lines


def _width(rows: Sequence[tuple[str, ...]]) -> int:
    return sum(max(len(row[i]) for row in rows) for i in range(len(rows[0]))) + 2 * (len(rows[0]) - 1)


def _markdown_rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(map(_escape, headings)) + " |", "|---|" + "---:|" * (len(headings) - 1)]
    return [*lines, *("| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows)]


# -- findings


def table_of(found: Findings, *, references: bool = False) -> str:
    """Return findings as plain text: the verdict, the comparison, its intervals, and what they rest on.

    Args:
        found: everything about an experiment.
        references: show published results too, marked as such.

    """
    lines = [literal(found.analysis.verdict.sentence), "", _title(found.comparison), ""]
    lines += _comparison_rows(found.comparison, priced=bool(found.economics))
    lines += ["", *intervals(found)]
    for section in _parts(found, references=references):
        lines += ["", section.title]
        lines += [f"  {literal(s)}" for s in section.sentences]
        if section.rows:
            rows = [section.headings, *section.rows]
            if section.headings[-1] in ("which", "why"):  # words, which are read from the left
                wide = max(len(literal(row[0])) for row in section.rows)
                lines += [f"  {literal(what).ljust(wide)}  {literal(which)}" for what, which in section.rows]
            else:
                lines += [f"  {line}" for line in _aligned([tuple(map(literal, row)) for row in rows])]
    return "\n".join(lines)


def markdown_of(found: Findings, *, references: bool = False) -> str:
    """Return findings as Markdown; see `table_of`."""
    lines = [f"## {_escape(_title(found.comparison))}", "", f"**{_escape(found.analysis.verdict.sentence)}**", ""]
    rows = table_rows(found.comparison, priced=bool(found.economics))
    lines += [*_markdown_rows(headings(found.analysis.judged.measure), rows), "", "```text", *intervals(found), "```"]
    more = (sections.reading(found), sections.classes(found), sections.confused(found), sections.properties(found))
    *parts, last = _parts(found, references=references, suspects=20)
    for section in sections.present([*parts, *more, last]):
        lines += ["", f"### {_escape(section.title)}", ""]
        lines += [_item(sentence) for sentence in section.sentences]
        if section.rows:
            lines += [*([""] if section.sentences else []), *_markdown_rows(section.headings, section.rows)]
    return "\n".join(lines)


def _parts(found: Findings, *, references: bool, suspects: int = 3) -> list[Section]:
    told = (*notes(found.comparison, differences=False, priced=bool(found.economics)), *found.notes)
    return sections.present(
        [
            sections.verdict(found),
            Section("Notes", told) if told else None,
            sections.differences(found),
            sections.coverage(found),
            sections.quality(found),
            sections.latency(found),
            sections.cost(found),
            sections.cascades(found),
            sections.frontier(found),
            sections.suspects(found, suspects),
            sections.references(found) if references else None,
            sections.provenance(found),
        ]
    )


def drawn(comparison: Comparison) -> list[tuple[str, float, float, float]]:
    """Return what is drawn with its interval, (name, low, value, high): finished contestants, then baselines."""
    judged = comparison.judged
    done = [(c.name, judged.values[c.name]) for c in comparison.contestants if c.complete and c.n]
    found = [(name, m.low, m.value, m.high) for name, m in done]
    for b in judged.baselines.rows if done else ():
        found.append((b.shown, b.value if b.low is None else b.low, b.value, b.value if b.high is None else b.high))
    return found


def most_of(measure: Measure, rows: Sequence[tuple[str, float, float, float]]) -> float:
    """Return the high end of an axis for a measure: 1, or of costs, what none exceeds."""
    return max([high for *_, high in rows], default=1.0) or 1.0 if measure.less_is_better else 1.0


def intervals(found: Findings, width: int = WIDTH) -> list[str]:
    """Return the measure drawn with its 95% intervals, one under the other on one scale."""
    rows, measure = drawn(found.comparison), found.analysis.judged.measure
    if not rows:
        return []
    most = most_of(measure, rows)
    title = f"{measure.name} and its 95% interval"
    label = min(40, max(map(len, (literal(name) for name, *_ in rows))))
    span = max(20, width - label - 10)
    first, middle, last = (measure.axis(end) for end in (0.0, most / 2, most))
    scale = first + middle.rjust(span // 2 + 1 - len(first)).ljust(span - len(first) - len(last)) + last
    lines = [title, " " * label + "  " + scale]
    for name, *shares in rows:
        low, at, high = (round(min(1.0, share / most) * (span - 1)) for share in shares)
        line = ["·"] * span
        line[low : high + 1] = "─" * (high + 1 - low)
        line[low], line[high], line[at] = "├", "┤", "●"
        lines.append(f"{literal(name)[:label].ljust(label)}  {''.join(line)}  {measure.shown(shares[1]):>6}")
    return lines


def _title(comparison: Comparison) -> str:
    s = comparison.split
    told = f"{literal(comparison.experiment)}: {counted(s['test'], 'test image')} of {literal(comparison.dataset)}"
    return f"{told} ({s['train']:,} train, {s['val']:,} val)" if s["train"] or s["val"] else told


def notes(comparison: Comparison, *, differences: bool = True, priced: bool = True, cautions: bool = True) -> list[str]:
    """Return what has to be known to read the figures: differences, failures, cautions, prompts, emulation."""
    found = []
    measure = comparison.judged.measure
    for d in comparison.differences if differences else ():
        found.append(
            f"{literal(d.name)} vs {literal(d.baseline)}: {measure.gap(d.gain, sign=True)}{measure.unit_of}"
            f" ({counted(d.only_this, 'image')} only it got right, {d.only_baseline} only the other;"
            f" {corrected_p(d.p_holm, d.pairs)}: {'a real difference' if d.real else 'may be chance'})."
        )
    for c in comparison.contestants:
        lost = [f"{count:,} {_LOST[outcome]}" for outcome, count in c.outcomes.items() if count and outcome in _LOST]
        if not c.complete:
            answered = c.n - c.outcomes[Outcome.MISSING]
            have = agrees(answered, "has", "have")
            found.append(
                f"{literal(c.name)} is not finished: {answered:,} of {counted(c.n, 'image')} {have} been answered."
            )
        elif lost:
            found.append(f"{literal(c.name)}: {', '.join(lost)} of {c.n:,}; all count as wrong.")
        if c.caution and cautions:
            found.append(f"{literal(c.name)}: {literal(c.caution)}")
        if c.train_seconds is not None and c.train_from_cache:
            found.append(
                f"{literal(c.name)}: trained in {clock.seconds(c.train_seconds)} with the features of"
                f" {c.train_from_cache:.0%} of its images from the cache; a first run takes longer."
            )
        if c.prompt:
            found.append(
                f"{literal(c.name)} ({literal(c.model)}) was asked “{literal(c.prompt)}”, answers as {c.answer_format}."
            )
        if priced and c.estimate is not None and c.complete and c.estimate.total:
            found.append(f"{literal(c.name)}: estimated ${c.estimate.total:,.2f} before, {_sum(c)} in the end.")
        if priced and c.latency:  # of others' requests nobody knows how they were made
            found.append(f"{literal(c.name)}: latency of {counted(c.latency.n, 'single request')}, one after another.")
        if c.requests and c.requests.retried:
            found.append(
                f"{literal(c.name)}: {c.requests.retried:,} of {counted(c.requests.n, 'real-time request')}"
                f" {agrees(c.requests.retried, 'was', 'were')} answered after a retry; the wait is in the latency"
                " “in all” only."
            )
    found += baseline_notes(comparison)
    if any(c.emulated for c in comparison.contestants):
        found.append("Emulated rows are the local emulator's own: a small network, not GPT-4o; nobody charges them.")
    return found


def baseline_notes(comparison: Comparison) -> list[str]:
    """Return what the rows below the contestants are."""
    rows, measure = comparison.judged.baselines.rows, comparison.judged.measure
    told = []
    for b in rows:
        if b.label is not None:
            told.append(f"{b.name}: always {literal(b.label)}, the most frequent of the {b.source}")
        else:
            told.append(f"{b.name}: any of the labels, each as likely")
    about = f"Judged by {measure.name}." if measure.kind != MeasureKind.ACCURACY else ""
    if measure.less_is_better:
        about = f"Judged by {measure.name}: the mean of what each image's answer costs, by the table of costs."
    kept = [f"{'; '.join(told)}. Neither is a contestant: both are computed from labels alone."] if told else []
    return [*([about] if about else []), *kept]


def literal(text: str) -> str:
    """Return text from outside without control characters."""
    return _CONTROL.sub("", text)


def _escape(text: str) -> str:
    """Return text as Markdown shows it literally, links that GitHub makes of addresses and names included."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~$]|(?<=[a-zA-Z]):(?=//)|(?<=www)\.|@(?=\w))", r"\\\1", literal(text))


def _item(text: str) -> str:
    """Return a list's item; its text begins no list or heading of its own."""
    return "- " + re.sub(r"\A(?=[-+=])|\A(\d+)(?=[.)])", r"\1\\", _escape(text))
