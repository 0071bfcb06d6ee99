"""All of the store under one name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.store.bindings import Bindings
from engine.store.datasets import Datasets
from engine.store.db import Database
from engine.store.experiments import Experiments
from engine.store.findings import Findings
from engine.store.guarded import GuardedDatabase
from engine.store.holdings import Holdings
from engine.store.jobs import Jobs
from engine.store.logs import Logs
from engine.store.predictions import Predictions
from engine.store.validations import Validations


class Store:
    """What this home knows: datasets, experiments, jobs, predictions. Synchronous and thread-safe."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        """Open the store of a file; see `Database`."""
        self._share(Database(path, readonly=readonly))

    def _share(self, db: Database) -> None:
        self.db = db
        self.bindings = Bindings(db)
        self.datasets = Datasets(db)
        self.experiments = Experiments(db)
        self.findings = Findings(db)
        self.holdings = Holdings(db)
        self.jobs = Jobs(db)
        self.logs = Logs(db)
        self.predictions = Predictions(db)
        self.validations = Validations(db)

    def guarded(self, job_id: int, attempt: int, waits: Callable[[], bool] = lambda: True) -> Store:
        """Return the same store for one attempt at one job: every write raises LostClaim once the job is another's.

        Args:
            job_id: the job.
            attempt: of its worker.
            waits: whether to wait on for a store that another process holds.

        """
        guarded = Store.__new__(Store)
        guarded._share(GuardedDatabase(self.db, job_id, attempt, waits))
        return guarded

    def close(self) -> None:
        """Close all connections."""
        self.db.close()
