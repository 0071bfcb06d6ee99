"""Where things lie below `--home`. Nothing is written anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.store import Store
from engine.store.files import private_folder
from engine.store.jobs import StoredJob


@dataclass(frozen=True)
class Home:
    """The one folder of everything."""

    root: Path

    @property
    def store(self) -> Path:
        """The SQLite file."""
        return self.root / "store.db"

    @property
    def prices(self) -> Path:
        """The user's own prices, laid over the packaged table."""
        return self.root / "prices.toml"

    @property
    def synonyms(self) -> Path:
        """The user's own other names of labels, laid over the packaged table."""
        return self.root / "synonyms.toml"

    @property
    def cache(self) -> Path:
        """Exported backbones and features: can be deleted at any time."""
        return private_folder(self.root / "cache")

    @property
    def datasets(self) -> Path:
        """Images that were unpacked or drawn."""
        return private_folder(self.root / "datasets")

    @property
    def emulator(self) -> Path:
        """State of the embedded emulator."""
        return private_folder(self.root / "emulator")

    @property
    def logs(self) -> Path:
        """What worker processes and the emulator print."""
        return private_folder(self.root / "logs")

    @property
    def experiments(self) -> Path:
        """One TOML file an experiment."""
        return private_folder(self.root / "experiments")

    @property
    def prompts(self) -> Path:
        """One prompt a dataset, as its reader wrote it."""
        return private_folder(self.root / "prompts")

    def job(self, job: StoredJob | int) -> Path:
        """One job's own files: shards, downloads, checkpoints. The worker makes the folder.

        Its name holds the job's nonce: numbers are given again after a store was lost, nonces never are. Of a job that
        is given by its number only, the store has the nonce.
        """
        if isinstance(job, int):
            store = Store(self.store)
            try:
                job = store.jobs.get(job)
            finally:
                store.close()
        return self.root / "jobs" / job.folder

    def job_log(self, job: StoredJob) -> Path:
        """What one job's worker processes print, beside the job's log in the store."""
        return self.logs / f"job-{job.folder}.log"


def worker_lock(home: Path, job: StoredJob) -> Path:
    """Return the file that a job's worker process keeps locked for as long as it lives."""
    return home / "jobs" / job.folder / "worker.lock"
