"""The terms under which money is computed ahead: volume, horizon, hours, prices."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine import InputError, Terms
from tui.styles.theme import look
from tui.text import one_line

FIELDS = (
    ("volume", "images a month", ""),
    ("months", "months", "the horizon of what is paid once"),
    ("hosting_hours", "hours a day hosted", "a tuned model; empty: in use only"),
    ("batch", "in batches", "yes: a day of waiting, half the price"),
    ("machine_hourly", "$ an hour of machine", "of the local network; 0: free"),
    ("machine_hours", "hours a day it is kept", "that machine; empty: in use only"),
    ("label_price", "$ a label", "for one image; empty: not priced"),
    ("value", "$ a correct answer", "what one is worth; 0: not set"),
)
_MAY_BE_EMPTY = ("hosting_hours", "machine_hours", "label_price")
_YES = ("yes", "y", "true", "1")
_NO = ("no", "n", "false", "0", "")


class TermsScreen(ModalScreen[Terms | None]):
    """A field a term. Nothing is the answer of `esc`."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "cancel"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, terms: Terms) -> None:
        super().__init__()
        self._terms = terms

    def compose(self) -> ComposeResult:
        """Show the fields, what each means, and what is wrong with them."""
        with Vertical():
            yield Static(Text("Terms of all costs: pilot, launch, results, reports", "bold"))
            for name, title, meaning in FIELDS:
                with Horizontal(classes="term"):
                    yield Static(Text(f"{title:>22} "), classes="term-name")
                    yield Input(_shown(getattr(self._terms, name)), id=name, compact=True)
                    yield Static(Text(f" {meaning}", look().dim), classes="term-meaning")
            yield Static(id="wrong")
            yield Static(Text("↑ ↓ from field to field, enter accepts, esc cancels", look().dim))

    @on(Input.Changed)
    def _typing(self) -> None:
        """Say what is wrong while it is typed."""
        try:
            self._typed()
        except InputError as error:
            self.query_one("#wrong", Static).update(Text(one_line(str(error), 200), look().bad))
        else:
            self.query_one("#wrong", Static).update("")

    @on(Input.Submitted)
    def _accept(self) -> None:
        try:
            self.dismiss(self._typed())
        except InputError as error:
            self.query_one("#wrong", Static).update(Text(one_line(str(error), 200), look().bad))

    def _typed(self) -> Terms:
        """Return the terms as they stand in the fields; raises InputError."""
        values = {name: self.query_one(f"#{name}", Input).value.strip() for name, _, _ in FIELDS}
        titles = {name: title for name, title, _ in FIELDS}
        numbers = {
            name: None if name in _MAY_BE_EMPTY and not values[name] else _number(values[name], titles[name])
            for name in values
            if name != "batch"
        }
        if values["batch"].lower() not in (*_YES, *_NO):
            raise InputError("In batches is yes or no.", "Type one of both.")
        return Terms(batch=values["batch"].lower() in _YES, **numbers)  # type: ignore[arg-type]


def _shown(value: float | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.15g}"


def _number(text: str, title: str) -> float:
    """Return a number as people write it: commas, a dollar sign, k and M."""
    plain = text.replace(",", "").replace("_", "").lstrip("$")
    factor = {"k": 1e3, "M": 1e6, "m": 1e6}.get(plain[-1:], 1.0)
    try:
        return float(plain[:-1] if factor != 1.0 else plain) * factor
    except ValueError:
        raise InputError(f"{title[:1].upper()}{title[1:]}: {text or 'nothing'} is no number.", "Type one.") from None
