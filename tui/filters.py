"""What is done to all that is drawn, just before the terminal gets it."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from engine import LOOKALIKES

_MARKS = {
    **dict.fromkeys("─━═╌┄╍┅▔▁", "-"),
    **dict.fromkeys("│┃║▏▕▎▌▐┊┆", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┣┫┳┻╋╔╗╚╝╸╺╹╻", "+"),
    **dict.fromkeys("█▇▆▅▄▃▂▓▀■", "#"),
    **dict.fromkeys("▒░▪", ":"),
    **LOOKALIKES,
    **{"●": "*", "○": "o", "⊘": "0", "‖": "=", "▲": "^", "▼": "v", "▶": ">", "◀": "<", "☁": "@", "⏎": "$", "⭘": "o"},
    **{"⌂": "^", "↯": "!"},
}
_NO_STYLE = Style()
_TABLE = str.maketrans(_MARKS)


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return "".join(c if c < "\x7f" else _nearest(c) for c in text.translate(_TABLE))


def _nearest(character: str) -> str:
    if character == "\u2800":
        return " "
    if "\u2800" < character < "\u2900":  # braille dots, of which plots are made
        return "."
    return "?" * cell_len(character)


class Styled(LineFilter):
    """Gives every segment a style: Textual's filter for NO_COLOR fails on those of textual-hires-canvas."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Transform one line."""
        return [Segment(text, style or _NO_STYLE, control) for text, style, control in segments]


class Ascii(LineFilter):
    """Replaces every character by its nearest in ASCII, for terminals and fonts that know no other."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Transform one line."""
        return [Segment(_plain(text), style, control) for text, style, control in segments]
