"""Where images come from. A source lists its pictures with their labels, and says how each is read."""

from __future__ import annotations

from pathlib import Path

from engine.datasets.sources.archive import TarSource, ZipSource
from engine.datasets.sources.base import Entry, Passed, Source
from engine.datasets.sources.folder import FolderSource
from engine.datasets.sources.lines import LinesSource
from engine.datasets.sources.table import TableSource
from engine.errors import InputError

__all__ = ["Entry", "Passed", "Source", "open_source"]

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
TABLES = (".csv", ".tsv")
_CURE = "Give a folder, .tar or .zip of class folders, a .csv or .tsv of paths and labels, or a .jsonl."


def open_source(
    path: Path,
    *,
    root: Path | None = None,
    labels: Path | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
) -> Source:
    """Open a folder, a tar or zip of class folders, a CSV or TSV file, or a JSONL file.

    Args:
        path: which.
        root: what a CSV file's paths are relative to, instead of its folder.
        labels: a CSV file with the labels of a batch file's requests.
        path_column: of a CSV file, where it has another name than usual.
        label_column: the same.
        split_column: the same.

    Raises:
        InputError: there is nothing there, or it is none of these.

    """
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder.", _CURE)
    name = path.name.lower()
    if name.endswith(TARS):
        return TarSource(path)
    if name.endswith(".zip"):
        return ZipSource(path)
    if name.endswith(TABLES):
        return TableSource(path, root, path_column, label_column, split_column)
    if name.endswith((".jsonl", ".ndjson")):
        return LinesSource(path, labels)
    raise InputError(f"{path}: neither a folder nor a .tar, .zip, .csv, .tsv or .jsonl.", _CURE)
