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


def stacked(parts: Sequence[tuple[float, str]], scale: float, width: int, mark: str = "█") -> Text:
    """Return parts side by side as one bar; `scale` is the sum that fills the width."""
    text = Text(no_wrap=True)
    drawn, total = 0, 0.0
    for value, style in parts:
        total += value
        end = round(width * total / scale) if scale > 0 else 0
        text.append(mark * max(0, end - drawn), style)
        drawn = max(drawn, end)
    return text
