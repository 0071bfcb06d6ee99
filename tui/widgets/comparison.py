"""The comparison, as one table with the intervals drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text
from textual.widgets import Static

from tui.styles.theme import CONTESTANTS, DIM, TRACK
from tui.text import dollars, literal, span

if TYPE_CHECKING:
    from engine import Comparison, ContestantResult


class ComparisonTable(Static, can_focus=True):
    """Who was right how often, how fast, and for how much."""

    def __init__(self, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._comparison: Comparison | None = None
        self.border_title = "Comparison"

    def on_mount(self) -> None:
        """Say what will stand here."""
        self.show(None)

    def on_resize(self) -> None:
        """Lay it out anew for the new width."""
        self.show(self._comparison)

    def show(self, comparison: Comparison | None) -> None:
        """Show a comparison."""
        self._comparison = comparison
        if comparison is None or not any(_answered(c) for c in comparison.contestants):
            self.border_subtitle = ""
            self.update(Text("Nothing to compare yet: it appears here with the first answers.", DIM))
            return
        self.border_subtitle = Text(f"{comparison.split['test']:,} test images of {literal(comparison.dataset)}")
        wide = self.content_size.width >= 100
        padding = 2 if wide else 1
        rows = [_headings(wide)]
        best = max(c.accuracy for c in comparison.contestants)
        rows += [_cells(c, wide, c.accuracy == best) for c in comparison.contestants]
        columns = len(rows[0])
        taken = sum(max(row[n].cell_len if n < len(row) else 0 for row in rows) + padding for n in range(columns))
        room = max(5, min(40, self.content_size.width - taken))
        table = Table.grid(padding=(0, padding), expand=True)
        for n in range(columns):
            table.add_column(justify="left" if n in (0, AXIS, AXIS + 1) else "right", no_wrap=True)
        for row, c in zip(rows, (None, *comparison.contestants), strict=True):
            if c is not None and len(row) > AXIS:
                row[AXIS] = interval(c.accuracy_low, c.accuracy, c.accuracy_high, room, CONTESTANTS.get(c.kind, ""))
            table.add_row(*row)
        self.update(table)


AXIS = 3
"""The column in which the interval is drawn; it takes what the others leave."""


def _headings(wide: bool) -> list[Text]:
    names = ["contestant", "right", "accuracy", "", "95% interval"]
    names += ["F1", "p50 ms", "p95 ms", "training", "cost"] if wide else ["p50 ms", "cost"]
    return [Text(name, DIM) for name in names]


def _answered(c: ContestantResult) -> int:
    return c.n - sum(count for outcome, count in c.outcomes.items() if outcome == "missing")


def _cells(c: ContestantResult, wide: bool, best: bool) -> list[Text]:
    colour = CONTESTANTS.get(c.kind, "")
    name = Text(literal(c.name), colour)
    if not _answered(c):
        return [name, Text("waiting", DIM)]
    if not c.complete:
        # The share of right answers among all test images would be a lie before all are answered.
        return [name, Text(f"{_answered(c)}/{c.n}", DIM), Text("running", DIM)]
    cells = [
        name,
        Text(f"{c.correct}/{c.n}"),
        Text(f"{c.accuracy:.1%}", f"bold {colour}" if best else "bold"),
        Text(),
        Text(f"{c.accuracy_low:.1%}–{c.accuracy_high:.1%}", DIM),
    ]
    latency = [f"{v:,.0f}" for v in (c.latency.p50, c.latency.p95)] if c.latency else ["–", "–"]
    trained = span(c.train_seconds) if c.train_seconds is not None else "–"
    if wide:
        cells.append(Text(f"{c.macro_f1:.3f}"))
    cells.append(Text(latency[0]))
    if wide:
        cells += [Text(latency[1]), Text(trained)]
    cells.append(Text(dollars(c.cost.total)))
    return cells


def interval(low: float, middle: float, high: float, width: int, colour: str) -> Text:
    """Return an interval drawn on an axis from 0 to 1, `width` cells long."""
    first, dot, last = (min(width - 1, int(share * width)) for share in (low, middle, high))
    text = Text("·" * first, TRACK)
    for cell in range(first, last + 1):
        text.append("●" if cell == dot else "━", colour)
    text.append("·" * (width - 1 - last), TRACK)
    return text
