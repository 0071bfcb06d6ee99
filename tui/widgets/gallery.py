"""Pictures side by side: as many as there is room for, all of one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Grid
from textual.message import Message

from engine import Browser
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.picture import Picture

LEAST, MOST = 8, 40
"""How many pictures there should be, if they fit at all, and how many there are at most."""
SMALLEST = 12
"""Columns that a picture has at least. It is half as many rows high, with the caption below."""
CAPTION = 2
"""Rows of text."""


class Shown(NamedTuple):
    """A picture's file, and two lines about it."""

    path: str
    title: str
    about: str


def arranged(width: int, height: int, there: int = MOST) -> tuple[int, int, int]:
    """Return how many pictures to put side by side, how wide each is, and for how many there is room.

    Of all arrangements with enough pictures the one that covers most of the place with those that are there.
    """
    found = []
    for across in range(1, max(1, (width + 1) // (SMALLEST + 1)) + 1):
        cell = min((width + 1) // across - 1, max(SMALLEST, 2 * (height - CAPTION)))
        count = across * max(1, height // (cell // 2 + CAPTION))
        found.append((min(LEAST, there, count), min(there, count) * cell * cell, across, cell, count))
    _, _, across, cell, count = max(found)
    return across, cell, min(MOST, count)


class Gallery(Grid):
    """Pictures with what they are."""

    class Changed(Message):
        """There is room for another number of pictures."""

    def __init__(self, browse: Browser, there: int = MOST, **options: str) -> None:
        """Make room for pictures.

        Args:
            browse: reads them.
            there: how many there will ever be; where they are few, they are large.
            options: of the widget.

        """
        super().__init__(**options)  # type: ignore[arg-type]
        self._browse, self._there = browse, there
        self.room = 0
        """How many pictures there is room for."""
        self.cell = SMALLEST

    def compose(self) -> ComposeResult:
        """Make the places; those without room are not shown."""
        for _ in range(MOST):
            yield Picture(self._browse)

    def on_resize(self, event: events.Resize) -> None:
        """Find out how many pictures there is room for."""
        across, self.cell, self.room = arranged(*self.content_size, self._there)
        self.styles.grid_size_columns = across
        self.styles.grid_columns, self.styles.grid_rows = str(self.cell), str(self.cell // 2 + CAPTION)
        for number, place in enumerate(self.query(Picture)):
            place.display = number < self.room
        self.post_message(self.Changed())

    def show(self, images: Sequence[Shown]) -> None:
        """Show these pictures, from the first place on."""
        for number, place in enumerate(self.query(Picture)):
            if number < min(self.room, len(images)):
                image = images[number]
                caption = Text(one_line(image.title, self.cell - 1))
                place.show(image.path, caption.append(f"\n{one_line(image.about, self.cell - 1)}", look().dim))
            else:
                place.show(None)
