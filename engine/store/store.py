"""All of the store under one name."""

from __future__ import annotations

from pathlib import Path

from engine.store.bindings import Bindings
from engine.store.datasets import Datasets
from engine.store.db import Database
from engine.store.experiments import Experiments
from engine.store.findings import Findings
from engine.store.holdings import Holdings
from engine.store.jobs import Jobs
from engine.store.logs import Logs
from engine.store.predictions import Predictions
from engine.store.validations import Validations


class Store:
    """What this home knows: datasets, experiments, jobs, predictions. Synchronous and thread-safe."""

    def __init__(self, path: Path) -> None:
        self.db = Database(path)
        self.bindings = Bindings(self.db)
        self.datasets = Datasets(self.db)
        self.experiments = Experiments(self.db)
        self.findings = Findings(self.db)
        self.holdings = Holdings(self.db)
        self.jobs = Jobs(self.db)
        self.logs = Logs(self.db)
        self.predictions = Predictions(self.db)
        self.validations = Validations(self.db)

    def close(self) -> None:
        """Close all connections."""
        self.db.close()
