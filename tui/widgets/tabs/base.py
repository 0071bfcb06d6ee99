"""What all tabs of the results have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from tui.styles.theme import look
from tui.text import one_line

if TYPE_CHECKING:
    from engine import Findings

EMULATED = " (emulated)"


@dataclass(frozen=True)
class View:
    """What the tabs show: everything that was found, which contestant of it, and which two of them."""

    found: Findings
    chosen: int = 0
    pair: int = 0


def short(name: str, most: int = 24) -> str:
    """Return a contestant's name for a narrow place; the table above says who is emulated."""
    return one_line(name.replace(EMULATED, ""), most)


class Sheet(Vertical):
    """One tab: a line that says what it shows, and its own below. It is drawn when it is in front."""

    FOCUS = ""
    """What has the focus on this tab (a selector)."""

    def __init__(self, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.view: View | None = None

    def compose(self) -> ComposeResult:
        """The line, then the rest."""
        yield Static(classes="tab-head")
        yield from self.body()

    def body(self) -> ComposeResult:
        """What is this tab's own."""
        yield from ()

    def show(self, view: View) -> None:
        """Show this."""
        self.view = view
        self.draw(view)

    def draw(self, view: View) -> None:
        """Draw all of it."""

    def head(self, *parts: Text | str | tuple[str, str]) -> None:
        """Say what the tab shows; strings are dim."""
        told = Text.assemble(*((p, look().dim) if isinstance(p, str) else p for p in parts), no_wrap=True)
        told.overflow = "ellipsis"
        self.query_one(".tab-head", Static).update(told)

    def on_resize(self) -> None:
        """What is drawn depends on the width."""
        if self.view is not None and self.display and self.size.width:
            self.draw(self.view)

    def sort(self) -> bool:
        """Sort by something else; tell whether there is anything to sort."""
        return False

    def sift(self) -> None:
        """Show others of the same, where there are kinds of them."""
