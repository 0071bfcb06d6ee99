"""Jobs: guarded changes of state, heartbeats, requests, logs, metrics, intents.

Every change of state is one UPDATE that names the states (and, for a worker, the attempt) it expects,
in one transaction with its event row. A worker whose attempt was taken over changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from engine import clock
from engine.errors import LostClaim, NotFoundError
from engine.events import JobView, LogLine
from engine.secrets import redact
from engine.states import JobState, Request
from engine.store.charges import Charges
from engine.store.measurements import Measurements
from engine.store.open_calls import ON_SERVICE, OpenCalls, end_all
from engine.store.remote_calls import write_event

_VIEW = (
    f"SELECT j.*, e.name AS experiment, c.name AS contestant, {ON_SERVICE} AS on_service,"
    " CASE j.state WHEN 'succeeded' THEN json_extract(j.result, '$.unanswered') END AS unanswered,"
    " (SELECT COALESCE(SUM(usd), 0) FROM charges WHERE job_id = j.id) AS usd,"
    " (SELECT COUNT(*) FROM charges WHERE job_id = j.id AND usd IS NULL) AS unpriced,"
    " (SELECT GROUP_CONCAT(needs_id) FROM needs WHERE job_id = j.id) AS needs"
    " FROM jobs j JOIN experiments e ON e.id = j.experiment_id"
    " LEFT JOIN contestants c ON c.id = j.contestant_id"
)


@dataclass(frozen=True)
class StoredJob:
    """What a worker needs of its job. `nonce` makes its names on the service and its `folder`'s unmistakable.

    `legacy`: the folder was made by a version that named folders by the job's number only.
    """

    id: int
    kind: str
    experiment: str
    contestant_id: int | None
    nonce: str
    parameters: dict[str, Any]
    state: str
    attempt: int
    pid: int | None
    pid_started: float | None
    heartbeat_at: float | None
    request: str | None
    result: dict[str, Any] | None
    folder: str
    legacy: bool


class Jobs(OpenCalls, Charges, Measurements):
    """Reads and writes jobs."""

    # -- reading

    def get(self, job_id: int) -> StoredJob:
        """Return a job.

        Raises:
            NotFoundError: there is no such job.

        """
        row = self._db.row(
            "SELECT j.*, e.name AS experiment FROM jobs j JOIN experiments e ON e.id = j.experiment_id WHERE j.id = ?",
            job_id,
        )
        if row is None:
            raise NotFoundError(f"There is no job {job_id}.", "See: dogcls-tui jobs")
        return _stored(row)

    def view(self, job_id: int) -> JobView:
        """Return a job for people; raises NotFoundError as `get` does."""
        row = self._db.row(f"{_VIEW} WHERE j.id = ?", job_id)
        if row is None:
            raise NotFoundError(f"There is no job {job_id}.", "See: dogcls-tui jobs")
        return _view(row)

    def views(self, experiment: str | None = None) -> list[JobView]:
        """Return jobs in order of number, all of them or one experiment's."""
        if experiment is None:
            return [_view(r) for r in self._db.rows(f"{_VIEW} ORDER BY j.id")]
        return [_view(r) for r in self._db.rows(f"{_VIEW} WHERE e.name = ? ORDER BY j.id", experiment)]

    def needed(self, job_id: int) -> list[StoredJob]:
        """Return the jobs that this one needs."""
        rows = self._db.rows(
            "SELECT j.*, e.name AS experiment FROM needs n JOIN jobs j ON j.id = n.needs_id"
            " JOIN experiments e ON e.id = j.experiment_id WHERE n.job_id = ? ORDER BY j.id",
            job_id,
        )
        return [_stored(r) for r in rows]

    def in_state(self, *states: JobState) -> list[StoredJob]:
        """Return all jobs in any of these states."""
        marks = ", ".join("?" * len(states))
        rows = self._db.rows(
            "SELECT j.*, e.name AS experiment FROM jobs j JOIN experiments e ON e.id = j.experiment_id"
            f" WHERE j.state IN ({marks}) ORDER BY j.id",
            *states,
        )
        return [_stored(r) for r in rows]

    def ready(self) -> list[int]:
        """Return waiting jobs all of whose needs have succeeded."""
        rows = self._db.rows(
            "SELECT id FROM jobs j WHERE state = 'waiting' AND NOT EXISTS (SELECT 1 FROM needs n"
            " JOIN jobs p ON p.id = n.needs_id WHERE n.job_id = j.id AND p.state != 'succeeded') ORDER BY id"
        )
        return [r["id"] for r in rows]

    def hopeless(self) -> list[tuple[int, int, str]]:
        """Return (job, need, need's state) of waiting jobs one of whose needs failed or was cancelled."""
        rows = self._db.rows(
            "SELECT j.id, p.id AS need, p.state FROM jobs j JOIN needs n ON n.job_id = j.id"
            " JOIN jobs p ON p.id = n.needs_id"
            " WHERE j.state = 'waiting' AND p.state IN ('failed', 'cancelled', 'cancelling')"
            " GROUP BY j.id ORDER BY j.id"
        )
        return [(r["id"], r["need"], r["state"]) for r in rows]

    # -- changing state

    def change(
        self,
        job_id: int,
        to: JobState,
        *,
        expected: Collection[JobState],
        attempt: int | None = None,
        message: str,
        level: str = "info",
        error: str | None = None,
        result: dict[str, Any] | None = None,
        process: tuple[int, float] | None = None,
        cancelled_with: int | None = None,
        released: bool = False,
    ) -> bool:
        """Change a job's state, if it is in one of the expected ones (and at this attempt).

        Args:
            job_id: the job.
            to: the new state.
            expected: the states in which it may be.
            attempt: at which it must be; None for any.
            message: for its log.
            level: of the message.
            error: what the job shows as its error.
            result: for the jobs that need it.
            process: (process id, its start) that is about to start a worker for a job that becomes `queued`.
            cancelled_with: the job because of which this one is cancelled; None where the user named it.
            released: no worker has it any more.

        Returns:
            whether it changed; the event row is written only then.

        """
        now = clock.now()
        ended = to not in (JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.CANCELLING)
        works = to in (JobState.RUNNING, JobState.CANCELLING)
        marks = ", ".join("?" * len(expected))
        with self._db.transaction() as db:
            cursor = db.execute(
                "UPDATE jobs SET state = ?, error = ?, result = COALESCE(?, result),"
                " finished_at = CASE WHEN ? THEN ? ELSE NULL END,"
                " request = CASE WHEN ? THEN NULL ELSE request END,"
                " cancelled_with = CASE WHEN ? THEN COALESCE(?, cancelled_with) END,"
                " attempt = attempt + (? = 'queued'),"
                # What was not reported of a worker that died is taken to end with its last heartbeat.
                " worked_seconds = worked_seconds + CASE WHEN ? OR attempt_started_at IS NULL THEN 0"
                " ELSE MAX(0, COALESCE(attempt_seconds,"
                " CASE ? WHEN 'interrupted' THEN heartbeat_at ELSE ? END - attempt_started_at)) END,"
                " attempt_seconds = CASE WHEN ? THEN attempt_seconds END,"
                " attempt_started_at = CASE WHEN ? THEN attempt_started_at END"
                f" WHERE id = ? AND state IN ({marks}) AND (? IS NULL OR attempt = ?)",
                (
                    to,
                    error and redact(error),
                    None if result is None else json.dumps(result),
                    ended,
                    now,
                    ended or to in (JobState.QUEUED, JobState.CANCELLING),
                    to in (JobState.CANCELLED, JobState.CANCELLING),
                    cancelled_with,
                    to,
                    works,
                    to,
                    now,
                    works,
                    works,
                    job_id,
                    *expected,
                    attempt,
                    attempt,
                ),
            )
            if cursor.rowcount == 0:
                return False
            if to == JobState.QUEUED:
                # A new attempt: the old worker's marks must not be taken for the new one's.
                db.execute(
                    "UPDATE jobs SET pid = ?, pid_started = ?, heartbeat_at = ? WHERE id = ?",
                    (*(process or (None, None)), now, job_id),
                )
            elif released:
                db.execute(
                    "UPDATE jobs SET pid = NULL, pid_started = NULL, heartbeat_at = NULL WHERE id = ?", (job_id,)
                )
            elif to == JobState.SUCCEEDED:
                end_all(db, job_id, now)
            write_event(db, job_id, level, message, now)
        return True

    def cancel(self, job_id: int, *, message: str, released: bool = True, **how: Any) -> bool:
        """Make a job `cancelling` if it may have something on the service, else `cancelled`; see `change`."""
        if not self.on_service(job_id):
            return self.change(job_id, JobState.CANCELLED, message=message, **how)
        message = f"{message}; what it has on the service is cancelled next"
        changed = self.change(job_id, JobState.CANCELLING, message=message, released=released, **how)
        if changed:
            self.describe(job_id, "cancelling on the service", None)
        return changed

    def replan(self, job_id: int, changes: dict[str, Any], *, states: Collection[JobState]) -> None:
        """Change some of a job's parameters while it is in one of these states, in which no worker has read them."""
        marks = ", ".join("?" * len(states))
        with self._db.transaction() as db:
            db.execute(
                f"UPDATE jobs SET parameters = json_patch(parameters, ?) WHERE id = ? AND state IN ({marks})",
                (json.dumps(changes), job_id, *states),
            )

    def spawned(self, job_id: int, attempt: int, pid: int, pid_started: float) -> None:
        """Remember which process was started for a queued job's attempt."""
        with self._db.transaction() as db:
            db.execute(
                "UPDATE jobs SET pid = ?, pid_started = ? WHERE id = ? AND attempt = ?"
                " AND (state = 'queued' OR (state = 'cancelling' AND attempt_started_at IS NULL))",
                (pid, pid_started, job_id, attempt),
            )

    def claim(self, job_id: int, attempt: int, pid: int, pid_started: float) -> bool:
        """A worker takes its queued job. Only one ever can."""
        now = clock.now()
        with self._db.transaction() as db:
            cursor = db.execute(
                "UPDATE jobs SET state = CASE state WHEN 'queued' THEN 'running' ELSE state END,"
                " pid = ?, pid_started = ?, heartbeat_at = ?,"
                " started_at = COALESCE(started_at, ?), attempt_started_at = ?, attempt_seconds = NULL, error = NULL"
                " WHERE id = ? AND attempt = ?"
                " AND (state = 'queued' OR (state = 'cancelling' AND attempt_started_at IS NULL)) RETURNING state",
                (pid, pid_started, now, now, now, job_id, attempt),
            )
            row = cursor.fetchone()
            if row is not None:
                what = "started" if row["state"] == JobState.RUNNING else "cancelling on the service"
                write_event(db, job_id, "info", f"{what} (attempt {attempt})", now)
            return row is not None

    def heartbeat(self, job_id: int, attempt: int, seconds: float | None = None) -> Request | None:
        """Record that the worker lives, and return the request that was left for it.

        Args:
            job_id: the job.
            attempt: the worker's.
            seconds: how long this attempt has worked so far, by a clock that cannot be set.

        Raises:
            LostClaim: the job is no longer this attempt's.

        """
        with self._db.transaction(durable=False) as db:
            row = db.execute(
                "UPDATE jobs SET heartbeat_at = ?, attempt_seconds = COALESCE(?, attempt_seconds) WHERE id = ?"
                " AND attempt = ? AND state IN ('running', 'cancelling') RETURNING request",
                (clock.now(), seconds, job_id, attempt),
            ).fetchone()
        if row is None:
            raise LostClaim(f"Job {job_id} is no longer attempt {attempt}'s.")
        return None if row["request"] is None else Request(row["request"])

    def ask(self, job_id: int, request: Request, *, cancelled_with: int | None = None) -> bool:
        """Leave a request for a job that a worker has; return whether there was one to leave it for."""
        with self._db.transaction() as db:
            cursor = db.execute(
                "UPDATE jobs SET request = ?, cancelled_with = ? WHERE id = ? AND state IN ('queued', 'running')"
                " AND (? = 'cancel' OR COALESCE(request, '') != 'cancel')",
                (request, cancelled_with, job_id, request),
            )
            if cursor.rowcount:
                write_event(db, job_id, "info", f"{request} requested", clock.now())
            return bool(cursor.rowcount)

    # -- what a worker tells

    def progress(self, job_id: int, attempt: int, done: int, total: int, note: str) -> Request | None:
        """Write how far a job is, and learn what was asked of its worker.

        The share that is done never gets smaller: of another attempt, or of a round for what failed, it stays until it
        is passed.
        """
        further = "(NOT total OR (?2 AND ?1 * total >= done * ?2))"
        with self._db.transaction(durable=False) as db:
            row = db.execute(
                f"UPDATE jobs SET done = IIF({further}, ?1, done), total = IIF({further}, ?2, total), note = ?3"
                " WHERE id = ?4 AND attempt = ?5 RETURNING request",
                (done, total, note, job_id, attempt),
            ).fetchone()
        return None if row is None or row["request"] is None else Request(row["request"])

    def log(self, job_id: int, message: str, level: str = "info", remote_id: str | None = None) -> None:
        """Add a line to a job's log; a line of the service's own (`remote_id`) is added only once."""
        with self._db.transaction() as db:
            write_event(db, job_id, level, message, clock.now(), remote_id)

    def remote_event_ids(self, job_id: int) -> set[str]:
        """Return the ids of the service's own events that are in the log already."""
        rows = self._db.rows("SELECT remote_id FROM job_events WHERE job_id = ? AND remote_id IS NOT NULL", job_id)
        return {r["remote_id"] for r in rows}

    def lines(self, job_id: int, after: int = 0, limit: int = 500) -> list[LogLine]:
        """Return log lines after a line's id, oldest first; `after=-1` returns the newest `limit`."""
        if after < 0:
            rows = self._db.rows("SELECT * FROM job_events WHERE job_id = ? ORDER BY id DESC LIMIT ?", job_id, limit)
            rows = rows[::-1]
        else:
            sql = "SELECT * FROM job_events WHERE job_id = ? AND id > ? ORDER BY id LIMIT ?"
            rows = self._db.rows(sql, job_id, after, limit)
        return [LogLine(r["id"], r["job_id"], r["at"], r["level"], r["message"]) for r in rows]

    def of_kind(self, kind: str) -> list[JobView]:
        """Return all jobs of a kind."""
        return [_view(r) for r in self._db.rows(f"{_VIEW} WHERE j.kind = ? ORDER BY j.id", kind)]


def _stored(row: sqlite3.Row) -> StoredJob:
    return StoredJob(
        id=row["id"],
        kind=row["kind"],
        experiment=row["experiment"],
        contestant_id=row["contestant_id"],
        nonce=row["nonce"],
        parameters=json.loads(row["parameters"]),
        state=row["state"],
        attempt=row["attempt"],
        pid=row["pid"],
        pid_started=row["pid_started"],
        heartbeat_at=row["heartbeat_at"],
        request=row["request"],
        result=None if row["result"] is None else json.loads(row["result"]),
        folder=row["folder"] or f"{row['id']}-{row['nonce']}",
        legacy=row["folder"] is not None,
    )


def _view(row: sqlite3.Row) -> JobView:
    return JobView(
        id=row["id"],
        kind=row["kind"],
        experiment=row["experiment"],
        contestant=row["contestant"],
        state=row["state"],
        attempt=row["attempt"],
        done=row["done"],
        total=row["total"],
        note=row["note"],
        error=row["error"],
        request=row["request"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        cost_usd=row["usd"],
        cost_is_known=not row["unpriced"],
        needs=tuple(int(n) for n in (row["needs"] or "").split(",") if n),
        unanswered=row["unanswered"] or 0,
        on_service=bool(row["on_service"]),
        cancelled_with=row["cancelled_with"],
        worked_seconds=row["worked_seconds"],
        working_since=_working_since(row),
    )


def _working_since(row: sqlite3.Row) -> float | None:
    """Return when an attempt that has worked so long would have begun, had it worked without a break."""
    if row["attempt_seconds"] is None or row["heartbeat_at"] is None:
        began: float | None = row["attempt_started_at"]
        return began
    return float(row["heartbeat_at"] - row["attempt_seconds"])
