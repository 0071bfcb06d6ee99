"""Lists and tables that can be walked by `j k g G`, and that keep their place while their rows change."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.widgets import DataTable, OptionList
from textual.widgets.option_list import Option

from tui.keys import VI
from tui.styles.theme import look

_ARROWS = (
    Binding("down", "cursor_down", show=False),
    Binding("up", "cursor_up", show=False),
    Binding("home", "first", show=False),
    Binding("end", "last", show=False),
    Binding("pagedown", "page_down", show=False),
    Binding("pageup", "page_up", show=False),
)
# Enter is the room's, so that the footer says what it does: so the bindings of the base are not taken over.


class List(OptionList, inherit_bindings=False):
    """Lines with ids."""

    BINDINGS = [*VI, *_ARROWS]

    def show(self, lines: Sequence[tuple[str, Text]], chosen: str | None = None) -> None:
        """Show (id, line); the cursor stays on its id, or goes to the chosen one."""
        ids = [key for key, _ in lines]
        if ids == [option.id for option in self.options]:
            for number, (_, line) in enumerate(lines):
                if self.get_option_at_index(number).prompt != line:
                    self.replace_option_prompt_at_index(number, line)
            return
        here = self.highlighted
        known = self.get_option_at_index(here).id if here is not None else chosen
        with self.prevent(OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options(Option(line, id=key) for key, line in lines)
            wanted = known if known in ids else chosen
            self.highlighted = ids.index(wanted) if wanted in ids else (0 if ids else None)

    @property
    def chosen(self) -> str | None:
        """The id under the cursor."""
        return None if self.highlighted is None else self.get_option_at_index(self.highlighted).id

    def choose(self, key: str) -> None:
        """Put the cursor on an id."""
        ids = [option.id for option in self.options]
        if key in ids:
            self.highlighted = ids.index(key)


class Table(DataTable[Text], inherit_bindings=False):
    """Rows with keys. Cells are changed one by one, so that a slow line carries little."""

    BINDINGS = [*VI, *_ARROWS]

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
