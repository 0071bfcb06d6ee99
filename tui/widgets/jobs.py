"""The table of an experiment's jobs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.widgets import DataTable

from engine import ACTIVE, JobView
from tui.styles.theme import CONTESTANTS, DIM, ERROR, STATES
from tui.text import dollars, literal, span
from tui.widgets.bar import bar

WIDE = 76
"""Columns inside the table from which whose job it is, its age and its note have room."""


class JobTable(DataTable[Text]):
    """One row a job. While `following`, the cursor goes to whichever job runs."""

    BINDINGS = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("g", "scroll_top", show=False),
        Binding("G", "scroll_bottom", show=False),
    ]

    def __init__(self, **options: str) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, **options)  # type: ignore[arg-type]
        self.following = True
        self._jobs: list[JobView] = []
        self._columns: tuple[str, ...] = ()

    @property
    def chosen(self) -> JobView | None:
        """The job under the cursor."""
        return self._jobs[self.cursor_row] if 0 <= self.cursor_row < len(self._jobs) else None

    def show(self, jobs: Sequence[JobView], at: float) -> None:
        """Show these jobs as they are at a time."""
        columns = self._wanted_columns()
        rows = {str(job.id): _cells(job, columns, at) for job in jobs}
        if columns != self._columns or [str(j.id) for j in self._jobs] != list(rows):
            same = [j.id for j in self._jobs] == [j.id for j in jobs]
            cursor = self.cursor_row
            self._jobs, self._columns = list(jobs), columns
            self.clear(columns=True)
            for name in columns:
                self.add_column(Text(name, DIM), key=name)
            for key, cells in rows.items():
                self.add_row(*cells, key=key)
            if same:
                self.move_cursor(row=cursor)
        else:
            self._jobs = list(jobs)
            for key, cells in rows.items():
                for name, cell in zip(columns, cells, strict=True):
                    if self.get_cell(key, name) != cell:
                        self.update_cell(key, name, cell, update_width=True)
        if self.following and jobs:
            self.move_cursor(row=_interesting(jobs))

    def _wanted_columns(self) -> tuple[str, ...]:
        if self.content_size.width >= WIDE:
            return ("#", "job", "for", "state", "progress", "time", "cost", "note")
        return ("#", "job", "state", "progress", "cost")

    def action_cursor_down(self) -> None:
        """Choose the next job, and stay with what the reader chose."""
        self.following = False
        super().action_cursor_down()

    def action_cursor_up(self) -> None:
        """Choose the previous job, and stay with what the reader chose."""
        self.following = False
        super().action_cursor_up()

    def action_scroll_top(self) -> None:
        """Choose the first job."""
        self.following = False
        super().action_scroll_top()

    def action_scroll_bottom(self) -> None:
        """Choose the last job."""
        self.following = False
        super().action_scroll_bottom()

    def on_click(self, event: events.Click) -> None:
        """A click chooses too."""
        self.following = False


def _interesting(jobs: Sequence[JobView]) -> int:
    """Return the row of the job that ends last of those that run, else of the last that ran."""
    order = {"running": 0, "failed": 1, "interrupted": 1, "queued": 2, "paused": 2}
    ranked = sorted(range(len(jobs)), key=lambda n: (order.get(jobs[n].state, 9), -(jobs[n].started_at or 0), n))
    return ranked[0]


def _cells(job: JobView, columns: tuple[str, ...], at: float) -> list[Text]:
    mark, style = STATES[job.state]
    state = f"{mark} {job.state}"
    if job.request and job.state in ACTIVE:
        state = f"{mark} {'cancelling' if job.request == 'cancel' else 'pausing'}"
    if job.attempt > 1:
        state += f" ×{job.attempt}"
    note = job.error or (job.note if job.state in ACTIVE else "")
    age = (job.finished_at or at) - job.started_at if job.started_at else None
    cells = {
        "#": Text(str(job.id), DIM, justify="right"),
        "job": Text(job.kind),
        "for": Text(literal(job.contestant or "–"), CONTESTANTS.get(job.contestant or "", DIM)),
        "state": Text(state, style),
        "progress": bar(job.progress, 10, style),
        "time": Text(span(age) if age is not None else "", DIM, justify="right"),
        "cost": Text(dollars(job.cost_usd) if job.cost_usd else "–", "" if job.cost_usd else DIM, justify="right"),
        "note": Text(literal(note), ERROR if job.error else DIM, no_wrap=True),
    }
    return [cells[name] for name in columns]
