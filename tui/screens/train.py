"""Curves of fine-tuning and of the CNN while they learn, several runs laid over each other."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, OptionList, Static, TabbedContent, TabPane

from engine import ACTIVE, DogclsError, JobView, mistakes
from tui.bridge import Looked
from tui.curves import AXES, MEASURES, SMOOTHINGS, Run, epochs, measured
from tui.screens.base import Room
from tui.styles.theme import look
from tui.text import dollars, one_line, span
from tui.widgets.bar import bar
from tui.widgets.lists import List
from tui.widgets.picture import Picture
from tui.widgets.tables import Table

if TYPE_CHECKING:
    from engine import Answers


class TrainScreen(Room):
    """Runs at the left, their curves at the right."""

    ROOM = "train"
    FIRST = "#runs"

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, JobView] = {}
        self._runs: dict[str, Run] = {}
        self._epochs: dict[str, float | None] = {}
        self._over: set[str] = set()
        self._measure, self._axis, self._smoothing = "loss", AXES[0], 2
        self._plot: Any = None
        self._fine: Any = None
        self._read_at: dict[str, object] = {}
        self._answers: Answers | None = None
        self._at = 0.0

    def body(self) -> ComposeResult:
        """Lay it out; the plot comes when its library is read."""
        with Horizontal(classes="row"):
            yield List(id="runs", classes="pane")
            with Vertical():
                yield Static(id="figures")
                with TabbedContent(initial="curves", id="tabs"):
                    with TabPane("Curves", id="curves"):
                        yield Static(id="key")
                    with TabPane("Epochs", id="by-epoch"):
                        yield Table(id="epoch-table")
                    with TabPane("Worst pictures", id="worst"), Horizontal():
                        yield Table(id="worst-table")
                        yield Picture(self.engine.browse, id="picture")

    def on_mount(self) -> None:
        """Read the plotting library while the rest is on the screen already."""
        super().on_mount()
        self.query_one("#runs").border_title = "Runs"
        self._open_plot()

    @work
    async def _open_plot(self) -> None:
        library = await asyncio.to_thread(importlib.import_module, "textual_plot")
        self._fine = library.HiResMode.BRAILLE
        plot = library.PlotWidget(id="plot", allow_pan_and_zoom=False)
        plot.can_focus = False
        await self.query_one("#curves").mount(plot)
        plot.margin_top, plot.margin_bottom, plot.margin_left = 0, 2, 7
        self._plot = plot  # only now: until it is mounted it has no parts to draw on
        self._draw()

    @property
    def _chosen(self) -> str | None:
        return self.query_one("#runs", List).chosen

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        self._at = message.at
        jobs = measured(message.jobs)
        self._jobs = {str(job.id): job for job in jobs}
        runs = self.query_one("#runs", List)
        runs.show([(str(j.id), self._line(j, runs.content_size.width)) for j in jobs])
        if not jobs:
            told = Text("Nothing has learned yet. 3 launches an experiment; 1 and d start the demo.", look().dim)
            self.query_one("#figures", Static).update(told)
        self._read()

    def _line(self, job: JobView, room: int) -> Text:
        mark, style = look().state(job.state)
        over = "◆" if str(job.id) in self._over else " "
        text = Text.assemble((mark, style), f"{over}{job.kind} {job.id}", no_wrap=True, overflow="ellipsis")
        return text.append(f" {one_line(job.experiment, 40)}", look().dim)

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        """Read what the runs in sight have measured since the last time."""
        wanted = {key for key in (self._chosen, *self._over) if key in self._jobs}
        for key in wanted:
            job = self._jobs[key]
            marks = (job.state, job.done, job.attempt)
            if self._read_at.get(key) == marks:
                continue
            run = self._runs.setdefault(key, Run())
            try:
                if key not in self._epochs:
                    detail = await self.engine.browse.job(job.id)
                    told = detail.parameters.get("epochs")
                    self._epochs[key] = float(told) if isinstance(told, int | float) else None
                run.add(await self.engine.browse.metrics_since(job.id, run.last - 1e-3))
            except DogclsError as error:
                self.desk.trouble(str(error))
                return
            self._read_at[key] = marks
        self._draw()

    # -- drawing

    def _draw(self) -> None:
        key = self._chosen
        job = self._jobs.get(key or "")
        if key is None or job is None:
            return
        self.query_one("#figures", Static).update(self._figures(job))
        tab = self.query_one("#tabs", TabbedContent).active
        if tab == "curves":
            self._draw_curves(key)
        elif tab == "by-epoch":
            self._draw_epochs(self._runs.get(key, Run()))
        else:
            self._draw_worst(job)

    def _figures(self, job: JobView) -> Text:
        run = self._runs.get(str(job.id), Run())
        dim = look().dim
        pace, left = self.bridge.pace.rate(job), self.bridge.pace.left(job)
        rate = run.latest("images_per_second")
        age = (job.finished_at or self._at) - job.started_at if job.started_at else 0
        text = bar(job.progress, 10, look().state(job.state)[1])
        if job.state in ACTIVE:
            text.append(f"  {job.done:,} of {job.total:,} {one_line(job.note, 24)}")
        else:
            text.append(f"  {job.state}")
        text.append(f"  {span(age)}" + (f", {span(left)} left" if left is not None else ""), dim)
        text.append(f"  {rate:,.0f} images/s" if rate else f"  {pace:,.1f}/s" if pace else "", dim)
        text.append(f"  {dollars(job.cost_usd)}" if job.cost_usd else "", dim)
        text.append("\n")
        for name, what in (*MEASURES["loss"], *MEASURES["accuracy"]):
            value = run.latest(name)
            if value is not None:
                told = "loss" if "loss" in name else "acc"
                text.append(f"{what.removesuffix('ing').removesuffix('idation')} {told} ", dim).append(f"{value:.3f}  ")
        return text

    def _draw_curves(self, key: str) -> None:
        if self._plot is None:
            return
        plot, legend = self._plot, Text()
        plot.clear()
        at = look()
        colours = [at.bad, at.warn, at.zero_shot, at.cnn, at.fine_tuned]
        keys = [key, *sorted((self._over & self._jobs.keys()) - {key}, key=int)]
        for number, one in enumerate(keys):
            run, job = self._runs.get(one, Run()), self._jobs[one]
            for name, what in MEASURES[self._measure]:
                axis, epochs = self._axis, self._epochs.get(one)
                weight = SMOOTHINGS[self._smoothing] if what == "training" else 0.0  # validation is told seldom enough
                x, y = run.curve(name, axis, weight, epochs)
                if not x:
                    continue
                colour = colours[(number - 1) % len(colours)] if number else at.contestant(job.contestant)
                if what == "validation" and number == 0:
                    colour = at.foreground
                if len(x) > 1 and not (what == "validation" and len(x) < 3):
                    plot.plot(x, y, line_style=colour, hires_mode=self._fine)
                if what == "validation":  # marks over the line: colour alone would not tell it from the other
                    plot.scatter(x, y, marker="◆", marker_style=colour)
                if what == "training" or not legend:
                    legend.append(f"── {job.kind} {job.id}  ", at.contestant(job.contestant) if not number else colour)
        drawn = bool(legend)
        smoothing = SMOOTHINGS[self._smoothing]
        about = f"{self._measure} by {self._axis}" + (f", smoothed {smoothing:g}" if smoothing else "")
        nothing = ("Nothing measured yet; the first values appear here.", at.dim)
        self.query_one("#key", Static).update(
            Text.assemble(legend, (f" ◆ validation   {about}", at.dim)) if drawn else Text(*nothing)
        )
        plot.display = drawn

    def _draw_epochs(self, run: Run) -> None:
        columns, rows = epochs(run, self._epochs.get(self._chosen or ""))
        cells = {
            key: [Text(cell, look().dim if n == 0 else "", justify="right") for n, cell in enumerate(row)]
            for key, row in rows.items()
        }
        self.query_one("#epoch-table", Table).fill(columns, cells)

    @work(exclusive=True, group="worst")
    async def _draw_worst(self, job: JobView) -> None:
        """Show the test images that the run's contestant got wrong, the surest first."""
        table = self.query_one("#worst-table", Table)
        try:
            answers = await self.engine.browse.answers(job.experiment)
            contestant = answers.of(job.contestant or "")
        except (DogclsError, KeyError):
            table.fill(("",), {})
            return
        rows = {}
        for image, sure in mistakes(answers, contestant)[:500]:
            said = contestant.predicted[image]
            rows[str(image)] = [
                Text(f"{sure:.0%}" if sure is not None else "", look().dim, justify="right"),
                Text(one_line(answers.labels[answers.truths[image]], 60)),
                Text(one_line(answers.labels[said] if said is not None else "no label", 60), look().bad),
            ]
        self._answers = answers
        table.fill(("sure", "is", "taken for"), rows)
        self._show_picture()

    @on(DataTable.RowHighlighted, "#worst-table")
    def _show_picture(self) -> None:
        chosen, answers = self.query_one("#worst-table", Table).chosen, self._answers
        picture = self.query_one("#picture", Picture)
        if chosen is None or answers is None or int(chosen) >= len(answers.images):
            picture.show(None)
        else:
            path = answers.images[int(chosen)]
            picture.show(str(path), Text(one_line(path.name, 60), look().dim))

    # -- what the reader does

    @on(OptionList.OptionHighlighted)
    def _another(self, event: OptionList.OptionHighlighted) -> None:
        self._read()

    @on(TabbedContent.TabActivated)
    def _tab(self) -> None:
        self._draw()

    def tab_shown(self, tab: str) -> None:
        """Give the focus to what is in front."""
        self.query_one({"curves": "#runs", "by-epoch": "#epoch-table", "worst": "#worst-table"}[tab]).focus()

    def action_overlay(self) -> None:
        """Lay the chosen run over the others, or take it away."""
        if key := self._chosen:
            self._over ^= {key}
            self.bridge.look_now()

    def action_measure(self) -> None:
        """Loss, or accuracy."""
        names = list(MEASURES)
        self._measure = names[(names.index(self._measure) + 1) % len(names)]
        self._draw()

    def action_axis(self) -> None:
        """By step, epoch or time."""
        self._axis = AXES[(AXES.index(self._axis) + 1) % len(AXES)]
        self._draw()

    def action_smooth(self) -> None:
        """Smooth more, or not at all."""
        self._smoothing = (self._smoothing + 1) % len(SMOOTHINGS)
        self._draw()

    def action_experiment(self) -> None:
        """Go to the next run."""
        self.query_one("#runs", List).action_cursor_down()

    def repaint(self) -> None:
        """Draw everything in other colours."""
        for table in self.query(Table):
            table.redraw()
        super().repaint()
        self._draw()
