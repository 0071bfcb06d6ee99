"""One finding: all its files by the page, with their pictures."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from engine import Engine, Finding
from tui.guard import work
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.gallery import Gallery, Shown


class FindingScreen(ModalScreen[None]):
    """What it is, what helps, and where it is."""

    BINDINGS = [
        Binding("escape,q,enter", "dismiss", "close"),
        Binding("space,j,down", "turn(1)", show=False),
        Binding("k,up", "turn(-1)", show=False),
    ]

    def __init__(self, engine: Engine, root: str, finding: Finding) -> None:
        super().__init__()
        self._engine, self._root, self._finding = engine, root, finding
        self._first = 0

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical() as box:
            box.border_title = Text(one_line(self._finding.what, 100))
            box.border_subtitle = "esc closes"
            yield Static(Text(self._finding.cure), id="cure")
            yield Gallery(self._engine.browse, self._finding.files, id="gallery")
            yield Static(id="files")

    @on(Gallery.Changed)
    def _room_changed(self) -> None:
        self._draw()

    def action_turn(self, way: int) -> None:
        """Go to the next page, or the one before."""
        step = max(1, self.query_one(Gallery).room)
        last = (self._finding.files - 1) // step * step
        self._first = max(0, min(self._first + way * step, last))
        self._draw()

    @work(exclusive=True)
    async def _draw(self) -> None:
        gallery, finding = self.query_one(Gallery), self._finding
        files = await self._engine.curate.files(finding.id, self._first, max(1, gallery.room))
        gallery.show([Shown(f"{self._root}/{path}", path.rsplit("/", 1)[-1], note) for path, note in files])
        at = look()
        told = Text(no_wrap=True, overflow="ellipsis")
        for path, note in files[:4]:
            told.append(one_line(path, 200)).append(f"  {one_line(note, 100)}\n", at.dim)
        if finding.files:
            told.append(f"{self._first + 1:,} to {self._first + len(files):,} of {finding.files:,}", at.accent)
            if finding.files > len(files):
                told.append("   space: the next, k: those before", at.dim)
        self.query_one("#files", Static).update(told)
