"""A comparison as text for people: a table for a terminal, and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engine import clock
from engine.evaluation import sections
from engine.evaluation.comparison import Comparison, ContestantResult
from engine.evaluation.findings import Findings
from engine.evaluation.sections import Section
from engine.evaluation.words import UNKNOWN, corrected_p
from engine.quantities import agrees, counted, points
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


HEADINGS = ("contestant", "right", "accuracy", "95% interval", "F1", "p50 ms", "p95 ms", "cost", "training")


def cells(c: ContestantResult, *, priced: bool = True) -> tuple[str, ...]:
    """Return a contestant's row under `HEADINGS`; without a cost where nobody knows it."""
    # Of a contestant that is not finished, the share of right answers among all images would be a lie.
    right = (
        f"{c.correct}/{c.n}",
        f"{c.accuracy:.1%}",
        f"{c.accuracy_low:.1%}–{c.accuracy_high:.1%}",
        f"{c.macro_f1:.3f}",
    )
    return (
        literal(c.name) + ("" if c.complete else " …"),
        *(right if c.complete else ("–", "–", "–", "–")),
        f"{c.latency.p50:,.0f}" if c.latency else "–",
        f"{c.latency.p95:,.0f}" if c.latency else "–",
        _sum(c) if priced else "–",
        _trained(c),
    )


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


def _comparison_rows(comparison: Comparison, *, priced: bool = True) -> list[str]:
    rows = [HEADINGS, *(cells(c, priced=priced) for c in comparison.contestants)]
    # Where 80 columns are too few, the columns that can be spared go: F1 and p95.
    spare = [i for i, heading in enumerate(HEADINGS) if heading not in ("F1", "p95 ms")]
    return _aligned([tuple(row[i] for i in spare) for row in rows] if _width(rows) > WIDTH else rows)


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
    rows = [cells(c, priced=bool(found.economics)) for c in found.comparison.contestants]
    lines += [*_markdown_rows(HEADINGS, rows), "", "```text", *intervals(found), "```"]
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


def intervals(found: Findings, width: int = WIDTH) -> list[str]:
    """Return accuracies drawn with their 95% intervals, one under the other on one scale."""
    done = [c for c in found.analysis.contestants if c.complete and c.quality.coverage.n]
    if not done:
        return []
    names = [literal(c.name) for c in done]
    label = min(32, max(map(len, names)))
    span = max(20, width - label - 10)
    scale = "0%" + "50%".rjust(span // 2 - 1).ljust(span - 6) + "100%"
    lines = ["accuracy and its 95% interval".ljust(label), " " * label + "  " + scale]
    for name, c in zip(names, done, strict=True):
        a = c.quality.accuracy
        low, at, high = (round(share * (span - 1)) for share in (a.low, a.value, a.high))
        drawn = ["·"] * span
        drawn[low : high + 1] = "─" * (high + 1 - low)
        drawn[low], drawn[high], drawn[at] = "├", "┤", "●"
        lines.append(f"{name[:label].ljust(label)}  {''.join(drawn)}  {a.value:6.1%}")
    return lines


def _title(comparison: Comparison) -> str:
    s = comparison.split
    told = f"{literal(comparison.experiment)}: {counted(s['test'], 'test image')} of {literal(comparison.dataset)}"
    return f"{told} ({s['train']:,} train, {s['val']:,} val)" if s["train"] or s["val"] else told


def notes(comparison: Comparison, *, differences: bool = True, priced: bool = True, cautions: bool = True) -> list[str]:
    """Return what has to be known to read the figures: differences, failures, cautions, prompts, emulation."""
    found = []
    for d in comparison.differences if differences else ():
        found.append(
            f"{literal(d.name)} vs {literal(d.baseline)}: {points(d.gain)} points"
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
    if any(c.emulated for c in comparison.contestants):
        found.append("Emulated rows are the local emulator's own: a small network, not GPT-4o; nobody charges them.")
    return found


def literal(text: str) -> str:
    """Return text from outside without control characters."""
    return _CONTROL.sub("", text)


def _escape(text: str) -> str:
    """Return text as Markdown shows it literally, links that GitHub makes of addresses and names included."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~$]|(?<=[a-zA-Z]):(?=//)|(?<=www)\.|@(?=\w))", r"\\\1", literal(text))


def _item(text: str) -> str:
    """Return a list's item; its text begins no list or heading of its own."""
    return "- " + re.sub(r"\A(?=[-+=])|\A(\d+)(?=[.)])", r"\1\\", _escape(text))
