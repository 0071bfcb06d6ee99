"""Long logs, read by position: what a screen needs that shows a few lines of a hundred thousand."""

from __future__ import annotations

from collections.abc import Sequence

from engine.events import LogLine
from engine.store.db import Database


class Logs:
    """Reads jobs' logs by position, filtered by level and text."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def size(self, job_id: int, levels: Sequence[str] = (), text: str = "") -> int:
        """Count the lines of a job's log that have one of these levels and contain this text."""
        where, parameters = _chosen(job_id, levels, text)
        row = self._db.row(f"SELECT COUNT(*) AS n FROM job_events WHERE {where}", *parameters)
        return int(row["n"]) if row else 0

    def page(self, job_id: int, offset: int, limit: int, levels: Sequence[str] = (), text: str = "") -> list[LogLine]:
        """Return such lines by position, oldest first."""
        where, parameters = _chosen(job_id, levels, text)
        rows = self._db.rows(
            f"SELECT * FROM job_events WHERE {where} ORDER BY id LIMIT ? OFFSET ?", *parameters, limit, offset
        )
        return [LogLine(r["id"], r["job_id"], r["at"], r["level"], r["message"]) for r in rows]

    def lengths(self, job_id: int, offset: int, levels: Sequence[str] = ()) -> list[int]:
        """Return the length in bytes of each line from a position on."""
        where, parameters = _chosen(job_id, levels, "")
        rows = self._db.rows(
            f"SELECT LENGTH(CAST(message AS BLOB)) AS n FROM job_events WHERE {where} ORDER BY id LIMIT -1 OFFSET ?",
            *parameters,
            offset,
        )
        return [r["n"] for r in rows]

    def find(
        self, job_id: int, text: str, position: int, *, back: bool = False, levels: Sequence[str] = ()
    ) -> int | None:
        """Return the position of the next line after (or last before) a position that contains a text."""
        where, parameters = _chosen(job_id, levels, "")
        found = self._db.row(
            f"SELECT n FROM (SELECT ROW_NUMBER() OVER (ORDER BY id) - 1 AS n, message FROM job_events WHERE {where})"
            f" WHERE n {'<' if back else '>'} ? AND message LIKE ? ESCAPE '\\'"
            f" ORDER BY n {'DESC' if back else 'ASC'} LIMIT 1",
            *parameters,
            position,
            _like(text),
        )
        return None if found is None else int(found["n"])


def _chosen(job_id: int, levels: Sequence[str], text: str) -> tuple[str, list[object]]:
    where = "job_id = ?"
    parameters: list[object] = [job_id]
    if levels:
        where += f" AND level IN ({', '.join('?' * len(levels))})"
        parameters += levels
    if text:
        where += " AND message LIKE ? ESCAPE '\\'"
        parameters.append(_like(text))
    return where, parameters


def _like(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
