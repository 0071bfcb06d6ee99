"""The app: one engine, one bridge, six rooms over them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.filter import LineFilter
from textual.screen import Screen

from engine import ACTIVE, DogclsError, described, redact
from tui import terminal
from tui.bridge import Bridge, Looked
from tui.filters import Ascii, Styled
from tui.guard import work
from tui.keys import ROOMS, STEPPING, keys_of
from tui.painter import Painter, sparing
from tui.screens.base import Room
from tui.screens.home import HomeScreen
from tui.styles import theme
from tui.text import literal, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.driver import Driver

    from engine import Engine

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


class DogclsApp(App[DogclsError | None]):
    """dogcls-tui on a terminal. Closing it leaves all jobs running.

    `run()` returns the error that ended it, if there was one.
    """

    TITLE = "dogcls-tui"
    CSS_PATH = [_STYLES / "rooms.tcss", _STYLES / "dialogs.tcss"]
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = [Binding("ctrl+c", "quit", show=False, priority=True)]
    DEFAULT_MODE = "home"  # begun in, rather than switched to: that would draw two screens and read all styles twice
    MODES: ClassVar = {
        "data": partial(_later, "data", "DataScreen"),
        "launch": partial(_later, "launch", "LaunchScreen"),
        "monitor": partial(_later, "monitor", "MonitorScreen"),
        "train": partial(_later, "train", "TrainScreen"),
        "results": partial(_later, "results", "ResultsScreen"),
        "emulator": partial(_later, "emulator", "EmulatorScreen"),
        "doctor": partial(_later, "doctor", "DoctorScreen"),
        "clean": partial(_later, "clean", "CleanScreen"),
    }

    def __init__(
        self,
        engine: Engine | Callable[[], Engine],
        *,
        start_demo: bool = False,
        experiment: str | None = None,
        room: str = "home",
        manners: Manners | None = None,
    ) -> None:
        """Open on an engine.

        Args:
            engine: stays open when the app closes; or how to open one, which is done after the first paint.
            start_demo: set the demo going at once.
            experiment: the one to look at first; the newest unless named.
            room: which one to open in.
            manners: how to behave on this terminal.

        """
        self.manners = manners or Manners()
        self._painter = Painter()
        super().__init__()
        self.animation_level = "none"  # every step of one would be sent over the line, and keys would wait for its end
        for look in theme.LOOKS.values():
            self.register_theme(look.theme())
        few = self.manners.theme == theme.DEFAULT and self.console.color_system == "standard"
        first = theme.SIXTEEN if few else self.manners.theme
        theme.use(first)
        self.set_reactive(App.theme, first)  # before any style is read, so that none is read twice
        self.set_class(self.current_theme.dark, "-dark-mode", update=False)
        self.set_class(not self.current_theme.dark, "-light-mode", update=False)
        self.stylesheet.set_variables(self.get_css_variables())
        self._opening = engine if callable(engine) else None
        self._engine = None if callable(engine) else engine
        self.opened = asyncio.Event()
        """The engine is there. Rooms other than home are shown only then."""
        self.bridge = Bridge(experiment)
        self.dataset: str | None = None
        """The one that was looked at last."""
        self.prompts: dict[str, str] = {}
        """Dataset → the file of the prompt that its reader wrote."""
        self.troubles: list[tuple[float, str]] = []
        self._start_demo = start_demo
        self._room = room
        self._states: dict[int, str] = {}
        self._title = ""
        self.leaving = False
        """The app closes: screens and what they draw on disappear one after another."""

    # -- the engine

    @property
    def engine(self) -> Engine:
        """The engine, once it is `opened`."""
        assert self._engine is not None
        return self._engine

    @work(group="engine")
    async def _work(self) -> None:
        """Open the engine, go to the room that was asked for, and look from then on."""
        if self._opening is not None:
            try:
                self._engine = await asyncio.to_thread(self._opening)
            except Exception as error:
                self.exit(described(error))
                return
        self.opened.set()
        if self._engine is not None and self._engine.home.unwritable:
            self.notify(literal(f"{self._engine.home.unwritable}: it is only read"), markup=False, timeout=10)
        if self._room != self.current_mode:
            self.switch_mode(self._room)
        self.screen.refresh_bindings()
        if self._start_demo and isinstance(self.screen, HomeScreen):
            self.screen.action_demo()
        await self.bridge.run(self.engine)

    # -- look

    def get_driver_class(self) -> type[Driver]:
        """Paint sparingly: people use this over slow lines."""
        return sparing(super().get_driver_class(), self._painter)

    def on_resize(self) -> None:
        """A terminal that changes its size may show anything."""
        self._painter.forget()

    def action_redraw(self) -> None:
        """Send the whole screen again: somebody else has written over it."""
        self._painter.forget()
        self.screen.refresh()

    def get_default_screen(self) -> Screen[None]:
        """Begin in the first room."""
        return HomeScreen()

    def on_mount(self) -> None:
        """Put the first room up, and begin to look."""
        self.theme_changed_signal.subscribe(self, lambda changed: self._repaint(changed.name))
        self.app_resume_signal.subscribe(self, lambda _: self.action_redraw())  # after ctrl+z the screen is empty
        self.add_mode("home", HomeScreen)  # so that one can come back to it
        self.call_after_refresh(self._work)

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
        """Go to a room, as soon as there is an engine to look at."""
        self._room = name
        if name in ROOMS and self.current_mode != name and self.opened.is_set():
            self.switch_mode(name)

    def action_emulator(self) -> None:
        """Go to the emulator's page; there, back to the room before."""
        self._page("emulator")

    def action_doctor(self) -> None:
        """Ask whether everything is ready; there, back."""
        self._page("doctor")

    def action_clean(self) -> None:
        """List what was left on the service; there, back."""
        self._page("clean")

    def _page(self, name: str) -> None:
        """Go to a page that is no room; there, back to the room before."""
        if self.current_mode == name:
            self.action_room(self._room)
        elif self.check_action(name, ()):
            self.switch_mode(name)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is an emulator to look at for its own profile alone."""
        if action in ("doctor", "clean"):
            return self.opened.is_set()
        if action == "emulator":
            return self.opened.is_set() and self.engine.profile == "demo"
        return True

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer in the palette every key that would do something now, and every room and look."""
        if isinstance(screen, Room):
            for key in keys_of(screen.ROOM):
                name, _, rest = key.action.partition("(")
                known = getattr(screen, f"action_{name}", None)
                if known is None or name == "clean" or not screen.check_action(name, ()):
                    continue
                call = partial(known, rest.strip("')")) if rest else partial(known, 1) if name in STEPPING else known
                yield SystemCommand(key.label.capitalize(), key.help, call)
        for digit, name in enumerate(ROOMS, start=1):
            yield SystemCommand(f"Go to {name}", f"The same as {digit}.", partial(self.action_room, name))
        if self.check_action("emulator", ()):
            yield SystemCommand("Emulator", "Its speed, its faults, its ledger. The same as E.", self.action_emulator)
        if self.check_action("doctor", ()):
            yield SystemCommand("Doctor", "Is everything ready? Costs nothing. The same as H.", self.action_doctor)
            yield SystemCommand("Clean up", "What was left on the service, to be deleted.", self.action_clean)
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
        path, written = self.engine.home.root / "clipboard.txt", False
        if not self.engine.readonly:
            from engine import write_atomic  # not before the first screen

            try:
                write_atomic(path, text)
                written = True
            except OSError as error:
                self.trouble(str(described(error)))
        sequence = terminal.clipboard(text)
        if sequence is not None:
            self.tell(sequence)
            also = f"; also in {path}" if written else ""
            self.notify(f"Sent to your terminal's clipboard{also}", markup=False)
        elif written:
            self.notify(f"Too long for a clipboard; written to {path}", markup=False)
        else:
            self.trouble("The line is too long for a clipboard. Save the log to a file: S.")

    def tell(self, sequence: str) -> None:
        """Write a control sequence of ours to the terminal."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)

    async def doing(self, work: object, done: str = "") -> object:
        """Wait for the engine to do something; tell what came of it, or what went wrong."""
        try:
            found: object = await work  # type: ignore[misc]
        except Exception as error:
            self.trouble(str(described(error)))
            return None
        if done:
            self.notify(literal(done), markup=False)
        self.bridge.look_now()
        return True if found is None else found

    def exit(
        self, result: DogclsError | None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Close the app."""
        self.leaving = True  # from here on widgets no longer mount, and those that wait for others find none
        super().exit(result, return_code, message)

    async def _shutdown(self) -> None:
        self.leaving = True
        await super()._shutdown()

    def _handle_exception(self, error: Exception) -> None:
        """End the app, unless it closes anyway: then a message found its screen half gone."""
        if not self.leaving:
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End with a traceback, without Textual's locals and without secrets, as they would be cut at line ends."""
        import traceback

        from rich.text import Text

        self.bell()
        self._exit_renderables.append(Text(redact(traceback.format_exc())))
        self._close_messages_no_wait()
