"""Samples of a dataset as pictures."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult

from engine import DatasetView
from tui.widgets.data.base import DataTab
from tui.widgets.gallery import Gallery, Shown


class PicturesTab(DataTab):
    """One picture of each class, then the next of each."""

    FOCUS = "#sets"
    _first = 0

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Gallery(self.engine.browse, id="gallery")

    async def draw(self, data: DatasetView, *, fresh: bool) -> None:
        """Show as many as there is room for."""
        gallery, images = self.query_one(Gallery), []
        self._first = 0 if fresh else self._first
        for n in range(self._first, self._first + gallery.room):
            at, label = divmod(n, len(data.labels))
            images += await self.engine.browse.images(data.name, at, 1, label=label)
        if not images and self._first:
            self._first = 0
            await self.draw(data, fresh=False)
            return
        gallery.show([Shown(i.path, i.label, f"{i.split} {i.width}×{i.height}") for i in images])

    def more(self) -> None:
        """Show the next ones."""
        self._first += self.query_one(Gallery).room
        self.again()

    @on(Gallery.Changed)
    def _room_changed(self) -> None:
        self.again()
