"""HTML in which whatever comes from outside is text: only what this module made itself is markup.

The standard library's `html.escape` on everything that is not `Markup` needs no template language, and there is no
way to forget it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "img", "br", "line", "rect", "circle", "path", "polyline", "polygon"})
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*\Z")
# Controls that no HTML document may hold, and the marks that turn the direction of what follows.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]"
)

Child = object
"""Markup stands as it is, None is nothing, everything else is escaped text."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Return anything as escaped text."""
    return value if isinstance(value, Markup) else Markup(escape(_CONTROL.sub("", str(value))))


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: of the element.
        children: see `Child`; lists of them are taken apart.
        attributes: a trailing `_` is left out (`class_`), `_` inside becomes `-` (`stroke_width`); None is left out.

    """
    told = []
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if not _NAME.match(attribute):
            raise ValueError(f"{attribute!r} is no attribute")
        if value is not None:
            told.append(f' {attribute}="{escape(_CONTROL.sub("", _number(value)))}"')
    opening = f"<{name}{''.join(told)}"
    if name in _VOID and not children:
        return Markup(f"{opening}>" if name in ("meta", "img", "br") else f"{opening}/>")
    return Markup(f"{opening}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Markup:
    """Return children one after another."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, list | tuple):
            parts.append(joined(child))
        elif child is not None:
            parts.append(text(child))
    return Markup("".join(parts))


def _number(value: object) -> str:
    """Return a value as an attribute; a fraction with as many digits as a drawing needs."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
