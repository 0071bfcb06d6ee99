"""Where things lie below `--home`. Nothing is written anywhere else."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from engine.errors import InputError
from engine.places import home_folder
from engine.store import Store
from engine.store.files import private_folder
from engine.store.jobs import StoredJob


@dataclass(frozen=True)
class Home:
    """The one folder of everything.

    Attributes:
        root: the folder.
        readonly: nothing in it is made, changed or touched: a folder that is not there is an empty one.

    """

    root: Path
    readonly: bool = field(default=False, compare=False)

    def _folder(self, name: str) -> Path:
        return self.root / name if self.readonly else private_folder(self.root / name)

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
        return mirror(self.root / "cache") if self.readonly else self._folder("cache")

    @property
    def datasets(self) -> Path:
        """Images that were unpacked or drawn."""
        return self._folder("datasets")

    @property
    def emulator(self) -> Path:
        """State of the embedded emulator."""
        return self._folder("emulator")

    @property
    def logs(self) -> Path:
        """What worker processes and the emulator print."""
        return self._folder("logs")

    @property
    def experiments(self) -> Path:
        """One TOML file an experiment."""
        return self._folder("experiments")

    @property
    def prompts(self) -> Path:
        """One prompt a dataset, as its reader wrote it."""
        return self._folder("prompts")

    def job(self, job: StoredJob | int) -> Path:
        """One job's own files: shards, downloads, checkpoints. The worker makes the folder.

        Its name holds the job's nonce: numbers are given again after a store was lost, nonces never are. Of a job that
        is given by its number only, the store has the nonce.
        """
        if isinstance(job, int):
            store = Store(self.store, readonly=self.readonly)
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


def open_home(chosen: Path | None, *, readonly: bool = False) -> Home:
    """Return a home, making its folder unless it is only read.

    Args:
        chosen: `--home`; see `home_folder`.
        readonly: nothing in it is written.

    Raises:
        InputError: it is not there, and is only read.

    """
    root = home_folder(chosen)
    if not readonly:
        return Home(private_folder(root))
    if not root.is_dir():
        raise InputError(f"{root}: there is no home, and --readonly makes none.", "Choose another --home.")
    return Home(root, readonly=True)


@cache
def mirror(folder: Path) -> Path:
    """Return a temporary folder with links to a folder's files: they are read there, and new ones written beside them.

    Locks are left out: taking one touches its file.
    """
    copy = Path(tempfile.mkdtemp(prefix="dogcls-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    for place, _, names in os.walk(folder):
        below = copy / Path(place).relative_to(folder)
        below.mkdir(exist_ok=True)
        for name in names:
            if not name.endswith(".lock"):
                (below / name).symlink_to(Path(place, name))
    return copy
