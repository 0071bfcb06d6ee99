"""The store as a worker has it: nothing is written unless the job is still its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.errors import LostClaim
from engine.store.db import Database
from engine.store.failures import identity_of

WORKER_BUSY_SECONDS = 600.0
"""A paid job waits this long for a store that another process holds."""


class GuardedDatabase(Database):
    """The store for one attempt at one job: nothing is written unless the job is still that attempt's.

    It shares the connections of the database that it was made from, and waits longer for a store that is held.
    """

    def __init__(self, db: Database, job_id: int, attempt: int, waits: Callable[[], bool]) -> None:
        self.path = db.path
        self.readonly = db.readonly
        self._full = False
        self._patience = WORKER_BUSY_SECONDS
        self._db = db
        self._job_id = job_id
        self._attempt = attempt
        self._waiting = waits
        self._file = identity_of(db.path)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        return self._db.connection

    def close(self) -> None:
        """Do nothing: the connections are those of another."""

    def _waits(self) -> bool:
        return self._waiting()

    def _make_room(self) -> None:
        """Leave the reserve to those who cancel, end and clean up."""

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction as `Database.transaction`, which first checks the lease.

        Raises:
            LostClaim: the job is no longer this attempt's; nothing is written.

        """
        with super().transaction(durable=durable) as connection:
            self._prove(connection)
            yield connection

    def prove(self) -> None:
        """Check the lease. Needs no lock: it works while another process writes.

        Raises:
            LostClaim: the job is no longer this attempt's.
            StoreError: the store cannot be read.

        """
        with self._explained():
            self._prove(self.connection)

    def _prove(self, connection: sqlite3.Connection) -> None:
        if identity_of(self.path) != self._file:
            raise LostClaim(f"{self.path} was removed or replaced: job {self._job_id} ends here.")
        found = connection.execute(
            "SELECT 1 FROM jobs WHERE id = ? AND attempt = ? AND state IN ('running', 'cancelling')",
            (self._job_id, self._attempt),
        ).fetchone()
        if found is None:
            raise LostClaim(f"Job {self._job_id} is no longer attempt {self._attempt}'s.")
