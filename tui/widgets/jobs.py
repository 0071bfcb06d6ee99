"""The table of jobs, ours and what stands on the service."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events

from engine import ACTIVE, JobView, RemoteItem
from tui.pace import Pace
from tui.styles.theme import look
from tui.text import cost, one_line, span
from tui.widgets.bar import bar
from tui.widgets.tables import Table

WIDE = 96
"""Columns inside the table from which whose job it is, its age and its note have room."""


class JobTable(Table):
    """One row a job. While `following`, the cursor goes to whichever job runs."""

    def __init__(self, **options: str) -> None:
        super().__init__(**options)
        self.following = True
        self._jobs: dict[str, JobView] = {}
        self._items: dict[str, RemoteItem] = {}

    @property
    def job(self) -> JobView | None:
        """The job under the cursor, if it is one of ours."""
        return self._jobs.get(self.chosen or "")

    @property
    def item(self) -> RemoteItem | None:
        """The thing on the service under the cursor, if it is one."""
        return self._items.get(self.chosen or "")

    def show(self, jobs: Sequence[JobView], items: Sequence[RemoteItem], at: float, pace: Pace) -> None:
        """Show these jobs and things as they are at a time."""
        wide = self.content_size.width >= WIDE
        several = len({job.experiment for job in jobs}) > 1
        self._jobs = {str(job.id): job for job in jobs}
        self._items = {f"{item.kind}:{item.id}": item for item in items}
        columns = ["#", "job", *(["experiment"] if wide and several else []), *(["for"] if wide else []), "state"]
        moving = any(job.state in ACTIVE for job in jobs)
        columns += ["progress", "time", *(["left"] if wide or moving else []), "cost", "note"]
        rows = {key: _cells(job, columns, at, pace, wide) for key, job in self._jobs.items()}
        rows |= {key: _item_cells(item, columns, at) for key, item in self._items.items()}
        self.fill(columns, rows)
        if self.following and jobs:
            wanted = str(_interesting(jobs).id)
            if wanted != self.chosen:
                self.move_cursor(row=list(rows).index(wanted))

    def _chose(self) -> None:
        self.following = False

    def action_cursor_down(self) -> None:
        """Choose the next job, and stay with what the reader chose."""
        self._chose()
        super().action_cursor_down()

    def action_cursor_up(self) -> None:
        """Choose the previous job, likewise."""
        self._chose()
        super().action_cursor_up()

    def action_first(self) -> None:
        """Choose the first job, likewise."""
        self._chose()
        super().action_first()

    def action_last(self) -> None:
        """Choose the last job, likewise."""
        self._chose()
        super().action_last()

    def on_click(self, event: events.Click) -> None:
        """A click chooses too."""
        self._chose()


def _interesting(jobs: Sequence[JobView]) -> JobView:
    """Return the job that began last of those that run, else the one that wants attention, else the last."""
    order = {"running": 0, "failed": 1, "interrupted": 1, "cancelling": 1, "queued": 2, "paused": 2}
    return min(jobs, key=lambda job: (order.get(job.state, 9), -(job.started_at or 0), -job.id))


def state_of(job: JobView) -> Text:
    """Return a job's state, its attempts, and what is asked of it."""
    mark, style = look().state(job.state)
    state = f"{mark} {job.state}"
    if job.request and job.state in ACTIVE:
        state = f"{mark} {'cancelling' if job.request == 'cancel' else 'pausing'}"
    if job.attempt > 1:
        state += f" ×{job.attempt}"
    return Text(state, style)


def _cells(job: JobView, columns: Sequence[str], at: float, pace: Pace, wide: bool) -> list[Text]:
    dim = look().dim
    note = job.error or (job.note if job.state in ACTIVE or job.waits_for_settings else "")
    age = job.seconds(at) if job.started_at else None
    left = pace.left(job)
    style = look().state(job.state)[1]
    cells = {
        "#": Text(str(job.id), dim, justify="right"),
        "job": Text(job.kind),
        "experiment": Text(one_line(job.experiment, 24), dim),
        "for": Text(one_line(job.contestant or "–", 24), look().contestant(job.contestant)),
        "state": state_of(job),
        "progress": bar(job.progress, 10 if wide else 4 if "left" in columns else 8, style),
        "time": Text(span(age) if age is not None else "", dim, justify="right"),
        "left": Text(span(left) if left is not None else "", dim, justify="right"),
        "cost": Text(
            cost(job.cost_usd, job.cost_is_known) if job.cost_usd or not job.cost_is_known else "–",
            "" if job.cost_usd or not job.cost_is_known else dim,
            justify="right",
        ),
        "note": Text(one_line(note, 200), look().bad if job.error else dim, no_wrap=True),
    }
    return [cells[name] for name in columns]


def _item_cells(item: RemoteItem, columns: Sequence[str], at: float) -> list[Text]:
    dim = look().dim
    state = item.state.lower()
    style = look().ok if state in ("succeeded", "completed", "processed") else look().info
    cells = {
        "#": Text("☁", dim, justify="right"),
        "job": Text(item.kind),
        "for": Text(f"job {item.job_id}" if item.job_id else "–", dim),
        "state": Text(one_line(item.state, 16), style),
        "progress": Text(one_line(item.name, 60), dim),
        "time": Text(span(at - item.created_at) if item.created_at else "", dim, justify="right"),
        "note": Text(one_line(item.detail, 100), dim, no_wrap=True),
    }
    return [cells.get(name, Text()) for name in columns]
