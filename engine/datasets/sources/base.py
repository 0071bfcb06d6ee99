"""What every source has in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from engine.datasets.looking import Task
from engine.states import Split

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2"}
)
"""What looks like a picture by its name. The check of its content comes later, and is strict."""
SPLIT_NAMES = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "dev": Split.VAL,
    "test": Split.TEST,
    "testing": Split.TEST,
}
"""Folders above class folders, and words in a table, that say which part of a set an image belongs to."""
LONGEST_NAME = 255
"""What disks take; archives may hold longer ones."""
_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a source.

    Attributes:
        folder: its class folder, or its label as it stands.
        path: below the catalogue's root.
        where: how the source finds it.
        split: which part of the set it belongs to, if the source says so.
        origin: a word such as `line 7` for messages.

    """

    folder: str
    path: str
    where: str
    split: Split | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """What a source has and does not give: `kind` is one of `engine.datasets.kinds`.

    One with a problem stops the adding, or is left out where that was asked for.
    """

    path: str
    kind: str
    note: str = ""
    problem: str = ""
    cure: str = ""


class Source(Protocol):
    """Pictures with labels, listed one by one."""

    path: Path
    in_place: bool
    """Whether pictures can be used where they are, or must be unpacked."""
    labels_given: bool
    """Whether an entry's `folder` is its label as it stands."""

    def scan(self) -> Iterator[Entry | Passed]:
        """List the pictures, in the order in which they are best read, and what is passed over."""
        ...

    def task(self, number: int, path: str, where: str, to: str | None) -> Task:
        """Return how a picture is read; called in the order of `scan`."""
        ...

    def unpacked_bytes(self) -> int:
        """Return how many bytes its pictures take when unpacked, as far as it was scanned."""
        ...

    def same(self, where: str, size: int, mtime: int) -> bool:
        """Tell whether a picture (or the archive that it is in) is what it was when it was read."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


def utf8(path: str) -> bool:
    """Tell whether a path can be written down as UTF-8 (names on disks are bytes)."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(path: str) -> str:
    """Return a path as text that can be written down."""
    return path.encode("utf-8", "backslashreplace").decode()


def entry_of(path: str, where: str, *, unpack: bool) -> Entry | Passed | None:
    """Return the entry of a path below the source; None for hidden files and what systems leave in folders.

    Args:
        path: with `/`.
        where: how the source finds it.
        unpack: whether it is to be written below a new root: then its path there is made of single names.

    """
    parts = PurePosixPath(path).parts
    if any(part in _JUNK for part in parts):
        return None
    if ".." in parts:
        return Passed(shown(path), "unsafe-path")
    if any(part.startswith(".") for part in parts):
        return None
    if PurePosixPath(path).suffix.lower() not in EXTENSIONS:
        return Passed(shown(path), "other-file")
    if not utf8(path):
        return Passed(shown(path), "name", "", "its name is not UTF-8", "Rename it.")
    if unpack and any(len(part.encode()) > LONGEST_NAME for part in parts[-2:]):
        return Passed(path, "name", "", f"its name is longer than {LONGEST_NAME} bytes", "Shorten it.")
    if len(parts) < 2 or parts[-2] == "/":
        return Passed(path, "no-class")
    split = SPLIT_NAMES.get(parts[-3].lower()) if len(parts) > 2 else None
    below = f"{parts[-2]}/{parts[-1]}" if split is None else f"{split}/{parts[-2]}/{parts[-1]}"
    return Entry(parts[-2], below if unpack else path, where, split)
