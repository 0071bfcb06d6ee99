"""A share, drawn."""

from __future__ import annotations

from rich.text import Text

from tui.styles.theme import TRACK


def bar(share: float, width: int, style: str) -> Text:
    """Return a bar of a share, 0 to 1, and the share in figures."""
    full = round(share * width * 2)
    drawn = "━" * (full // 2) + ("╸" if full % 2 else "")
    return Text.assemble((drawn, style), ("─" * (width - len(drawn)), TRACK), f" {share:>4.0%}")
