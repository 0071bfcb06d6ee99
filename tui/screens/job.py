"""One job: what it was told, what it said, what it has on the service and on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table as Grid
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static, TabbedContent, TabPane

from engine import DogclsError, JobView
from tui.bridge import Looked
from tui.guard import work
from tui.screens.jobs import JobRoom
from tui.styles.theme import look
from tui.text import cost, literal, moment, one_line, size, span
from tui.widgets.jobs import state_of
from tui.widgets.logview import LogView

if TYPE_CHECKING:
    from engine import JobDetail


class JobScreen(JobRoom):
    """Tabs as the portal has them: details, log, what its process printed, checkpoints, files."""

    ROOM = "job"
    FIRST = "LogView"

    def __init__(self, job_id: int) -> None:
        super().__init__()
        self._job_id = job_id
        self._view: JobView | None = None
        self._seen: object = None

    def body(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="what")
        with TabbedContent(initial="log"):
            for name in ("details", "log", "process", "checkpoints", "files"):
                with TabPane(name.capitalize(), id=name):
                    if name == "log":
                        yield LogView(self.engine.browse)
                    else:
                        with VerticalScroll(id=f"{name}-box"):
                            yield Static(id=f"{name}-text")

    def on_mount(self) -> None:
        """Show its log."""
        super().on_mount()
        self.log_view.show_job(self._job_id)

    @property
    def job(self) -> JobView | None:
        """The job."""
        return self._view

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        self._view = next((job for job in message.jobs if job.id == self._job_id), None)
        if self._view is None:
            self.dismiss()
            return
        self.offer_keys(message)
        self._head()
        self.log_view.grow()
        job = self._view
        marks = (job.state, job.attempt, job.done, job.request, round(message.at))
        if marks != self._seen:
            self._seen = marks
            self._read(message.at)

    @work(exclusive=True, group="detail")
    async def _read(self, at: float) -> None:
        try:
            detail = await self.engine.browse.job(self._job_id)
        except DogclsError as error:
            self.desk.trouble(str(error))
            return
        self.query_one("#details-text", Static).update(_details(detail, at, self.bridge.pace.left(detail.view)))
        self.query_one("#process-text", Static).update(_process(detail))
        self.query_one("#checkpoints-text", Static).update(_checkpoints(detail))
        self.query_one("#files-text", Static).update(_files(detail))

    @on(LogView.Told)
    def _head(self) -> None:
        """Say above the tabs which job this is, how it stands, and where in its log the reader is."""
        job, dim = self._view, look().dim
        if job is None:
            return
        told = Text.assemble((f"{job.kind} {job.id}", "bold"), "  ", state_of(job))
        told.append(f"  {one_line(job.contestant or '', 24)}", look().contestant(job.contestant))
        told.append(f" of {one_line(job.experiment, 40)}", dim)
        head = Grid.grid(expand=True)
        head.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        head.add_column(justify="right", no_wrap=True)
        log = self.query_one(TabbedContent).active == "log"
        head.add_row(told, Text(self.log_view.about if log else "", dim))
        self.query_one("#what", Static).update(head)

    def tab_shown(self, tab: str) -> None:
        """Give the focus to what is in front."""
        self._head()
        self.query_one("LogView" if tab == "log" else f"#{tab}-box").focus()

    def action_follow(self) -> None:
        """Follow the log's end."""
        self.log_view.follow(True)

    def action_back(self) -> None:
        """Back to the table."""
        self.dismiss()


def _grid() -> Grid:
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style=look().dim, no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _details(detail: JobDetail, at: float, left: float | None) -> Grid:
    job, grid = detail.view, _grid()
    grid.add_row("state", state_of(job))
    if job.error:
        grid.add_row("error", Text(one_line(job.error), look().bad))
    grid.add_row("experiment", Text(one_line(job.experiment)))
    grid.add_row("contestant", Text(one_line(job.contestant or "–"), look().contestant(job.contestant)))
    grid.add_row("progress", Text(f"{job.done_of_total}  {one_line(job.note)}" if job.total else "–"))
    grid.add_row("time left", Text(span(left) if left is not None else "–"))
    grid.add_row("cost", Text(cost(job.cost_usd, job.cost_is_known)))
    grid.add_row("created", Text(moment(job.created_at)))
    grid.add_row("started", Text(moment(job.started_at)))
    grid.add_row("ended", Text(moment(job.finished_at)))
    if job.started_at:
        grid.add_row("took", Text(span(job.seconds(at))))
    grid.add_row("attempts", Text(str(job.attempt)))
    grid.add_row("needs", Text(", ".join(f"job {n}" for n in job.needs) or "–"))
    if detail.pid and job.state == "running":
        grid.add_row("process", Text(str(detail.pid)))
    for title, values in (("told", detail.parameters), ("result", detail.result)):
        for name, value in values.items():
            grid.add_row(f"{title}: {name}", Text(one_line(_plain(value))))
    return grid


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _checkpoints(detail: JobDetail) -> Grid | Text:
    rows = [f for f in detail.files if f[0].startswith("checkpoints/")]
    kept = detail.result.get("checkpoints")
    grid = _grid()
    for name, count, at in rows:
        grid.add_row(one_line(name), Text(f"{size(count):>10}  {moment(at)}"))
    for checkpoint in kept if isinstance(kept, list) else ():
        grid.add_row("on the service", Text(one_line(str(checkpoint))))
    model = detail.result.get("model")
    if model and detail.view.kind == "fine-tune":
        grid.add_row("tuned model", Text(one_line(str(model))))
    return grid if grid.row_count else Text("No checkpoints.", look().dim)


def _process(detail: JobDetail) -> Text:
    if not detail.printed:
        return Text("Its process printed nothing beside the log.", look().dim)
    return Text(literal(Text.from_ansi(detail.printed).plain))


def _files(detail: JobDetail) -> Grid:
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style=look().dim, no_wrap=True)
    grid.add_column(style=look().dim, no_wrap=True, justify="right")
    grid.add_column(overflow="fold")
    grid.add_row("", "", Text(one_line(detail.folder), look().dim))
    for name, count, at in detail.files:
        grid.add_row(moment(at), size(count), Text(one_line(name)))
    for operation, remote, at in detail.remote:
        grid.add_row(moment(at), operation, Text(f"{one_line(remote or 'not known yet')} on the service"))
    return grid
