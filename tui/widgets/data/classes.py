"""How many images each class has, in each split."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from engine import DatasetView, counted
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.bar import stacked
from tui.widgets.data.base import DataTab
from tui.widgets.pages import PagedTable

NAMES = 34
"""Cells of a class's name, at most."""
COUNTS = 26
"""Cells of the three counts."""


class ClassesTab(DataTab):
    """The splits as a bar, and a row a class."""

    FOCUS = "#classes"

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="about")
        yield PagedTable(id="classes")

    def nothing(self) -> None:
        """Say what to press where there is no dataset."""
        hint = "No dataset yet.\n\na adds one: pictures of yours, or one that is built in."
        self.query_one("#about", Static).update(Text(hint, look().dim))

    async def draw(self, data: DatasetView, *, fresh: bool) -> None:
        """Fill the table."""
        at = look()
        counts = await self.engine.class_counts(data.name)
        splits = (("train", data.train, at.accent), ("val", data.val, at.info), ("test", data.test, at.ok))
        colours = [style for _, _, style in splits]
        total = data.train + data.val + data.test
        room = self.size.width - 2
        about = Text(f"{counted(len(data.labels), 'class')}, {counted(total, 'image')}:")
        for name, count, style in splits:
            about.append(" █ ", style).append(f"{name} {count:,}")
        about.append("\n").append_text(stacked([(n, style) for _, n, style in splits], total, room))
        about.append(f"\n{data.split} split, frozen as {data.digest[:12]}, from {one_line(data.source, 120)}", at.dim)
        self.query_one("#about", Static).update(about)
        most = max((sum(row[1:]) for row in counts), default=1)
        room = max(8, room - NAMES - COUNTS)

        def row(n: int) -> list[Text]:
            label, *parts = counts[n]
            return [
                Text(one_line(label, NAMES)),
                *(Text(f"{count:,}", justify="right") for count in parts),
                stacked(list(zip(parts, colours, strict=True)), most, room, "━"),
            ]

        self.query_one(PagedTable).show(data.name, ("class", "train", "val", "test", ""), len(counts), row)
