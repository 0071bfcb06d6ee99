"""Lists that can be walked by `j k g G`, and that keep their place while their lines change."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.keys import WALKING


class List(OptionList, inherit_bindings=False):
    """Lines with ids."""

    BINDINGS = [*WALKING]

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
