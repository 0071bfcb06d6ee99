"""Questions: one before what cannot be taken back, and a line to type."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, OptionList, Static

from tui.styles.theme import look
from tui.text import literal
from tui.widgets.lists import List

MEANING = 67
"""Columns of what a choice means, in a dialog of 76."""


def _hanging(line: str) -> str:
    return fill(line, MEANING, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


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


class ChooseScreen(ModalScreen[str | None]):
    """A few things, of which one is chosen. Nothing is the answer of `esc`."""

    BINDINGS = [Binding("enter", "choose", "choose"), Binding("escape,q", "dismiss(None)", "cancel")]

    def __init__(self, question: str, choices: Sequence[tuple[str, str]], chosen: str | None = None) -> None:
        """Ask.

        Args:
            question: one line.
            choices: (name, what it means) each; the name is the answer, the meaning may have several lines.
            chosen: where the cursor stands at first.

        """
        super().__init__()
        self._question = question
        self._choices = choices
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        """Show the question, and the choices with what each means."""
        with Vertical():
            yield Static(Text(self._question, "bold"))
            yield List()
            yield Static(Text("enter chooses, esc cancels", look().dim))

    def on_mount(self) -> None:
        """Fill the list."""
        lines = []
        for name, meaning in self._choices:
            told = [_hanging(line) for line in meaning.splitlines()]
            lines.append((name, Text.assemble((f"{name}\n", "bold"), ("\n".join(told), look().dim))))
        choices = self.query_one(List)
        choices.show(lines, self._chosen)
        choices.focus()

    def action_choose(self) -> None:
        """Close with what is under the cursor."""
        self.dismiss(self.query_one(List).chosen)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click chooses too."""
        self.dismiss(event.option.id)


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
