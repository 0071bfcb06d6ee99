"""The comparison, as one table with the intervals drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.widgets import Static

from engine import counted
from tui.styles.theme import look
from tui.text import dollars, one_line, span
from tui.widgets.bar import whiskers

if TYPE_CHECKING:
    from engine import Baseline, Comparison, ContestantResult, JobView, Judged, Measure

AXIS = "interval"
"""The column in which the interval is drawn; it takes what the others leave."""
LOST = "no answer"
"""How many images were filtered, failed or are missing; shown where anybody has such."""
VALUE = "value"
"""The measure that contestants are judged by; the column is called as it is."""
COLUMNS = (
    *("contestant", "right", VALUE, AXIS, "95%", LOST, "Δ", "accuracy", "macro-F1"),
    *("p50 ms", "p95 ms", "training", "cost"),
)
GIVEN_UP = ("training", "macro-F1", "p95 ms", "95%", "p50 ms", "accuracy", "cost", "Δ", "right", LOST)
"""What goes first where there is no room."""
LEAST, LEAST_WIDE = 12, 20
"""Cells that an interval needs to be seen, and to be seen well."""
WIDE = 96
TALL = 30
"""Rows of the terminal from which the differences are told in words, too."""
ORDERS = ("as named", "measure", "price", "latency")


class ComparisonTable(Static, can_focus=True):
    """Who was right how often, how fast, and for how much; against the baseline where there is one."""

    def __init__(self, *, words: bool = True, **options: str) -> None:
        """Make an empty one.

        Args:
            words: tell the differences in words, too, where there is room.
            options: as of any widget.

        """
        super().__init__(**options)  # type: ignore[arg-type]
        self._words = words
        self._comparison: Comparison | None = None
        self._known = False
        self._states: Mapping[str, str] = {}
        self.order = ORDERS[0]
        self.border_title = "Comparison"

    def on_mount(self) -> None:
        """Wait; whether there is anything to compare is not known yet."""
        self.update(Text("…", look().dim))

    def on_resize(self) -> None:
        """Lay it out anew for the new width."""
        if self._known:
            self.show(self._comparison)

    def next_order(self) -> None:
        """Sort by something else."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self.show(self._comparison)

    def stand(self, jobs: Sequence[JobView]) -> None:
        """Show the state of contestants that are not finished: that of the first of its jobs that is not done."""
        left = [job for job in reversed(jobs) if job.contestant and job.state != "succeeded"]
        states = {job.contestant: str(job.state) for job in left if job.contestant}
        if states != self._states:
            self._states = dict(states)
            if self._known:
                self.show(self._comparison)

    def show(self, comparison: Comparison | None) -> None:
        """Show a comparison; None where there is none."""
        self._comparison, self._known = comparison, True
        if comparison is None or not any(_answered(c) for c in comparison.contestants):
            self.border_subtitle = ""
            self.update(Text("Nothing to compare yet: it appears here with the first answers.", look().dim))
            return
        images = f"{counted(comparison.split['test'], 'test image')} of {one_line(comparison.dataset, 40)}"
        order = comparison.judged.measure.name if self.order == "measure" else self.order
        self.border_subtitle = Text(images + ("" if self.order == ORDERS[0] else f" · by {order}"))
        table = self._table(comparison)
        if self._words and self.screen.size.height >= TALL:
            told = Text("\n", look().dim)
            for d in comparison.differences:
                sure = f"p = {d.p_holm:.3f}" if d.p_holm >= 0.001 else "p < 0.001"
                verdict = "a real difference" if d.real else "may be chance"
                gained = f"{comparison.judged.measure.gap(d.gain, sign=True)}{comparison.judged.measure.unit_of}"
                told.append(f"{one_line(d.name, 40)} against {one_line(d.baseline, 40)}: {gained}, ")
                only = f", {d.only_this} to {d.only_baseline}" if self.content_size.width >= 108 else ""
                told.append(f"{verdict}", look().foreground).append(f" ({sure}{only})\n")
            told.rstrip()
            self.update(Group(table, told))
        else:
            self.update(table)

    def _table(self, comparison: Comparison) -> Table:
        wide = self.content_size.width >= WIDE
        padding = 2 if wide else 1
        judged = comparison.judged
        measure, values = judged.measure, judged.values
        contestants = _sorted(comparison, self.order)
        done = [c for c in contestants if c.complete]
        best = max((judged.score(c.name) for c in done if judged.baselines.beaten_by(c.name)), default=None)
        # One axis for all, in steps of five points (of costs, in twentieths), so that intervals can be told apart.
        ends = [(values[c.name].low, values[c.name].high) for c in done]
        ends += [(b.value if b.low is None else b.low, b.value if b.high is None else b.high)
                 for b in judged.baselines.rows if done]  # fmt: skip
        step = max((high for _, high in ends), default=1.0) / 20 if measure.less_is_better else 0.05
        step = step or 1.0
        first = math.floor(min((low for low, _ in ends), default=0.0) / step + 1e-9) * step
        last = math.ceil(max((high for _, high in ends), default=1.0) / step - 1e-9) * step
        lost = any(_lost(c) for c in contestants if _answered(c))
        rows = {
            c.name: _cells(c, judged, best is not None and c.complete and judged.score(c.name) == best)
            for c in contestants
        }
        for b in judged.baselines.rows if done else ():
            rows[b.shown] = _baseline_cells(b, measure)
        for d in comparison.differences:
            if VALUE in rows.get(d.name, {}):
                mark, style = ("", "") if d.real else ("?", look().dim)
                rows[d.name]["Δ"] = Text(f"{measure.gap(d.gain, sign=True)}{mark}", style)
            if VALUE in rows.get(d.baseline, {}):
                rows[d.baseline]["Δ"] = Text("base", look().dim)
        without = {measure.name} | ({"Δ"} if not comparison.differences else set())
        names = [name for name in COLUMNS if name not in (without if lost else {*without, LOST})]
        headings = {name: name for name in names} | {VALUE: measure.name}
        headings |= {} if wide else {"accuracy": "acc.", VALUE: short_measure(measure.name), LOST: "lost"}
        widths = {
            n: max(cell_len(headings[n]), *(row[n].cell_len for row in rows.values() if n in row), 0) + padding
            for n in names
        }
        widths[AXIS] = padding

        def left() -> int:
            return self.content_size.width - sum(widths[name] for name in names)

        for name in GIVEN_UP:
            if left() < (LEAST_WIDE if wide else LEAST) and name in names:
                names.remove(name)
        room = max(8, min(40, left()))
        table = Table.grid(padding=(0, padding, 0, 0), expand=True)
        for name in names:
            table.add_column(justify="left" if name in ("contestant", AXIS) else "right", no_wrap=True)
        scale = measure.axis(first), measure.axis(last)
        headings[AXIS] = scale[0] + scale[1].rjust(room - len(scale[0]))
        table.add_row(*(Text(headings[name], look().dim) for name in names))
        for c in contestants:
            row = rows[c.name]
            if VALUE in row:
                m = values[c.name]
                shares = [(s - first) / ((last - first) or 1.0) for s in (m.low, m.value, m.high)]
                row[AXIS] = whiskers(shares, room, look().contestant(c.kind))
            else:
                row[AXIS] = Text(self._how_far(c, room), look().warn)
            table.add_row(*(row.get(name, Text()) for name in names))
        for b in judged.baselines.rows if done else ():
            row = rows[b.shown]
            low, high = (b.value if end is None else end for end in (b.low, b.high))
            row[AXIS] = whiskers(
                [(s - first) / ((last - first) or 1.0) for s in (low, b.value, high)], room, look().dim
            )
            table.add_row(*(row.get(name, Text("–", look().dim)) for name in names))
        return table

    def _how_far(self, c: ContestantResult, room: int) -> str:
        """Return in words how an unfinished contestant stands, as far as there is room."""
        state = self._states.get(c.name.removesuffix(" (emulated)"), "")
        asked = f"{_answered(c) / c.n:.0%} asked" if c.n and _answered(c) else ""
        told = [word for word in (state or "unfinished", asked) if word]
        return " · ".join(told) if len(" · ".join(told)) <= room else told[0]


def _lost(c: ContestantResult) -> int:
    """Return how many images have no answer."""
    return sum(count for outcome, count in c.outcomes.items() if outcome not in ("answered", "unknown_label"))


def short_measure(name: str) -> str:
    """Return a measure's name where there is little room."""
    return {"accuracy": "acc.", "balanced accuracy": "bal. acc.", "cost of mistakes": "mistakes"}.get(name, name)[:16]


def _sorted(comparison: Comparison, order: str) -> list[ContestantResult]:
    contestants, judged = comparison.contestants, comparison.judged
    if order == "measure":
        return sorted(contestants, key=lambda c: (not c.complete, -judged.score(c.name)))
    if order == "price":
        return sorted(contestants, key=lambda c: (not c.complete, math.inf if c.cost.total is None else c.cost.total))
    if order == "latency":
        return sorted(contestants, key=lambda c: (not c.complete, c.latency.p50 if c.latency else math.inf))
    return contestants


def _answered(c: ContestantResult) -> int:
    return c.n - sum(count for outcome, count in c.outcomes.items() if outcome == "missing")


def _cells(c: ContestantResult, judged: Judged, best: bool) -> dict[str, Text]:
    """Return what is known of a contestant, by column."""
    colour, dim = look().contestant(c.kind), look().dim
    name = Text(one_line(c.name, 32), colour)
    if not _answered(c):
        return {"contestant": name, "right": Text("–", dim)}  # its jobs' state says why
    if not c.complete:
        # The share of right answers among all test images would be a lie before all are answered.
        return {"contestant": name, "right": Text(f"{_answered(c)}/{c.n}", dim)}
    measured, measure = judged.values[c.name], judged.measure
    p50, p95 = (f"{v:,.0f}" for v in (c.latency.p50, c.latency.p95)) if c.latency else ("–", "–")
    return {
        "contestant": name,
        "right": Text(f"{c.correct}/{c.n}"),
        LOST: Text(f"{_lost(c):,}", look().warn) if _lost(c) else Text("0", dim),
        VALUE: Text(measure.shown(measured.value), f"bold {colour}" if best else "bold"),
        "95%": Text(_ends(measure, measured.low, measured.high), dim),
        "accuracy": Text(f"{c.accuracy:.1%}"),
        "macro-F1": Text(f"{c.macro_f1:.3f}"),
        "p50 ms": Text(p50),
        "p95 ms": Text(p95),
        "training": Text(
            "–" if c.train_seconds is None else f"{'≥' * bool(c.train_from_cache)}{span(c.train_seconds)}"
        ),
        "cost": Text(dollars(c.cost.total)),
    }


def _baseline_cells(b: Baseline, measure: Measure) -> dict[str, Text]:
    """Return a baseline's row: what is no figure of it is a dash."""
    dim = look().dim
    found = {"contestant": one_line(b.shown, 32), VALUE: measure.shown(b.value), "accuracy": f"{b.accuracy:.1%}"}
    found |= {"macro-F1": f"{b.macro_f1:.3f}"}
    found |= {"right": f"{b.correct}/{b.n}"} if b.correct is not None else {}
    found |= {"95%": _ends(measure, b.low, b.high)} if b.low is not None and b.high is not None else {}
    return {name: Text(text, dim) for name, text in found.items()}


def _ends(measure: Measure, low: float, high: float) -> str:
    """Return an interval; shares without their sign, for the column is narrow."""
    if measure.is_share:
        return f"{100 * low:.1f}–{100 * high:.1f}"
    return f"{measure.shown(low)}–{measure.shown(high)}"
