"""Which contestant at which volume, drawn along a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from engine import between
from tui.styles.theme import look
from tui.widgets.tabs.base import short

if TYPE_CHECKING:
    from engine import Stretch

LOW, HIGH = 100.0, 10_000_000.0
"""Images a month between which it is drawn, unless somebody asks for more."""
NOBODY = "nobody"


def stretches(found: Sequence[Stretch], kinds: Mapping[str, str], volume: float, width: int, title: str) -> Text:
    """Draw who is best where: each stretch with its name in it, the volume of now marked below.

    Args:
        found: the stretches, from the fewest images to the most.
        kinds: of the contestants, for their colours.
        volume: images a month that were asked about.
        width: cells of the axis.
        title: what makes them best.

    """
    at = look()
    low, high = min(LOW, volume), max(HIGH, volume)

    def cell(images: float) -> int:
        if images <= low:
            return 0
        share = (math.log10(min(images, high)) - math.log10(low)) / (math.log10(high) - math.log10(low))
        return min(width, round(share * width))

    text, keys = Text.assemble((f"{title}\n", "bold"), no_wrap=True), Text()
    for stretch in found:
        first, last = cell(stretch.low), cell(stretch.high)
        name = NOBODY if stretch.name is None else short(stretch.name, 40)
        style = at.dim if stretch.name is None else at.contestant(kinds.get(stretch.name))
        room = last - first
        if room < 1:
            continue
        inside = f" {name} " if len(name) + 4 <= room else ""
        if not inside:
            keys.append(f"  {name} {_from(stretch)}", style)
        left = max(0, (room - len(inside)) // 2)
        bar = "━" * left + inside + "━" * max(0, room - left - len(inside))
        text.append(f"┣{bar[1:-1]}┫" if room > 1 else "┃", style)
    ticks = [" "] * width
    for power in range(math.ceil(math.log10(low)), int(math.log10(high)) + 1):
        label, place = _count(10**power), cell(10**power)
        start = max(0, min(width - len(label), place - (len(label) // 2 if place else 0)))
        if all(c == " " for c in ticks[max(0, start - 1) : start + len(label) + 1]):
            ticks[start : start + len(label)] = label
    mark = min(width - 1, cell(volume))
    text.append("\n").append(" " * mark + "▲", f"bold {at.accent}")
    told = f" {volume:,.0f} a month"
    if mark + 1 + len(told) <= width:
        text.append(told, at.accent)
    text.append("\n" + "".join(ticks).rstrip(), at.dim)
    if keys.plain:
        text.append("\n").append_text(keys)
    return text


def _from(stretch: Stretch) -> str:
    return between(stretch.low, stretch.high)


def _count(number: float) -> str:
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"
