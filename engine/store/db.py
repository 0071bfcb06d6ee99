"""Connections to the store's file: one a thread, WAL, one writer at a time; every error of SQLite's as a StoreError."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from engine.errors import InputError, ReadOnlyError, StoreDamaged, StoreError
from engine.store import readonly as reading
from engine.store import reserve
from engine.store.backup import back_up, back_up_now_and_then, remains_of_a_store
from engine.store.failures import is_busy, restore_hint, store_error
from engine.store.files import private_folder, sync_folder
from engine.store.migrations import MIGRATIONS, statements

BUSY_SECONDS = 30.0
TRY_SECONDS = 1.0
"""SQLite itself waits this long for a lock; in between it is checked whether the wait has to end."""
EMPTY_SECONDS = 2.0
"""An empty file may be a store that another process is making just now; it is waited for this long."""
SMALLEST = 512
"""Bytes of a page at least; SQLite takes a shorter file for an empty store."""
T = TypeVar("T")


class Database:
    """The SQLite file. Safe to share between threads; each process opens its own.

    A transaction is on disk when it ends (`synchronous = FULL`), unless it says that it need not be.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        """Open the store, making or migrating it first; with `readonly` nothing is written, made or touched.

        Raises:
            InputError: a newer version made it; or, with `readonly`, an older one.
            StoreDamaged: it is no store, or was emptied.
            StoreError: it cannot be opened.

        """
        self.path = path
        self.readonly = readonly
        self._patience = BUSY_SECONDS
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._full = False
        if readonly:
            self._refuse_emptied()
            self._check_version()
            return
        private_folder(path.parent)
        self._make_room()
        there = path.exists()
        try:
            self._open_to_write()
        except StoreError as error:
            if not (there and reserve.is_full(path.parent)):
                raise
            self._only_read(error)

    def _open_to_write(self) -> None:
        path = self.path
        try:
            path.touch(mode=0o600, exist_ok=False)
            sync_folder(path.parent)
        except FileExistsError:
            self._refuse_emptied()
        except OSError:
            pass  # SQLite reports why, when it is opened
        self._migrate()
        self._pass_over_old_folders()

    def _only_read(self, why: StoreError) -> None:
        """Use a store on a full disk as one that is only read: what is known stays in sight."""
        self.close()
        self.readonly = self._full = True
        try:
            self._check_version()
        except InputError:
            older = f"{self.path}: No space left on device: a store of an older version cannot be migrated."
            raise StoreError(older, "Free some space on its disk, then try again.") from why

    def _make_room(self) -> None:
        """Give up the reserve where a transaction would find no space."""
        reserve.release(self.path.parent)

    # -- connections

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode, rows by name."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None and self._outdated():
            self._opened.remove(connection)
            connection.close()
            connection = None
        if connection is None:
            with self._explained():
                connection = self._connect()
            self._local.connection = connection
            self._opened.append(connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        if self.readonly:
            self._local.state = reading.state_of(self.path)
            return reading.connect(self.path, self._local.state, TRY_SECONDS)
        # Another thread may close it (see `close`), but only this one ever uses it.
        timeout = min(TRY_SECONDS, self._patience)
        connection = sqlite3.connect(self.path, timeout=timeout, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            self._patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")  # macOS: to the disk itself, not only to its cache
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _outdated(self) -> bool:
        """Whether this thread's connection may show what is no longer there; only one that never writes does."""
        return self.readonly and self._local.state != reading.state_of(self.path)

    def close(self) -> None:
        """Close every thread's connection; call it when no thread uses the store any more."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._local = threading.local()

    # -- errors and waits

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise the store's own errors instead of SQLite's; a broken constraint is the caller's to explain."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do something, again and again while another process holds the store, for as long as there is patience."""
        until = time.monotonic() + self._patience
        while True:
            try:
                return work()
            except sqlite3.Error as error:
                if not is_busy(error) or time.monotonic() >= until or not self._waits():
                    raise

    def _waits(self) -> bool:
        """Whether to wait on for a store that another process holds."""
        return True

    # -- reading and writing

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One `BEGIN IMMEDIATE` transaction: all of it, or nothing.

        Args:
            durable: it survives a loss of power once it has ended. False for what is written often and is no
                loss: after a loss of power the store is whole, without the last of these transactions.

        Raises:
            StoreError: another process holds the store for too long, the disk is full, the file is damaged …
            ReadOnlyError: the store was opened only to be read.

        """
        if self._full:
            raise StoreError(f"{self.path}: No space left on device.", "Free some space on its disk, then try again.")
        if self.readonly:
            raise ReadOnlyError
        self._make_room()
        connection = self.connection
        with self._explained():
            if not durable:
                connection.execute("PRAGMA synchronous = NORMAL")
            try:
                self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:  # SQLite itself rolls back when the disk is full
                        connection.execute("ROLLBACK")
                    raise
            finally:
                if not durable:
                    with suppress(sqlite3.Error):
                        connection.execute("PRAGMA synchronous = FULL")

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """Run a query and return all its rows."""
        return self._read(lambda connection: connection.execute(sql, parameters).fetchall())

    def tuples(self, sql: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run a query and return all its rows as plain tuples, which takes less time for many."""

        def read(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
            cursor = connection.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, parameters).fetchall()

        return self._read(read)

    def row(self, sql: str, *parameters: object) -> sqlite3.Row | None:
        """Run a query and return its first row, if there is one."""

        def read(connection: sqlite3.Connection) -> sqlite3.Row | None:
            cursor = connection.execute(sql, parameters)
            found: sqlite3.Row | None = cursor.fetchone()
            cursor.close()
            return found

        return self._read(read)

    def stream(self, sql: str, *parameters: object) -> Iterator[sqlite3.Row]:
        """Run a query and yield its rows one by one."""
        cursor = self._read(lambda connection: connection.execute(sql, parameters))
        while True:
            with self._explained():
                row = cursor.fetchone()
            if row is None:
                return
            yield row

    def version(self) -> int:
        """Return a number that changes when another connection has written."""
        if self.readonly:
            return reading.version_of(self.path)
        return int(self._read(lambda connection: connection.execute("PRAGMA data_version").fetchone()[0]))

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._explained():
            while True:
                found = self._patiently(lambda: work(self.connection))
                if not self._outdated():
                    return found

    # -- opening

    def _refuse_emptied(self) -> None:
        """Refuse a file that SQLite would take for a new store, and fill, although something was lost."""
        with suppress(OSError):
            if 0 < self.path.stat().st_size < SMALLEST:
                raise StoreDamaged(f"{self.path}: the file is damaged, or no store.", restore_hint(self.path))
        until = time.monotonic() + EMPTY_SECONDS
        while (remains := remains_of_a_store(self.path)) and time.monotonic() < until:
            time.sleep(0.05)
        if remains:
            raise StoreDamaged(
                f"{self.path}: the file is empty, but {remains} beside it shows that a store was there.",
                f"{restore_hint(self.path)} To begin anew instead, delete the empty file.",
            )

    def _check_version(self) -> int:
        with self._explained():
            version = int(self._patiently(lambda: self.connection.execute("PRAGMA user_version").fetchone()[0]))
        if version > len(MIGRATIONS):
            raise InputError(
                f"{self.path}: made by a newer dogcls-tui (store version {version}).",
                "Upgrade dogcls-tui, or choose another --home.",
            )
        if self.readonly and version < len(MIGRATIONS):
            raise InputError(
                f"{self.path}: made by an older dogcls-tui (store version {version}), and not migrated by --readonly.",
                "Run any command once without --readonly.",
            )
        return version

    def _migrate(self) -> None:
        version = self._check_version()
        if version == len(MIGRATIONS):
            return
        connection = self.connection
        with self._explained():
            if version > 0:
                self._patiently(lambda: back_up(connection, self.path, f"before-version-{len(MIGRATIONS)}"))
            # Tables that others refer to are made anew, as SQLite's manual of ALTER TABLE describes it.
            connection.execute("PRAGMA foreign_keys = OFF")
        try:
            with self.transaction():
                version = connection.execute("PRAGMA user_version").fetchone()[0]  # another process may have won
                broken = len(connection.execute("PRAGMA foreign_key_check").fetchall())
                for statement in statements(MIGRATIONS[version:]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
                if len(connection.execute("PRAGMA foreign_key_check").fetchall()) > broken:
                    raise StoreDamaged(f"{self.path}: the store cannot be migrated.", restore_hint(self.path))
        finally:
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA foreign_keys = ON")

    def _pass_over_old_folders(self) -> None:
        """Give no job the number of a folder that a store before this one has left."""
        numbers = [0]
        with suppress(OSError):
            # `<number>-<nonce>`, or only the number of jobs of earlier versions.
            names = [entry.name.partition("-")[0] for entry in os.scandir(self.path.parent / "jobs")]
            numbers += [int(name) for name in names if name.isdecimal() and len(name) < 16]
        given = self.row("SELECT COALESCE(MAX(seq), 0) AS n FROM sqlite_sequence WHERE name = 'jobs'")
        if given is not None and max(numbers) <= given["n"]:
            return
        with self.transaction() as connection:
            changed = connection.execute(
                "UPDATE sqlite_sequence SET seq = MAX(seq, ?) WHERE name = 'jobs'", (max(numbers),)
            )
            if not changed.rowcount:
                connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('jobs', ?)", (max(numbers),))

    def back_up(self) -> Path | None:
        """Keep a copy of the store beside it, at most one an hour; return it if one was made."""
        with self._explained():
            return back_up_now_and_then(self.connection, self.path)
