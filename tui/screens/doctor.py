"""The doctor: what was checked of the profile, what was found, and what helps."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Static

from engine import DogclsError
from tui import bridge
from tui.bridge import Looked
from tui.guard import work
from tui.screens.base import Room
from tui.styles.theme import look
from tui.text import literal, moment, one_line, span
from tui.widgets.tables import Table

if TYPE_CHECKING:
    from engine import Checkup

TICK_SECONDS = 1.0
_WORDS = {"problem": ("problem", "problems"), "warning": ("warning", "warnings"), "unknown": ("unknown", "unknown")}


def checkup_mark(state: str) -> tuple[str, str]:
    """Return the mark and the style of a checkup's state."""
    at = look()
    marks = {"ok": ("✓", at.ok), "warning": ("!", f"bold {at.warn}"), "problem": ("✗", f"bold {at.bad}")}
    return marks.get(state, ("?", at.info))


class DoctorScreen(Room):
    """Checkups above, what is known of the chosen one below. Asked when one comes here, and again on request."""

    ROOM = "doctor"
    FIRST = "#checkups"

    def __init__(self) -> None:
        super().__init__()
        self._checkups: list[Checkup] | None = None
        self._problem = ""
        """Why nothing could be asked."""
        self._since: float | None = None
        """Since when the service is being asked; None while it is not."""
        self._at = 0.0
        """When it answered."""

    def body(self) -> ComposeResult:
        """Lay it out."""
        yield Table(id="checkups", classes="pane")
        with VerticalScroll(id="cure-box", classes="pane", can_focus=False):
            yield Static(id="cure")

    def on_mount(self) -> None:
        """Name the panes, and ask."""
        super().on_mount()
        self.query_one("#checkups").border_title = "Doctor"
        self.query_one("#cure-box").border_title = "What helps"
        self.set_interval(TICK_SECONDS, self._tick)
        self.action_again()

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        """Nothing here hangs on jobs."""

    def on_resize(self) -> None:
        """Columns depend on the width."""
        super().on_resize()
        self.call_after_refresh(self._draw)

    # -- what is shown

    def _tick(self) -> None:
        if self._since is not None:
            self._head()

    def _head(self) -> None:
        table = self.query_one("#checkups", Table)
        if self._since is not None:
            table.border_subtitle = f"asking the service …  {span(bridge.now() - self._since)}"
        elif self._problem:
            table.border_subtitle = Text("could not be asked; r asks again", look().bad)
        elif self._checkups is not None:
            table.border_subtitle = Text.assemble(_summary(self._checkups), (f" · {moment(self._at)[11:]}", look().dim))

    def _draw(self) -> None:
        rows = {}
        for n, checkup in enumerate(self._checkups or ()):
            mark, style = checkup_mark(checkup.state)
            found = Text(one_line(checkup.found, 400), "" if checkup.state == "ok" else style.removeprefix("bold "))
            rows[str(n)] = [Text(mark, style), Text(one_line(checkup.name, 40)), found]
        table = self.query_one("#checkups", Table)
        table.fill(("", "checked", "found"), rows)
        self._head()
        self._explain()

    @on(DataTable.RowHighlighted, "#checkups")
    def _explain(self) -> None:
        box, at = self.query_one("#cure", Static), look()
        chosen = self.query_one("#checkups", Table).chosen
        if self._problem:
            box.update(Text(literal(self._problem), at.bad))
        elif self._checkups is None:
            box.update(Text("Endpoint, network, sign-in, clock, roles, deployments, quota. It costs nothing.", at.dim))
        elif chosen is not None and int(chosen) < len(self._checkups):
            checkup = self._checkups[int(chosen)]
            mark, style = checkup_mark(checkup.state)
            told = Text.assemble((f"{mark} ", style), (f"{literal(checkup.name)}: ", "bold"), literal(checkup.found))
            if checkup.cure:
                told.append("\n→ ", at.accent).append(literal(checkup.cure))
            elif checkup.state == "ok":
                told.append("\nNothing is to be done.", at.dim)
            box.update(told)

    # -- what the reader does

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One question at a time."""
        return self._since is None if action == "again" else True

    def action_again(self) -> None:
        """Ask, unless that is under way."""
        if self._since is None:
            self._since = bridge.now()
            self._head()
            self.refresh_bindings()
            self._ask()

    @work(group="doctor")
    async def _ask(self) -> None:
        try:
            self._checkups = await self.engine.remote.doctor()
            self._problem = ""
        except DogclsError as error:
            self._checkups, self._problem = None, str(error)
        finally:
            self._since = None
        self._at = bridge.now()
        self._draw()
        self.refresh_bindings()
        order = {state: n for n, state in enumerate(_WORDS)}
        worst = min(enumerate(self._checkups or ()), key=lambda nc: order.get(nc[1].state, 9), default=None)
        if worst is not None:  # what wants attention most is chosen first
            self.query_one("#checkups", Table).move_cursor(row=worst[0])

    def action_clean(self) -> None:
        """List what was left on the service, to be deleted: that makes room, and saves."""
        self.desk.action_clean()

    def action_back(self) -> None:
        """Back to the room before."""
        self.desk.action_doctor()

    def repaint(self) -> None:
        """Draw everything in other colours."""
        super().repaint()
        self.query_one(Table).redraw()
        self._draw()


def _summary(checkups: list[Checkup]) -> Text:
    count = Counter(checkup.state for checkup in checkups)
    parts = [Text(f"{count[state]} {words[count[state] != 1]}", checkup_mark(state)[1])
             for state, words in _WORDS.items() if count[state]]  # fmt: skip
    return Text(" · ").join(parts) if parts else Text("everything is ready", look().ok)
