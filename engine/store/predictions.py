"""Predictions: what each contestant said of each image. From here on nobody asks what kind it was."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from engine import clock
from engine.events import Score
from engine.states import Outcome
from engine.store.charges import Charge, write_charge
from engine.store.db import Database


@dataclass(frozen=True)
class Prediction:
    """One contestant's answer about one image. `label` is a position in the dataset's labels, or None.

    Milliseconds and `attempts` are of real-time requests only: `latency_ms` of the attempt that was answered,
    `first_ms` the same where it was the first one, `total_ms` from the first attempt to the answer, all waits in it.
    `ranking` has (label, probability) of the likeliest labels, best first, where a contestant tells probabilities.
    """

    image_id: int
    raw: str | None
    label: int | None
    outcome: Outcome
    latency_ms: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str | None = None
    first_ms: float | None = None
    total_ms: float | None = None
    attempts: int = 0
    ranking: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Timing:
    """How one real-time request went, in milliseconds; `first_ms` is None where the first attempt failed.

    `single`: it had the service to itself; else many were made at a time.
    """

    first_ms: float | None
    total_ms: float
    attempts: int
    single: bool = False


@dataclass(frozen=True)
class Usage:
    """How many tokens a contestant's stored answers took."""

    prompt_tokens: int
    completion_tokens: int


class Predictions:
    """Reads and writes predictions and single-request latencies."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self, contestant_id: int, predictions: Iterable[Prediction], *, paid: tuple[int, Charge] | None = None
    ) -> None:
        """Store predictions. An answer replaces `failed` or `missing`, and nothing replaces an answer.

        Args:
            contestant_id: the contestant.
            predictions: of its images.
            paid: the job, and what it was charged for them: it is added to the row of its key, with them or not at all.

        """
        now = clock.now()
        with self._db.transaction() as db:
            db.executemany(
                "INSERT INTO predictions (contestant_id, image_id, raw, label, outcome, latency_ms, prompt_tokens,"
                " completion_tokens, error, at, first_ms, total_ms, attempts, ranking)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET raw = excluded.raw, label = excluded.label,"
                " outcome = excluded.outcome, latency_ms = excluded.latency_ms,"
                " prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens,"
                " error = excluded.error, at = excluded.at, first_ms = excluded.first_ms,"
                " total_ms = excluded.total_ms, attempts = excluded.attempts, ranking = excluded.ranking"
                " WHERE predictions.outcome IN ('failed', 'missing')",
                [
                    (
                        contestant_id,
                        p.image_id,
                        p.raw,
                        p.label,
                        p.outcome,
                        p.latency_ms,
                        p.prompt_tokens,
                        p.completion_tokens,
                        p.error,
                        now,
                        p.first_ms,
                        p.total_ms,
                        p.attempts,
                        json.dumps(p.ranking) if p.ranking else None,
                    )
                    for p in predictions
                ],
            )
            if paid is not None:
                write_charge(db, paid[0], contestant_id, paid[1], more=True)

    def add_latency(
        self,
        contestant_id: int,
        image_id: int,
        ms: float,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        *,
        total_ms: float | None = None,
        attempts: int = 0,
        paid: tuple[int, Charge] | None = None,
    ) -> None:
        """Store the latency of one request that had the service (or the model) to itself.

        Args:
            contestant_id: who answered.
            image_id: what it was asked about.
            ms: milliseconds of the attempt that was answered.
            prompt_tokens: that it took and that no prediction counts.
            completion_tokens: likewise.
            total_ms: milliseconds from the first attempt on; None for a model that is not asked over a network.
            attempts: how often it was asked; 0 likewise.
            paid: see `add`.

        """
        with self._db.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO latencies"
                " (contestant_id, image_id, ms, prompt_tokens, completion_tokens, total_ms, attempts)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (contestant_id, image_id, ms, prompt_tokens, completion_tokens, total_ms, attempts),
            )
            if paid is not None:
                write_charge(db, paid[0], contestant_id, paid[1], more=True)

    def of(self, contestant_id: int) -> dict[int, Prediction]:
        """Return a contestant's predictions by image id."""
        rows = self._db.rows("SELECT * FROM predictions WHERE contestant_id = ?", contestant_id)
        return {
            r["image_id"]: Prediction(
                r["image_id"],
                r["raw"],
                r["label"],
                Outcome(r["outcome"]),
                r["latency_ms"],
                r["prompt_tokens"],
                r["completion_tokens"],
                r["error"],
                r["first_ms"],
                r["total_ms"],
                r["attempts"],
                tuple((int(label), float(share)) for label, share in json.loads(r["ranking"] or "[]")),
            )
            for r in rows
        }

    def settled(self, contestant_id: int) -> set[int]:
        """Return the images that need not be asked about again: all but failed and missing ones."""
        rows = self._db.rows(
            "SELECT image_id FROM predictions WHERE contestant_id = ? AND outcome NOT IN ('failed', 'missing')",
            contestant_id,
        )
        return {r["image_id"] for r in rows}

    def add_missing(self, contestant_id: int, dataset: str, split: str, error: str | None) -> None:
        """Store `missing`, and why, for each image of a split of which there is no prediction at all."""
        with self._db.transaction() as db:
            db.execute(
                "INSERT INTO predictions (contestant_id, image_id, outcome, error, at) SELECT ?, i.id, 'missing', ?, ?"
                " FROM images i JOIN datasets d ON d.id = i.dataset_id WHERE d.name = ? AND i.split = ?"
                " ON CONFLICT DO NOTHING",
                (contestant_id, error, clock.now(), dataset, split),
            )

    def counts(self, contestant_id: int) -> dict[Outcome, int]:
        """Return how many predictions ended in which way; a way in which none did is not there."""
        rows = self._db.rows(
            "SELECT outcome, COUNT(*) AS n FROM predictions WHERE contestant_id = ? GROUP BY outcome", contestant_id
        )
        return {Outcome(r["outcome"]): r["n"] for r in rows}

    def an_error(self, contestant_id: int) -> str | None:
        """Return why one of the unanswered questions has no answer, if any of them says."""
        row = self._db.row(
            "SELECT error FROM predictions WHERE contestant_id = ? AND error IS NOT NULL"
            " AND outcome IN ('failed', 'missing') LIMIT 1",
            contestant_id,
        )
        return None if row is None else str(row["error"])

    def scores(self) -> list[Score]:
        """Return how each contestant of each experiment stands, newest experiment first."""
        rows = self._db.rows(
            "SELECT e.name AS experiment, c.name, c.kind, c.emulated,"
            " (SELECT COUNT(*) FROM images i WHERE i.dataset_id = e.dataset_id AND i.split = 'test') AS n,"
            " (SELECT COUNT(*) FROM images i WHERE i.dataset_id = e.dataset_id AND i.split = 'test'"
            "   GROUP BY i.label ORDER BY 1 DESC LIMIT 1) AS majority,"
            " (SELECT COUNT(*) FROM predictions p WHERE p.contestant_id = c.id AND p.outcome != 'missing') AS asked,"
            " (SELECT COUNT(*) FROM predictions p JOIN images i ON i.id = p.image_id"
            "   WHERE p.contestant_id = c.id AND p.label = i.label) AS hits"
            " FROM contestants c JOIN experiments e ON e.id = c.experiment_id ORDER BY e.id DESC, c.id"
        )
        return [
            Score(
                r["experiment"],
                r["name"],
                r["kind"],
                bool(r["emulated"]),
                r["hits"],
                r["asked"],
                r["n"],
                r["majority"] or 0,
            )
            for r in rows
        ]

    def latencies(self, contestant_id: int) -> dict[int, float]:
        """Return single-request latencies in milliseconds by image id."""
        rows = self._db.rows(
            "SELECT image_id, ms FROM latencies WHERE contestant_id = ? ORDER BY image_id", contestant_id
        )
        return {r["image_id"]: r["ms"] for r in rows}

    def timings(self, contestant_id: int) -> list[Timing]:
        """Return how each real-time request that was answered went, probes included; see `Timing.single`.

        A request that is stored with its answer and with its latency counts once.
        """
        same = (
            "SELECT 1 FROM {other} o WHERE o.contestant_id = {this}.contestant_id AND o.image_id = {this}.image_id"
            " AND o.total_ms = {this}.total_ms AND o.attempts = {this}.attempts AND o.attempts > 0"
        )
        rows = self._db.rows(
            "SELECT p.image_id, p.first_ms, p.total_ms, p.attempts,"
            f" EXISTS ({same.format(other='latencies', this='p')}) AS single FROM predictions p"
            " WHERE p.contestant_id = ? AND p.attempts > 0 AND p.latency_ms IS NOT NULL"
            " UNION ALL SELECT l.image_id, CASE l.attempts WHEN 1 THEN l.ms END, l.total_ms, l.attempts, 1"
            " FROM latencies l WHERE l.contestant_id = ? AND l.attempts > 0"
            f" AND NOT EXISTS ({same.format(other='predictions', this='l')}) ORDER BY image_id",
            contestant_id,
            contestant_id,
        )
        return [Timing(r["first_ms"], r["total_ms"], r["attempts"], bool(r["single"])) for r in rows]

    def usage(self, contestant_id: int) -> Usage:
        """Return the tokens of all stored predictions."""
        return self._sum("predictions", contestant_id)

    def batch_usage(self, contestant_id: int) -> Usage:
        """Return the tokens of the predictions that came out of batches: those that no latency is known of."""
        return self._sum("predictions", contestant_id, "latency_ms IS NULL")

    def probe_usage(self, contestant_id: int) -> Usage:
        """Return the tokens of the latency probe."""
        return self._sum("latencies", contestant_id)

    def costs(self, contestant_id: int) -> dict[str, float | None]:
        """Return what a contestant has cost in US dollars, by item; None where the price of a part is not known."""
        rows = self._db.rows(
            "SELECT item, CASE WHEN SUM(unpriced) = 0 THEN SUM(usd) END AS usd FROM (SELECT job_id, item,"
            " MAX(contestant_id) AS contestant_id, SUM(usd) AS usd, SUM(usd IS NULL) AS unpriced FROM charges"
            " GROUP BY job_id, item) WHERE contestant_id = ? GROUP BY item",
            contestant_id,
        )
        return {r["item"]: r["usd"] for r in rows}

    def estimates(self, contestant_id: int) -> dict[str, float]:
        """Return what a contestant was expected to cost in US dollars, by item; empty where nobody estimated."""
        rows = self._db.rows("SELECT item, usd FROM estimates WHERE contestant_id = ?", contestant_id)
        return {r["item"]: r["usd"] for r in rows}

    def _sum(self, table: str, contestant_id: int, which: str = "TRUE") -> Usage:
        row = self._db.row(
            "SELECT COALESCE(SUM(prompt_tokens), 0) AS p, COALESCE(SUM(completion_tokens), 0) AS c"
            f" FROM {table} WHERE contestant_id = ? AND {which}",
            contestant_id,
        )
        return Usage(row["p"], row["c"]) if row else Usage(0, 0)
