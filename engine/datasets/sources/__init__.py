"""Where images come from. A source lists its pictures by class folder and gives their bytes."""

from __future__ import annotations

from pathlib import Path

from engine.datasets.sources.archive import TarSource, ZipSource
from engine.datasets.sources.base import Entry, Source
from engine.datasets.sources.folder import FolderSource
from engine.errors import InputError

__all__ = ["Entry", "Source", "open_source"]

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def open_source(path: Path) -> Source:
    """Open a folder, a tar or a zip of class folders.

    Raises:
        InputError: there is nothing there, or it is none of these.

    """
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder.", "Give a folder, .tar or .zip of class folders.")
    if path.name.lower().endswith(TARS):
        return TarSource(path)
    if path.suffix.lower() == ".zip":
        return ZipSource(path)
    raise InputError(f"{path}: neither a folder nor a .tar or .zip.", "Give a folder, .tar or .zip of class folders.")
