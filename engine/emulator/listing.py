"""Which categories a prompt lists, wherever it does: as JSON, in brackets, one a line, or in a sentence.

A model understands any of these, and an emulator of one should. What is ambiguous to it, as commas within a list
with commas, is ambiguous here as well.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

_JSON = re.compile(r'\[\s*"')
_BRACKETS = re.compile(r"\[([^\[\]]+)\]")
_BULLET = re.compile(r"(?:[-*•–]|\d+[.)])\s+")
_OPENING = re.compile(r"(?:\b(?:one|any|which|either) of|\bbetween|\bamong|[:?])\s+", re.IGNORECASE)
_END = re.compile(r"(?:[?!]|(?<=\w{3})\.)(?=\s)|[.?!]\s*\Z")
_OR = re.compile(r"^(?:or|and)\s+|\s+or\s+")
MOST_OPENINGS = 20
"""Places of a text at which a list may begin: of hostile ones the first are enough."""
MOST_WORDS = 6
"""Of a category that neither brackets nor a heading say is one."""


@lru_cache(maxsize=16)
def categories(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the categories that the texts of a request's messages list; none if they list none."""
    for find in (_as_json, _in_brackets, _in_lines, _in_a_sentence):
        for text in texts:
            if len(names := find(text)) > 1 and all(names):
                return tuple(names)
    return ()


def _as_json(text: str) -> list[str]:
    for _, start in zip(range(MOST_OPENINGS), _JSON.finditer(text), strict=False):
        try:
            listed, _ = json.JSONDecoder().raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        if len(listed) > 1 and all(isinstance(name, str) for name in listed):
            return list(listed)
    return []


def _in_brackets(text: str) -> list[str]:
    for match in _BRACKETS.finditer(text):
        lines = [line.strip() for line in match[1].strip().splitlines()]
        wrapped = len(lines) == 1 or all(line.endswith(",") for line in lines[:-1])
        names = [name.strip().strip("\"'") for name in (match[1].split(",") if wrapped else lines)]
        if len(names) > 1 and all(names):
            return names
    return []


def _in_lines(text: str) -> list[str]:
    """Return the longest block of lines that a heading announces, or that reads like nothing but names."""
    best: list[str] = []
    announced = False
    for block in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        heading = next((n for n, line in enumerate(lines) if line.endswith((":", "?"))), None)
        named = lines if heading is None else lines[heading + 1 :]
        while named and _is_sentence(named[-1]):
            named.pop()
        if heading is None and not announced and any(line[-1] in ".!?" or _long(line) for line in lines):
            named = []
        if sum(map(_is_sentence, named)) * 2 > len(named):
            named = []
        if named and all(map(_BULLET.match, named)):
            named = [_BULLET.sub("", line, count=1) for line in named]
        best = max(best, named, key=len)
        announced = bool(lines) and lines[-1].endswith((":", "?"))
    return best


def _in_a_sentence(text: str) -> list[str]:
    best: list[str] = []
    for _, opening in zip(range(MOST_OPENINGS), _OPENING.finditer(text), strict=False):
        rest = text[opening.end() :].partition("\n")[0]
        said = _END.split(rest, maxsplit=1)[0]
        if opening[0].startswith("?") and said != rest:  # a question, and then a sentence
            continue
        *names, last = (name.strip() for name in said.split(","))
        names = [name.strip("\"' ") for name in (*names, *filter(None, _OR.split(last)))]
        if len(names) >= max(2, len(best)) and not any(_long(name) or set(name) & set('{}"') for name in names):
            best = names
    return best


def _is_sentence(line: str) -> bool:
    return line.endswith((".", "!", "?")) and len(line.split()) > 2


def _long(line: str) -> bool:
    return len(line.split()) > MOST_WORDS
