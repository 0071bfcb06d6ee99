"""All jobs, live, and the log of the chosen one."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import DataTable

from engine import ACTIVE, DogclsError, JobView, RemoteItem
from tui.bridge import Looked
from tui.guard import work
from tui.screens.job import JobScreen
from tui.screens.service import ServiceRoom
from tui.text import one_line
from tui.widgets.jobs import JobTable
from tui.widgets.logview import LogView

SERVICE_SECONDS = 15.0


def _costs(item: RemoteItem) -> bool:
    """Tell whether this is a deployment of a tuned model, and not ours: it costs by the hour, and no job tells so."""
    return item.kind == "deployment" and ".ft-" in item.detail and item.job_id is None


class MonitorScreen(ServiceRoom):
    """Jobs above, the chosen one's log below."""

    ROOM = "monitor"
    FIRST = "#jobs"

    def __init__(self) -> None:
        super().__init__()
        self._items: list[RemoteItem] = []
        self._service = ""
        """How it stands with the service, where it is shown."""
        self._asking = False
        self._jobs: list[JobView] = []

    def body(self) -> ComposeResult:
        """Lay it out."""
        yield JobTable(id="jobs", classes="pane")
        yield LogView(self.engine.browse, id="log", classes="pane")

    def on_mount(self) -> None:
        """Name the panes."""
        super().on_mount()
        self.query_one(JobTable).border_title = "Jobs"
        self.query_one(LogView).border_title = "Log"
        self.set_interval(SERVICE_SECONDS, self._look_again)

    @property
    def job(self) -> JobView | None:
        """The job under the cursor."""
        return self.query_one(JobTable).job

    @property
    def item(self) -> RemoteItem | None:
        """The thing on the service under the cursor."""
        return self.query_one(JobTable).item

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        table = self.query_one(JobTable)
        self._jobs, self._standing = message.jobs, message.standing
        # The newest experiment's jobs stand on top; within one, in their order.
        order = {e.name: n for n, e in enumerate(message.experiments)}
        jobs = sorted(message.jobs, key=lambda job: (order.get(job.experiment, 0), job.id))
        table.show(jobs, self._items if self._service else [], message.at, self.bridge.pace)
        busy = any(job.state in ACTIVE for job in jobs)
        following = "following what runs" if table.following and busy else ""
        table.border_subtitle = " · ".join(filter(None, (self._service, following)))
        if not jobs:
            self.query_one(LogView).border_subtitle = Text("no jobs yet: 1 home, d starts the demo")
        self._choose()
        self.log_view.grow()

    @on(DataTable.RowHighlighted)
    def _chosen(self, event: DataTable.RowHighlighted) -> None:
        self._choose()

    def _choose(self) -> None:
        job, log = self.job, self.log_view
        log.border_title = Text("Log") if job is None else Text(f"Log of {job.kind} {job.id}")
        log.show_job(job.id if job else None)
        self._subtitle()
        self.offer_keys()

    @on(LogView.Told)
    def _subtitle(self) -> None:
        job, log = self.job, self.log_view
        parts = [log.about] if log.job_id is not None else []
        if job is not None and job.state in ACTIVE and job.total:
            parts.append(job.done_of_total)
            parts.append(one_line(job.note, 40))
        if self.item is not None:
            parts = ["enter: how it stands"]
        if parts:
            log.border_subtitle = Text(" · ".join(filter(None, parts)))

    @on(DataTable.RowSelected)
    def _open(self, event: DataTable.RowSelected) -> None:
        self.action_details()

    def action_details(self) -> None:
        """Open the chosen job, or show how the chosen thing on the service stands."""
        if job := self.job:
            self.app.push_screen(JobScreen(job.id))
        elif item := self.item:
            self.look_into(item)

    def job_of(self, item: RemoteItem) -> JobView | None:
        """Our job that the thing belongs to, while it is under way or has something on the service."""
        jobs = (job for job in self._jobs if job.id == item.job_id)
        return next((job for job in jobs if job.state in ACTIVE or job.on_service), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Clean up from the list of what stands there."""
        return bool(self._service) if action == "clean" else super().check_action(action, parameters)

    def action_clean(self) -> None:
        """List what was left on the service, to be deleted."""
        self.desk.action_clean()

    def action_follow(self) -> None:
        """Follow what runs, and its log's end."""
        self.query_one(JobTable).following = True
        self.log_view.follow(True)
        self.bridge.look_now()

    def action_resource(self) -> None:
        """Show what stands on the service, or only our jobs."""
        self._service = "" if self._service else "asking the service …"
        self._items = []
        self.set_class(bool(self._service), "service")
        self.look_at_service()
        self.bridge.look_now()
        self.refresh_bindings()

    def _look_again(self) -> None:
        if not self._asking:  # a slow answer is waited for: to ask anew would be never to hear it
            self.look_at_service()

    @work(exclusive=True, group="service")
    async def look_at_service(self) -> None:
        """Ask the service again."""
        if not self._service or not self.is_current:
            return
        self._asking = True
        try:
            found = await self.desk.doing(self.engine.remote.items())
        finally:
            self._asking = False
        if not self._service:
            return  # hidden meanwhile
        if isinstance(found, list):
            self._items = found
            self.bridge.strangers = {i.name: await self._hourly(i) for i in found if _costs(i)}
        self._service = f"{len(found)} on the service" if isinstance(found, list) else "the service does not answer"
        self.bridge.look_now()

    async def _hourly(self, item: RemoteItem) -> float | None:
        try:
            return await self.engine.remote.hourly_usd(item.detail)
        except DogclsError:  # a model without a price
            return None

    def repaint(self) -> None:
        """Draw everything in other colours."""
        self.query_one(JobTable).redraw()
        self.log_view.refresh()
        super().repaint()
