"""A comparison as text: for people (table, Markdown) and for programs (JSON, CSV)."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

from engine import clock
from engine.evaluation.comparison import Comparison, ContestantResult
from engine.evaluation.metrics import Requests
from engine.states import Outcome

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PERCENTILES = ("mean", "p50", "p90", "p95", "p99")
_REQUESTS = ("n", "retried", "attempts", "first_ms_p50", "first_ms_p95", "total_ms_p50", "total_ms_p95")


def render(comparison: Comparison, form: str) -> str:
    """Return a comparison as `table`, `json`, `csv` or `markdown`.

    Raises:
        KeyError: no such form.

    """
    return {"table": to_table, "json": _json_text, "csv": to_csv, "markdown": to_markdown}[form](comparison)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain values; figures are unrounded, money is US dollars."""
    return {
        "experiment": comparison.experiment,
        "dataset": comparison.dataset,
        "split": {name: comparison.split[name] for name in ("train", "val", "test")},
        "contestants": [_plain(c) for c in comparison.contestants],
    }


def _plain(c: ContestantResult) -> dict[str, Any]:
    return {
        "name": c.name,
        "kind": str(c.kind),
        "model": c.model,
        "n": c.n,
        "correct": c.correct,
        "accuracy": c.accuracy,
        "accuracy_low": c.accuracy_low,
        "accuracy_high": c.accuracy_high,
        "macro_f1": c.macro_f1,
        "outcomes": {str(outcome): count for outcome, count in c.outcomes.items()},
        "latency_ms": {p: getattr(c.latency, p) for p in _PERCENTILES} if c.latency else None,
        "cost_usd": {
            "training": c.cost.training,
            "hosting": c.cost.hosting,
            "inference": c.cost.inference,
            "total": c.cost.total,
        },
        "train_seconds": c.train_seconds,
        "emulated": c.emulated,
    }


def _requests(found: Requests | None) -> dict[str, Any]:
    """Return what became of the real-time requests: `latency_ms` is of single ones, without retries."""
    if found is None:
        return dict.fromkeys(_REQUESTS)
    values: list[Any] = [found.n, found.retried, found.attempts]
    for part in (found.first, found.total):
        values += [part.p50, part.p95] if part else [None, None]
    return dict(zip(_REQUESTS, values, strict=True))


def _json_text(comparison: Comparison) -> str:
    return json.dumps(to_json(comparison), indent=2, ensure_ascii=False)


def to_csv(comparison: Comparison) -> str:
    """Return one row a contestant; nested values become `outcomes_answered` and the like.

    Beside what the JSON has: what it was estimated to cost, and what became of its real-time requests.
    """
    rows = []
    for c in comparison.contestants:
        flat: dict[str, Any] = {}
        estimate = c.estimate.total if c.estimate else None
        for key, value in {**_plain(c), "estimate_usd": estimate, "requests": _requests(c.requests)}.items():
            if key == "latency_ms":
                value = value or dict.fromkeys(_PERCENTILES)
            if isinstance(value, dict):
                flat |= {f"{key}_{inner}": v for inner, v in value.items()}
            else:
                flat[key] = value
        rows.append({"experiment": comparison.experiment, "dataset": comparison.dataset, **flat})
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else ["experiment"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


HEADINGS = ("contestant", "right", "accuracy", "95% interval", "F1", "p50 ms", "p95 ms", "cost", "training")


def cells(c: ContestantResult) -> tuple[str, ...]:
    """Return a contestant's row under `HEADINGS`."""
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
        f"${c.cost.total:,.2f}",
        clock.seconds(c.train_seconds) if c.train_seconds is not None else "–",
    )


def to_table(comparison: Comparison) -> str:
    """Return the comparison as plain text for a terminal, then what it does and does not say."""
    rows = [HEADINGS, *(cells(c) for c in comparison.contestants)]
    # Where 80 columns are too few, the columns that can be spared go: F1 and p95.
    spare = [i for i, heading in enumerate(HEADINGS) if heading not in ("F1", "p95 ms")]
    rows = [tuple(row[i] for i in spare) for row in rows] if _width(rows) > 80 else rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [_title(comparison), ""]
    for number, row in enumerate(rows):
        first, *others = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join((first, *others)).rstrip())
        if number == 0:
            lines.append("─" * min(80, sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join([*lines, "", *notes(comparison)])


def _width(rows: list[tuple[str, ...]]) -> int:
    return sum(max(len(row[i]) for row in rows) for i in range(len(rows[0]))) + 2 * (len(rows[0]) - 1)


def to_markdown(comparison: Comparison) -> str:
    """Return the comparison as Markdown."""
    rows = [cells(c) for c in comparison.contestants]
    lines = [f"## {_escape(_title(comparison))}", "", "| " + " | ".join(HEADINGS) + " |"]
    lines.append("|" + "---|" * len(HEADINGS))
    lines += ["| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- {_escape(note)}" for note in notes(comparison))])


def _title(comparison: Comparison) -> str:
    s = comparison.split
    return (
        f"{literal(comparison.experiment)}: {s['test']:,} test images of {literal(comparison.dataset)}"
        f" ({s['train']:,} train, {s['val']:,} val)"
    )


def notes(comparison: Comparison) -> list[str]:
    """Return what has to be known to read the figures: differences, failures, prompts, emulation."""
    found = []
    for d in comparison.differences:
        sure = f"p = {d.p:.3f}" if d.p >= 0.001 else "p < 0.001"
        verdict = "a real difference" if d.p < 0.05 else "may be chance"
        found.append(
            f"{literal(d.name)} vs {literal(d.baseline)}: {d.gain * 100:+.1f} points"
            f" ({d.only_this} images only it got right, {d.only_baseline} only the other; {sure}: {verdict})."
        )
    for c in comparison.contestants:
        lost = [f"{count} {outcome}" for outcome, count in c.outcomes.items() if count and outcome != "answered"]
        if not c.complete:
            answered = c.n - c.outcomes[Outcome.MISSING]
            found.append(f"{literal(c.name)} is not finished: {answered} of {c.n} images are answered.")
        elif lost:
            found.append(f"{literal(c.name)}: {', '.join(lost)} of {c.n}; all count as wrong.")
        if c.caution:
            found.append(f"{literal(c.name)}: {literal(c.caution)}")
        if c.prompt:
            found.append(
                f"{literal(c.name)} ({literal(c.model)}) was asked “{literal(c.prompt)}”, answers as {c.answer_format}."
            )
        if c.estimate is not None and c.complete and c.estimate.total:
            found.append(
                f"{literal(c.name)}: estimated ${c.estimate.total:,.2f} before, ${c.cost.total:,.2f} in the end."
            )
        if c.latency:
            found.append(f"{literal(c.name)}: latency of {c.latency.n} single requests, one after another.")
        if c.requests and c.requests.retried:
            found.append(
                f"{literal(c.name)}: {c.requests.retried} of {c.requests.n} real-time requests were answered after"
                f" a retry; their waits are in no latency."
            )
    if any(c.emulated for c in comparison.contestants):
        found.append("Emulated rows are the local emulator's own: a small network, not GPT-4o; nobody charges them.")
    return found


def literal(text: str) -> str:
    """Return text from outside without control characters."""
    return _CONTROL.sub("", text)


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text)
