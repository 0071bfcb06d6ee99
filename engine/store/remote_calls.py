"""Jobs' paid calls: intended before they are made, then their id on the service."""

from __future__ import annotations

import sqlite3

from engine import clock
from engine.secrets import redact
from engine.store.db import Database


class RemoteCalls:
    """Reads and writes intents and ids on the service. Each is on disk when its method returns."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def remote_calls(self, job_id: int) -> list[tuple[str, str | None, float]]:
        """Return (operation, id on the service, when it was intended) of a job's paid calls."""
        rows = self._db.rows(
            "SELECT operation, remote_id, intent_at FROM remote_calls WHERE job_id = ? ORDER BY id", job_id
        )
        return [(r["operation"], r["remote_id"], r["intent_at"]) for r in rows]

    def owners(self) -> dict[str, int]:
        """Return which job of ours each id on the service belongs to."""
        rows = self._db.rows("SELECT remote_id, job_id FROM remote_calls WHERE remote_id IS NOT NULL")
        return {r["remote_id"]: r["job_id"] for r in rows}

    def intend(self, job_id: int, operation: str, key: str) -> tuple[bool, str | None]:
        """Write down that a paid call is about to be made.

        Returns:
            whether the same call was intended before (so that it may have been made), and its id
            on the service if that is known.

        """
        with self._db.transaction() as db:
            row = db.execute(
                "SELECT remote_id FROM remote_calls WHERE job_id = ? AND operation = ? AND key = ?",
                (job_id, operation, key),
            ).fetchone()
            if row is not None:  # what had ended, a deployment above all, may be made once more
                db.execute(
                    "UPDATE remote_calls SET ended_at = NULL WHERE job_id = ? AND operation = ? AND key = ?",
                    (job_id, operation, key),
                )
                return True, row["remote_id"]
            db.execute(
                "INSERT INTO remote_calls (job_id, operation, key, intent_at) VALUES (?, ?, ?, ?)",
                (job_id, operation, key, clock.now()),
            )
            return False, None

    def made(self, job_id: int, operation: str, key: str, remote_id: str) -> None:
        """Write down the id that the service gave to an intended call."""
        with self._db.transaction() as db:
            db.execute(
                "UPDATE remote_calls SET remote_id = ?, done_at = ? WHERE job_id = ? AND operation = ? AND key = ?",
                (remote_id, clock.now(), job_id, operation, key),
            )

    def intents(self, job_id: int, operation: str) -> dict[str, str | None]:
        """Return the id on the service of each intended call of one operation, by key; None where it is not known."""
        rows = self._db.rows(
            "SELECT key, remote_id FROM remote_calls WHERE job_id = ? AND operation = ? ORDER BY id", job_id, operation
        )
        return {r["key"]: r["remote_id"] for r in rows}


def write_event(
    db: sqlite3.Connection, job_id: int, level: str, message: str, at: float, remote_id: str | None = None
) -> None:
    """Add a line to a job's log in a transaction; a line of the service's own (`remote_id`) only once."""
    db.execute(
        "INSERT OR IGNORE INTO job_events (job_id, attempt, at, level, message, remote_id)"
        " SELECT id, attempt, ?, ?, ?, ? FROM jobs WHERE id = ?",
        (at, level, redact(message), remote_id, job_id),
    )
