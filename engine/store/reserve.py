"""A file that is there to be deleted: on a full disk its space lets jobs be cancelled, ended and cleaned up.

It is kept while there is plenty of room, and given up when there is next to none. Workers' own records do not use it:
they would fill the space within seconds. Each has a small one of its own, for the record of its end.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NAME = "reserve"
SIZE = 2**20
END = 2**17
"""Bytes that a worker holds for the record of its end."""
PLENTY = 64 * SIZE
"""Bytes that are free where a reserve is made: it is never what fills a disk."""
LOW = SIZE // 4
"""Bytes below which it is given up."""


def free(folder: Path) -> int | None:
    """Return how many bytes are free on a folder's disk; None where that is not known."""
    try:
        found = os.statvfs(folder)
    except (OSError, AttributeError):  # no folder; or Windows
        return None
    return found.f_bavail * found.f_frsize


def is_full(folder: Path) -> bool:
    """Whether next to nothing is free on a folder's disk."""
    found = free(folder)
    return found is not None and found < LOW


def keep(folder: Path) -> None:
    """Make the reserve, if there is none and plenty of room. Its bytes are random: no disk saves them."""
    path = folder / NAME
    if path.exists() or (free(folder) or 0) < PLENTY:
        return
    with suppress(OSError):
        hold(path, SIZE)


def hold(path: Path, size: int = END) -> None:
    """Fill a file so that its space is there when it is deleted.

    Raises:
        OSError: there is no room; the file is not there then.

    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(os.urandom(size))
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise


def release(folder: Path) -> None:
    """Give the reserve up if next to nothing is free."""
    if is_full(folder):
        with suppress(OSError):
            (folder / NAME).unlink()
