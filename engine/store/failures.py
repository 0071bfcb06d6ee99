"""SQLite's errors as the store's own: the file, the fact, and what to do about it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.errors import StoreBusy, StoreDamaged, StoreError
from engine.store.backup import newest_backup

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_HINTS = {
    sqlite3.SQLITE_FULL: "Free some space on its disk, then try again.",
    sqlite3.SQLITE_IOERR: "Check its disk: is it full?",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable, or choose another --home.",
    sqlite3.SQLITE_CANTOPEN: "Check that the file and its folder exist and may be read and written by you.",
    sqlite3.SQLITE_PERM: "Make the file readable and writable for you.",
    sqlite3.SQLITE_PROTOCOL: "Check that its disk is a local one: SQLite needs file locks and shared memory.",
    sqlite3.SQLITE_NOMEM: "Free some memory, then try again.",
}


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error; 0 for errors of Python's module itself."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process held the store, so that the same statement may work later."""
    return code_of(error) in _BUSY


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """Return the store's error for one of SQLite's."""
    code = code_of(error)
    if code in _BUSY:
        hint = "Another dogcls-tui process holds it (is one stopped, with Ctrl-Z?); continue or end that process."
        return StoreBusy(f"{path}: {error}.", hint)
    if code in _DAMAGED:
        return StoreDamaged(f"{path}: the file is damaged, or no store ({error}).", restore_hint(path))
    return StoreError(f"{path}: {error}.", _HINTS.get(code, ""))


def restore_hint(path: Path) -> str:
    """Return what to do with a store that cannot be used: restore its newest backup, or begin anew."""
    backup = newest_backup(path)
    if backup is None:
        return f"There is no backup of it: move {path} away to begin with an empty store."
    return f"End all dogcls-tui processes, delete {path}-wal if it exists, then copy the newest backup {backup} to it."


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return what stays the same of a file however it is written to; None where it is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}.", "Check its disk.") from error
    return found.st_dev, found.st_ino
