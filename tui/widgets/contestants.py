"""Who may take part in an experiment, who does, and for how much."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tui.styles.theme import look
from tui.text import dollars

if TYPE_CHECKING:
    from engine import Price

WHO = (
    ("zero-shot", "z", "asks the base model as it is, by the Batch API"),
    ("fine-tuned", "t", "trains it on your images, deploys, asks, deletes"),
    ("cnn", "c", "trains a small network on this machine"),
)
"""Name, key, what it does."""


def contestants(taken: Collection[str], price: Price | None) -> Table:
    """Draw a line for each; the price is None while it is not known."""
    at = look()
    who = Table.grid(padding=(0, 1), expand=True)
    who.add_column(no_wrap=True)
    who.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    who.add_column(justify="right", no_wrap=True)
    for name, key, what in WHO:
        is_in = name in taken
        mark = Text.assemble((f" {key} ", f"bold {at.accent}"), ("● " if is_in else "○ ", at.contestant(name)))
        mark.append(f"{name:<11}", at.contestant(name) if is_in else at.dim)
        cost = Text("left out", at.dim) if not is_in else Text("…", at.dim) if price is None else _cost(name, price)
        who.add_row(mark, Text(what, at.dim), cost)
    return who


def _cost(name: str, price: Price) -> Text:
    return Text(dollars(sum(line.usd for line in price.lines if line.contestant == name)))
