"""What it costs against what it gets right, of every contestant and cascade, drawn with characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from tui.styles.theme import look
from tui.text import dollars, one_line
from tui.widgets.tabs.base import short

if TYPE_CHECKING:
    from engine import Point

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LEFT = 6
"""Cells of the figures at the left."""


def frontier(found: Sequence[Point], width: int, rows: int = 9) -> Group:
    """Draw all points, the cheapest at the left, and say below who they are.

    Those that nobody beats are joined and bright, the others dim. A price of nothing stands at the left end of the
    logarithmic axis.
    """
    at = look()
    found = found[: len(LETTERS)]
    paid = [p.usd for p in found if p.usd > 0]
    low = math.floor(math.log10(min(paid))) if paid else -2
    high = max(low + 1, math.ceil(math.log10(max(paid)))) if paid else 0
    top = math.ceil(20 * max(p.accuracy for p in found)) / 20
    bottom = min(top - 0.05, math.floor(20 * min(p.accuracy for p in found)) / 20)
    across = max(20, width - LEFT - 1)

    def place(p: Point) -> tuple[int, int]:
        share = 0.0 if p.usd <= 0 else 0.02 + 0.96 * (math.log10(p.usd) - low) / (high - low)
        x = min(across - 1, max(0, round(share * (across - 1))))
        y = round((top - p.accuracy) / (top - bottom) * (rows - 1))
        return x, y

    grid = [[(" ", "")] * across for _ in range(rows)]
    best = [p for p in found if not p.dominated]
    for one, other in pairwise(best):  # a step: more is right only once more is paid
        (x1, y1), (x2, y2) = place(one), place(other)
        for x in range(x1, x2):
            grid[y1][x] = ("─", at.dim)
        for y in range(min(y1, y2), max(y1, y2) + 1):
            grid[y][x2] = ("│", at.dim)
        grid[y1][x2] = ("╯", at.dim)
    for p, letter in reversed(list(zip(found, LETTERS, strict=False))):  # of two in one place the better stays
        x, y = place(p)
        grid[y][x] = (letter, _style(p))
    drawn = Text.assemble(("accuracy by price of 1,000 images, with their share of all other costs\n", "bold"))
    for n, row in enumerate(grid):
        share = top - (top - bottom) * n / (rows - 1)
        label = f"{share:.0%}" if n in (0, rows // 2, rows - 1) else ""
        drawn.append(f"{label:>{LEFT - 1}} ", at.dim).append("│", at.track)
        for character, style in row:
            drawn.append(character, style)
        drawn.append("\n")
    ends = _power(low), _power(high)
    free = "$0" if len(paid) < len(found) else ""
    axis = f"{free or ends[0]}{ends[1]:>{across - len(free or ends[0])}}"
    drawn.append(" " * LEFT + "└" + "─" * across + "\n", at.track).append(" " * (LEFT + 1) + axis, at.dim)
    return Group(drawn, _legend(found))


def _legend(found: Sequence[Point]) -> Table:
    at = look()
    table = Table.grid(padding=(0, 1))
    for justify in ("left", "left", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=True, overflow="ellipsis")
    for p, letter in zip(found, LETTERS, strict=False):
        beaten = f"beaten by {short(p.dominated_by[0], 30)}" if p.dominated_by else "nobody is cheaper and better"
        table.add_row(
            Text(letter, _style(p)),
            Text(one_line(p.name, 40), at.contestant(p.kind) if p.kind != "cascade" else ""),
            Text(dollars(p.usd)),
            Text(f"{p.accuracy:.1%}"),
            Text(beaten, at.dim if p.dominated else at.ok),
        )
    return table


def _power(exponent: int) -> str:
    return f"${10.0**exponent:,.0f}" if exponent >= 0 else f"${10.0**exponent:g}"


def _style(p: Point) -> str:
    at = look()
    colour = at.info if p.kind == "cascade" else at.contestant(p.kind)
    return at.dim if p.dominated else f"bold {colour}"
