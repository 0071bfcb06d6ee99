"""The app: one engine, one bridge, six rooms over them, and the comparison that was on screen last."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segments
from rich.traceback import Traceback
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.filter import LineFilter
from textual.screen import Screen

from engine import ACTIVE, DogclsError, Engine
from tui import terminal
from tui.bridge import Bridge, Looked
from tui.filters import Ascii, Styled
from tui.keys import ROOMS, keys_of
from tui.screens.base import Room
from tui.screens.home import HomeScreen
from tui.screens.monitor import MonitorScreen
from tui.styles import theme
from tui.text import literal, one_line

if TYPE_CHECKING:
    from engine import Comparison

_STYLES = Path(__file__).parent / "styles"


@dataclass(frozen=True)
class Manners:
    """How the app behaves on this terminal."""

    theme: str = theme.DEFAULT
    ascii: bool = False
    bell: bool = True


def _later(module: str, name: str) -> Screen[None]:
    """Open a room whose code is read only when somebody goes there."""
    from importlib import import_module

    screen: Screen[None] = getattr(import_module(f"tui.screens.{module}"), name)()
    return screen


class DogclsApp(App[None]):
    """dogcls-tui on a terminal. Closing it leaves all jobs running."""

    TITLE = "dogcls-tui"
    CSS_PATH = [_STYLES / "rooms.tcss", _STYLES / "dialogs.tcss"]
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = [Binding("ctrl+c", "quit", show=False, priority=True)]
    MODES: ClassVar = {
        "home": HomeScreen,
        "data": partial(_later, "data", "DataScreen"),
        "launch": partial(_later, "launch", "LaunchScreen"),
        "monitor": MonitorScreen,
        "train": partial(_later, "train", "TrainScreen"),
        "results": partial(_later, "results", "ResultsScreen"),
    }

    def __init__(
        self,
        engine: Engine,
        *,
        start_demo: bool = False,
        experiment: str | None = None,
        room: str = "home",
        manners: Manners | None = None,
    ) -> None:
        """Open on an engine.

        Args:
            engine: stays open when the app closes.
            start_demo: set the demo going at once.
            experiment: the one to look at first; the newest unless named.
            room: which one to open in.
            manners: how to behave on this terminal.

        """
        self.manners = manners or Manners()
        super().__init__()
        self.engine = engine
        self.bridge = Bridge(engine, experiment)
        self.last_comparison: Comparison | None = None
        self.dataset: str | None = None
        """The one that was looked at last."""
        self.prompts: dict[str, str] = {}
        """Dataset → the file of the prompt that its reader wrote."""
        self.troubles: list[tuple[float, str]] = []
        self._start_demo = start_demo
        self._room = room
        self._states: dict[int, str] = {}
        self._title = ""

    # -- look

    def on_mount(self) -> None:
        """Put the first room up, and begin to look."""
        for look in theme.LOOKS.values():
            self.register_theme(look.theme())
        self.theme = self.manners.theme
        theme.use(self.theme)
        self.theme_changed_signal.subscribe(self, lambda changed: self._repaint(changed.name))
        self.switch_mode(self._room)
        self.run_worker(self.bridge.run(), name="bridge")
        if self._start_demo:
            self.call_after_refresh(self._demo)

    def _demo(self) -> None:
        if isinstance(self.screen, HomeScreen):
            self.screen.action_demo()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Put ASCII in the place of everything else where that is wanted."""
        first = [Styled()] if self.no_color else []
        last = [Ascii()] if self.manners.ascii else []
        return [*first, *super().get_line_filters(), *last]

    def next_look(self) -> None:
        """Go to the next of our themes."""
        names = list(theme.LOOKS)
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]

    def _repaint(self, name: str) -> None:
        theme.use(name)
        for screen in self.screen_stack:
            if isinstance(screen, Room):
                screen.repaint()

    # -- rooms

    def action_room(self, name: str) -> None:
        """Go to a room."""
        if name in ROOMS and self.current_mode != name:
            self.switch_mode(name)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer in the palette every key that would do something now, and every room and look."""
        if isinstance(screen, Room):
            for key in keys_of(screen.ROOM):
                name, _, rest = key.action.partition("(")
                known = getattr(screen, f"action_{name}", None)
                if known is None or not screen.check_action(name, ()):
                    continue
                call = partial(known, rest.strip("')")) if rest else partial(known, 1) if name == "tab" else known
                yield SystemCommand(key.label.capitalize(), key.help, call)
        for digit, name in enumerate(ROOMS, start=1):
            yield SystemCommand(f"Go to {name}", f"The same as {digit}.", partial(self.action_room, name))
        for name in theme.LOOKS:
            yield SystemCommand(f"Theme {name}", "Change the colours.", partial(setattr, self, "theme", name))

    # -- telling

    def trouble(self, text: str) -> None:
        """Tell of something that went wrong, once, and keep it for the list of messages."""
        if not self.troubles or self.troubles[-1][1] != text:
            self.troubles.append((time.time(), text))
            self.notify(literal(text), severity="error", markup=False, timeout=10)

    def noticed(self, looked: Looked) -> None:
        """Tell the terminal what goes on: title and progress, and a bell when a job has ended."""
        ended = [j for j in looked.jobs if self._states.get(j.id) in ACTIVE and j.state not in ACTIVE]
        known = bool(self._states)
        self._states = {job.id: job.state for job in looked.jobs}
        running = [job for job in looked.jobs if job.state in ACTIVE]
        title = "dogcls-tui"
        if running:
            done = sum(job.progress for job in running) / len(running)
            title = f"{done:.0%} · {len(running)} running · dogcls-tui"
        if title != self._title:
            self._title = title
            self.tell(terminal.title(title) + terminal.progress(done if running else None))
        for job in ended if known and self.manners.bell else ():
            self.tell(terminal.notice(one_line(f"{job.kind} {job.id} {job.state}", 80)))

    def send(self, text: str) -> None:
        """Send a text to the terminal's clipboard, and to a file for terminals that take none."""
        path = self.engine.home.root / "clipboard.txt"
        try:
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            self.trouble(f"{path}: {error.strerror}.")
            return
        sequence = terminal.clipboard(text)
        if sequence is None:
            self.notify(f"Too long for a clipboard; written to {path}", markup=False)
            return
        self.tell(sequence)
        self.notify(f"Sent to your terminal's clipboard; also in {path}", markup=False)

    def tell(self, sequence: str) -> None:
        """Write a control sequence of ours to the terminal."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)

    async def doing(self, work: object, done: str = "") -> object:
        """Wait for the engine to do something; tell what came of it, or what went wrong."""
        try:
            found: object = await work  # type: ignore[misc]
        except DogclsError as error:
            self.trouble(str(error))
            return None
        if done:
            self.notify(literal(done), markup=False)
        self.bridge.look_now()
        return True if found is None else found

    def _fatal_error(self) -> None:
        """End with a traceback, but without Textual's locals: they could hold a key."""
        self.bell()
        self._exit_renderables.append(Segments(self.console.render(Traceback(show_locals=False))))
        self._close_messages_no_wait()
