"""Precision, recall, F1 and support of every class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult

from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.bar import whiskers
from tui.widgets.pages import PagedTable
from tui.widgets.tabs.base import Sheet, View, short

if TYPE_CHECKING:
    from engine import ClassQuality

_ORDERS: dict[str, Callable[[ClassQuality], tuple[float | str, str]]] = {
    "recall, worst first": lambda c: (c.recall.value if c.support else 2.0, c.label),
    "F1, worst first": lambda c: (c.f1 if c.support else 2.0, c.label),
    "precision, worst first": lambda c: (c.precision if c.named else 2.0, c.label),
    "support, most first": lambda c: (-float(c.support), c.label),
    "name": lambda c: (c.label.casefold(), c.label),
}
FIXED = 2 + 2 + 5 + 2 + 3 * 8
"""Cells of the margins, of the class's column beside its name, and of support and three figures."""
LEAST = 12
"""Cells in which an interval is drawn at least."""
OTHER = 12
"""Cells of another contestant's column."""


class ClassesTab(Sheet):
    """A row a class: its recall drawn with its interval, and the others' beside it."""

    FOCUS = "#class-table"

    def __init__(self, **options: str) -> None:
        super().__init__(**options)
        self._order = 0

    def body(self) -> ComposeResult:
        """The table."""
        yield PagedTable(id="class-table")

    def sort(self) -> bool:
        """Sort by something else."""
        self._order = (self._order + 1) % len(_ORDERS)
        if self.view is not None:
            self.show(self.view)
        return True

    def draw(self, view: View) -> None:
        """Fill the table."""
        at, contestants = look(), view.found.analysis.contestants
        c = contestants[view.chosen]
        others = [o for o in contestants if o is not c and o.complete]  # of all images is a lie before all are answered
        order = list(_ORDERS)[self._order]
        classes = sorted(range(len(c.quality.classes)), key=lambda n: _ORDERS[order](c.quality.classes[n]))
        q = c.quality
        self.head(
            (short(c.name), f"bold {at.contestant(c.kind)}"),
            ("" if c.complete else " unfinished", at.warn),
            f" by {order} · balanced {q.balanced_accuracy:.1%} · F1 {q.macro_f1:.3f}, weighted {q.weighted_f1:.3f}",
        )
        names = max([len("class"), *(min(26, len(one_line(each.label, 40))) for each in q.classes)])
        left = self.size.width - names - FIXED
        others = others[: max(0, (left - LEAST) // OTHER)]
        cells = max(LEAST, min(40, left - OTHER * len(others)))

        def row(n: int) -> list[Text]:
            own = q.classes[classes[n]]
            r = own.recall
            drawn = whiskers((r.low, r.value, r.high), cells, at.contestant(c.kind)) if own.support else Text("")
            return [
                Text(one_line(own.label, 26)),
                Text(f"{own.support:,}", at.dim, justify="right"),
                drawn,
                _figure(r.value, own.support, "bold"),
                _figure(own.precision, own.named),
                _figure(own.f1, own.support),
                *(
                    _figure(o.quality.classes[classes[n]].recall.value, own.support, at.contestant(o.kind))
                    for o in others
                ),
            ]

        heads = ("class", "n", _axis(cells), "recall", "prec.", "F1", *(f"{short(o.name, 10)}" for o in others))
        self.query_one(PagedTable).show((c.name, order), heads, len(classes), row)


def _axis(cells: int) -> str:
    return f"0%{'100%':>{cells - 2}}" if cells >= 6 else ""


def _figure(value: float, n: int, style: str = "") -> Text:
    return Text(f"{value:.1%}" if n else "–", style if n else look().dim, justify="right")
