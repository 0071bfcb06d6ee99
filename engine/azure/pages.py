"""Lists that the service gives page by page: each item once, and an end even where the pages have none."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, TypeVar

T = TypeVar("T")
REPEATS = 200
"""Known items in a row after which a list is taken to begin again from its start."""
MOST = 100_000
"""Items of one list at most."""


async def distinct(listing: AsyncIterable[T]) -> AsyncIterator[T]:
    """Yield the items of a list, by their ids or names; the next page may be the same one for ever."""
    seen: set[Any] = set()
    repeats = 0
    async for item in listing:
        key = getattr(item, "id", None) or getattr(item, "name", None) or id(item)
        if key in seen:
            repeats += 1
            if repeats >= REPEATS:
                return
            continue
        repeats = 0
        seen.add(key)
        yield item
        if len(seen) >= MOST:
            return
