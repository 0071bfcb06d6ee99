"""What every source has in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic"})
"""What looks like a picture by its name. The check of its content comes later, and is strict."""


@dataclass(frozen=True)
class Entry:
    """One picture of a source: its class folder, its name inside it, and where it is."""

    folder: str
    name: str
    where: str


class Source(Protocol):
    """Pictures by class folder."""

    path: Path
    in_place: bool
    """Whether pictures can be used where they are, or must be unpacked."""

    def entries(self) -> list[Entry]:
        """List the pictures, sorted by folder and name."""
        ...

    def read(self, entry: Entry) -> bytes:
        """Return a picture's bytes."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


def entry_of(path: str, where: str) -> Entry | None:
    """Return the entry of a path below the source, or None for what is no picture in a class folder.

    Hidden files and what macOS leaves in archives are passed over.
    """
    parts = PurePosixPath(path).parts
    if len(parts) < 2 or any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return None
    if PurePosixPath(path).suffix.lower() not in EXTENSIONS:
        return None
    return Entry(parts[-2], parts[-1], where)
