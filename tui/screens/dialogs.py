"""Questions: one before what cannot be taken back, and a line to type."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Static

from tui.styles.theme import look
from tui.text import literal


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
            yield Static(Text(literal(self._question), "bold"))
            yield Static(Text(literal(self._consequence), look().dim))
            yield Static(Text.assemble("\n", ("y", "bold"), " yes    ", ("n", "bold"), " no"))

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)


class AskScreen(ModalScreen[str | None]):
    """One line to type. Nothing is the answer of `esc`."""

    BINDINGS = [Binding("escape", "dismiss(None)", "cancel")]

    def __init__(self, question: str, value: str = "", suggester: Suggester | None = None) -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._suggester = suggester

    def compose(self) -> ComposeResult:
        """Show the question and the field."""
        with Vertical():
            yield Static(Text(self._question, "bold"))
            yield Input(self._value, suggester=self._suggester)
            yield Static(Text("enter accepts, esc cancels", look().dim))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with what was typed."""
        self.dismiss(event.value)
