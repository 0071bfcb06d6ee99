"""Copies of the store beside it: before the schema changes, and now and then when a job begins or ends."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from engine.store.files import sync_folder

KEPT = 2
"""So many backups of each sort are kept."""
BETWEEN_SECONDS = 3600.0
MOST_BYTES = 256 * 1024 * 1024
"""A larger store is copied only before its schema changes: a copy must cost neither time nor much space."""


def backups(path: Path) -> list[Path]:
    """Return a store's backups, the newest first."""
    found = [p for sort in ("before-version", "backup") for p in path.parent.glob(f"{path.name}.{sort}-*")]
    return sorted((p for p in found if p.is_file()), key=lambda p: p.stat().st_mtime, reverse=True)


def newest_backup(path: Path) -> Path | None:
    """Return a store's newest backup, if there is one."""
    with contextlib.suppress(OSError):
        return next(iter(backups(path)), None)
    return None


def back_up(source: sqlite3.Connection, path: Path, name: str) -> Path:
    """Copy an open store to a file beside it, if it is sound, and delete all but the newest copies of its sort.

    Args:
        source: a connection to the store, outside of a transaction.
        path: the store's file.
        name: what the copy's name ends with; the part before the first digit names its sort.

    Raises:
        sqlite3.Error: the store is damaged, or the copy cannot be written; no earlier copy is lost.

    """
    target = path.with_name(f"{path.name}.{name}")
    partial = path.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        partial.touch(mode=0o600)
        with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            if copy.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                error = sqlite3.DatabaseError("database disk image is malformed")
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
        partial.replace(target)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)
    sort = name.rstrip("0123456789")
    for old in [p for p in backups(path) if p.name.startswith(f"{path.name}.{sort}")][KEPT:]:
        old.unlink(missing_ok=True)
    return target


def back_up_now_and_then(source: sqlite3.Connection, path: Path) -> Path | None:
    """Copy a store of moderate size, unless its newest backup is younger than an hour; return the copy."""
    newest = newest_backup(path)
    now = time.time()
    if newest is not None and 0 <= now - newest.stat().st_mtime < BETWEEN_SECONDS:
        return None
    if path.stat().st_size > MOST_BYTES:
        return None
    return back_up(source, path, f"backup-{time.strftime('%Y%m%d%H', time.gmtime(now))}")


def remains_of_a_store(path: Path) -> str:
    """Return what beside an empty store's file shows that there was one; nothing for a file that is not empty."""
    try:
        if path.stat().st_size:
            return ""
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            return log.name
        for name in ("jobs", "experiments", "datasets"):
            folder = path.parent / name
            if folder.is_dir() and any(folder.iterdir()):
                return f"{name}/"
    except OSError:
        return ""
    return ""
