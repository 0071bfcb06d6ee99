"""The ledger of what was paid: one row for each paid thing, so that what is read again is charged once.

A key names the paid thing: a batch, the requests of one attempt, a fine-tuning job, one life of a deployment. `costs`
is a view that sums the rows of a job by item.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from engine import clock
from engine.store.db import Database

BEFORE = "before"
"""The key of what was paid before there was a ledger, summed by job and item."""


@dataclass(frozen=True)
class Charge:
    """One paid thing. `usd` is None where its price is not known.

    `estimated`: tokens or dollars are an estimate, because the service has not reported them.
    """

    item: str
    key: str
    usd: float | None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    training_tokens: int = 0
    seconds: float = 0.0
    estimated: bool = False


class Charges:
    """Reads and writes what jobs were charged."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def charge(self, job_id: int, contestant_id: int | None, item: str, usd: float | None) -> None:
        """Set what a job has cost so far in one item (`training`, `hosting` or `inference`), whatever it was for."""
        self.record(job_id, contestant_id, Charge(item, "", usd))

    def record(self, job_id: int, contestant_id: int | None, charge: Charge) -> None:
        """Record a paid thing. The same key is charged once; an estimate never replaces what was reported."""
        with self._db.transaction() as db:
            write_charge(db, job_id, contestant_id, charge)

    def add_to(self, job_id: int, contestant_id: int | None, charge: Charge) -> None:
        """Add to what was recorded under a key: each call is of another payment."""
        with self._db.transaction() as db:
            write_charge(db, job_id, contestant_id, charge, more=True)

    def record_all(self, job_id: int, contestant_id: int | None, item: str, charges: Sequence[Charge]) -> None:
        """Record all paid things of one item; rows of others are removed."""
        with self._db.transaction() as db:
            marks = ", ".join("?" * len(charges))
            db.execute(
                f"DELETE FROM charges WHERE job_id = ? AND item = ? AND key NOT IN ({marks})",
                (job_id, item, *(charge.key for charge in charges)),
            )
            for charge in charges:
                write_charge(db, job_id, contestant_id, charge)

    def charges(self, job_id: int) -> list[Charge]:
        """Return what a job was charged, oldest first."""
        return [_charge(r) for r in self._db.rows("SELECT * FROM charges WHERE job_id = ? ORDER BY id", job_id)]

    def charges_of(self, contestant_id: int) -> list[Charge]:
        """Return what all jobs of a contestant were charged, oldest first."""
        rows = self._db.rows("SELECT * FROM charges WHERE contestant_id = ? ORDER BY id", contestant_id)
        return [_charge(r) for r in rows]


def write_charge(
    db: sqlite3.Connection, job_id: int, contestant_id: int | None, charge: Charge, *, more: bool = False
) -> None:
    """Write a charge in a transaction; with `more` it is added to the row of its key."""
    numbers = ("usd", "prompt_tokens", "completion_tokens", "training_tokens", "seconds")
    if more:
        update = ", ".join(f"{name} = charges.{name} + excluded.{name}" for name in numbers)
        update += ", estimated = MAX(charges.estimated, excluded.estimated)"
    else:
        update = ", ".join(f"{name} = excluded.{name}" for name in (*numbers, "estimated"))
        if charge.item != "inference":  # computed from all that there was, also before there was a ledger
            db.execute("DELETE FROM charges WHERE job_id = ? AND item = ? AND key = ?", (job_id, charge.item, BEFORE))
    db.execute(
        "INSERT INTO charges (job_id, contestant_id, item, key, usd, prompt_tokens, completion_tokens, training_tokens,"
        " seconds, estimated, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        f" ON CONFLICT (job_id, item, key) DO UPDATE SET {update}, contestant_id = excluded.contestant_id"
        + ("" if more else " WHERE charges.estimated OR NOT excluded.estimated"),
        (
            job_id,
            contestant_id,
            charge.item,
            charge.key,
            charge.usd,
            charge.prompt_tokens,
            charge.completion_tokens,
            charge.training_tokens,
            charge.seconds,
            charge.estimated,
            clock.now(),
        ),
    )


def _charge(row: sqlite3.Row) -> Charge:
    return Charge(
        row["item"],
        row["key"],
        row["usd"],
        row["prompt_tokens"],
        row["completion_tokens"],
        row["training_tokens"],
        row["seconds"],
        bool(row["estimated"]),
    )
