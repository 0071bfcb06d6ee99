"""Tables that can be walked by `j k g G`, and that keep their place while their rows change."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.widgets import DataTable

from tui.keys import WALKING
from tui.styles.theme import look


class Table(DataTable[Text], inherit_bindings=False):
    """Rows with keys. Cells are changed one by one, so that a slow line carries little."""

    BINDINGS = [*WALKING]

    def __init__(self, **options: str) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, **options)  # type: ignore[arg-type]
        self._columns: tuple[str, ...] = ()
        self._keys: list[str] = []

    @property
    def chosen(self) -> str | None:
        """The key of the row under the cursor."""
        return self._keys[self.cursor_row] if 0 <= self.cursor_row < len(self._keys) else None

    def fill(self, columns: Sequence[str], rows: dict[str, list[Text]]) -> None:
        """Show these rows under these columns; the cursor stays on its key."""
        if tuple(columns) == self._columns and list(rows) == self._keys:
            for key, cells in rows.items():
                for name, cell in zip(columns, cells, strict=True):
                    if self.get_cell(key, name) != cell:
                        self.update_cell(key, name, cell, update_width=True)
            return
        known, row = self.chosen, self.cursor_row
        self._columns, self._keys = tuple(columns), list(rows)
        self.clear(columns=True)
        for name in columns:
            self.add_column(Text(name, look().dim), key=name)
        for key, cells in rows.items():
            self.add_row(*cells, key=key)
        if self._keys:
            self.move_cursor(row=self._keys.index(known) if known in self._keys else min(row, len(self._keys) - 1))

    def redraw(self) -> None:
        """Forget what is shown, so that the next `fill` draws all of it (in other colours, say)."""
        self._columns = ()

    def action_first(self) -> None:
        """Choose the first row."""
        self.move_cursor(row=0)

    def action_last(self) -> None:
        """Choose the last row."""
        self.move_cursor(row=max(0, self.row_count - 1))

    def on_resize(self, event: events.Resize) -> None:
        """Column widths may have changed."""
        self.refresh()
