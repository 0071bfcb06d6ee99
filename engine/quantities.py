"""Numbers in sentences: counts that agree with their nouns, figures without a signed zero, ranges that adjoin."""

from __future__ import annotations

import math
import re

_ES = re.compile(r"(s|x|z|(?<!epo)ch|sh)$")
_Y = re.compile(r"([^aeiou])y$")


def counted(number: float, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 image`, `2,000 images`, `0 classes`, `1 training image`.

    Args:
        number: of things; shown as a whole number.
        noun: for one of them, with whatever stands before it.
        plural: for any other number, where it is not made by the usual rules.

    """
    return f"{number:,.0f} {nouns(round(number), noun, plural)}"


def nouns(number: float, noun: str, plural: str = "") -> str:
    """Return the noun that a number of things has, without the number."""
    if number == 1:
        return noun
    if plural:
        return plural
    return _Y.sub(r"\1ie", noun) + "s" if _Y.search(noun) else f"{noun}{'es' if _ES.search(noun) else 's'}"


def agrees(number: float, one: str, many: str) -> str:
    """Return the word that goes with a number of things: `agrees(n, "is", "are")`."""
    return one if number == 1 else many


def signed(value: float, digits: int = 1) -> str:
    """Return a figure with its sign; what rounds to zero is `+0.0`, never `-0.0`."""
    return f"{value:+z,.{digits}f}"


def unsigned(value: float, digits: int = 1) -> str:
    """Return a figure with a sign only below zero; what rounds to zero has none."""
    return f"{value:z,.{digits}f}"


def points(share: float) -> str:
    """Return a difference of two shares in percentage points, with its sign."""
    return signed(100 * share)


def between(low: float, high: float, unit: str = "") -> str:
    """Return a range of whole numbers of which `low` is the first, and `high` the first that is not in it.

    Ranges that adjoin are worded with the same number, as in `below 409,653` and `from 409,653`.

    Args:
        low: below 1 where nothing comes before it.
        high: infinite where nothing comes after it.
        unit: what is counted, in the plural.

    """
    after = f" {unit}" if unit else ""
    last = "" if math.isinf(high) else f"below {math.ceil(high):,}{after}"
    first = "" if low <= 1 else f"from {math.ceil(low):,}"
    if first and last:
        return f"{first} to {last}"
    return last or (f"{first}{after}" if first else "at any number" + (f" of {unit}" if unit else ""))
