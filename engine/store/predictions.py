"""Predictions: what each contestant said of each image. From here on nobody asks what kind it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine import clock
from engine.events import Score
from engine.states import Outcome
from engine.store.db import Database


@dataclass(frozen=True)
class Prediction:
    """One contestant's answer about one image. `label` is a position in the dataset's labels, or None."""

    image_id: int
    raw: str | None
    label: int | None
    outcome: Outcome
    latency_ms: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Usage:
    """How many tokens a contestant's stored answers took."""

    prompt_tokens: int
    completion_tokens: int


class Predictions:
    """Reads and writes predictions and single-request latencies."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, contestant_id: int, predictions: Iterable[Prediction]) -> None:
        """Store predictions. An answer replaces `failed` or `missing`, and nothing replaces an answer."""
        now = clock.now()
        with self._db.transaction() as db:
            db.executemany(
                "INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET raw = excluded.raw, label = excluded.label,"
                " outcome = excluded.outcome, latency_ms = excluded.latency_ms,"
                " prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens,"
                " error = excluded.error, at = excluded.at"
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
                    )
                    for p in predictions
                ],
            )

    def add_latency(
        self, contestant_id: int, image_id: int, ms: float, prompt_tokens: int = 0, completion_tokens: int = 0
    ) -> None:
        """Store the latency of one request that had the service (or the model) to itself."""
        with self._db.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO latencies VALUES (?, ?, ?, ?, ?)",
                (contestant_id, image_id, ms, prompt_tokens, completion_tokens),
            )

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

    def scores(self) -> list[Score]:
        """Return how each contestant of each experiment stands, newest experiment first."""
        rows = self._db.rows(
            "SELECT e.name AS experiment, c.name, c.kind, c.emulated,"
            " (SELECT COUNT(*) FROM images i WHERE i.dataset_id = e.dataset_id AND i.split = 'test') AS n,"
            " (SELECT COUNT(*) FROM predictions p WHERE p.contestant_id = c.id AND p.outcome != 'missing') AS asked,"
            " (SELECT COUNT(*) FROM predictions p JOIN images i ON i.id = p.image_id"
            "   WHERE p.contestant_id = c.id AND p.label = i.label) AS hits"
            " FROM contestants c JOIN experiments e ON e.id = c.experiment_id ORDER BY e.id DESC, c.id"
        )
        return [
            Score(r["experiment"], r["name"], r["kind"], bool(r["emulated"]), r["hits"], r["asked"], r["n"])
            for r in rows
        ]

    def latencies(self, contestant_id: int) -> dict[int, float]:
        """Return single-request latencies in milliseconds by image id."""
        rows = self._db.rows(
            "SELECT image_id, ms FROM latencies WHERE contestant_id = ? ORDER BY image_id", contestant_id
        )
        return {r["image_id"]: r["ms"] for r in rows}

    def usage(self, contestant_id: int) -> Usage:
        """Return the tokens of all stored predictions."""
        return self._sum("predictions", contestant_id)

    def probe_usage(self, contestant_id: int) -> Usage:
        """Return the tokens of the latency probe."""
        return self._sum("latencies", contestant_id)

    def costs(self, contestant_id: int) -> dict[str, float]:
        """Return what a contestant has cost in US dollars, by item."""
        rows = self._db.rows(
            "SELECT item, SUM(usd) AS usd FROM costs WHERE contestant_id = ? GROUP BY item", contestant_id
        )
        return {r["item"]: r["usd"] for r in rows}

    def _sum(self, table: str, contestant_id: int) -> Usage:
        row = self._db.row(
            "SELECT COALESCE(SUM(prompt_tokens), 0) AS p, COALESCE(SUM(completion_tokens), 0) AS c"
            f" FROM {table} WHERE contestant_id = ?",
            contestant_id,
        )
        return Usage(row["p"], row["c"]) if row else Usage(0, 0)
