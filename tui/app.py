"""The app: one engine, one screen over it, and the comparison that was on it last."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.segment import Segments
from rich.traceback import Traceback
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.screen import Screen

from engine import Engine
from tui.keys import KEYS
from tui.screens.live import LiveScreen
from tui.styles.theme import THEME

if TYPE_CHECKING:
    from engine import Comparison

_STYLES = Path(__file__).parent / "styles"


class DogclsApp(App[None]):
    """dogcls-tui on a terminal. Closing it leaves all jobs running."""

    TITLE = "dogcls-tui"
    CSS_PATH = [_STYLES / "live.tcss", _STYLES / "dialogs.tcss"]
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = [Binding("ctrl+c", "quit", show=False, priority=True)]

    def __init__(self, engine: Engine, *, start_demo: bool = False, experiment: str | None = None) -> None:
        """Open on an engine.

        Args:
            engine: stays open when the app closes.
            start_demo: set the demo going at once.
            experiment: the one to look at first; the newest unless named.

        """
        super().__init__()
        self.engine = engine
        self._start_demo = start_demo
        self._experiment = experiment
        self.last_comparison: Comparison | None = None

    def on_mount(self) -> None:
        """Put the screen up."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.push_screen(LiveScreen(self.engine, start_demo=self._start_demo, experiment=self._experiment))

    def _fatal_error(self) -> None:
        """End with a traceback, but without Textual's locals: they could hold a key."""
        self.bell()
        self._exit_renderables.append(Segments(self.console.render(Traceback(show_locals=False))))
        self._close_messages_no_wait()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer in the palette every key that would do something now."""
        if isinstance(screen, LiveScreen):
            for key in (key for key in KEYS if screen.check_action(key.action, ())):
                yield SystemCommand(key.label.capitalize(), key.help, getattr(screen, f"action_{key.action}"))
