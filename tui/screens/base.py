"""What all rooms share: the bar at the top, the keys at the bottom, and the bridge's messages."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.screen import Screen

from tui.bridge import Bridge, Looked, Trouble
from tui.keys import bindings
from tui.widgets.footer import KeyFooter
from tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from engine import Engine
    from tui.app import DogclsApp


class Room(Screen[None]):
    """A screen of its own. It is told what it `WANTS` for as long as it is in front."""

    ROOM: ClassVar[str] = ""
    WANTS: ClassVar[Collection[str]] = ()
    FIRST: ClassVar[str] = ""
    """What has the focus at first (a selector)."""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-tall")]

    def __init_subclass__(cls, **options: object) -> None:
        """Give each room its keys from the table."""
        if "ROOM" in cls.__dict__:
            cls.BINDINGS = [*bindings(cls.ROOM), *cls.__dict__.get("BINDINGS", [])]
        super().__init_subclass__(**options)  # type: ignore[arg-type]

    @property
    def desk(self) -> DogclsApp:
        """The app, as what it is."""
        return cast("DogclsApp", self.app)

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self.desk.engine

    @property
    def bridge(self) -> Bridge:
        """The bridge."""
        return self.desk.bridge

    def compose(self) -> ComposeResult:
        """Lay it out: bar, body, keys."""
        yield TopBar("monitor" if self.ROOM == "job" else self.ROOM)
        yield from self.body()
        yield KeyFooter()

    def body(self) -> ComposeResult:
        """What is this room's own."""
        yield from ()

    def on_mount(self) -> None:
        """Put the focus where work begins."""
        if self.FIRST:
            self.query_one(self.FIRST).focus()

    def on_screen_resume(self) -> None:
        """Be told from now on."""
        self.bridge.attach(self.post_message, self.WANTS)

    def on_resize(self) -> None:
        """Columns depend on the width."""
        self.bridge.look_now()

    @on(Looked)
    def _told(self, message: Looked) -> None:
        self.query_one(TopBar).show(
            self.engine.profile, message.experiments, message.jobs, message.standing, message.faults
        )
        self.desk.noticed(message)

    @on(Trouble)
    def _in_trouble(self, message: Trouble) -> None:
        self.desk.trouble(message.text)

    def action_back(self) -> None:
        """Out of a field; else nothing."""
        from textual.widgets import Input, TextArea

        if isinstance(self.focused, Input | TextArea) and self.FIRST:
            self.query_one(self.FIRST).focus()

    def action_help(self) -> None:
        """Show the keys of this room."""
        from tui.screens.papers import HelpScreen

        self.app.push_screen(HelpScreen(self.ROOM))

    def action_theme(self) -> None:
        """Another look."""
        self.desk.next_look()

    def action_messages(self) -> None:
        """Show what went wrong so far."""
        from tui.screens.papers import MessagesScreen

        self.app.push_screen(MessagesScreen(self.desk.troubles))

    def action_quit(self) -> None:
        """Close the app; the jobs go on."""
        self.app.exit()

    def action_tab(self, step: int) -> None:
        """Go to the tab before or after."""
        from textual.widgets import TabbedContent

        tabs = self.query_one(TabbedContent)
        panes = [pane.id or "" for pane in tabs.query("TabPane").results()]
        tabs.active = panes[(panes.index(tabs.active) + step) % len(panes)]
        self.tab_shown(tabs.active)
        self.call_after_refresh(self.refresh_bindings)

    def tab_shown(self, tab: str) -> None:
        """Take note of the tab that is in front now."""

    def repaint(self) -> None:
        """Draw everything in other colours."""
        self.bridge.attach(self.post_message, self.WANTS)
