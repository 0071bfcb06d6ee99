"""The marks that each job of this home has left on a service: its nonce, ids, models and deployments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.states import JobKind
from engine.store.db import Database

_ROUND = re.compile(r"round-\d+")


@dataclass(frozen=True)
class Holder:
    """A job by what belongs to it on the service.

    `owns` are ids and names of what it made, each with the round that it belongs to ("" for none); `uses` are names of
    deployments and models that it only calls.
    """

    id: int
    kind: str
    state: str
    nonce: str
    needs: tuple[int, ...]
    unanswered: int
    owns: Mapping[str, str]
    uses: frozenset[str]


class Holdings:
    """Reads what jobs own and use on a service."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def all(self) -> list[Holder]:
        """Return every job, in order of number."""
        ids: dict[int, dict[str, str]] = {}
        for row in self._db.rows("SELECT job_id, key, remote_id FROM remote_calls WHERE remote_id IS NOT NULL"):
            number = _ROUND.match(row["key"])
            ids.setdefault(row["job_id"], {})[row["remote_id"]] = number[0] if number else ""
        needs: dict[int, list[int]] = {}
        for row in self._db.rows("SELECT job_id, needs_id FROM needs ORDER BY needs_id"):
            needs.setdefault(row["job_id"], []).append(row["needs_id"])
        found = []
        for row in self._db.rows("SELECT id, kind, state, nonce, parameters, result FROM jobs ORDER BY id"):
            parameters: dict[str, Any] = json.loads(row["parameters"])
            result: dict[str, Any] = json.loads(row["result"]) if row["result"] else {}
            named = (parameters.get(name) for name in ("deployment", "realtime", "tuned_model", "model"))
            found.append(
                Holder(
                    id=row["id"],
                    kind=row["kind"],
                    state=row["state"],
                    nonce=row["nonce"],
                    needs=tuple(needs.get(row["id"], ())),
                    unanswered=int(result.get("unanswered") or 0),
                    owns=ids.get(row["id"], {}) | dict.fromkeys(_made(row["kind"], result), ""),
                    uses=frozenset(str(name) for name in named if name),
                )
            )
        return found

    def deleted(self) -> frozenset[str]:
        """Return the nonces of jobs that were deleted with their experiments."""
        return frozenset(row["nonce"] for row in self._db.rows("SELECT nonce FROM deleted_jobs"))


def _made(kind: str, result: dict[str, Any]) -> Iterator[str]:
    """Yield the models of a fine-tuning job's result."""
    if kind == JobKind.FINE_TUNE and result.get("model"):
        yield str(result["model"])
        yield from (str(point["model"]) for point in result.get("checkpoints") or () if point.get("model"))
