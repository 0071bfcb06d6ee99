"""What jobs have on the service: calls that have made something there which has not ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from engine import clock
from engine.secrets import redact
from engine.states import JobState
from engine.store.remote_calls import RemoteCalls, write_event

DEPLOYMENTS = (
    "(r.operation = 'deployment' AND j.kind = 'score' AND j.state != 'succeeded'"
    " AND EXISTS (SELECT 1 FROM needs n WHERE n.job_id = j.id AND n.needs_id = r.job_id)"
    " AND NOT EXISTS (SELECT 1 FROM needs m JOIN jobs o ON o.id = m.job_id WHERE m.needs_id = r.job_id"
    " AND o.id != j.id AND o.state NOT IN ('succeeded', 'failed', 'cancelled')))"
)
"""Of the job `j`, the calls `r` of other jobs: deployments that were made for it and that no other job needs."""
ON_SERVICE = f"EXISTS (SELECT 1 FROM remote_calls r WHERE r.ended_at IS NULL AND (r.job_id = j.id OR {DEPLOYMENTS}))"
"""Whether the job `j` may have something on the service that runs or costs."""


class OpenCalls(RemoteCalls):
    """Reads and ends a job's calls. A call that was intended counts as made until the service shows otherwise."""

    def open_calls(self, job_id: int, operation: str) -> dict[str, str | None]:
        """Return the id on the service of each call of one operation that has not ended, by key; None: not known."""
        rows = self._db.rows(
            "SELECT key, remote_id FROM remote_calls WHERE job_id = ? AND operation = ? AND ended_at IS NULL"
            " ORDER BY id",
            job_id,
            operation,
        )
        return {r["key"]: r["remote_id"] for r in rows}

    def on_service(self, job_id: int) -> bool:
        """Return whether a job may have something on the service that runs or costs."""
        row = self._db.row(f"SELECT {ON_SERVICE} AS there FROM jobs j WHERE j.id = ?", job_id)
        return row is not None and bool(row["there"])

    def cancel_again(self, job_id: int, attempt: int, process: tuple[int, float]) -> bool:
        """Begin another attempt at a job that is cancelling, for a worker that this process starts; only one can."""
        with self._db.transaction() as db:
            cursor = db.execute(
                "UPDATE jobs SET attempt = attempt + 1, pid = ?, pid_started = ?, heartbeat_at = ?, request = NULL,"
                " worked_seconds = worked_seconds + COALESCE(attempt_seconds, 0), attempt_seconds = NULL,"
                " attempt_started_at = NULL WHERE id = ? AND attempt = ? AND state = 'cancelling'",
                (*process, clock.now(), job_id, attempt),
            )
            return bool(cursor.rowcount)

    def abandon(self, job_id: int, attempt: int) -> bool:
        """Take a job that is cancelling from its worker, so that another is started."""
        with self._db.transaction() as db:
            cursor = db.execute(
                "UPDATE jobs SET attempt = attempt + 1, pid = NULL, pid_started = NULL, heartbeat_at = NULL,"
                " error = NULL WHERE id = ? AND attempt = ? AND state = 'cancelling'",
                (job_id, attempt),
            )
            return bool(cursor.rowcount)

    def give_up(
        self, job_id: int, makers: Collection[int], *, expected: Collection[JobState], message: str, error: str | None
    ) -> bool:
        """Make a job `cancelled`, whatever it has on the service, and take it from a worker that cancels it.

        Args:
            job_id: the job.
            makers: the jobs whose open calls are marked ended: it and those that made its deployments.
            expected: the states in which it may be.
            message: a warning for the log of each.
            error: what the job shows as its error.

        Returns:
            whether it changed.

        """
        with self._db.transaction() as db:
            marks = ", ".join("?" * len(expected))
            cursor = db.execute(
                "UPDATE jobs SET state = 'cancelled', error = ?, note = '', finished_at = ?, request = NULL,"
                " attempt = attempt + 1, pid = NULL, pid_started = NULL, heartbeat_at = NULL,"
                " worked_seconds = worked_seconds + COALESCE(attempt_seconds, 0), attempt_seconds = NULL,"
                f" attempt_started_at = NULL WHERE id = ? AND state IN ({marks})",
                (error and redact(error), clock.now(), job_id, *expected),
            )
            if cursor.rowcount == 0:
                return False
            for number in makers:
                db.execute(
                    "UPDATE remote_calls SET ended_at = ? WHERE job_id = ? AND ended_at IS NULL", (clock.now(), number)
                )
                write_event(db, number, "warning", message, clock.now())
        return True

    def cancelled_by_user(self, job_id: int) -> bool:
        """Record that the user cancelled a job which had been cancelled with another one."""
        with self._db.transaction() as db:
            cursor = db.execute(
                "UPDATE jobs SET cancelled_with = NULL WHERE id = ? AND cancelled_with IS NOT NULL"
                " AND state IN ('cancelled', 'cancelling')",
                (job_id,),
            )
            return bool(cursor.rowcount)

    def describe(self, job_id: int, note: str, error: str | None) -> None:
        """Show how far the cancelling of a job is, and what prevents it."""
        error = error and redact(error)
        values = (note, error, job_id)
        row = self._db.row("SELECT note, error FROM jobs WHERE id = ? AND state = 'cancelling'", job_id)
        if row is None or (row["note"], row["error"]) == (note, error):
            return
        with self._db.transaction() as db:
            db.execute("UPDATE jobs SET note = ?, error = ? WHERE id = ? AND state = 'cancelling'", values)

    def ended(self, job_id: int, operation: str, key: str) -> None:
        """Record that what a call has made runs and costs no more, or that it has made nothing."""
        with self._db.transaction() as db:
            db.execute(
                "UPDATE remote_calls SET ended_at = ? WHERE job_id = ? AND operation = ? AND key = ?",
                (clock.now(), job_id, operation, key),
            )

    def idle_deployments(self, job_id: int) -> list[int]:
        """Return the jobs that made the deployments which only this job needs, and which are not deleted."""
        rows = self._db.rows(
            "SELECT DISTINCT r.job_id FROM remote_calls r JOIN jobs j ON j.id = ?"
            f" WHERE r.ended_at IS NULL AND {DEPLOYMENTS} ORDER BY r.job_id",
            job_id,
        )
        return [r["job_id"] for r in rows]


def end_all(db: sqlite3.Connection, job_id: int, at: float) -> None:
    """End the calls of a job that has succeeded; its deployment lives until it is deleted."""
    db.execute(
        "UPDATE remote_calls SET ended_at = COALESCE(ended_at, ?) WHERE job_id = ? AND operation != 'deployment'",
        (at, job_id),
    )
