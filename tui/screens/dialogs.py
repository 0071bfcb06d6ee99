"""Dialogs: the help, and the question before something that cannot be taken back."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keys import KEYS, MOVING
from tui.styles.theme import DIM, STATES

_WHAT = {
    "waiting": "for the jobs it needs",
    "queued": "a worker is about to take it",
    "running": "in a process of its own; closing the app does not touch it",
    "paused": "r resumes it",
    "succeeded": "done",
    "failed": "its log says why and what helps; r tries again",
    "cancelled": "on request; r takes it up again",
    "interrupted": "its process was lost; r goes on where it was",
}


class HelpScreen(ModalScreen[None]):
    """What each key does, and what each state means."""

    BINDINGS = [
        Binding("escape,question_mark,q,enter", "dismiss", "close"),
        Binding("j", "scroll('down')", show=False),
        Binding("k", "scroll('up')", show=False),
    ]

    def compose(self) -> ComposeResult:
        """Lay it out from the table of keys."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for key in KEYS:
            table.add_row("?" if key.action == "help" else key.keys, Text(key.help))
        for keys, text in MOVING:
            table.add_row(keys, Text(text))
        states = Table.grid(padding=(0, 2))
        for name, (mark, style) in STATES.items():
            states.add_row(Text(f"{mark} {name}", style), Text(_WHAT[name], DIM))
        with VerticalScroll() as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            yield Static(table)
            yield Static(Text("\nStates of a job", "bold"))
            yield Static(states)

    def action_scroll(self, way: str) -> None:
        """Scroll where the terminal is too low for all of it."""
        box = self.query_one(VerticalScroll)
        box.scroll_down() if way == "down" else box.scroll_up()


class ConfirmScreen(ModalScreen[bool]):
    """A question that only `y` answers with yes."""

    BINDINGS = [Binding("y", "answer(True)", "yes"), Binding("n,escape,q", "answer(False)", "no")]

    def __init__(self, question: str, consequence: str) -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence

    def compose(self) -> ComposeResult:
        """Show the question, what follows from yes, and the two keys."""
        with Vertical():
            yield Static(Text(self._question, "bold"))
            yield Static(Text(self._consequence, DIM))
            yield Static(Text.assemble("\n", ("y", "bold"), " yes    ", ("n", "bold"), " no"))

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)
