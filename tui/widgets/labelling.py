"""Would more labels help? Accuracy by images a class, as a table with its intervals drawn, and what it says."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from engine import CurvePoint, counted, signed
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.bar import interval

NOTHING = (
    "No learning curve is known of this run: a recipe that learns from a frozen backbone measures one when it"
    " has trained, and it appears here."
)
FIGURES = 42
"""Cells that the figures take beside the drawn interval."""
WIDE = 70
"""Cells from which the number of images has room among them."""


def labelling(curve: Sequence[CurvePoint], width: int, doubled: str = "", note: str = "") -> Group | Text:
    """Draw a learning curve on one axis from 0 to 100%, and show what its end promises (`doubled`, where given).

    `note` is what has to be known to read it, such as the points that were left out.
    """
    at = look()
    if not curve:
        return Text(NOTHING, at.dim)
    wide = width >= WIDE
    cells = max(10, width - FIGURES + (0 if wide else len("images  ")))
    grid = Table.grid(padding=(0, 2))
    names = ("a class", *(["images"] if wide else []), "accuracy", "95% interval", "0%" + " " * (cells - 6) + "100%")
    for name in names:
        grid.add_column(justify="left" if name is names[-1] else "right", no_wrap=True)
    grid.add_row(*(Text(name, at.dim) for name in names))
    points = sorted(curve, key=lambda point: (point.per_class, point.images))
    for point in points:
        grid.add_row(
            Text(f"{point.per_class:,}"),
            *([Text(f"{point.images:,}", at.dim)] if wide else []),
            Text(f"{point.accuracy:.1%}", "bold"),
            Text(f"{point.low:.1%}–{point.high:.1%}", at.dim),
            interval((point.low, point.accuracy, point.high), cells, at.cnn),
        )
    about = [Text(one_line(note, 400), at.dim)] if note else []
    return Group(grid, *about, "", Text(doubled or sentence(points)))


def sentence(points: Sequence[CurvePoint]) -> str:
    """Return what the last step of a learning curve says, without promising more than it shows."""
    if len(points) < 2:
        return "One point is no curve: there are too few images a class to hold some back."
    before, last = points[-2], points[-1]
    gain = 100 * (last.accuracy - before.accuracy)
    told = f"From {before.per_class:,} to {counted(last.per_class, 'image')} a class: {signed(gain)} points. "
    if last.accuracy >= before.high:
        return told + "It still climbs: more labels are likely to help."
    if gain > 0:
        return told + "That may be chance: more labels may still help, a little."
    return told + "It has levelled off: a stronger recipe or model is likely to help more than labels."
