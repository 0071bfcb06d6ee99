"""What a local network last made of its validation images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.store.db import Database


@dataclass(frozen=True)
class Validation:
    """What was said of one validation image.

    Attributes:
        image_id: the image.
        label: the position that was said.
        probability: of what was said.
        truth_probability: that was given to the image's own label.

    """

    image_id: int
    label: int
    probability: float
    truth_probability: float


class Validations:
    """Reads and writes the last validation of each training job."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def replace(self, job_id: int, rows: Iterable[Validation]) -> None:
        """Store a validation in the place of the one before it."""
        with self._db.transaction(durable=False) as db:
            db.execute("DELETE FROM validations WHERE job_id = ?", (job_id,))
            db.executemany(
                "INSERT INTO validations VALUES (?, ?, ?, ?, ?)",
                [(job_id, r.image_id, r.label, r.probability, r.truth_probability) for r in rows],
            )

    def all(self, job_id: int, limit: int = -1) -> list[Validation]:
        """Return a job's last validation, the least likely truth first; at most `limit` images unless negative."""
        rows = self._db.rows(
            "SELECT image_id, label, probability, truth_probability FROM validations WHERE job_id = ?"
            " ORDER BY truth_probability, probability DESC, image_id LIMIT ?",
            job_id,
            limit,
        )
        return [Validation(*row) for row in rows]
