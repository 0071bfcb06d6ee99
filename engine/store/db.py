"""Connections to the store's file: one a thread, WAL, one writer at a time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import InputError, StoreError
from engine.store.files import private_folder
from engine.store.migrations import MIGRATIONS

BUSY_SECONDS = 30.0
_CURES = {
    sqlite3.SQLITE_BUSY: "Another dogcls-tui process holds it (is one stopped, with Ctrl-Z?); let that one go on.",
    sqlite3.SQLITE_FULL: "Free some space on its disk, then resume.",
    sqlite3.SQLITE_IOERR: "Check its disk: is it full?",
    sqlite3.SQLITE_READONLY: "Make it writable, or choose another --home.",
}


class Database:
    """The SQLite file. Safe to share between threads; each process opens its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        private_folder(path.parent)
        path.touch(mode=0o600, exist_ok=True)
        self._migrate()

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode, rows by name."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # Another thread may close it (see `close`), but only this one ever uses it.
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
            self._opened.append(connection)
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One `BEGIN IMMEDIATE` transaction: all of it, or nothing.

        Raises:
            StoreError: another process holds the store for too long, or the disk is full.

        """
        connection = self.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:  # SQLite itself rolls back when the disk is full
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path}: {error}.", _CURES.get(error.sqlite_errorcode & 0xFF, "")) from error

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """Run a query and return all its rows."""
        return self.connection.execute(sql, parameters).fetchall()

    def stream(self, sql: str, *parameters: object) -> Iterator[sqlite3.Row]:
        """Run a query and yield its rows one by one."""
        yield from self.connection.execute(sql, parameters)

    def row(self, sql: str, *parameters: object) -> sqlite3.Row | None:
        """Run a query and return its first row, if there is one."""
        found: sqlite3.Row | None = self.connection.execute(sql, parameters).fetchone()
        return found

    def version(self) -> int:
        """Return a number that changes when another connection has written."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close every thread's connection; call it when no thread uses the store any more."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._local = threading.local()

    def _migrate(self) -> None:
        try:
            version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path}: {error}.", _CURES.get(error.sqlite_errorcode & 0xFF, "")) from error
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path}: this is no store ({error}).", "Choose another --home.") from error
        if version > len(MIGRATIONS):
            raise InputError(
                f"{self.path}: made by a newer dogcls-tui (store version {version}).",
                "Upgrade dogcls-tui, or choose another --home.",
            )
        if version == len(MIGRATIONS):
            return
        with self.transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]  # another process may have won
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in script.split(";\n"):
                    if statement.strip():
                        connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
