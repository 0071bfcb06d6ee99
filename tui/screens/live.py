"""The live screen: experiments, their jobs, the chosen job's log, and the comparison."""

from __future__ import annotations

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import ContentSwitcher, DataTable, Footer, OptionList

from engine import ACTIVE, RESUMABLE, DogclsError, Engine, JobView
from tui.bridge import Bridge, Compared, LogGrew, Looked, Trouble
from tui.keys import bindings
from tui.screens.dialogs import ConfirmScreen, HelpScreen
from tui.text import literal
from tui.widgets.comparison import ComparisonTable
from tui.widgets.experiments import ExperimentList
from tui.widgets.jobs import JobTable
from tui.widgets.log import JobLog
from tui.widgets.topbar import TopBar
from tui.widgets.welcome import Welcome

_CANCEL = {
    "batch": "Requests that were answered already are paid for.",
    "fine-tune": "What was trained already is paid for.",
    "deploy": "A deployment that was made already is deleted, so that it costs nothing more.",
}


class LiveScreen(Screen[None]):
    """Everything on one screen; the first look at the store paints it."""

    BINDINGS = [
        *bindings(),
        Binding("h", "app.focus_previous", show=False),
        Binding("l", "app.focus_next", show=False),
    ]

    def __init__(self, engine: Engine, *, start_demo: bool, experiment: str | None) -> None:
        super().__init__()
        self._engine = engine
        self._start_demo = start_demo
        self._bridge = Bridge(engine, self.post_message)
        self._bridge.choose_experiment(experiment)
        self._drawing = False
        self._trouble = ""
        self._offered: object = None

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield TopBar()
        with ContentSwitcher(initial="board", id="switch"):
            yield Welcome(id="welcome")
            with Vertical(id="board"):
                with Horizontal(id="upper"):
                    yield ExperimentList(id="experiments", classes="pane")
                    yield JobTable(id="jobs", classes="pane")
                yield JobLog(id="log", classes="pane")
                yield ComparisonTable(id="comparison", classes="pane")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self.query_one(ExperimentList).border_title = "Experiments"
        self.query_one(JobTable).border_title = "Jobs"
        self.query_one(JobLog).border_title = "Log"
        self.query_one(JobTable).focus()
        self.query_one(TopBar).show(self._engine.profile, [], [])
        self.run_worker(self._bridge.run(), name="bridge")
        if self._start_demo:
            self.action_demo()

    def on_resize(self) -> None:
        """Give wide and tall terminals more room for the lists."""
        self.set_class(self.size.width >= 100, "wide")
        self.set_class(self.size.height >= 36, "tall")
        self._bridge.look_now()

    # -- what the bridge tells

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        board = bool(message.experiments) and not self._drawing
        self.query_one("#switch", ContentSwitcher).current = "board" if board else "welcome"
        self.query_one(TopBar).show(self._engine.profile, message.experiments, message.jobs)
        self.query_one(ExperimentList).show(message.experiments, message.experiment)
        table = self.query_one(JobTable)
        table.show(message.jobs, message.at)
        busy = any(job.state in ACTIVE for job in message.jobs)
        table.border_subtitle = "following what runs" if table.following and busy else ""
        self._title_log(table.chosen)
        self._bridge.choose_job(table.chosen.id if table.chosen else None)
        if table.has_focus and not board:
            self.set_focus(None)
        elif self.focused is None and board:
            table.focus()
        self._offer_keys()

    @on(LogGrew)
    def _log_grew(self, message: LogGrew) -> None:
        self.query_one(JobLog).show(message.lines, fresh=message.fresh)

    @on(Compared)
    def _compared(self, message: Compared) -> None:
        self.query_one(ComparisonTable).show(message.comparison)
        if message.comparison is not None:
            self.app.last_comparison = message.comparison  # type: ignore[attr-defined]

    @on(Trouble)
    def _in_trouble(self, message: Trouble) -> None:
        if message.text != self._trouble:  # the same one, at each look, is told once
            self._trouble = message.text
            self.notify(literal(message.text), severity="error", markup=False)

    def _title_log(self, job: JobView | None) -> None:
        log = self.query_one(JobLog)
        log.border_title = Text("Log") if job is None else Text(f"Log of {job.kind} {job.id}")
        note = ""
        if job is not None and job.state in ACTIVE:
            note = " · ".join(filter(None, (f"{job.done:,} of {job.total:,}", job.note))) if job.total else job.note
        log.border_subtitle = Text(literal(note).strip())

    # -- what the reader does

    @on(OptionList.OptionHighlighted)
    def _experiment_chosen(self, event: OptionList.OptionHighlighted) -> None:
        if event.option.id:
            self.query_one(JobTable).following = True
            self._bridge.choose_experiment(event.option.id)

    @on(DataTable.RowHighlighted)
    def _job_chosen(self, event: DataTable.RowHighlighted) -> None:
        job = self.query_one(JobTable).chosen
        self._bridge.choose_job(job.id if job else None)
        self._title_log(job)
        self._offer_keys()

    def _offer_keys(self) -> None:
        """Let the footer follow, but only when what it hangs on has changed: it is laid out anew each time."""
        job = self.query_one(JobTable).chosen
        marks = (job and (job.id, job.state), self.query_one(JobTable).following, self._drawing)
        if marks != self._offered:
            self._offered = marks
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that would do something now."""
        job = self.query_one(JobTable).chosen if self.is_mounted else None
        if action in ("cancel", "pause"):
            return job is not None and job.state in (*ACTIVE, "waiting")
        if action == "resume":
            return job is not None and job.state in RESUMABLE
        if action == "follow":
            return job is not None and not self.query_one(JobTable).following
        if action == "demo":
            return self._engine.profile == "demo" and not self._drawing
        return True

    @work(exclusive=True, group="demo")
    async def action_demo(self) -> None:
        """Draw the demo's dogs if need be, and start its comparison."""
        if self._drawing:
            return
        self._drawing = True
        self._bridge.look_now()

        def progress(phase: str, done: int, total: int) -> None:
            self.app.call_from_thread(self.query_one(Welcome).progress, phase, done, total)

        try:
            name = await self._engine.demo(progress)
        except DogclsError as error:
            self.notify(literal(str(error)), severity="error", markup=False, timeout=15)
        else:
            self.query_one(JobTable).following = True
            self._bridge.choose_experiment(name)
        finally:
            self._drawing = False
            self._bridge.look_now()

    @work
    async def action_cancel(self) -> None:
        """Ask, then cancel the chosen job."""
        job = self.query_one(JobTable).chosen
        if job is None:
            return
        consequence = _CANCEL.get(job.kind, "What it has stored is kept.")
        if await self.app.push_screen_wait(ConfirmScreen(f"Cancel {job.kind} {job.id}?", consequence)):
            await self._engine.cancel(job.id)
            self._bridge.look_now()

    async def action_pause(self) -> None:
        """Pause the chosen job."""
        if job := self.query_one(JobTable).chosen:
            await self._engine.pause(job.id)
            self._bridge.look_now()

    async def action_resume(self) -> None:
        """Set the chosen job's experiment going again."""
        if job := self.query_one(JobTable).chosen:
            await self._engine.resume(job.id)
            self._bridge.look_now()

    def action_follow(self) -> None:
        """Let the cursor go to whichever job runs."""
        self.query_one(JobTable).following = True
        self._bridge.look_now()

    def action_help(self) -> None:
        """Show the keys."""
        self.app.push_screen(HelpScreen())

    def action_quit(self) -> None:
        """Close the app; the jobs go on."""
        self.app.exit()
