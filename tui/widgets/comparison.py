"""The comparison, as one table with the intervals drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.widgets import Static

from tui.styles.theme import look
from tui.text import dollars, one_line, span
from tui.widgets.bar import interval

if TYPE_CHECKING:
    from engine import Comparison, ContestantResult

AXIS = 3
"""The column in which the interval is drawn; it takes what the others leave."""
TALL = 36
"""Rows of the terminal from which the differences are told in words, too."""
ORDERS = ("as named", "accuracy", "price", "latency")


class ComparisonTable(Static, can_focus=True):
    """Who was right how often, how fast, and for how much; against the baseline where there is one."""

    def __init__(self, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._comparison: Comparison | None = None
        self.order = ORDERS[0]
        self.border_title = "Comparison"

    def on_mount(self) -> None:
        """Say what will stand here."""
        self.show(None)

    def on_resize(self) -> None:
        """Lay it out anew for the new width."""
        self.show(self._comparison)

    def next_order(self) -> None:
        """Sort by something else."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self.show(self._comparison)

    def show(self, comparison: Comparison | None) -> None:
        """Show a comparison."""
        self._comparison = comparison
        if comparison is None or not any(_answered(c) for c in comparison.contestants):
            self.border_subtitle = ""
            self.update(Text("Nothing to compare yet: it appears here with the first answers.", look().dim))
            return
        images = f"{comparison.split['test']:,} test images of {one_line(comparison.dataset, 40)}"
        self.border_subtitle = Text(images + ("" if self.order == ORDERS[0] else f" · by {self.order}"))
        table = self._table(comparison)
        if self.screen.size.height >= TALL:
            told = Text("\n", look().dim)
            for d in comparison.differences:
                sure = f"p = {d.p:.3f}" if d.p >= 0.001 else "p < 0.001"
                verdict = "a real difference" if d.p < 0.05 else "may be chance"
                told.append(f"{one_line(d.name, 40)} against {one_line(d.baseline, 40)}: {d.gain * 100:+.1f} points, ")
                told.append(f"{verdict}", look().foreground).append(f" ({sure}, {d.only_this} to {d.only_baseline})\n")
            told.rstrip()
            self.update(Group(table, told))
        else:
            self.update(table)

    def _table(self, comparison: Comparison) -> Table:
        wide = self.content_size.width >= 96
        padding = 2 if wide else 1
        contestants = _sorted(comparison.contestants, self.order)
        gains = {d.name: d for d in comparison.differences}
        done = [c for c in contestants if c.complete]
        complete = [c.accuracy for c in done]
        # One axis for all, in steps of five points, so that intervals can be told apart.
        first = math.floor(20 * min((c.accuracy_low for c in done), default=0.0)) / 20
        last = math.ceil(20 * max((c.accuracy_high for c in done), default=1.0)) / 20
        rows = [_headings(wide, bool(gains))]
        for c in contestants:
            gain = gains.get(c.name)
            delta = None if gain is None else f"{gain.gain * 100:+.1f}{'' if gain.p < 0.05 else '?'}"
            if gains and delta is None:
                delta = "base" if any(d.baseline == c.name for d in comparison.differences) else "–"
            rows.append(_cells(c, wide, bool(complete) and c.accuracy == max(complete), delta))
        columns = len(rows[0])
        taken = sum(max(row[n].cell_len if n < len(row) else 0 for row in rows) + padding for n in range(columns))
        room = max(8, min(40, self.content_size.width - taken))
        table = Table.grid(padding=(0, padding), expand=True)
        for n in range(columns):
            table.add_column(justify="left" if n in (0, AXIS, AXIS + 1) else "right", no_wrap=True)
        for row, contestant in zip(rows, (None, *contestants), strict=True):
            if contestant is not None and len(row) > AXIS:
                c = contestant
                colour = look().contestant(c.kind)
                low, middle, high = (
                    (share - first) / (last - first) for share in (c.accuracy_low, c.accuracy, c.accuracy_high)
                )
                row[AXIS] = interval(low, middle, high, room, colour)
            elif contestant is None:
                left, right = f"{first:.0%}", f"{last:.0%}"
                row[AXIS] = Text(left + right.rjust(room - len(left)), look().dim)
            table.add_row(*row)
        return table


def _sorted(contestants: list[ContestantResult], order: str) -> list[ContestantResult]:
    if order == "accuracy":
        return sorted(contestants, key=lambda c: -c.accuracy)
    if order == "price":
        return sorted(contestants, key=lambda c: c.cost.total)
    if order == "latency":
        return sorted(contestants, key=lambda c: c.latency.p50 if c.latency else float("inf"))
    return contestants


def _headings(wide: bool, delta: bool) -> list[Text]:
    names = ["contestant", "right", "accuracy", "", "95% interval"]
    names += ["Δ points"] if delta and wide else []
    names += ["F1", "p50 ms", "p95 ms", "training", "cost"] if wide else ["p50 ms", "cost"]
    return [Text(name, look().dim) for name in names]


def _answered(c: ContestantResult) -> int:
    return c.n - sum(count for outcome, count in c.outcomes.items() if outcome == "missing")


def _cells(c: ContestantResult, wide: bool, best: bool, delta: str | None) -> list[Text]:
    colour, dim = look().contestant(c.kind), look().dim
    name = Text(one_line(c.name, 32), colour)
    if not _answered(c):
        return [name, Text("waiting", dim)]
    if not c.complete:
        # The share of right answers among all test images would be a lie before all are answered.
        return [name, Text(f"{_answered(c)}/{c.n}", dim), Text("running", dim)]
    cells = [
        name,
        Text(f"{c.correct}/{c.n}"),
        Text(f"{c.accuracy:.1%}", f"bold {colour}" if best else "bold"),
        Text(),
        Text(f"{c.accuracy_low:.1%}–{c.accuracy_high:.1%}", dim),
    ]
    if delta is not None and wide:
        cells.append(Text(delta, dim if delta in ("base", "–") or "?" in delta else ""))
    latency = [f"{v:,.0f}" for v in (c.latency.p50, c.latency.p95)] if c.latency else ["–", "–"]
    trained = span(c.train_seconds) if c.train_seconds is not None else "–"
    if wide:
        cells.append(Text(f"{c.macro_f1:.3f}"))
    cells.append(Text(latency[0]))
    if wide:
        cells += [Text(latency[1]), Text(trained)]
    cells.append(Text(dollars(c.cost.total)))
    return cells
