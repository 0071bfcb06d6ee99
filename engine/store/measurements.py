"""What jobs measure while they run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from engine import clock
from engine.events import Metric
from engine.store.db import Database


class Measurements:
    """Reads and writes the measured values of jobs."""

    _db: Database

    def add_metrics(self, job_id: int, values: Sequence[tuple[str, int, float | None, float]]) -> None:
        """Add measured values (name, step, epoch, value); a step measured again replaces the first."""
        now = clock.now()
        with self._db.transaction(durable=False) as db:
            db.executemany(
                "INSERT OR REPLACE INTO job_metrics VALUES (?, ?, ?, ?, ?, ?)",
                [(job_id, name, step, epoch, value, now) for name, step, epoch, value in values],
            )

    def last_metrics(self, job_id: int, after: float = 0.0) -> list[Metric]:
        """Return what a job measured after a moment, oldest first."""
        rows = self._db.rows("SELECT * FROM job_metrics WHERE job_id = ? AND at > ? ORDER BY at, step", job_id, after)
        return [_metric(r) for r in rows]

    def metrics(self, job_id: int) -> list[Metric]:
        """Return everything measured by a job, by name and step."""
        rows = self._db.rows("SELECT * FROM job_metrics WHERE job_id = ? ORDER BY name, step", job_id)
        return [_metric(r) for r in rows]


def _metric(row: sqlite3.Row) -> Metric:
    return Metric(row["job_id"], row["name"], row["step"], row["epoch"], row["value"], row["at"])
