"""Pages to read: the help, the messages, a text to copy."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keys import MOVING, keys_of
from tui.styles.theme import look
from tui.text import literal, moment

_WHAT = {
    "waiting": "for the jobs it needs",
    "queued": "a worker is about to take it",
    "running": "in a process of its own; closing the app does not touch it",
    "paused": "r resumes it",
    "succeeded": "done",
    "failed": "its log says why and what helps; r tries again",
    "cancelling": "on the service too: it is retried until nothing of it runs or costs there",
    "cancelled": "on request, or with a job that it needs; r resumes it",
    "interrupted": "its process was lost; r goes on where it was",
}
_ABOUT = {
    "home": "Everything at a glance: experiments, what runs, what costs money, what to do next.",
    "data": "Datasets: what is in them, what is wrong with them, what would be sent.",
    "launch": "An experiment before it starts: who takes part, how, and for how much.",
    "monitor": "All jobs, live, and the log of the chosen one.",
    "job": "One job: what it was told, what it said, what it left behind.",
    "train": "Curves of fine-tuning and of the CNN while they learn.",
    "results": "The comparison, and what is behind it.",
    "doctor": "Is everything ready? What was checked, what was found, and what helps.",
    "clean": "What was left on the service: take what nobody needs, then delete it.",
    "emulator": "The demo's emulator of Azure OpenAI: how fast it is, what it does wrong, what it was paid for.",
}


class Paper(ModalScreen[None]):
    """A page to read."""

    BINDINGS = [
        Binding("escape,question_mark,q,enter", "dismiss", "close"),
        Binding("j,down", "scroll('down')", show=False),
        Binding("k,up", "scroll('up')", show=False),
    ]
    TITLED = ""
    LEAVING = "esc closes"

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with VerticalScroll() as box:
            box.border_title = Text(self.TITLED)  # it may name a file: no markup
            box.border_subtitle = self.LEAVING
            yield from self.page()

    def page(self) -> ComposeResult:
        """What stands on it."""
        yield from ()

    def action_scroll(self, way: str) -> None:
        """Scroll where the terminal is too low for all of it."""
        box = self.query_one(VerticalScroll)
        box.scroll_down() if way == "down" else box.scroll_up()


class HelpScreen(Paper):
    """What each key does here, and what each state means."""

    TITLED = "Keys"

    def __init__(self, room: str) -> None:
        super().__init__()
        self._room = room

    def page(self) -> ComposeResult:
        """Lay it out from the table of keys."""
        yield Static(Text(_ABOUT.get(self._room, "") + "\n", look().dim))
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for key in sorted(keys_of(self._room), key=lambda key: not key.where):
            table.add_row(key.display, Text(key.help))
        for keys, text in MOVING:
            table.add_row(keys, Text(text))
        yield Static(table)
        if self._room in ("home", "monitor", "job"):
            states = Table.grid(padding=(0, 2))
            for name, what in _WHAT.items():
                mark, style = look().state(name)
                states.add_row(Text(f"{mark} {name}", style), Text(what, look().dim))
            yield Static(Text("\nStates of a job", "bold"))
            yield Static(states)


class MessagesScreen(Paper):
    """What went wrong since the app was opened, newest first."""

    TITLED = "Messages"

    def __init__(self, troubles: Sequence[tuple[float, str]]) -> None:
        super().__init__()
        self._troubles = list(reversed(troubles))

    def page(self) -> ComposeResult:
        """One paragraph a message."""
        if not self._troubles:
            yield Static(Text("Nothing went wrong so far.", look().dim))
        for at, text in self._troubles:
            yield Static(Text.assemble((moment(at)[11:], look().dim), "  ", (literal(text), look().bad), "\n"))


class TextScreen(Paper):
    """A text to read, and to copy."""

    BINDINGS = [Binding("y", "copy", "copy")]
    LEAVING = "y copies · esc closes"

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self.TITLED = title
        self._text = text

    def page(self) -> ComposeResult:
        """The text as it is."""
        yield Static(Text(literal(self._text)))

    def action_copy(self) -> None:
        """Send it to the clipboard."""
        self.app.send(self._text)  # type: ignore[attr-defined]
