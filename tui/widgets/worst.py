"""The pictures that a model got most wrong: a table, and the chosen one beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Static

from engine import Browser
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.picture import Picture
from tui.widgets.tables import Table


@dataclass(frozen=True)
class Mistake:
    """One picture: what it is, what it was taken for, how sure; the end of `name` is shown under it."""

    key: str
    path: str
    name: str
    truth: str
    said: str
    sure: float | None
    truth_sure: float | None = None


class Worst(Vertical):
    """Mistakes, and which they are."""

    def __init__(self, browse: Browser, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._browse = browse
        self._shown: dict[str, Mistake] = {}

    def compose(self) -> ComposeResult:
        """A line about them, the table, the picture."""
        yield Static(id="worst-about")
        with Horizontal():
            yield Table(id="worst-table")
            yield Picture(self._browse, 3, id="picture")

    def show(self, about: str, mistakes: Sequence[Mistake]) -> None:
        """Show these, in this order."""
        at = look()
        self._shown = {each.key: each for each in mistakes}
        self.query_one("#worst-about", Static).update(Text(about, at.dim))
        rows = {}
        for key, each in self._shown.items():
            right = each.truth == each.said
            rows[key] = [
                Text(f"{each.sure:.0%}" if each.sure is not None else "", at.dim, justify="right"),
                Text(one_line(each.truth, 60)),
                Text(one_line(each.said, 60), at.dim if right else at.bad),
            ]
        self.query_one("#worst-table", Table).fill(("sure", "is", "taken for") if rows else ("",), rows)
        self._show_picture()

    @on(DataTable.RowHighlighted, "#worst-table")
    def _show_picture(self) -> None:
        each = self._shown.get(self.query_one("#worst-table", Table).chosen or "")
        picture = self.query_one("#picture", Picture)
        if each is None:
            picture.show(None)
            return
        at = look()
        caption = Text.assemble(one_line(each.truth, 40), no_wrap=True, overflow="ellipsis")
        if each.truth_sure is not None:
            caption.append(f" {each.truth_sure:.0%}", at.dim)
        said = Text(f"\n{one_line(each.said, 40)}", at.dim if each.truth == each.said else at.bad)
        caption.append_text(said)
        caption.append(f" {each.sure:.0%}" if each.sure is not None else "", at.dim)
        picture.show(each.path, caption.append(f"\n{one_line(PurePath(each.name).name, 60)}", at.dim))
