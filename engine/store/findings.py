"""What the last check of each dataset found, kept so that it can be paged through."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine import clock
from engine.errors import NotFoundError
from engine.store.db import Database
from engine.store.staging import Staging


@dataclass(frozen=True)
class StoredFinding:
    """One finding; its files are read by `Findings.files`."""

    id: int
    kind: str
    level: str
    what: str
    cure: str
    files: int


class Findings:
    """Reads and writes findings."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def keep(self, dataset: str, staging: Staging, images: int, seconds: float) -> None:
        """Put what a check has found in the place of what the one before found.

        Raises:
            NotFoundError: there is no such dataset.

        """
        with self._db.transaction() as db:
            row = db.execute("SELECT id FROM datasets WHERE name = ?", (dataset,)).fetchone()
            if row is None:
                raise NotFoundError(f"There is no dataset {dataset!r}.", "See: dogcls-tui data list")
            write_findings(db, row["id"], staging, images, seconds)

    def checked(self, dataset: str) -> tuple[float, int, float] | None:
        """Return when a dataset was last checked, how many images that were, and the seconds; None for never."""
        row = self._db.row("SELECT c.* FROM checks c JOIN datasets d ON d.id = c.dataset_id WHERE d.name = ?", dataset)
        return (row["at"], row["images"], row["seconds"]) if row else None

    def counts(self, dataset: str) -> list[tuple[str, str, int, int]]:
        """Return (kind, level, findings, files), the worst first."""
        rows = self._db.rows(
            "SELECT f.kind, f.level, COUNT(*) AS findings, SUM(f.files) AS files FROM findings f"
            " JOIN datasets d ON d.id = f.dataset_id WHERE d.name = ? GROUP BY f.kind, f.level ORDER BY MIN(f.id)",
            dataset,
        )
        return [(r["kind"], r["level"], r["findings"], r["files"]) for r in rows]

    def page(self, dataset: str, offset: int, limit: int, kind: str | None = None) -> list[StoredFinding]:
        """Return some findings, the worst first; of one kind where one is given."""
        rows = self._db.rows(
            "SELECT f.* FROM findings f JOIN datasets d ON d.id = f.dataset_id"
            " WHERE d.name = ?1 AND (?2 IS NULL OR f.kind = ?2) ORDER BY f.id LIMIT ?4 OFFSET ?3",
            dataset,
            kind,
            offset,
            limit,
        )
        return [StoredFinding(r["id"], r["kind"], r["level"], r["what"], r["cure"], r["files"]) for r in rows]

    def files(self, finding_id: int, offset: int, limit: int) -> list[tuple[str, str]]:
        """Return some files of a finding: the path below the dataset's root, and a word about it."""
        rows = self._db.rows(
            "SELECT path, note FROM finding_files WHERE finding_id = ? ORDER BY position LIMIT ? OFFSET ?",
            finding_id,
            limit,
            offset,
        )
        return [(r["path"], r["note"]) for r in rows]


def of_the_source(db: Database, dataset: str, kinds: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, path, note) of files of some kinds that no image of the dataset is: what adding it left out."""
    for row in db.rows(
        "SELECT f.kind, p.path, p.note FROM finding_files p JOIN findings f ON f.id = p.finding_id"
        " JOIN datasets d ON d.id = f.dataset_id WHERE d.name = ? AND f.kind IN (SELECT value FROM json_each(?))"
        " AND NOT EXISTS (SELECT 1 FROM images i WHERE i.dataset_id = d.id AND i.path = p.path)"
        " ORDER BY f.id, p.position",
        dataset,
        json.dumps(kinds),
    ):
        yield row["kind"], row["path"], row["note"]


def write_findings(db: sqlite3.Connection, dataset_id: int, staging: Staging, images: int, seconds: float) -> None:
    """Write a dataset's findings, inside a transaction."""
    db.execute("DELETE FROM findings WHERE dataset_id = ?", (dataset_id,))
    db.execute("INSERT OR REPLACE INTO checks VALUES (?, ?, ?, ?)", (dataset_id, clock.now(), images, seconds))
    for number, kind, level, what, cure, files in staging.findings():
        finding_id = db.execute(
            "INSERT INTO findings (dataset_id, kind, level, what, cure, files) VALUES (?, ?, ?, ?, ?, ?)",
            (dataset_id, kind, level, what, cure, files),
        ).lastrowid
        db.executemany(
            "INSERT INTO finding_files VALUES (?, ?, ?, ?)",
            ((finding_id, position, *spot) for position, spot in enumerate(staging.finding_files(number))),
        )
