"""A picture in the terminal: the terminal's own graphics where it has them, half blocks everywhere else.

textual-image has half blocks too, but asks the terminal many things when it is imported (see `tui.pictures`);
the half blocks below need no question to anybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from engine import Browser, DogclsError
from tui.filters import Ascii
from tui.guard import work
from tui.pictures import graphics
from tui.styles.theme import look
from tui.text import one_line

if TYPE_CHECKING:
    from engine import Thumbnail

_SHADES = " .:-=+*#%@"


class Picture(Vertical):
    """One picture as large as there is room, with some lines under it."""

    def __init__(self, browse: Browser, lines: int = 2, **options: str) -> None:
        """Make an empty one.

        Args:
            browse: reads the files.
            lines: room for the caption.

        """
        super().__init__(**options)  # type: ignore[arg-type]
        self._browse = browse
        self._lines = lines
        self._path: str | None = None

    def compose(self) -> ComposeResult:
        """A place for the picture, and for its lines."""
        yield graphics()(classes="graphics") if graphics() is not None else Static(classes="blocks")
        yield Static(classes="caption")

    def show(self, path: str | None, caption: Text | str = "") -> None:
        """Show another picture."""
        self.query_one(".caption", Static).update(caption)
        if path != self._path:
            self._path = path
            self._draw()

    def on_resize(self) -> None:
        """Draw it larger or smaller."""
        self._draw()

    @work(exclusive=True)
    async def _draw(self) -> None:
        path, columns, rows = self._path, self.size.width, self.size.height - self._lines
        if path is None or columns < 4 or rows < 2:
            self._put(Text())
            return
        fine = graphics() is not None
        try:
            small = await self._browse.thumbnail(Path(path), columns * (10 if fine else 1), rows * (20 if fine else 2))
        except DogclsError as error:
            self._put(Text(one_line(str(error), 200), look().bad))
            return
        if not fine:
            plain = self.app.no_color or any(isinstance(f, Ascii) for f in self.app.get_line_filters())
            self._put(shades(small) if plain else half_blocks(small))
            return
        from PIL import Image

        place: Any = self.query_one(".graphics")
        place.styles.width = max(2, small.width // 10)
        place.styles.height = max(1, small.height // 20)
        place.image = Image.frombytes("RGB", (small.width, small.height), small.rgb)

    def _put(self, text: Text) -> None:
        for blocks in self.query(".blocks").results(Static):
            blocks.update(text)


def half_blocks(picture: Thumbnail) -> Text:
    """Return two rows of pixels a line of text, as upper half blocks on a coloured ground."""
    text = Text(no_wrap=True)
    for y in range(0, picture.height, 2):
        for x in range(picture.width):
            upper, lower = _pixel(picture, x, y), _pixel(picture, x, min(y + 1, picture.height - 1))
            text.append("▀", Style(color=upper, bgcolor=lower))
        text.append("\n")
    text.rstrip()
    return text


def shades(picture: Thumbnail) -> Text:
    """Return a picture as ASCII characters from dark to light, for terminals without colours."""
    lines = []
    for y in range(0, picture.height, 2):
        row = []
        for x in range(picture.width):
            place = 3 * (y * picture.width + x)
            light = sum(picture.rgb[place : place + 3]) / 765
            row.append(_SHADES[min(len(_SHADES) - 1, int(light * len(_SHADES)))])
        lines.append("".join(row))
    return Text("\n".join(lines), no_wrap=True)


def _pixel(picture: Thumbnail, x: int, y: int) -> str:
    place = 3 * (y * picture.width + x)
    return "#" + picture.rgb[place : place + 3].hex()
