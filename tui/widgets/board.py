"""The board of the first room: experiments at the left, now at the right, the chosen one's comparison below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from engine import ACTIVE, RESUMABLE
from tui.styles.theme import look
from tui.text import cost, dollars, moment, one_line, span
from tui.widgets.bar import bar
from tui.widgets.comparison import ComparisonTable
from tui.widgets.lists import List

if TYPE_CHECKING:
    from engine import Comparison, ExperimentView, JobView, Score
    from tui.bridge import Looked
    from tui.pace import Pace

MOST_JOBS = 6
WIDE = 40
"""Cells of a line from which it tells when an experiment began, and what it cost."""


class Board(Vertical):
    """What there is, what it does now, and what it came to."""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Horizontal():
            yield List(id="experiments", classes="pane")
            with VerticalScroll(id="now", classes="pane"):
                yield Static()
        yield ComparisonTable(id="comparison", classes="pane")

    def on_mount(self) -> None:
        """Name the panes, and begin in the first."""
        self.query_one("#experiments").border_title = "Experiments"
        self.query_one("#now").border_title = "Now"
        self.query_one(List).focus()

    def show(self, message: Looked, pace: Pace, strangers: Mapping[str, float | None]) -> None:
        """Show what there is now, and deployments that are not ours but cost."""
        experiments = self.query_one(List)
        room = max(20, experiments.content_size.width)
        open_ = {(j.experiment, j.contestant) for j in message.jobs if j.state != "succeeded"}
        done = [s for s in message.scores if (s.experiment, s.contestant) not in open_]
        lines = [(e.name, _line(e, done, room)) for e in message.experiments]
        experiments.show(lines, message.experiment)
        self.query_one("#now Static", Static).update(_now(message, pace, strangers))
        self.query_one(ComparisonTable).stand(message.own_jobs)

    def compare(self, comparison: Comparison | None) -> None:
        """Show the chosen experiment's comparison."""
        self.query_one(ComparisonTable).show(comparison)


def _now(message: Looked, pace: Pace, strangers: Mapping[str, float | None]) -> Group:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    grid.add_column(no_wrap=True, justify="right")
    running = [job for job in message.jobs if job.state in ACTIVE]
    for job in running[:MOST_JOBS]:
        left = pace.left(job)
        told = Text.assemble(("● ", look().accent), f"{job.kind} {job.id} ", (one_line(job.note, 24), look().dim))
        share = bar(job.progress, 8, look().accent)
        share.append(f" {span(left)} left" if left is not None else "", look().dim)
        grid.add_row(told, share)
    if len(running) > MOST_JOBS:
        grid.add_row(Text(f"and {len(running) - MOST_JOBS} more", look().dim), "")
    if not running:
        grid.add_row(Text("Nothing runs.", look().dim), "")
    for each in message.standing:
        name = Text.assemble(("$ ", look().warn), one_line(each.deployment, 40))
        hourly = (
            f"{dollars(each.usd_per_hour)}/h, {dollars(each.usd)} so far" if each.price_is_known else "price unknown"
        )
        grid.add_row(name, Text(hourly, look().warn))
    for stranger, usd in strangers.items():
        name = Text.assemble(("$ ", look().warn), one_line(stranger, 40))
        grid.add_row(name, Text(f"not ours, {'by the hour' if usd is None else f'{dollars(usd)}/h'}", look().warn))
    hints, stages = _next(message), _stages(message.own_jobs)
    return Group(grid, "", *hints, *([""] if hints and stages else []), *stages)


def _stages(jobs: list[JobView]) -> list[Text]:
    """Return a line for each contestant: its jobs one after another, each with the mark of its state."""
    lines: dict[str, Text] = {}
    for job in jobs:
        name = job.contestant or job.kind
        title = Text(f"{one_line(name, 20):<11}", look().contestant(job.contestant), no_wrap=True, overflow="ellipsis")
        line = lines.setdefault(name, title)
        mark, style = look().state(job.state)
        line.append(f"{mark} ", style).append(f"{job.kind}  ", look().dim)
    return list(lines.values())


def _line(experiment: ExperimentView, scores: list[Score], room: int) -> Text:
    mark, style = look().state(experiment.state)
    spent = cost(experiment.cost_usd, experiment.cost_is_known)
    begun = f"  {moment(experiment.created_at)[5:16]}  {spent}" if room >= WIDE else ""
    done = [s for s in scores if s.experiment == experiment.name and s.n and s.asked == s.n]
    # One that is right no more often than always naming the majority class is not the best of anything.
    best = max((s for s in done if s.right > s.majority), key=lambda s: s.right / s.n, default=None)
    tail = Text(f" {experiment.jobs_done}/{experiment.jobs_total}", look().dim)
    if best is not None:
        tail = Text.assemble((f" {best.contestant}", look().contestant(best.kind)), f" {best.right / best.n:.1%}")
    tail.append(begun, look().dim)
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
