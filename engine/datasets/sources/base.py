"""What every source has in common."""

from __future__ import annotations

import re
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
    **dict.fromkeys(("train", "training", "trn", "trainset"), Split.TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev", "valset"), Split.VAL),
    **dict.fromkeys(("test", "testing", "tst", "testset"), Split.TEST),
    **dict.fromkeys(("eval", "evaluation", "holdout", "hold-out"), Split.TEST),
}
"""Folders above or below class folders, and words in a table, that name the part of a set that an image belongs to."""
LONGEST_NAME = 255
"""What disks take; archives may hold longer ones."""
LONGEST_PATH = 2048
_SERVICE = frozenset(
    {
        *("__macosx", "network trash folder", "temporary items", "thefindbyfolder"),  # macOS
        *("$recycle.bin", "recycler", "recycled", "system volume information", "thumbs.db", "desktop.ini"),  # Windows
        *("ehthumbs.db", "onedrivetemp", "config.msi"),
        *("@eadir", "#recycle", "#snapshot", "@tmp", "@sharesnap", "@recycle", "@recently-snapshot", "@transcode"),
        *("~snapshot", "@__thumb", "@sharebin"),  # Synology, QNAP, NetApp, Asustor
        *("lost+found", "__pycache__", "node_modules", "site-packages", "dist-packages", "cvs", "_gsdata_"),
        *("icon\r", "picasa.ini", "zbthumbnail.info"),
    }
)
"""What systems, network drives and tools leave in folders, in small letters; hidden names (`.git`) besides."""


def split_named(name: str) -> Split | None:
    """Return the split that a folder's name means, if it is the name of one."""
    return SPLIT_NAMES.get(split_name(name))


def split_name(name: str) -> str:
    """Return a name as `SPLIT_NAMES` has it."""
    return name.strip().casefold().replace("_", "-")


def is_service(name: str) -> bool:
    """Whether a file or folder is hidden, or left by a system, a network drive or a tool."""
    return name.startswith((".", "~$")) or name.casefold() in _SERVICE


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a source.

    Attributes:
        folder: the path of its folder below the source, with `/`; or its label or class folder's name (see `Source`).
        path: below the catalogue's root.
        where: how the source finds it.
        split: which part of the set it belongs to, if the source says so.
        origin: a word such as `line 7` for messages.
        unsure: whether the encoding of its folder's name is not known.

    """

    folder: str
    path: str
    where: str
    split: Split | None = None
    origin: str = ""
    unsure: bool = False


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
    in_folders: bool
    """Whether an entry's `folder` is a path, of which `engine.datasets.layout` finds the class and the split."""

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


def parts_of(path: str) -> tuple[str, ...]:
    """Return the names in a path, whichever system wrote it: a backslash parts them too; `.`, `C:`, a root are none."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    return tuple(parts[1:] if parts and re.fullmatch("[A-Za-z]:", parts[0]) else parts)


def entry_of(path: str, where: str, *, unpack: bool) -> Entry | Passed | None:
    """Return the entry of a path below the source; None for hidden files and what systems leave in folders.

    Args:
        path: as the source has it.
        where: how the source finds it.
        unpack: whether it is to be written below a new root: then its path there is made of its single names.

    """
    parts = parts_of(path)
    if ".." in parts:
        return Passed(shown(path), "unsafe-path")
    if not parts or any(is_service(part) for part in parts):
        return None
    if PurePosixPath(parts[-1]).suffix.lower() not in EXTENSIONS:
        return Passed(shown(path), "other-file")
    if not utf8(path):
        return Passed(shown(path), "name", "", "its name is not UTF-8", "Rename it.")
    joined = "/".join(parts)
    if unpack and any(len(part.encode()) > LONGEST_NAME for part in parts):
        return Passed(path, "name", "", f"its name is longer than {LONGEST_NAME} bytes", "Shorten it.")
    if unpack and len(joined.encode()) > LONGEST_PATH:
        return Passed(path, "name", "", f"its path is longer than {LONGEST_PATH:,} bytes", "Shorten it.")
    return Entry("/".join(parts[:-1]), joined if unpack else path, where)
