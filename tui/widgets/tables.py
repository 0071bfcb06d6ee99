"""Tables that can be walked by `j k g G`, and that keep their place while their rows change."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.widgets import DataTable

from tui.keys import WALKING
from tui.styles.theme import look

LEAST = 8
"""Cells that a column keeps where there is too little room for all."""


class Table(DataTable[Text], inherit_bindings=False):
    """Rows with keys, as wide as the table: the last column takes what is left, the widest give what is missing.

    Cells are changed one by one, so that a slow line carries little. Widths are ours: Textual's own come too
    late for the first paint, and are then kept wrong in its cache (Textual issue 3533).
    """

    BINDINGS = [*WALKING]

    def __init__(self, **options: str) -> None:
        super().__init__(cursor_type="row", cursor_foreground_priority="renderable", **options)  # type: ignore[arg-type]
        self._names: tuple[str, ...] = ()
        self._keys: list[str] = []
        self._wanted: list[int] = []
        """How wide each column would be."""

    @property
    def chosen(self) -> str | None:
        """The key of the row under the cursor."""
        return self._keys[self.cursor_row] if 0 <= self.cursor_row < len(self._keys) else None

    def fill(self, columns: Sequence[str], rows: dict[str, list[Text]]) -> None:
        """Show these rows under these columns; the cursor stays on its key."""
        for cells in rows.values():
            for cell in cells:
                cell.no_wrap, cell.overflow = True, "ellipsis"
        wanted = [max([len(name), *(cells[n].cell_len for cells in rows.values())]) for n, name in enumerate(columns)]
        if tuple(columns) == self._names and list(rows) == self._keys:
            if any(more > less for more, less in zip(wanted, self._wanted, strict=True)):
                self._wanted = [max(pair) for pair in zip(wanted, self._wanted, strict=True)]
                self._fit()
            for key, cells in rows.items():
                for name, cell in zip(columns, cells, strict=True):
                    if self.get_cell(key, name) != cell:
                        self.update_cell(key, name, cell)
            return
        known, row = self.chosen, self.cursor_row
        self._names, self._keys, self._wanted = tuple(columns), list(rows), wanted
        self.clear(columns=True)
        first = next(iter(rows.values()), None)
        for n, (name, width) in enumerate(zip(columns, self._widths(), strict=True)):
            self.add_column(Text(name, look().dim, justify=first[n].justify if first else None), key=name, width=width)
        for key, cells in rows.items():
            self.add_row(*cells, key=key)
        if self._keys:
            self.move_cursor(row=self._keys.index(known) if known in self._keys else min(row, len(self._keys) - 1))

    def redraw(self) -> None:
        """Forget what is shown, so that the next `fill` draws all of it (in other colours, say)."""
        self._names = ()

    def _widths(self) -> list[int]:
        widths = list(self._wanted)
        if widths and self.content_size.width:
            left = self.content_size.width - sum(width + 2 * self.cell_padding for width in widths)
            widths[-1] += max(0, left)
            while left < 0 and max(widths) > LEAST:
                widths[widths.index(max(widths))] -= 1
                left += 1
        return widths

    def _fit(self) -> None:
        """Give the columns other widths."""
        for column, width in zip(self.ordered_columns, self._widths(), strict=True):
            column.width = width
        if self._keys:  # the public way to have it measured and drawn again
            key, name = self._keys[0], self._names[0]
            self.update_cell(key, name, self.get_cell(key, name), update_width=True)

    def action_first(self) -> None:
        """Choose the first row."""
        self.move_cursor(row=0)

    def action_last(self) -> None:
        """Choose the last row."""
        self.move_cursor(row=max(0, self.row_count - 1))

    def on_resize(self, event: events.Resize) -> None:
        """Use the new width."""
        if self._names:
            self._fit()
