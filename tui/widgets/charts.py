"""Charts made of characters: a histogram, and what things cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from engine import break_even, economics
from tui.styles.theme import look
from tui.text import dollars, one_line
from tui.widgets.bar import stacked

if TYPE_CHECKING:
    from engine import Answers, Comparison, ContestantResult

_STEPS = " ▁▂▃▄▅▆▇█"
VOLUMES = (1_000, 10_000, 100_000, 1_000_000)
"""Images for which the cost is told ahead."""
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


def costs(comparison: Comparison, baseline: str | None, width: int) -> Group:
    """Draw what each contestant cost, part by part, and what it would cost to go on."""
    at, found = look(), comparison.contestants
    names = {c.name: Text(one_line(c.name, 24), at.contestant(c.kind)) for c in found}
    spent = Table.grid(padding=(0, 2))
    expected = any(c.estimate is not None for c in found)
    for justify in ("left", "right", *(("right", "right") if expected else ()), "left"):
        spent.add_column(justify=justify, no_wrap=True)
    most = max((c.cost.total for c in found), default=0.0)
    cells = max(10, width - (57 if expected else 38))
    parts = (("training", at.accent), ("hosting", at.bad), ("inference", at.info))
    legend = Text()
    for name, style in parts:
        legend.append("█ ", style).append(f"{name}  ", at.dim)
    heads = [Text("spent", at.dim), Text("estimated", at.dim), ""] if expected else [""]
    apart = expected and width < WIDE
    spent.add_row(Text("so far", at.dim), *heads, "" if apart else legend)
    for c in found:
        drawn = stacked([(getattr(c.cost, name), style) for name, style in parts], most, cells)
        guess = [_estimated(c), _over(c)] if expected else []
        spent.add_row(names[c.name], Text(dollars(c.cost.total)), *guess, drawn)
    money = {c.name: economics(c) for c in found}
    ahead = Table.grid(padding=(0, 2))
    for n in range(2 + len(VOLUMES)):
        ahead.add_column(justify="right" if n else "left", no_wrap=True)
    volumes = VOLUMES if width >= WIDE else VOLUMES[::2]
    ahead.add_row(*(Text(name, at.dim) for name in ("to classify", "once", *(f"{v:,} images" for v in volumes))))
    sums = {name: [e.once + e.per_thousand * v / 1000 for v in volumes] for name, e in money.items()}
    for name, row in sums.items():
        sums_ = [
            Text(dollars(usd), f"bold {at.ok}" if usd <= min(other[n] for other in sums.values()) else "")
            for n, usd in enumerate(row)
        ]
        ahead.add_row(names[name], Text(dollars(money[name].once)), *sums_)
    told = Text("", at.dim)
    base = baseline if baseline in money else next(iter(money), None)
    for name in money:
        if base is not None and name != base:
            told.append(_sentence(name, base, break_even(money[name], money[base])))
    told.append("List prices; hosting goes on by the hour while a deployment lives, and is not in the sums ahead.")
    if any(c.emulated for c in found):
        told.append(" Emulated: nobody charges it.")
    return Group(spent, *([legend] if apart else []), "", ahead, "", told)


def _estimated(result: ContestantResult) -> Text:
    """Return what a contestant was expected to cost when it was started."""
    return Text("–" if result.estimate is None else dollars(result.estimate.total), look().dim)


def _over(result: ContestantResult) -> Text:
    """Return by how much it came out dearer or cheaper, once it is complete."""
    estimate = result.estimate.total if result.estimate is not None else 0.0
    if not result.complete or not estimate:
        return Text("")
    off = result.cost.total / estimate - 1
    return Text(f"{off:+.0%}", look().warn if off > NOTABLE else look().dim)


def _sentence(name: str, base: str, volume: float | None) -> str:
    if volume is None:
        return f"{name} is never cheaper than {base}.\n"
    since = "from the first image" if volume == 0 else f"from {volume:,.0f} images on"
    return f"{name} is cheaper than {base} {since}.\n"
