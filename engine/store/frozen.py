"""Images as they were catalogued. A file is read once; what has another size or sha256 now is nobody's to use."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

from engine.errors import InputError
from engine.quantities import counted

CHANGED = "has changed since the dataset was added"
CURE = "Put the file back as it was, or add the dataset again under another name."


Content = bytes
"""For classes whose own `bytes` is a number."""


class Picture(Protocol):
    """An image of a dataset."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def bytes(self) -> int:
        """How many it had when it was catalogued."""

    def read(self) -> Content:
        """Return them, if they are the same; raises InputError, see `read_frozen`."""


def look(path: str | Path, size: int, sha256: str) -> tuple[bytes, str]:
    """Return what is in a file, and why it is not what was catalogued: nothing if it is."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place must not hold us
        try:
            data = os.read(file, size + 1)
            while 0 < len(data) < size and (more := os.read(file, size + 1 - len(data))):
                data += more
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        return b"", getattr(error, "strerror", None) or str(error)
    if len(data) != size:
        found = f"over {size:,}" if len(data) > size else f"{len(data):,}"
        return data, f"{CHANGED} (it had {counted(size, 'byte')}, and has {found})"
    return data, "" if hashlib.sha256(data).hexdigest() == sha256 else CHANGED


def read_frozen(path: Path, size: int, sha256: str) -> bytes:
    """Return an image's bytes, exactly those that were catalogued.

    Args:
        path: its file.
        size: how many bytes it had.
        sha256: of them.

    Raises:
        InputError: it cannot be read, or has changed; names the file and the cure.

    """
    data, why = look(path, size, sha256)
    if why:
        raise InputError(f"{path}: {why}.", CURE)
    return data
