"""The comparison, and what is behind it: classes, confusion, latency, cost, disagreements."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import DataTable, Static, TabbedContent, TabPane

from engine import (
    DogclsError,
    ExperimentView,
    InputError,
    confusion_map,
    disagreements,
    per_class,
)
from tui.bridge import COMPARISON, Compared, Looked
from tui.screens.base import Room
from tui.screens.dialogs import AskScreen
from tui.screens.papers import TextScreen
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.bar import bar
from tui.widgets.charts import costs, latencies
from tui.widgets.comparison import ComparisonTable
from tui.widgets.heatmap import cells, heatmap
from tui.widgets.picture import Picture
from tui.widgets.tables import Table

if TYPE_CHECKING:
    from engine import Answers, Comparison, ConfusionMap, ContestantAnswers

TABS = ("classes", "confusion", "latency", "cost", "differences")


class ResultsScreen(Room):
    """The table above, tabs below."""

    ROOM = "results"
    WANTS = (COMPARISON,)
    FIRST = "#comparison"

    def __init__(self) -> None:
        super().__init__()
        self._experiments: list[ExperimentView] = []
        self._comparison: Comparison | None = None
        self._answers: Answers | None = None
        self._one = 0
        """The contestant that a tab shows."""
        self._differences: dict[str, int] = {}

    def body(self) -> ComposeResult:
        """Lay it out."""
        yield ComparisonTable(id="comparison", classes="pane")
        with TabbedContent(initial="classes", id="tabs"):
            with TabPane("Classes", id="classes"):
                yield Table(id="class-table")
            with TabPane("Confusion", id="confusion"), Horizontal():
                with VerticalScroll(id="heat-box"):
                    yield Static(id="heat")
                yield Table(id="pairs")
            with TabPane("Latency", id="latency"), VerticalScroll(id="latency-box"):
                yield Static(id="latency-text")
            with TabPane("Cost", id="cost"), VerticalScroll(id="cost-box"):
                yield Static(id="cost-text")
            with TabPane("Differences", id="differences"), Horizontal():
                yield Table(id="difference-table")
                yield Picture(self.engine.browse, 6, id="picture")

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        self._experiments = message.experiments

    @on(Compared)
    def _compared(self, message: Compared) -> None:
        self._comparison = message.comparison
        table = self.query_one(ComparisonTable)
        table.show(message.comparison)
        table.border_title = Text("Comparison")
        if message.comparison is not None:
            table.border_title = Text(f"Comparison of {one_line(message.comparison.experiment, 40)}")
        self._read()

    @work(exclusive=True, group="answers")
    async def _read(self) -> None:
        """Read who said what, then draw the tab in front."""
        if self._comparison is None:
            self._answers = None
        else:
            try:
                self._answers = await self.engine.browse.answers(self._comparison.experiment)
            except DogclsError as error:
                self.desk.trouble(str(error))
        self._draw()

    @on(TabbedContent.TabActivated)
    def _tab(self) -> None:
        self._draw()

    def tab_shown(self, tab: str) -> None:
        """Give the focus to what is in front."""
        first = {
            "classes": "#class-table",
            "confusion": "#pairs",
            "latency": "#latency-box",
            "cost": "#cost-box",
            "differences": "#difference-table",
        }
        self.query_one(first[tab]).focus()

    @property
    def _chosen(self) -> ContestantAnswers | None:
        found = self._answers.contestants if self._answers else ()
        return found[self._one % len(found)] if found else None

    @work(exclusive=True, group="draw")
    async def _draw(self) -> None:
        """Draw the tab in front; the others when they come to the front."""
        answers, comparison, chosen = self._answers, self._comparison, self._chosen
        if answers is None or comparison is None or chosen is None:
            for table in self.query(Table):
                table.fill((), {})
            return
        tab = self.query_one("#tabs", TabbedContent).active
        width = self.size.width - 4
        if tab == "classes":
            self._draw_classes(answers, chosen)
        elif tab == "confusion":
            tabs = self.query_one("#tabs").size
            across = tabs.width * 3 // 5 - 3  # as the style sheet shares it; not laid out at first
            room = cells(len(answers.labels), across, tabs.height - 3)
            found = await asyncio.to_thread(confusion_map, answers, chosen, room)  # scipy, and more than linear time
            name = (one_line(chosen.name, 40), look().contestant(chosen.kind))
            title = Text.assemble(name, ("  c: next\n", look().dim))
            drawn = heatmap(found, answers.labels, across, not self.app.no_color)
            self.query_one("#heat", Static).update(title.append_text(drawn))
            self._draw_pairs(answers, found)
        elif tab == "latency":
            room = self.query_one("#tabs").size.height - 3
            self.query_one("#latency-text", Static).update(latencies(answers, comparison, width, room))
        elif tab == "cost":
            base = next((d.baseline for d in comparison.differences), None)
            self.query_one("#cost-text", Static).update(costs(comparison, base, width))
        else:
            self._draw_differences(answers, chosen)

    def _draw_classes(self, answers: Answers, chosen: ContestantAnswers) -> None:
        scores = {c.name: per_class(answers, c) for c in answers.contestants}
        order = sorted(range(len(answers.labels)), key=lambda n: (scores[chosen.name][n].recall, answers.labels[n]))
        room = max(6, min(40, (self.size.width - 34) // max(1, len(scores)) - 8))
        rows = {}
        for n in order:
            row = [
                Text(one_line(answers.labels[n], 26)),
                Text(str(scores[chosen.name][n].n), look().dim, justify="right"),
            ]
            for c in answers.contestants:
                s = scores[c.name][n]
                style = look().contestant(c.kind)
                row.append(bar(s.recall, room, style) if s.n else Text("–", look().dim))
            rows[str(n)] = row
        names = [f"{c.name} ▲" if c is chosen else c.name for c in answers.contestants]
        self.query_one("#class-table", Table).fill(("class", "n", *(one_line(name, 30) for name in names)), rows)

    def _draw_pairs(self, answers: Answers, found: ConfusionMap) -> None:
        names = (*answers.labels, "(no label)")
        rows = {
            f"{truth}-{said}": [
                Text(str(count), justify="right"),
                Text(one_line(names[truth], 60)),
                Text(one_line(names[said], 60), look().bad),
            ]
            for truth, said, count in found.pairs
        }
        self.query_one("#pairs", Table).fill(("n", "is", "taken for"), rows)

    # -- disagreements

    def _pair(self, answers: Answers, chosen: ContestantAnswers) -> tuple[ContestantAnswers, ContestantAnswers]:
        """Return the baseline and the chosen contestant, or the two that come first."""
        names = {c.name: c for c in answers.contestants}
        told = next((d.baseline for d in self._comparison.differences), "") if self._comparison else ""
        base = names.get(told.removesuffix(" (emulated)"), answers.contestants[0])
        if base is chosen:
            chosen = next((c for c in answers.contestants if c is not base), chosen)
        return base, chosen

    def _draw_differences(self, answers: Answers, chosen: ContestantAnswers) -> None:
        a, b = self._pair(answers, chosen)
        rows: dict[str, list[Text]] = {}

        def said(c: ContestantAnswers, image: int, right: bool) -> Text:
            label = c.predicted[image]
            text = answers.labels[label] if label is not None else f"({c.outcomes[image]})"
            return Text(f"{'✓' if right else '✗'} {one_line(text, 60)}", look().ok if right else look().bad)

        self._differences = {}
        for d in disagreements(answers, a, b)[:2000]:
            self._differences[str(d.image)] = d.image
            truth = Text(one_line(answers.labels[answers.truths[d.image]], 60))
            rows[str(d.image)] = [truth, said(a, d.image, d.a_right), said(b, d.image, d.b_right)]
        self.query_one("#difference-table", Table).fill(("truth", one_line(a.name, 24), one_line(b.name, 24)), rows)
        self._draw_picture()

    @on(DataTable.RowHighlighted, "#difference-table")
    def _draw_picture(self) -> None:
        table, answers, chosen = self.query_one("#difference-table", Table), self._answers, self._chosen
        image = self._differences.get(table.chosen or "")
        picture = self.query_one("#picture", Picture)
        if answers is None or chosen is None or image is None or not table.row_count:
            picture.show(None)
            return
        a, b = self._pair(answers, chosen)
        told = Text.assemble((one_line(answers.labels[answers.truths[image]], 30), "bold"))
        for c in (a, b):
            told.append(f"\n{one_line(c.name, 14)}: ", look().contestant(c.kind)).append(
                one_line(c.raw[image] or "–", 60)
            )
        told.append(f"\n{one_line(answers.images[image].name, 40)}", look().dim)
        picture.show(str(answers.images[image]), told)

    # -- what the reader does

    def action_sort(self) -> None:
        """Sort the comparison by something else."""
        self.query_one(ComparisonTable).next_order()

    def action_baseline(self) -> None:
        """Hold the others against the next contestant."""
        if self._comparison is None:
            return
        names = [c.name for c in self._comparison.contestants]
        now = next((d.baseline for d in self._comparison.differences), names[0])
        self.bridge.choose_baseline(names[(names.index(now) + 1) % len(names)])

    def action_contestant(self) -> None:
        """Show the next contestant where a tab shows one."""
        self._one += 1
        self._draw()

    def action_experiment(self) -> None:
        """Go to the next experiment."""
        names = [e.name for e in self._experiments]
        if self.bridge.experiment in names:
            self._one = 0
            self.bridge.choose_experiment(names[(names.index(self.bridge.experiment) + 1) % len(names)])

    @work
    async def action_export(self) -> None:
        """Write the comparison as three files."""
        if self._comparison is None:
            return
        question = "Write .md, .csv and .json beginning with"
        stem = await self.app.push_screen_wait(AskScreen(question, f"{self._comparison.experiment}-results"))
        if stem:
            await self.desk.doing(self._write(stem, self._comparison), f"Wrote {stem}.md, .csv and .json")

    async def _write(self, stem: str, comparison: Comparison) -> None:
        def write(ending: str, text: str) -> None:
            try:
                Path(f"{stem}.{ending}").expanduser().write_text(text, "utf-8")
            except OSError as error:
                raise InputError(f"{stem}.{ending}: {error.strerror}.", "Choose another place.") from None

        for form, ending in (("markdown", "md"), ("csv", "csv"), ("json", "json")):
            text = await self.engine.render(comparison, form)
            await asyncio.to_thread(write, ending, text.rstrip("\n") + "\n")

    @work
    async def action_code(self) -> None:
        """Show the call to the tuned deployment."""
        if self.bridge.experiment:
            text = await self.desk.doing(self.engine.browse.call(self.bridge.experiment))
            if isinstance(text, str):
                await self.app.push_screen_wait(TextScreen("Call the tuned deployment", text))

    def repaint(self) -> None:
        """Draw everything in other colours."""
        for table in self.query(Table):
            table.redraw()
        super().repaint()
