"""Where the figures come from, what may be concluded from them, and what others have published."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from engine import reading
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.tabs.base import Sheet, View, short
from tui.widgets.tabs.latency import Scrolled

if TYPE_CHECKING:
    from engine import Findings, Section


class AboutTab(Sheet):
    """A page to be read before anybody is told the result."""

    FOCUS = "#about-box"

    def body(self) -> ComposeResult:
        """One text, as long as it has to be."""
        with Scrolled(id="about-box"):
            yield Static(id="about-text")

    def draw(self, view: View) -> None:
        """Draw all of it."""
        found, at = view.found, look()
        self.head("what may be concluded, what not, and where the figures come from")
        v = found.analysis.verdict
        parts: list[RenderableType] = [Text(one_line(v.sentence), "bold"), ""]
        for title, mark, style, lines in (
            ("may be concluded", "✓", at.ok, v.may),
            ("may not", "✗", at.bad, v.may_not),
            ("would change it", "→", at.info, v.would_change),
            ("cautions", "!", at.warn, found.cautions),
        ):
            if lines:
                parts += [Text(title, "bold"), *_items(mark, style, lines), ""]
        parts += [Text("answers", "bold"), _coverage(found), ""]
        rules = reading(found)
        if rules is not None:
            parts += [Text("how they were read", "bold"), _rules(found, rules), ""]
        if found.references:
            parts.append(Text("published elsewhere, by others", "bold"))
            for r in found.references:
                parts.append(
                    Text.assemble(
                        ("published  ", at.info),
                        (f"{one_line(r.name, 40)}  ", at.contestant(r.kind)),
                        f"{r.correct}/{r.n}  {r.accuracy:.1%} ",
                        (f"({r.low:.1%} to {r.high:.1%})", at.dim),
                    )
                )
                parts += _items(" ", at.dim, [r.sentence, *r.notes], at.dim)
            parts += [*_items("=", at.info, found.published_pairs), ""]
        parts += [Text("where it comes from", "bold"), _provenance(found)]
        self.query_one("#about-text", Static).update(Group(*parts))


def _items(mark: str, style: str, lines: Iterable[str], words: str = "") -> list[RenderableType]:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for line in lines:
        grid.add_row(Text(mark, style), Text(one_line(line), words))
    return [grid]


def _coverage(found: Findings) -> Table:
    """Return what became of every question, and the two readings of accuracy."""
    at = look()
    table = Table.grid(padding=(0, 1))
    for n in range(9):
        table.add_column(justify="right" if n else "left", no_wrap=True)
    heads = ("", "answered", "unknown", "filtered", "failed", "missing", "of all", "of answ.", "lenient")
    table.add_row(*(Text(name, at.dim) for name in heads))
    for c in found.analysis.contestants:
        q = c.quality
        counts = [
            Text(f"{n:,}", at.warn if n and outcome != "answered" else at.dim if not n else "")
            for outcome, n in q.coverage.outcomes.items()
        ]
        table.add_row(
            Text(short(c.name, 20), at.contestant(c.kind)),
            *counts,
            Text(f"{q.coverage.over_all.value:.1%}"),
            Text(f"{q.coverage.over_answered.value:.1%}"),
            Text(f"{q.leniency.lenient.value:.1%}" if q.leniency is not None else "–", at.dim),
        )
    return table


def _rules(found: Findings, rules: Section) -> RenderableType:
    """Return the rules that read something, in their order, with how many answers of each contestant they read."""
    at = look()
    grid = Table.grid(padding=(0, 1))
    grid.add_column(overflow="fold")
    for _ in rules.headings[1:]:
        grid.add_column(justify="right", no_wrap=True)
    grid.add_row("", *(Text(short(name, 12), at.dim) for name in rules.headings[1:]))
    for rule, *counts in rules.rows:
        grid.add_row(Text(one_line(rule)), *counts)
    return Group(*_items(" ", at.dim, rules.sentences, at.dim), grid)


def _provenance(found: Findings) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=look().dim, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in found.provenance_lines:
        grid.add_row(one_line(name, 24), Text(one_line(value)))
    return Padding(grid, 0)
