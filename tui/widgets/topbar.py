"""The line at the top: where we are, what runs, what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text
from textual import events
from textual.widgets import Static

from engine import ACTIVE
from tui.keys import ROOMS
from tui.styles.theme import look
from tui.text import dollars, literal

if TYPE_CHECKING:
    from engine import ExperimentView, JobView, StandingCost

WIDE = 100
"""Columns from which the program's name and the profile have room."""
NARROW = 70
"""Columns below which only the room in front is named."""
TINY = 40
"""Columns below which there is nothing else."""


class TopBar(Static):
    """The rooms with their digits at the left; jobs under way and money at the right."""

    def __init__(self, room: str) -> None:
        super().__init__()
        self._room = room
        self._profile = ""
        self._right = Text()
        self._whose = ""

    def on_mount(self) -> None:
        """Show the rooms at once."""
        self._draw()

    def on_resize(self) -> None:
        """Lay it out anew."""
        self._draw()

    def show(
        self,
        profile: str,
        experiments: Sequence[ExperimentView],
        jobs: Sequence[JobView],
        standing: Sequence[StandingCost],
    ) -> None:
        """Show what there is now."""
        emulated = profile == "demo"
        self._profile = "emulator" if emulated else literal(profile)
        running = sum(job.state in ACTIVE for job in jobs)
        right = Text(f"● {running}  " if running else "", look().accent)
        # The emulator's money and real money are never added up.
        own = {e.name: e.cost_usd for e in experiments if (e.profile == "demo") == emulated}
        hourly = sum(cost.usd_per_hour for cost in standing if cost.experiment in own)
        if hourly:
            right.append(f"{dollars(hourly)}/h  ", look().warn)
        if own:
            right.append(dollars(sum(own.values())), look().dim)
        whose = (" emulated" if emulated else " spent") if own else ""
        if (right, whose) != (self._right, self._whose):
            self._right, self._whose = right, whose
            self._draw()

    def _draw(self) -> None:
        left = Text("dogcls ", f"bold {look().accent}") if self._wide else Text()
        for digit, name in enumerate(ROOMS, start=1):
            here = name == self._room
            left.append(self._label(digit, name), f"bold {look().ink} on {look().accent}" if here else look().dim)
        right = Text.assemble((f"{self._profile}  ", look().dim), self._right) if self._wide else self._right.copy()
        if left.cell_len + right.cell_len + len(self._whose) <= self.content_size.width - 1:
            right.append(self._whose, look().dim)
        if left.cell_len + right.cell_len > self.content_size.width:
            right = Text()
        row = Table.grid(expand=True)
        row.add_column(ratio=1, no_wrap=True, overflow="crop")
        row.add_column(justify="right", no_wrap=True)
        row.add_row(left, right)
        self.update(row)

    @property
    def _wide(self) -> bool:
        return self.size.width >= WIDE

    def _label(self, digit: int, name: str) -> str:
        if name == self._room or self.size.width >= NARROW:
            return f" {digit} {name} "
        return f" {digit} " if self.size.width >= TINY else ""

    def on_click(self, event: events.Click) -> None:
        """A click on a room's name goes there."""
        position = 1 + (7 if self._wide else 0)
        for digit, name in enumerate(ROOMS, start=1):
            length = len(self._label(digit, name))
            if position <= event.x < position + length:
                self.app.action_room(name)  # type: ignore[attr-defined]
                return
            position += length
