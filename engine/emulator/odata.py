"""The two query options by which batches are filtered and sorted: a small part of OData 4.01."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from engine.emulator.errors import bad_request
from engine.emulator.state import Object

FIELDS = ("id", "status", "created_at", "input_file_id", "endpoint")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_CLAUSE = re.compile(r"\s*(\w+)\s+(eq|ne|gt|ge|lt|le)\s+(?:'((?:[^']|'')*)'|(\d+))\s*")
_JOINT = re.compile(r"(and|or)(?=\s)")


def matching(items: list[Object], expression: str | None) -> list[Object]:
    """Return the items that a `$filter` lets through: comparisons joined by `and` and `or`.

    Raises:
        ApiError: 400, it cannot be read.

    """
    if not expression:
        return items
    choices: list[list[Callable[[Object], bool]]] = [[]]
    place = 0
    while True:
        clause = _CLAUSE.match(expression, place)
        if clause is None or clause[1] not in FIELDS:
            raise bad_request(f"$filter: cannot be read from {expression[place:][:50]!r}.")
        choices[-1].append(_test(clause[1], clause[2], clause[3], clause[4]))
        place = clause.end()
        if place == len(expression):
            break
        joint = _JOINT.match(expression, place)
        if joint is None:
            raise bad_request(f"$filter: cannot be read from {expression[place:][:50]!r}.")
        if joint[1] == "or":  # binds weaker than `and`
            choices.append([])
        place = joint.end()
    return [item for item in items if any(all(test(item) for test in tests) for tests in choices)]


def _test(field: str, name: str, text: str | None, number: str | None) -> Callable[[Object], bool]:
    numeric = field == "created_at"
    if numeric != (number is not None):
        raise bad_request(f"$filter: {field} is compared with a {'number' if numeric else 'text'}.")
    compare = _OPERATORS[name]
    if numeric:
        return lambda item: compare(item[field], int(number or 0))
    # The documentation writes 'Completed' where the objects say "completed".
    wanted = (text or "").replace("''", "'").lower()
    return lambda item: compare(str(item[field]).lower(), wanted)


def ordered(items: list[Object], expression: str | None) -> list[Object]:
    """Return the items as `$orderby` has them: `FIELD [asc|desc]`; unchanged without one.

    Raises:
        ApiError: 400, it cannot be read.

    """
    if not expression:
        return items
    match = re.fullmatch(r"\s*(\w+)(?:\s+(asc|desc))?\s*", expression)
    if match is None or match[1] not in FIELDS:
        raise bad_request(f"$orderby: {expression!r} cannot be read; write FIELD asc or FIELD desc.")
    return sorted(items, key=lambda item: (item[match[1]], item["_serial"]), reverse=match[2] == "desc")
