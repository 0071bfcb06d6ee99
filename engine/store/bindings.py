"""Which resource jobs belong to, and which jobs wait for a process that can reach theirs."""

from __future__ import annotations

import json
from typing import Any

from engine import clock
from engine.store.db import Database


class Bindings:
    """Writes resources to jobs."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def bind(self, job_id: int, resource: dict[str, Any]) -> None:
        """Give a job of an older version, and those of its experiment with the same profile, their resource.

        A job that has one keeps it.
        """
        with self._db.transaction() as db:
            db.execute(
                "UPDATE jobs SET parameters = json_set(parameters, '$.resource', json(?))"
                " WHERE kind != 'train' AND json_extract(parameters, '$.resource') IS NULL"
                " AND experiment_id = (SELECT experiment_id FROM jobs WHERE id = ?)"
                " AND json_extract(parameters, '$.profile')"
                "  = (SELECT json_extract(parameters, '$.profile') FROM jobs WHERE id = ?)",
                (json.dumps(resource), job_id, job_id),
            )

    def hold(self, job_id: int, note: str) -> None:
        """Note why a waiting job is not started by this process; logged when it changes."""
        row = self._db.row("SELECT note FROM jobs WHERE id = ? AND state = 'waiting'", job_id)
        if row is None or row["note"] == note:
            return
        with self._db.transaction() as db:
            changed = db.execute(
                "UPDATE jobs SET note = ? WHERE id = ? AND state = 'waiting' AND note != ?", (note, job_id, note)
            )
            if changed.rowcount and note:
                db.execute(
                    "INSERT INTO job_events (job_id, attempt, at, level, message)"
                    " SELECT id, attempt, ?, 'warning', ? FROM jobs WHERE id = ?",
                    (clock.now(), note, job_id),
                )
