"""Experiments: named sets of jobs over one split of one dataset, with their contestants."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine import clock
from engine.errors import InputError, NotFoundError
from engine.events import ExperimentView
from engine.states import JobState
from engine.store.db import Database


@dataclass(frozen=True)
class NewContestant:
    """Who is going to predict, and with which words it is asked."""

    name: str
    kind: str
    model: str
    emulated: bool
    prompt: str
    answer_format: str


@dataclass(frozen=True)
class NewJob:
    """A job to be made; `needs` and `contestant` are positions in the lists of one `add` call."""

    kind: str
    parameters: dict[str, Any]
    contestant: int | None = None
    needs: Sequence[int] = field(default_factory=tuple)


@dataclass(frozen=True)
class StoredExperiment:
    """An experiment's row. `spec` is its TOML text, `measure` JSON and `costs` TOML; empty where none was chosen."""

    id: int
    name: str
    dataset: str | None
    profile: str
    spec: str
    created_at: float
    measure: str = ""
    costs: str = ""


@dataclass(frozen=True)
class StoredContestant:
    """A contestant's row."""

    id: int
    name: str
    kind: str
    model: str
    emulated: bool
    prompt: str
    answer_format: str
    train_seconds: float | None


# What an experiment is said to be, by the first of these states that any of its jobs has.
_LOUDEST = (
    JobState.RUNNING,
    JobState.QUEUED,
    JobState.CANCELLING,
    JobState.FAILED,
    JobState.INTERRUPTED,
    JobState.PAUSED,
    JobState.WAITING,
    JobState.CANCELLED,
)


class Experiments:
    """Reads and writes experiments and contestants."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self,
        name: str,
        *,
        dataset: str | None,
        profile: str,
        spec: str,
        contestants: Sequence[NewContestant],
        jobs: Sequence[NewJob],
        estimates: Mapping[tuple[int, str], float] | None = None,
    ) -> list[int]:
        """Add an experiment with its contestants and jobs (all `waiting`) at once; return the jobs' ids.

        Args:
            name: its name.
            dataset: None for jobs that need none.
            profile: whose service is asked.
            spec: its parameters, as TOML.
            contestants: who takes part.
            jobs: refer to contestants and to each other by position.
            estimates: US dollars by (position of the contestant, item).

        Raises:
            InputError: the name is taken.

        """
        now = clock.now()
        with self._db.transaction() as db:
            dataset_id = None
            if dataset is not None:
                found = db.execute("SELECT id FROM datasets WHERE name = ?", (dataset,)).fetchone()
                if found is None:
                    raise NotFoundError(f"There is no dataset {dataset!r}.", "See: dogcls-tui data list")
                dataset_id = found["id"]
            try:
                experiment_id = db.execute(
                    "INSERT INTO experiments (name, dataset_id, profile, spec, created_at) VALUES (?, ?, ?, ?, ?)",
                    (name, dataset_id, profile, spec, now),
                ).lastrowid
            except sqlite3.IntegrityError as error:
                raise InputError(f"There is an experiment {name!r} already.", "Choose another --name.") from error
            contestant_ids = [
                db.execute(
                    "INSERT INTO contestants (experiment_id, name, kind, model, emulated, prompt,"
                    " answer_format) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (experiment_id, c.name, c.kind, c.model, int(c.emulated), c.prompt, c.answer_format),
                ).lastrowid
                for c in contestants
            ]
            db.executemany(
                "INSERT INTO estimates VALUES (?, ?, ?)",
                [(contestant_ids[position], item, usd) for (position, item), usd in (estimates or {}).items()],
            )
            job_ids: list[int] = []
            for job in jobs:
                job_id = db.execute(
                    "INSERT INTO jobs (experiment_id, contestant_id, kind, nonce, parameters, state,"
                    " created_at) VALUES (?, ?, ?, ?, ?, 'waiting', ?)",
                    (
                        experiment_id,
                        None if job.contestant is None else contestant_ids[job.contestant],
                        job.kind,
                        secrets.token_hex(6),
                        json.dumps(job.parameters),
                        now,
                    ),
                ).lastrowid
                assert job_id is not None
                db.executemany(
                    "INSERT INTO needs VALUES (?, ?)", [(job_id, job_ids[position]) for position in job.needs]
                )
                job_ids.append(job_id)
        return job_ids

    def delete(self, name: str) -> None:
        """Delete an experiment with its jobs, predictions and costs; raises NotFoundError."""
        found = self.get(name)
        with self._db.transaction() as db:
            db.execute("INSERT INTO deleted_jobs SELECT nonce FROM jobs WHERE experiment_id = ?", (found.id,))
            db.execute("DELETE FROM experiments WHERE id = ?", (found.id,))

    def get(self, name: str) -> StoredExperiment:
        """Return an experiment.

        Raises:
            NotFoundError: there is none of this name.

        """
        row = self._db.row(
            "SELECT e.*, d.name AS dataset FROM experiments e LEFT JOIN datasets d ON d.id = e.dataset_id"
            " WHERE e.name = ?",
            name,
        )
        if row is None:
            raise NotFoundError(f"There is no experiment {name!r}.", "See them in the app, or in: dogcls-tui jobs")
        return StoredExperiment(
            row["id"],
            row["name"],
            row["dataset"],
            row["profile"],
            row["spec"],
            row["created_at"],
            row["measure"] or "",
            row["costs"] or "",
        )

    def set_measure(self, name: str, measure: str, costs: str) -> None:
        """Store by which measure an experiment's contestants are judged (JSON), and the costs of mistakes (TOML)."""
        found = self.get(name)
        with self._db.transaction() as db:
            db.execute("UPDATE experiments SET measure = ?, costs = ? WHERE id = ?", (measure, costs, found.id))

    def latest(self) -> str | None:
        """Return the name of the newest experiment that has contestants."""
        row = self._db.row(
            "SELECT name FROM experiments e WHERE EXISTS"
            " (SELECT 1 FROM contestants c WHERE c.experiment_id = e.id) ORDER BY id DESC LIMIT 1"
        )
        return None if row is None else str(row["name"])

    def free_name(self, stem: str) -> str:
        """Return `stem`, or `stem-2`, `stem-3` … if it is taken."""
        number, name = 1, stem
        while self._db.row("SELECT 1 FROM experiments WHERE name = ?", name):
            number += 1
            name = f"{stem}-{number}"
        return name

    def contestants(self, name: str) -> list[StoredContestant]:
        """Return an experiment's contestants in the order in which they were named."""
        rows = self._db.rows(
            "SELECT c.* FROM contestants c JOIN experiments e ON e.id = c.experiment_id WHERE e.name = ? ORDER BY c.id",
            name,
        )
        return [
            StoredContestant(
                r["id"],
                r["name"],
                r["kind"],
                r["model"],
                bool(r["emulated"]),
                r["prompt"],
                r["answer_format"],
                r["train_seconds"],
            )
            for r in rows
        ]

    def describe_contestant(
        self, contestant_id: int, *, model: str | None = None, train_seconds: float | None = None
    ) -> None:
        """Write down what is known only after training: the model's real name, and how long it took."""
        with self._db.transaction() as db:
            db.execute(
                "UPDATE contestants SET model = COALESCE(?, model),"
                " train_seconds = COALESCE(?, train_seconds) WHERE id = ?",
                (model, train_seconds, contestant_id),
            )

    def served(self, contestant_id: int) -> str | None:
        """Return the model that the service names in a contestant's answers; None before the first answer."""
        row = self._db.row("SELECT served FROM contestants WHERE id = ?", contestant_id)
        return None if row is None or row["served"] is None else str(row["served"])

    def add_served(self, contestant_id: int, model: str) -> str:
        """Store which model answers for a contestant, unless one is stored; return the one that is."""
        with self._db.transaction() as db:
            row = db.execute(
                "UPDATE contestants SET served = COALESCE(served, ?) WHERE id = ? RETURNING served",
                (model, contestant_id),
            ).fetchone()
        return model if row is None else str(row["served"])

    def views(self) -> list[ExperimentView]:
        """Return all experiments, newest first."""
        rows = self._db.rows(
            "SELECT e.id, e.name, d.name AS dataset, e.profile, e.created_at,"
            " (SELECT COALESCE(SUM(usd), 0) FROM costs c JOIN jobs j ON j.id = c.job_id"
            "  WHERE j.experiment_id = e.id) AS usd,"
            " (SELECT COUNT(*) FROM charges c JOIN jobs j ON j.id = c.job_id"
            "  WHERE j.experiment_id = e.id AND c.usd IS NULL) AS unpriced"
            " FROM experiments e LEFT JOIN datasets d ON d.id = e.dataset_id ORDER BY e.id DESC"
        )
        states: dict[int, list[str]] = {}
        for r in self._db.rows("SELECT experiment_id, state FROM jobs"):
            states.setdefault(r["experiment_id"], []).append(r["state"])
        return [
            ExperimentView(
                name=r["name"],
                dataset=r["dataset"],
                profile=r["profile"],
                state=next((s for s in _LOUDEST if s in states.get(r["id"], [])), JobState.SUCCEEDED),
                created_at=r["created_at"],
                jobs_done=states.get(r["id"], []).count(JobState.SUCCEEDED),
                jobs_total=len(states.get(r["id"], [])),
                cost_usd=r["usd"],
                cost_is_known=not r["unpriced"],
            )
            for r in rows
        ]
