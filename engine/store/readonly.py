"""A store that is only read: no file is made, changed or touched, whether or not another process writes meanwhile.

While a log lies beside the file (`-wal`), the store is read with that log and with the log's index (`-shm`), neither of
which is written. Without one no process writes, and the file is read as one that never changes; SQLite would make both
files otherwise. Whether that still held is checked after every query: a writer makes the log before anything else.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from engine.store.migrations import MIGRATIONS, statements

State = tuple[object, bool]


def state_of(path: Path) -> State:
    """Return what a connection depends on: which file it is, in which state where no log follows it, and the log."""
    log = _log(path).exists()
    found = _stamp(path)
    if found and not found[2] and not log:
        found = None  # another process is about to make the store
    return (found[:2] if found and log else found), log


def connect(path: Path, state: State, timeout: float) -> sqlite3.Connection:
    """Open the file in its state; where there is none, an empty store that exists in memory only."""
    found, log = state
    if found is None:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        for statement in statements(MIGRATIONS):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    else:
        uri = f"file:{quote(str(path))}?mode=ro&{'readonly_shm=1' if log else 'immutable=1'}"
        connection = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def version_of(path: Path) -> int:
    """Return a number that changes when the store is written."""
    return hash((_stamp(path), _stamp(_log(path))))


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
