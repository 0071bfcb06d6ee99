"""Every two contestants: who is better by how much, how sure that is, and how many images it would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import DataTable, Static

from engine import counted, said_paired
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.bar import whiskers
from tui.widgets.tables import Table
from tui.widgets.tabs.base import Sheet, View, short

if TYPE_CHECKING:
    from engine import Measure, PairedDifference


class DifferencesTab(Sheet):
    """A row a pair; what may be concluded of the chosen one below."""

    FOCUS = "#difference-table"

    class Chosen(Message):
        """Another pair is under the cursor."""

        def __init__(self, pair: int) -> None:
            super().__init__()
            self.pair = pair

    def body(self) -> ComposeResult:
        """The table, then the sentence."""
        yield Table(id="difference-table")
        yield Static(id="difference-told")

    def draw(self, view: View) -> None:
        """Fill the table."""
        at, found = look(), view.found.analysis.differences
        table = self.query_one(Table)
        if not found:
            self.head("There is one contestant: a difference takes two.")
            table.fill(("",), {})
            self.query_one("#difference-told", Static).update("")
            return
        pairs = max(d.pairs for d in found)
        several = f" · both after Holm, {counted(pairs, 'pair')}" if pairs > 1 else ""
        measure = view.found.analysis.judged.measure
        what = "points" if measure.name == "accuracy" else f"points of {measure.name}"
        what = what if measure.is_share else measure.name
        test = "McNemar's exact p" if measure.name == "accuracy" else "permutation p"
        self.head(f"{what}, 95% intervals · {test}{several}")
        kinds = {c.name: c.kind for c in view.found.analysis.contestants}
        least = min([0.0, *(_better(d)[2][1] for d in found if d.n)])
        most = max([0.0, *(_better(d)[2][2] for d in found if d.n)])
        names = max(len(short(n, 16)) for d in found for n in (d.a, d.b))
        cells = max(8, min(40, self.size.width - 2 * names - 49))
        rows = {}
        for n, d in enumerate(found):
            better, other, (gain, low, high) = _better(d)
            spread = (most - least) or 1.0
            shares = [(value - least) / spread for value in (low, gain, high)]
            if not d.n:
                pair = [Text(short(name, 16), at.contestant(kinds.get(name))) for name in (better, other)]
                blank = [Text("–", at.dim, justify="right")] * 5
                rows[str(n)] = [Text("…", at.dim), *pair, *blank]
                continue
            real = d.real
            rows[str(n)] = [
                Text("✓" if real else "?", f"bold {at.ok if real else at.warn}"),
                Text(short(better, 16), at.contestant(kinds.get(better))),
                Text(short(other, 16), at.contestant(kinds.get(other))),
                Text(measure.gap(gain, sign=True), "bold" if real else "", justify="right"),
                whiskers(shares, cells, at.ok if real else at.warn),
                Text(_ends(measure, low, high), at.dim),
                Text(_p(d.p_holm), justify="right"),
                Text(f"{d.needed:,}" if d.needed is not None else "–", justify="right"),
            ]
        first, last = (f"{100 * end:.0f}" if measure.is_share else measure.gap(end) for end in (least, most))
        axis = f"{first}{last:>{cells - len(first)}}"
        heads = ("", "better", "than", "points" if measure.is_share else "by", axis, "95%", "Holm p", "needed")
        table.fill(heads, rows)
        if table.cursor_row != view.pair:
            table.move_cursor(row=view.pair)
        self._tell(view.pair)

    def _tell(self, pair: int) -> None:
        if self.view is None:
            return
        d, at = self.view.found.analysis.differences[pair], look()
        if not d.n:
            about = f"{one_line(d.a, 40)} and {one_line(d.b, 40)} have no image yet about which both were asked."
            self.query_one("#difference-told", Static).update(Text(about, at.dim))
            return
        told = Text(one_line(said_paired(d, d.pairs), 600))
        told.append(
            f"\nOf {counted(d.n, 'image')} {d.both:,} were recognised by both, {d.neither:,} by neither,"
            f" {len(d.only_a):,} only"
            f" by {one_line(d.a, 40)}, {len(d.only_b):,} only by {one_line(d.b, 40)}; interval: {d.interval}.",
            at.dim,
        )
        if d.partial:
            told.append("\nOne of them is not finished: only what both were asked about is compared.", at.warn)
        told.append("\nneeded: test images that would tell the two apart. enter shows their images.", at.dim)
        self.query_one("#difference-told", Static).update(told)

    @on(DataTable.RowHighlighted)
    def _walked(self, event: DataTable.RowHighlighted) -> None:
        table = self.query_one(Table)
        if self.view is not None and table.chosen is not None and self.view.found.analysis.differences:
            self._tell(int(table.chosen))
            self.post_message(self.Chosen(int(table.chosen)))


def _better(d: PairedDifference) -> tuple[str, str, tuple[float, float, float]]:
    """Return who is better, than whom, and by how much with its interval."""
    if d.gain >= 0:
        return d.a, d.b, (d.gain, d.low, d.high)
    return d.b, d.a, (-d.gain, -d.high, -d.low)


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _ends(measure: Measure, low: float, high: float) -> str:
    """Return an interval; without signs where both ends are on one side."""
    if low >= 0:
        return f"{measure.gap(low)}–{measure.gap(high)}"
    return f"{measure.gap(low, sign=True)} {measure.gap(high, sign=True)}"
