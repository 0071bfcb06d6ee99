"""How long answers take: percentiles with their intervals, each kind of request for itself, and histograms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from engine import counted
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.charts import latencies
from tui.widgets.tabs.base import Sheet, View

if TYPE_CHECKING:
    from engine import Figure, Latencies, LatencyProfile, Waits

PERCENTILES = (50, 90, 95, 99)
WIDE = 100
"""Cells from which an interval stands behind its figure, not below it."""


class Scrolled(VerticalScroll, inherit_bindings=False):
    """A box that is read with the keys by which tables are walked."""

    BINDINGS = [
        ("j,down", "scroll_down"),
        ("k,up", "scroll_up"),
        ("g,home", "scroll_home"),
        ("G,end", "scroll_end"),
        ("pagedown,space", "page_down"),
        ("pageup", "page_up"),
    ]


class LatencyTab(Sheet):
    """Everything that was timed."""

    FOCUS = "#latency-box"

    def body(self) -> ComposeResult:
        """One text, as long as it has to be."""
        with Scrolled(id="latency-box"):
            yield Static(id="latency-text")

    def draw(self, view: View) -> None:
        """Draw all of it."""
        at, width = look(), self.size.width - 3
        self.head("milliseconds, with 95% intervals; kinds of requests are kept apart")
        wide = width >= WIDE
        table = Table.grid(padding=(0, 2 if wide else 1))
        for justify in ("left", *["right"] * 6):
            table.add_column(justify=justify, no_wrap=True)  # type: ignore[arg-type]
        table.add_row(*(Text(name, at.dim) for name in ("", "n", "mean", *(f"p{p}" for p in PERCENTILES))))
        told = Text()
        for c in view.found.analysis.contestants:
            table.add_row(Text(one_line(c.name, 40), f"bold {at.contestant(c.kind)}"))
            rows = list(_rows(c.latency))
            for name, profile in rows:
                for line in _lines(name, profile, wide):
                    table.add_row(*line)
            if not rows:
                table.add_row(Text("  not timed", at.dim))
            for words, waits in (("one after another", c.latency.sequential), ("many at a time", c.latency.concurrent)):
                if waits is not None and waits.retried:
                    told.append(
                        f"{one_line(c.name, 40)}, {words}: {waits.retried:,} of {waits.n:,} took more than one "
                    )
                    told.append(f"attempt, {counted(waits.attempts, 'attempt')} in all.\n")
        legend = Text(
            "alone: one request after another, the attempt that was answered. first: attempts that succeeded at once."
            " in all: until the answer came, retries and pauses included. ≥: so few do not give the other end.",
            at.dim,
        )
        drawn = latencies(view.found.answers, view.found.comparison, width, 3 * len(view.found.answers.contestants) + 4)
        self.query_one("#latency-text", Static).update(Group(table, "", drawn, "", told.append_text(legend)))


def _rows(found: Latencies) -> Iterator[tuple[str, LatencyProfile]]:
    """Return what was timed of a contestant, in the order in which it is read."""
    if found.single is not None:
        yield "  alone", found.single
    yield from _kept("  alone", found.sequential, found.single)
    yield from _kept("  together", found.concurrent, None)


def _kept(name: str, waits: Waits | None, known: LatencyProfile | None) -> Iterator[tuple[str, LatencyProfile]]:
    """Leave out what says the same again: without a retry the first attempt is the whole wait."""
    if waits is None:
        return
    if waits.first is not None and waits.first != known and (known is None or waits.retried):
        yield f"{name}, first", waits.first
    if waits.total is not None and waits.total != known:
        yield f"{name}, in all", waits.total


def _lines(name: str, profile: LatencyProfile, wide: bool) -> list[list[Text]]:
    at = look()
    figures = [profile.mean, *(profile.percentiles[p] for p in PERCENTILES)]
    first = [Text(name), Text(f"{profile.n:,}", at.dim)]
    if wide:
        told = [Text(_ms(f.value, f)).append(f" {_interval(f)}", at.dim) for f in figures]
        return [[*first, *told]]
    below = [Text("", at.dim), Text("")] + [Text(_interval(f), at.dim) for f in figures]
    return [[*first, *(Text(_ms(f.value, f)) for f in figures)], below]


def _ms(value: float | None, figure: Figure) -> str:
    """Return milliseconds: fast ones with a tenth, so that they can be told apart."""
    if value is None:
        return "–"
    return f"{value:,.1f}" if figure.value < 100 else f"{value:,.0f}"


def _interval(figure: Figure) -> str:
    """Return an interval; where so few give one end only, that end as a bound."""
    if figure.low is None or figure.high is None:
        known = "≥" + _ms(figure.low, figure) if figure.low is not None else "≤" + _ms(figure.high, figure)
        return known if figure.low is not None or figure.high is not None else "–"
    return f"{_ms(figure.low, figure)}–{_ms(figure.high, figure)}"
