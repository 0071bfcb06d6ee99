"""How numbers of things and the emulator's ledger are worded, on the screen and on the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine import nouns
from tui.text import one_line, span

if TYPE_CHECKING:
    from engine import Payment, RecipeView

_OURS = re.compile(r"dogcls-tui/\S+ \((job \d+)\)")


def client_name(client: str) -> str:
    """Return who paid in short: our own jobs by number, other programs by their first word."""
    ours = _OURS.search(client)
    if ours:
        return ours[1]
    return one_line(client.split(" ")[0].split("/")[0] or "–", 20)


def tokens(payment: Payment) -> str:
    """Return the tokens of a payment in words; nothing where there are none."""
    parts = []
    if payment.prompt_tokens or payment.completion_tokens:
        parts.append(f"{payment.prompt_tokens:,} in")
        parts.append(f"{payment.completion_tokens:,} out")
    if payment.training_tokens:
        parts.append(f"{payment.training_tokens:,} trained")
    return " ".join(parts)


def recipe_lines(recipe: RecipeView) -> list[str]:
    """Return what a recipe does, in lines that can stand alone."""
    lines = [recipe.about, f"{nouns(len(recipe.backbones), 'backbone')}: {', '.join(recipe.backbones)}"]
    several = len(recipe.phases) > 1
    lines += [f"{f'phase {n}' if several else 'trains'}: {phase}" for n, phase in enumerate(recipe.phases, start=1)]
    lines.append(f"weights: {recipe.weights}")
    if recipe.seconds is not None:
        lines.append(f"time: about {span(recipe.seconds)} to train, as it last did on this machine")
    return lines
