"""What contestants are judged by: a field for the measure, one for the costs of mistakes."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine import MEASURES
from tui.styles.theme import look

FIELDS = (
    ("measure", "measure", MEASURES),
    ("costs", "costs.toml", "the cost of each mistake: [truth], below it answer = cost"),
)


class MeasureScreen(ModalScreen[tuple[str, Path | None] | None]):
    """Two fields. Nothing is the answer of `esc`; else what was typed: the measure's name, and a file of costs."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "cancel"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, measure: str) -> None:
        super().__init__()
        self._measure = measure

    def compose(self) -> ComposeResult:
        """Show the fields and what they take."""
        with Vertical():
            yield Static(Text("Judge contestants by", "bold"))
            for name, title, meaning in FIELDS:
                with Horizontal(classes="term"):
                    yield Static(Text(f"{title:>12} "), classes="term-name")
                    yield Input(self._measure if name == "measure" else "", id=name, compact=True)
                yield Static(Text(f"{'':>13}{meaning}", look().dim))
            yield Static(Text("↑ ↓ from field to field, enter accepts, esc cancels", look().dim))

    @on(Input.Submitted)
    def _accept(self) -> None:
        measure, costs = (self.query_one(f"#{name}", Input).value.strip() for name, *_ in FIELDS)
        if costs and measure == self._measure:
            measure = "cost"  # a file of costs is given to be judged by
        self.dismiss((measure or "accuracy", Path(costs).expanduser() if costs else None))
