"""The line at the top: where we are, what runs, what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text
from textual import events
from textual.widgets import Static

from engine import ACTIVE, counted
from tui.keys import ROOMS
from tui.styles.theme import look
from tui.text import cost, literal

if TYPE_CHECKING:
    from engine import ExperimentView, JobView, StandingCost

WIDE = 100
"""Columns from which the program's name and the profile have room."""
NARROW = 70
"""Columns below which only the room in front is named."""
TINY = 40
"""Columns below which there is nothing else."""
FAULT = "↯"


class TopBar(Static):
    """The rooms with their digits at the left; jobs under way and money at the right."""

    def __init__(self, room: str) -> None:
        super().__init__()
        self._room = room
        self._profile = ""
        self._right = [Text()] * 4
        """Jobs under way, dollars an hour, dollars in all, whose they are."""
        self._faults = 0
        self._seen: object = (self._right, 0, look().name)
        self._named = (0, 0)
        """How many cells the emulator's name takes, of how many at the right."""

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
        faults: int = 0,
    ) -> None:
        """Show what there is now; `faults` is how many the emulator has on."""
        emulated = profile == "demo"
        self._profile = "emulator" if emulated else literal(profile)
        running = sum(job.state in ACTIVE for job in jobs)
        right = [Text(f"● {running}  " if running else "", look().accent)]
        # The emulator's money and real money are never added up.
        own = {e.name: e for e in experiments if (e.profile == "demo") == emulated}
        living = [s for s in standing if s.experiment in own]
        hourly, known = sum(s.usd_per_hour for s in living), all(s.price_is_known for s in living)
        right.append(Text(f"{cost(hourly, known)}/h  " if hourly or not known else "", look().warn))
        known = all(e.cost_is_known for e in own.values())
        right.append(Text(cost(sum(e.cost_usd for e in own.values()), known) if own else "", look().dim))
        right.append(Text((" emulated" if emulated else " spent") if own else "", look().dim))
        seen = (right, faults, look().name)  # texts are equal in any colours
        if seen != self._seen:
            self._seen, self._right, self._faults = seen, right, faults
            self._draw()

    def _draw(self) -> None:
        left = Text("dogcls ", f"bold {look().accent}") if self._wide else Text()
        for digit, name in enumerate(ROOMS, start=1):
            here = name == self._room
            left.append(self._label(digit, name), self._here if here else look().dim)
        right = self._at_right(self.content_size.width - left.cell_len)
        row = Table.grid(expand=True)
        row.add_column(ratio=1, no_wrap=True, overflow="crop")
        row.add_column(justify="right", no_wrap=True)
        row.add_row(left, right)
        self.update(row)

    def _at_right(self, room: int) -> Text:
        """Return as much as there is room for. Faults that are on are told in any case: much is explained by them."""
        *most, whose = self._right
        lead = self._lead() if self._wide or self._faults else Text()
        ways = [(lead, [*most, whose], 1), (lead, most, 0)]
        if self._faults:
            short = Text(f"{FAULT}{self._faults}  ", look().warn)
            ways += [(short, [*most, whose], 1), (short, most, 0), (short, most[:2], 0), (short, [], 0)]
        for first, rest, spare in ways:
            right = Text.assemble(first, *rest)
            if right.cell_len <= room - spare:
                self._named = (first.cell_len, right.cell_len)
                return right
        self._named = (0, 0)
        return Text()

    def _lead(self) -> Text:
        """Return the profile's name, and the emulator's faults in words."""
        if self._room == "emulator":
            lead = Text.assemble((f" {self._profile} ", self._here), " ")
        else:
            lead = Text(f"{self._profile}{' ' if self._faults else '  '}", look().dim)
        if self._faults:
            lead.append(f"{FAULT}{counted(self._faults, 'fault')}  ", look().warn)
        return lead

    @property
    def _here(self) -> str:
        return f"bold {look().ink} on {look().accent}"

    @property
    def _wide(self) -> bool:
        return self.size.width >= WIDE

    def _label(self, digit: int, name: str) -> str:
        if name == self._room or self.size.width >= NARROW:
            return f" {digit} {name} "
        return f" {digit} " if self.size.width >= TINY else ""

    def on_click(self, event: events.Click) -> None:
        """A click on a room's name goes there; on the emulator's too."""
        named, right = self._named
        start = self.size.width - 1 - right
        if start <= event.x < start + named:
            self.app.action_emulator()  # type: ignore[attr-defined]
            return
        position = 1 + (7 if self._wide else 0)
        for digit, name in enumerate(ROOMS, start=1):
            length = len(self._label(digit, name))
            if position <= event.x < position + length:
                self.app.action_room(name)  # type: ignore[attr-defined]
                return
            position += length
