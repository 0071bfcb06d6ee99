"""Where things lie below `--home`. Nothing is written anywhere else."""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from engine.errors import InputError, ReadOnlyError
from engine.places import home_folder
from engine.store import Store
from engine.store.files import private_folder
from engine.store.jobs import StoredJob

OTHER_HOME = "Choose another --home (or DOGCLS_HOME)."


@dataclass(frozen=True)
class Home:
    """The one folder of everything.

    Attributes:
        root: the folder.
        readonly: nothing in it is made, changed or touched: a folder that is not there is an empty one.
        unwritable: why it is only read although that was not requested: file and reason; "" otherwise.

    """

    root: Path
    readonly: bool = field(default=False, compare=False)
    unwritable: str = field(default="", compare=False)

    def refusal(self, what: str = "Nothing can be changed") -> ReadOnlyError:
        """Return the error of a change while the home is only read."""
        return ReadOnlyError(what, self.unwritable)

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
    def terms(self) -> Path:
        """The terms under which money is computed ahead, where they are not the usual ones."""
        return self.root / "terms.toml"

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
        readonly: nothing in it is written. So it is, too, with a home that has a store and cannot be written.

    Raises:
        InputError: it is no folder, cannot be read, made or written, or is not there and is only read.

    """
    root = home_folder(chosen)
    try:
        there = stat.S_ISDIR(root.stat().st_mode)
        if not there:
            raise InputError(f"{root}: the home is a file, not a folder.", OTHER_HOME)
    except FileNotFoundError:
        there = False
    except OSError as error:
        raise InputError(f"{root}: the home cannot be opened: {error.strerror}.", OTHER_HOME) from None
    if readonly and not there:
        raise InputError(f"{root}: there is no home, and --readonly makes none.", OTHER_HOME)
    if not there:
        try:
            private_folder(root)
        except OSError as error:
            raise InputError(f"{root}: the home cannot be made: {error.strerror}.", OTHER_HOME) from None
    if not os.access(root, os.R_OK | os.X_OK):
        raise InputError(f"{root}: the home cannot be read: {os.strerror(errno.EACCES)}.", OTHER_HOME)
    home = Home(root, readonly=readonly)
    if readonly or not (problem := _unwritable(home)):
        return home
    if not home.store.exists():
        raise InputError(f"{problem}.", f"Make it writable, or: {OTHER_HOME}")
    return Home(root, readonly=True, unwritable=problem)


def _unwritable(home: Home) -> str:
    """Return which of a home's folder and store cannot be written, and why; "" where both can."""
    for path in (home.root, home.store):
        if path.exists() and not os.access(path, os.W_OK):
            is_mounted_so = os.statvfs(path).f_flag & os.ST_RDONLY
            return f"{path}: {os.strerror(errno.EROFS if is_mounted_so else errno.EACCES)}"
    return ""


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
