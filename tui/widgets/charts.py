"""Charts made of characters: a histogram, and what things cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from engine import break_even, economics
from tui.styles.theme import look
from tui.text import dollars, one_line
from tui.widgets.bar import stacked

if TYPE_CHECKING:
    from engine import Answers, Comparison

_STEPS = " ▁▂▃▄▅▆▇█"


def latencies(answers: Answers, comparison: Comparison, width: int) -> Table:
    """Draw each contestant's single-request latencies on one logarithmic axis, with its percentiles."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    everything = [ms for c in answers.contestants for ms in c.latencies_ms]
    if not everything:
        grid.add_row(Text("No single requests were timed.", look().dim))
        return grid
    low, high = math.log10(min(everything)), math.log10(max(everything))
    cells = max(20, min(80, width - 4))
    for c, result in zip(answers.contestants, comparison.contestants, strict=True):
        name = Text(one_line(result.name, 40), look().contestant(c.kind))
        if result.latency is None:
            grid.add_row(name.append("  not timed", look().dim))
            continue
        t = result.latency
        told = f"  p50 {t.p50:,.0f}  p90 {t.p90:,.0f}  p95 {t.p95:,.0f}  p99 {t.p99:,.0f}  mean {t.mean:,.0f} ms"
        grid.add_row(name.append(f"{told}  ({t.n} requests)", look().dim))
        grid.add_row(histogram(c.latencies_ms, low, high, cells, look().contestant(c.kind)))
    axis = Text("", look().dim)
    left, right = f"{10**low:,.1f} ms", f"{10**high:,.0f} ms"
    axis.append(left + "─" * max(1, cells - len(left) - len(right)) + right)
    grid.add_row(axis)
    grid.add_row(Text("one request after another, logarithmic axis; first attempt to whole answer", look().dim))
    return grid


def histogram(values: Sequence[float], low: float, high: float, cells: int, style: str) -> Text:
    """Draw the counts of values between 10^low and 10^high as one line of blocks."""
    counts = [0] * cells
    for value in values:
        place = (math.log10(value) - low) / (high - low) if high > low else 0.5
        counts[min(cells - 1, int(place * cells))] += 1
    most = max(counts)
    return Text("".join(_STEPS[math.ceil(count / most * 8) if most else 0] for count in counts), style, no_wrap=True)


def costs(comparison: Comparison, baseline: str | None, width: int) -> Table:
    """Draw what each contestant cost, part by part, and what it would cost to go on."""
    at = look()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=21)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column()
    most = max((c.cost.total for c in comparison.contestants), default=0.0)
    cells = max(10, min(50, width - 48))
    parts = (("training", at.accent), ("hosting", at.warn), ("inference", at.info))
    for c in comparison.contestants:
        drawn = stacked([(getattr(c.cost, name), style) for name, style in parts], most, cells)
        grid.add_row(Text(one_line(c.name, 24), at.contestant(c.kind)), Text(dollars(c.cost.total)), drawn)
    legend = Text()
    for name, style in parts:
        legend.append("█ ", style).append(f"{name}  ", at.dim)
    grid.add_row("", "", legend)
    grid.add_row("")
    money = {c.name: economics(c) for c in comparison.contestants}
    for c in comparison.contestants:
        e = money[c.name]
        told = Text(f"{dollars(e.per_thousand)} for 1,000 images more, after {dollars(e.once)} once")
        grid.add_row(Text(one_line(c.name, 24), at.contestant(c.kind)), "", told)
    names = list(money)
    base = baseline if baseline in money else (names[0] if names else None)
    for name in names:
        if base is None or name == base:
            continue
        volume = break_even(money[name], money[base])
        if volume is None:
            when = f"never cheaper than {one_line(base, 24)} at these prices"
        elif volume == 0:
            when = f"cheaper than {one_line(base, 24)} from the first image"
        else:
            when = f"cheaper than {one_line(base, 24)} from {volume:,.0f} images on"
        grid.add_row(Text(one_line(name, 24), at.dim), "", Text(when, at.dim))
    note = "list prices; hosting goes on by the hour while a deployment lives"
    emulated = any(c.emulated for c in comparison.contestants)
    grid.add_row("", "", Text(note + ("; emulated: nobody charges it" if emulated else ""), at.dim))
    return grid
