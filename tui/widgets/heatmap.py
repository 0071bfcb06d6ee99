"""A confusion matrix as a heat map, for two classes or two thousand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from engine import counted
from tui.styles.theme import look
from tui.text import one_line

if TYPE_CHECKING:
    from engine import ConfusionMap

NAMED = 30
"""Up to so many classes, each has a row with its name."""
_SHADES = " ░▒▓█"


def cells(labels: int, width: int, height: int) -> int:
    """Return how many groups of labels there is room for: two rows of them to a line of text."""
    return labels if labels <= NAMED else max(4, min(labels, width - 1, 2 * max(4, height - 2)))


def heatmap(found: ConfusionMap, labels: Sequence[str], width: int, colours: bool) -> Text:
    """Draw shares of the truth (rows) by answer (columns): right answers on the diagonal, mistakes beside it.

    Args:
        found: made for as many cells as `cells` says.
        labels: all classes.
        width: cells of the terminal that there are.
        colours: whether the terminal has them; shades of grey are drawn otherwise.

    """
    if found.per == 1 and len(labels) <= NAMED:
        return _named(found, labels, width, colours)
    shares, count = found.shares, len(found.shares)
    text = Text(no_wrap=True)
    for y in range(0, count, 2):
        for x in range(count):
            below = y + 1 < count
            if colours:
                lower = _colour(shares[y + 1][x], x == y + 1) if below else look().background
                text.append("▀", Style(color=_colour(shares[y][x], x == y), bgcolor=lower))
            else:
                text.append(_shade(max(shares[y][x], shares[y + 1][x] if below else 0.0)))
        here = found.order[y * found.per : (y + 2) * found.per]
        about = Text(f" {' · '.join(one_line(labels[label], 40) for label in here)}", look().dim)
        about.truncate(max(0, width - count), overflow="ellipsis")
        text.append_text(about).append("\n")
    if found.per > 1:
        text.append(f"{counted(found.per, 'class')} a cell", look().dim)
    return text


def _named(found: ConfusionMap, labels: Sequence[str], width: int, colours: bool) -> Text:
    """Draw a row with its name for each class. Where room is scarce counts touch each other, and colours part them."""
    count = len(found.order)
    digits = len(str(max(max(row) for row in found.counts)))
    tried = (digits + 2, digits + 1, digits) if colours else (digits + 2, digits + 1)
    cell = next((c for c in tried if width >= 12 + c * count), tried[-1])
    room = max(8, min(24, width - cell * count - 1))
    text = Text(no_wrap=True)
    for y, row in enumerate(found.order):
        name = Text(one_line(labels[row], 60))
        name.truncate(room, overflow="ellipsis", pad=True)
        text.append_text(name).append(" ")
        for x in range(count):
            share, n = found.shares[y][x], found.counts[y][x]
            figure = f"{n:>{cell - 1}} " if cell > digits else f"{n:>{cell}}"
            figure = " " * cell if not n or len(figure) > cell else figure
            if colours:
                ink = look().foreground if share < 0.5 else look().ink
                text.append(figure, Style(color=ink, bgcolor=_colour(share, x == y)))
            else:
                text.append(f"{figure[:-1]}{_shade(share)}" if cell > digits else figure)
        text.append("\n")
    return text


def _shade(share: float) -> str:
    return _SHADES[0 if share <= 0 else min(len(_SHADES) - 1, 1 + int(share * (len(_SHADES) - 1)))]


def _colour(share: float, right: bool) -> str:
    """Blend from the panel's colour: mistakes get the full one at a third already, so that they are seen."""
    at = look()
    strength = min(1.0, share if right else 3 * share) ** 0.6
    goal = at.ok if right else at.bad
    mixed = [
        round(int(at.panel[i : i + 2], 16) * (1 - strength) + int(goal[i : i + 2], 16) * strength) for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
