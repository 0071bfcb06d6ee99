"""Everything at a glance: experiments, what runs, what costs money, what to do next."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import ContentSwitcher, OptionList, Static

from engine import ACTIVE, RESUMABLE, DogclsError, ExperimentView, JobView, Score
from tui.bridge import COMPARISON, SCORES, Compared, Looked
from tui.screens.base import Room
from tui.screens.dialogs import ConfirmScreen
from tui.styles.theme import look
from tui.text import dollars, one_line, span
from tui.widgets.bar import bar
from tui.widgets.comparison import ComparisonTable
from tui.widgets.lists import List
from tui.widgets.welcome import Welcome


class HomeScreen(Room):
    """Experiments at the left, now at the right, the chosen one's comparison below."""

    ROOM = "home"
    WANTS = (COMPARISON, SCORES)

    def __init__(self) -> None:
        super().__init__()
        self._drawing = False
        self._offered: object = None
        self._experiments: list[ExperimentView] = []

    def body(self) -> ComposeResult:
        """Lay it out."""
        with ContentSwitcher(initial="nothing", id="switch"):
            yield Vertical(id="nothing")
            yield Welcome(id="welcome")
            with Vertical(id="board"):
                with Horizontal(id="upper"):
                    yield List(id="experiments", classes="pane")
                    with VerticalScroll(id="now", classes="pane"):
                        yield Static(id="now-text")
                yield ComparisonTable(id="comparison", classes="pane")

    def on_mount(self) -> None:
        """Name the panes."""
        super().on_mount()
        self.query_one("#experiments").border_title = "Experiments"
        self.query_one("#now").border_title = "Now"

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        self._experiments = message.experiments
        board = bool(message.experiments) and not self._drawing
        self.query_one("#switch", ContentSwitcher).current = "board" if board else "welcome"
        experiments = self.query_one("#experiments", List)
        room = max(20, experiments.content_size.width)
        lines = [(e.name, _line(e, message.scores, room)) for e in message.experiments]
        experiments.show(lines, message.experiment)
        self.query_one("#now-text", Static).update(self._now(message))
        if board and self.focused is None:
            experiments.focus()
        elif not board and self.focused is not None:
            self.set_focus(None)
        marks = (board, self._drawing, tuple((e.name, e.state) for e in message.experiments))
        if marks != self._offered:
            self._offered = marks
            self.refresh_bindings()

    @on(Compared)
    def _compared(self, message: Compared) -> None:
        self.query_one(ComparisonTable).show(message.comparison)
        if message.comparison is not None:
            self.desk.last_comparison = message.comparison

    @on(OptionList.OptionHighlighted)
    def _chosen(self, event: OptionList.OptionHighlighted) -> None:
        self.bridge.choose_experiment(event.option.id)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.action_open()

    def _now(self, message: Looked) -> Table:
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
        grid.add_column(no_wrap=True, justify="right")
        running = [job for job in message.jobs if job.state in ACTIVE]
        for job in running[:6]:
            left = self.bridge.pace.left(job)
            told = Text.assemble(("● ", look().accent), f"{job.kind} {job.id} ", (one_line(job.note, 24), look().dim))
            share = bar(job.progress, 8, look().accent)
            share.append(f" {span(left)} left" if left is not None else "", look().dim)
            grid.add_row(told, share)
        if len(running) > 6:
            grid.add_row(Text(f"and {len(running) - 6} more", look().dim), "")
        if not running:
            grid.add_row(Text("Nothing runs.", look().dim), "")
        for cost in message.standing:
            name = Text.assemble(("$ ", look().warn), one_line(cost.deployment, 40))
            grid.add_row(name, Text(f"{dollars(cost.usd_per_hour)}/h, {dollars(cost.usd)} so far", look().warn))
        for hint in _next(message):
            grid.add_row(hint, "")
        return grid

    # -- what the reader does

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that would do something now."""
        if action == "demo":
            return self.engine.profile == "demo" and not self._drawing and not self.engine.readonly
        if action == "open":
            return bool(self._experiments)
        if action == "delete":
            idle = all(e.state not in ACTIVE for e in self._experiments if e.name == self.bridge.experiment)
            return bool(self._experiments) and idle and not self.engine.readonly
        return True

    def action_open(self) -> None:
        """Watch the chosen experiment."""
        self.desk.action_room("monitor")

    @work(exclusive=True, group="demo")
    async def action_demo(self) -> None:
        """Draw the demo's dogs if need be, and start its comparison."""
        if self._drawing:
            return
        self._drawing = True
        self.bridge.look_now()

        def progress(phase: str, done: int, total: int) -> None:
            self.app.call_from_thread(self.query_one(Welcome).progress, phase, done, total)

        try:
            name = await self.engine.demo(progress)
        except DogclsError as error:
            self.desk.trouble(str(error))
        else:
            self.bridge.choose_experiment(name)
            if self.is_current:
                self.desk.action_room("monitor")
        finally:
            self._drawing = False
            self.bridge.look_now()

    @work
    async def action_delete(self) -> None:
        """Ask, then delete the chosen experiment."""
        name = self.bridge.experiment
        if name is None:
            return
        told = "Its predictions, logs and files go. What it cost stays spent. The dataset stays."
        if await self.app.push_screen_wait(ConfirmScreen(f"Delete experiment {name}?", told)):
            await self.desk.doing(self.engine.delete_experiment(name), f"Deleted {name}.")


def _line(experiment: ExperimentView, scores: list[Score], room: int) -> Text:
    mark, style = look().state(experiment.state)
    done = [s for s in scores if s.experiment == experiment.name and s.n and s.asked == s.n]
    best = max(done, key=lambda s: s.right / s.n, default=None)
    tail = Text(f" {experiment.jobs_done}/{experiment.jobs_total}", look().dim)
    if best is not None:
        tail = Text.assemble((f" {best.contestant}", look().contestant(best.kind)), f" {best.right / best.n:.1%}")
    name = Text(one_line(experiment.name, 300))
    name.truncate(max(6, room - tail.cell_len - 2), overflow="ellipsis", pad=True)
    return Text.assemble((mark, style), " ", name, tail, no_wrap=True, overflow="ellipsis")


def _next(message: Looked) -> list[Text]:
    """Return what a person would do next, the most urgent first."""
    own: list[JobView] = message.own_jobs
    hints: list[Text] = []

    def hint(key: str, text: str) -> None:
        hints.append(Text.assemble((f" {key} ", f"bold {look().accent}"), (text, look().dim)))

    stuck = [job for job in own if job.state in RESUMABLE and job.state != "waiting"]
    if message.standing and not any(job.state in ACTIVE for job in message.jobs):
        hint("4", "monitor: delete the deployment that costs money")
    if stuck:
        hint("4", f"monitor: {stuck[0].kind} {stuck[0].id} is {stuck[0].state}; r goes on")
    if any(job.state in ACTIVE for job in own):
        hint("4", "monitor: watch the jobs and their logs")
        if any(job.kind in ("train", "fine-tune") and job.state == "running" for job in own):
            hint("5", "train: watch the curves")
    elif own and not stuck:
        hint("6", "results: look behind the comparison")
        hint("2", "data: add your own images")
        hint("3", "launch: another experiment")
    return hints
