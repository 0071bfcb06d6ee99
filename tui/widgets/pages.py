"""Tables that may have a hundred thousand rows: a page of them at a time is made, the rest when one goes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from tui.widgets.tables import Table

PAGE = 200
"""Rows that are made at a time."""


class PagedTable(Table):
    """Walking over the end of a page turns it."""

    def __init__(self, **options: str) -> None:
        super().__init__(**options)
        self._columns: tuple[str, ...] = ()
        self._count = 0
        self._row: Callable[[int], list[Text]] = lambda _: []
        self._page = 0
        self._about: object = None

    def show(self, about: object, columns: Sequence[str], count: int, row: Callable[[int], list[Text]]) -> None:
        """Show these rows.

        Args:
            about: what they are of; where that is the same as before, the cursor stays where it was.
            columns: their names.
            count: how many rows there are.
            row: returns the cells of a row by its number.

        """
        fresh = about != self._about
        self._about, self._columns, self._count, self._row = about, tuple(columns), count, row
        if fresh:
            self._page = 0
        self._turn(self._page, 0 if fresh else self.cursor_row, anew=fresh)

    @property
    def place(self) -> int | None:
        """The number of the row under the cursor, over all pages."""
        return int(self.chosen) if self.chosen is not None else None

    def seek(self, place: int) -> None:
        """Put the cursor on a row, on whichever page it is."""
        if self._count:
            place = max(0, min(place, self._count - 1))
            self._turn(place // PAGE, place % PAGE)

    def _turn(self, page: int, row: int, *, anew: bool = False) -> None:
        last = max(0, -(-self._count // PAGE) - 1)
        turned = page != self._page or anew
        self._page = min(page, last)
        if turned:
            self.redraw()
        start = self._page * PAGE
        self.fill(self._columns, {str(n): self._row(n) for n in range(start, min(start + PAGE, self._count))})
        if self.row_count:
            self.move_cursor(row=min(row, self.row_count - 1))

    def action_cursor_down(self) -> None:
        """Go on, to the next page where this one ends."""
        place = self.place
        if place is not None and self.cursor_row == self.row_count - 1:
            self.seek(place + 1)
        else:
            super().action_cursor_down()

    def action_cursor_up(self) -> None:
        """Go back, to the page before where this one begins."""
        place = self.place
        if place is not None and self.cursor_row == 0:
            self.seek(place - 1)
        else:
            super().action_cursor_up()

    def action_page_down(self) -> None:
        """As many rows as are seen, over the end of the page."""
        if self.place is not None:
            self.seek(self.place + max(1, self.size.height - 2))

    def action_page_up(self) -> None:
        """Likewise."""
        if self.place is not None:
            self.seek(self.place - max(1, self.size.height - 2))

    def action_first(self) -> None:
        """Choose the first row of all."""
        self.seek(0)

    def action_last(self) -> None:
        """Choose the last row of all."""
        self.seek(self._count - 1)
