"""Sends a slow line only what changes on it.

Textual repaints whole widgets: a clock that ticks in a table costs 10 kB. This stands between it and the
terminal, remembers what each cell shows, and lets through what differs. It knows the few sequences that
frames are made of (ECMA-48: CUP, SGR); whatever else comes by goes through as it is, and if it may have
touched cells, they count as unknown from then on.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from rich.cells import get_character_cell_size

if TYPE_CHECKING:
    from textual.driver import Driver

_TOKEN = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<cup>\d+)H"
    r"|\x1b\[(?P<sgr>[\d;]*)m"
    r"|(?P<text>[^\x00-\x1f\x7f]+)"
    r"|(?P<line>\r?\n)"
    r"|(?P<begin>\x1b\[\?2026h)"
    r"|(?P<end>\x1b\[\?2026l)"
    # Bell; OSC but for links (8); modes but for the alternate screen (47, 1047, 1049); tmux's envelope.
    r"|(?P<aside>\x07|\x1b\](?!8;).*?(?:\x07|\x1b\\)|\x1b\[(?![\d?;]*47[hl]|\?1049[hl])[?<>=][\d;]*(?:\$p|[hlu])"
    r"|\x1bPtmux;.*?\x07\x1b\\)"
    r"|(?P<other>\x1b\[[0-?]*[ -/]*[@-~]|\x1bP.*?\x1b\\|\x1b[_^X].*?\x1b\\|\x1b\].*?(?:\x07|\x1b\\)|.)",
    re.DOTALL,
)
_GAP = 4
"""Cells that are sent again rather than jumped over: a jump costs about eight bytes."""

Place = tuple[int, int]
"""Row and column, from 0."""
Cell = tuple[str, str]
"""What stands in a cell (nothing, where it is the right half of a wide character), and its SGR parameters."""


class Painter:
    """What the terminal shows, by row and column from 0."""

    def __init__(self) -> None:
        self._lines: dict[int, list[Cell | None]] = {}
        self._told: list[str] = []
        self._place: Place | None = None
        """Where the frame would have the cursor; None where only the terminal knows."""
        self._at: Place | None = None
        """Where the terminal has it, as far as we know."""
        self._pen: str | None = None
        """What the terminal writes with."""
        self._opened = False
        """A frame has begun, and nothing of it was sent."""

    def forget(self) -> None:
        """Send everything again from now on: the terminal may show anything."""
        self._lines = {}
        self._at = self._pen = None

    def paint(self, data: str) -> str:
        """Take what was to be written; return what must be sent. Sequences must not be cut across calls."""
        self._told = []
        pen, span = "", list[Cell]()
        for token in _TOKEN.finditer(data):
            kind = token.lastgroup
            if kind == "text":
                span += _cells(token["text"], pen)
                continue
            if kind == "sgr":
                pen = "" if token["sgr"] in ("", "0") else token["sgr"]
                continue
            self._put(span)
            span = []
            if kind == "cup":
                self._place = int(token["row"]) - 1, int(token["cup"]) - 1
            elif kind == "line" and self._place is not None:
                self._place = self._place[0] + 1, 0
            elif kind == "begin":
                self._opened = True
            elif kind == "end":
                self._end()
            else:
                self._pass(token[0], harmless=kind == "aside")
        self._put(span)
        if self._place is not None:
            self._move(self._place)
        return "".join(self._told)

    def _put(self, span: list[Cell]) -> None:
        """Send what is new in cells side by side."""
        if not span:
            return
        if self._place is None:
            self._write(span)
            return
        row, column = self._place
        self._place = row, column + len(span)
        line = self._lines.setdefault(row, [])
        line.extend([None] * (column + len(span) - len(line)))
        old = line[column : column + len(span)]
        if old == span:
            return
        line[column : column + len(span)] = span
        if any(len(cell[0]) != 1 for cell in span) or any(cell and len(cell[0]) != 1 for cell in old):
            self._send(row, column, span)  # half a wide character cannot be replaced
            return
        new = [n for n, (before, after) in enumerate(zip(old, span, strict=True)) if before != after]
        first = last = new[0]
        for n in new[1:]:
            if n - last > _GAP:
                self._send(row, column + first, span[first : last + 1])
                first = n
            last = n
        self._send(row, column + first, span[first : last + 1])

    def _send(self, row: int, column: int, cells: list[Cell]) -> None:
        self._move((row, column))
        self._write(cells)
        self._at = row, column + len(cells)

    def _write(self, cells: list[Cell]) -> None:
        for character, pen in cells:
            if pen != self._pen:
                self._say(f"\x1b[0;{pen}m" if pen else "\x1b[0m")
                self._pen = pen
            self._say(character)

    def _move(self, place: Place) -> None:
        if place != self._at:
            self._say(f"\x1b[{place[0] + 1};{place[1] + 1}H")
            self._at = place

    def _say(self, text: str) -> None:
        if self._opened:
            self._opened = False
            self._told.append("\x1b[?2026h")
        self._told.append(text)

    def _end(self) -> None:
        if not self._opened:
            self._say("\x1b[?2026l")
        self._opened = False

    def _pass(self, sequence: str, *, harmless: bool) -> None:
        if harmless:
            self._say(sequence)
            return
        if self._place is not None:
            self._move(self._place)
        if self._pen:
            self._say("\x1b[0m")  # the shell must not inherit our colours
        self._say(sequence)
        self.forget()
        self._place = None


def _cells(text: str, pen: str) -> list[Cell]:
    if text.isascii():
        return [(character, pen) for character in text]
    cells: list[Cell] = []
    for character in text:
        width = get_character_cell_size(character)
        if width == 0 and cells:  # an accent, or a joint of an emoji: it belongs to the one before
            owner = next(n for n in range(len(cells) - 1, -1, -1) if cells[n][0])
            cells[owner] = cells[owner][0] + character, pen
        elif width:
            cells.append((character, pen))
            cells += [("", pen)] * (width - 1)
    return cells


def sparing(driver: type[Driver], painter: Painter) -> type[Driver]:
    """Return a driver that paints sparingly."""

    class Sparing(driver):  # type: ignore[misc,valid-type]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            stderr, stdout = sys.__stderr__, sys.__stdout__
            if stdout is not None and getattr(self, "_file", None) is stderr and not (stderr and stderr.isatty()):
                self._file = stdout  # a file gets what is reported on stderr, and not the screen

        def write(self, data: str) -> None:
            if told := painter.paint(data):
                super().write(told)

    return Sparing
