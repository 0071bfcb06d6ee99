"""Everything at a glance: experiments, what runs, what costs money, what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import OptionList

from engine import ACTIVE, DogclsError
from tui.bridge import COMPARISON, SCORES, Compared, Looked
from tui.guard import work
from tui.screens.base import Room
from tui.widgets.board import Board
from tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from engine import ExperimentView


class HomeScreen(Room):
    """The board of experiments; where there is none yet, a welcome."""

    ROOM = "home"
    WANTS = (COMPARISON, SCORES)

    def __init__(self) -> None:
        super().__init__()
        self._drawing = False
        self._offered: object = None
        self._experiments: list[ExperimentView] = []

    def body(self) -> ComposeResult:
        """Leave the place empty until something is known."""
        yield Vertical(id="place")

    async def _put(self, kind: type[Board] | type[Welcome]) -> None:
        """Have the board, or the welcome, in its place."""
        place = self.query_one("#place")
        if not place.query(kind):
            await place.remove_children()
            await place.mount(kind())
            self.call_after_refresh(self.bridge.look_now)  # only now its lines know their width

    @on(Looked)
    async def _looked(self, message: Looked) -> None:
        self._experiments = message.experiments
        if message.experiments and not self._drawing:
            await self._put(Board)
            for board in self.query(Board):  # none, where the app closes meanwhile
                board.show(message, self.bridge.pace, self.bridge.strangers)
        else:
            await self._put(Welcome)
            for welcome in self.query(Welcome):
                welcome.begin(self._drawing)
        marks = (self._drawing, tuple((e.name, e.state) for e in message.experiments))
        if marks != self._offered:
            self._offered = marks
            self.refresh_bindings()

    @on(Compared)
    def _compared(self, message: Compared) -> None:
        for board in self.query(Board):
            board.compare(message.comparison)

    @on(OptionList.OptionHighlighted)
    def _chosen(self, event: OptionList.OptionHighlighted) -> None:
        self.bridge.choose_experiment(event.option.id)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.action_open()

    # -- what the reader does

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that would do something now."""
        if action == "demo":
            allowed = not self.desk.opened.is_set() or (self.engine.profile == "demo" and not self.engine.readonly)
            return allowed and not self._drawing
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
        await self.desk.opened.wait()
        if not self.check_action("demo", ()):
            return
        self._drawing = True
        self.bridge.look_now()

        def progress(phase: str, done: int, total: int) -> None:
            self.app.call_from_thread(self._tell, phase, done, total)

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

    def _tell(self, phase: str, done: int, total: int) -> None:
        for welcome in self.query(Welcome):
            welcome.progress(phase, done, total)

    @work
    async def action_delete(self) -> None:
        """Ask, then delete the chosen experiment."""
        from tui.screens.dialogs import ConfirmScreen

        name = self.bridge.experiment
        if name is None:
            return
        told = "Its predictions, logs and files go. What it cost stays spent. The dataset stays."
        if await self.app.push_screen_wait(ConfirmScreen(f"Delete experiment {name}?", told)):
            await self.desk.doing(self.engine.delete_experiment(name), f"Deleted {name}.")
