"""The confusion matrix as a heat map, and the mistakes that are made most."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from engine import confusion_map, counted
from tui.guard import work
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.heatmap import cells, heatmap
from tui.widgets.pages import PagedTable
from tui.widgets.tabs.base import Sheet, View, short

if TYPE_CHECKING:
    from engine import ConfusionMap


class ConfusionTab(Sheet):
    """Truth by answer."""

    FOCUS = "#pairs"

    def body(self) -> ComposeResult:
        """The map at the left, the pairs at the right."""
        with Horizontal():
            with VerticalScroll(id="heat-box", can_focus=False):
                yield Static(id="heat")
            yield PagedTable(id="pairs")

    @work(exclusive=True)
    async def draw(self, view: View) -> None:  # type: ignore[override]
        """Draw it, when it is computed: for thousands of classes that takes a while."""
        at, answers = look(), view.found.answers
        c = answers.contestants[view.chosen]
        room = cells(len(answers.labels), self._across, self.size.height - 2)
        self.head((short(c.name), f"bold {at.contestant(c.kind)}"), "  a row is a truth, a column an answer")
        found = await asyncio.to_thread(confusion_map, answers, c, room)  # scipy, and more than linear time
        wrong = sum(count for _, _, count in found.pairs)
        self.head(
            (short(c.name), f"bold {at.contestant(c.kind)}"),
            f"  {wrong:,} of {counted(len(answers.truths), 'image')} wrong · a row is a truth, a column an answer",
        )
        drawn = heatmap(found, answers.labels, self._across, not self.app.no_color)
        self.query_one("#heat", Static).update(drawn)
        self._pairs((view.found.analysis.experiment, c.name), answers.labels, found)

    @property
    def _across(self) -> int:
        return self.size.width * 3 // 5 - 3  # as the style sheet shares it

    def _pairs(self, about: object, labels: tuple[str, ...], found: ConfusionMap) -> None:
        names = (*labels, "(no label)")

        def row(n: int) -> list[Text]:
            truth, said, count = found.pairs[n]
            return [
                Text(f"{count:,}", justify="right"),
                Text(one_line(names[truth], 60)),
                Text(one_line(names[said], 60), look().bad),
            ]

        self.query_one("#pairs", PagedTable).show(about, ("n", "is", "taken for"), len(found.pairs), row)
