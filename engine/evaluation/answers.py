"""From what a model wrote to exactly one label, or to none. The truth is never an argument.

The rules, in order: a JSON object with exactly one string in it is that string, fenced or not; a text
is that text without surrounding quotes, spaces and a final full stop. It is a label if it equals one
when case, punctuation and spaces are disregarded. Anything else is no label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache

_FENCE = re.compile(r"\A```[a-zA-Z]*\s*(.*?)\s*```\Z", re.DOTALL)
MAX_LENGTH = 10_000


@lru_cache(maxsize=8)
def _known(labels: tuple[str, ...]) -> dict[str, str | None]:
    known: dict[str, str | None] = {}
    for label in labels:
        plain = _plain(label)
        known[plain] = None if plain in known else label  # two labels that read alike are told apart exactly
    return known


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def read_answer(raw: str | None, labels: Sequence[str]) -> str | None:
    """Return the label that an answer names, or None."""
    if not raw or len(raw) > MAX_LENGTH:
        return None
    text = raw.strip()
    fenced = _FENCE.match(text)
    text = fenced[1] if fenced else text
    if text.startswith("{"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        strings = [v for v in value.values() if isinstance(v, str)]
        if len(strings) != 1:
            return None
        text = strings[0]
    elif text.startswith('"'):
        text = text.strip('"')
    if text in labels:
        return text
    plain = _plain(text)
    return _known(tuple(labels)).get(plain) if plain else None
