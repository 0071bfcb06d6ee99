"""Charts made of characters: a histogram, and what things have cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from engine import signed
from tui.styles.theme import look
from tui.text import dollars, one_line
from tui.widgets.bar import stacked

if TYPE_CHECKING:
    from engine import Answers, Comparison, ContestantResult

_STEPS = " ▁▂▃▄▅▆▇█"
WIDE = 90
"""Cells from which the legend has room beside estimates."""
NOTABLE = 0.1
"""A share over the estimate that catches the eye."""


def latencies(answers: Answers, comparison: Comparison, width: int, height: int) -> Table:
    """Draw each contestant's single-request latencies on one logarithmic axis, with its percentiles."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    everything = [ms for c in answers.contestants for ms in c.latencies_ms]
    if not everything:
        grid.add_row(Text("No single requests were timed.", look().dim))
        return grid
    low, high = math.log10(min(everything)), math.log10(max(everything))
    cells = max(20, width - 2)
    tall = max(1, min(4, (height - 2) // max(1, len(answers.contestants)) - 2))
    for c, result in zip(answers.contestants, comparison.contestants, strict=True):
        name = Text(one_line(result.name, 40), look().contestant(c.kind))
        if result.latency is None:
            grid.add_row(name.append("  not timed", look().dim))
            continue
        t = result.latency
        told = f"  p50 {t.p50:,.0f}  p90 {t.p90:,.0f}  p95 {t.p95:,.0f}  p99 {t.p99:,.0f}  mean {t.mean:,.0f} ms"
        grid.add_row(name.append(f"{told}  n {t.n}", look().dim))
        for line in histogram(c.latencies_ms, low, high, cells, tall):
            grid.add_row(Text(line, look().contestant(c.kind), no_wrap=True))
    left, right = f"{10**low:,.1f} ms ", f" {10**high:,.0f} ms"
    grid.add_row(Text(left + "─" * max(1, cells - len(left) - len(right)) + right, look().dim))
    grid.add_row(Text("one request after another, from the first attempt to the whole answer; logarithmic", look().dim))
    return grid


def histogram(values: Sequence[float], low: float, high: float, cells: int, tall: int = 1) -> list[str]:
    """Return lines of blocks: the counts of values between 10^low and 10^high, `tall` lines high."""
    counts = [0] * cells
    for value in values:
        place = (math.log10(value) - low) / (high - low) if high > low else 0.5
        counts[min(cells - 1, int(place * cells))] += 1
    most = max(counts)
    steps = [math.ceil(count / most * 8 * tall) if most else 0 for count in counts]
    return ["".join(_STEPS[max(0, min(8, step - 8 * row))] for step in steps) for row in reversed(range(tall))]


def spent(comparison: Comparison, width: int) -> Group:
    """Draw what each contestant has cost so far, part by part, beside what was expected."""
    at, found = look(), comparison.contestants
    table = Table.grid(padding=(0, 2))
    expected = any(c.estimate is not None for c in found)
    for justify in ("left", "right", *(("right", "right") if expected else ()), "left"):
        table.add_column(justify=justify, no_wrap=True)
    most = max((c.cost.total or 0.0 for c in found), default=0.0)
    cells = max(10, width - (57 if expected else 38))
    parts, marks = (("training", at.accent), ("hosting", at.bad), ("inference", at.info)), "█▒░"
    legend = Text()
    for (part, style), mark in zip(parts, marks, strict=True):
        legend.append(f"{mark} ", style).append(f"{part}  ", at.dim)
    heads = [Text("spent", at.dim), Text("estimated", at.dim), ""] if expected else [""]
    apart = expected and width < WIDE
    table.add_row("", *heads, "" if apart else legend)
    for c in found:
        name = Text(one_line(c.name, 24), at.contestant(c.kind))
        known = [(getattr(c.cost, part) or 0.0, style) for part, style in parts]
        drawn = Text() if c.cost.total is None else stacked(known, most, cells, marks)
        guess = [_estimated(c), _over(c)] if expected else []
        nothing = not c.complete and c.cost.total == 0  # it was charged nothing, and may never have run
        table.add_row(name, Text("–", at.dim) if nothing else Text(dollars(c.cost.total)), *guess, drawn)
    return Group(table, *([legend] if apart else []))


def _estimated(result: ContestantResult) -> Text:
    """Return what a contestant was expected to cost when it was started."""
    return Text("–" if result.estimate is None else dollars(result.estimate.total), look().dim)


def _over(result: ContestantResult) -> Text:
    """Return by how much it came out dearer or cheaper, once it is complete."""
    estimate = result.estimate.total if result.estimate is not None else 0.0
    if not result.complete or not estimate or result.cost.total is None:
        return Text("")
    off = result.cost.total / estimate - 1
    return Text(f"{signed(100 * off, 0)}%", look().warn if off > NOTABLE else look().dim)
