"""Shares and intervals, drawn with characters."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from tui.styles.theme import look


def bar(share: float, width: int, style: str, *, figures: bool = True) -> Text:
    """Return a bar of a share, 0 to 1, and the share in figures."""
    full = round(max(0.0, min(1.0, share)) * width * 2)
    drawn = "━" * (full // 2) + ("╸" if full % 2 else "")
    text = Text.assemble((drawn, style), ("─" * (width - len(drawn)), look().track), no_wrap=True)
    return text.append(f" {share:>4.0%}") if figures else text


def interval(shares: Sequence[float], width: int, colour: str) -> Text:
    """Return an interval (its low end, its middle, its high end) on an axis from 0 to 1, `width` cells long."""
    first, dot, last = (min(width - 1, int(share * width)) for share in shares)
    text = Text("·" * first, look().track)
    for cell in range(first, last + 1):
        text.append("●" if cell == dot else "━", colour)
    return text.append("·" * (width - 1 - last), look().track)


def whiskers(shares: Sequence[float], width: int, colour: str) -> Text:
    """Return an interval as a bar with whiskers, to half a cell; its ends are told in ASCII, too.

    Args:
        shares: its low end, its middle, its high end, on an axis from 0 to 1.
        width: cells of the axis.
        colour: of the bar.

    """
    first, dot, last = (max(0, min(2 * width - 1, int(share * 2 * width))) for share in shares)
    drawn = ["·"] * width
    drawn[first // 2 : last // 2 + 1] = ["━"] * (last // 2 - first // 2 + 1)
    drawn[first // 2] = "╺" if first % 2 else "┣"
    drawn[last // 2] = "┫" if last % 2 else "╸"
    drawn[dot // 2] = "●"
    text = Text("".join(drawn), look().track, no_wrap=True)
    text.stylize(colour, first // 2, last // 2 + 1)
    return text


def stacked(parts: Sequence[tuple[float, str]], scale: float, width: int, mark: str = "█") -> Text:
    """Return parts side by side as one bar; `scale` is the sum that fills the width, `mark` one mark or one a part."""
    text = Text(no_wrap=True)
    drawn, total = 0, 0.0
    for number, (value, style) in enumerate(parts):
        total += value
        end = round(width * total / scale) if scale > 0 else 0
        text.append(mark[number % len(mark)] * max(0, end - drawn), style)
        drawn = max(drawn, end)
    return text
