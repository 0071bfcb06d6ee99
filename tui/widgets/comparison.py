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
        table = Table.grid(padding=(0, 2 if wide else 1), expand=True)
        headings = [("contestant", "left"), ("right", "right"), ("accuracy", "right")]
        headings += [("", "left"), ("95% interval", "left")]
        headings += [("F1", "right")] if wide else []
        headings += [("p50 ms", "right")]
        headings += [("p95 ms", "right"), ("training", "right")] if wide else []
        headings += [("cost", "right")]
        room = self.content_size.width - (97 if wide else 66)
        for _, justify in headings:
            table.add_column(justify=justify, no_wrap=True)  # type: ignore[arg-type]
        table.add_row(*(Text(heading, DIM) for heading, _ in headings))
        best = max(c.accuracy for c in comparison.contestants)
        for contestant in comparison.contestants:
            table.add_row(*_cells(contestant, wide, contestant.accuracy == best, max(6, min(40, room))))
        self.update(table)


def _answered(c: ContestantResult) -> int:
    return c.n - sum(count for outcome, count in c.outcomes.items() if outcome == "missing")


def _cells(c: ContestantResult, wide: bool, best: bool, room: int) -> list[Text]:
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
        interval(c.accuracy_low, c.accuracy, c.accuracy_high, room, colour),
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
