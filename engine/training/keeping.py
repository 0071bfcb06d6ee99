"""A run's files: `last.pt` to go on from, and one `best-N.pt` for each backbone, to predict with."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.errors import InputError, JobError
from engine.training import checkpoint
from engine.training.state import State

Say = Callable[[str, str], None]


def data_digest(*parts: Iterable[tuple[str, int]]) -> str:
    """Return what identifies the images (sha256, label) of a run, part by part in their order."""
    return hashlib.sha256(json.dumps([[list(image) for image in part] for part in parts]).encode()).hexdigest()


class Keeper:
    """Saves and finds checkpoints of one run; those of another run are passed over, and said."""

    def __init__(self, folder: Path, identity: dict[str, Any], say: Say) -> None:
        """`identity` decides which run a checkpoint is of: job, data, recipe, labels, seed, weights."""
        self._folder, self._identity, self._say = folder, identity, say

    def restore(self) -> dict[str, Any] | None:
        """Return the newest checkpoint to go on from, or None to start from nothing."""
        for path, saved in checkpoint.candidates(self._folder / "last.pt"):
            if saved is None:
                self._say(f"{path.name} is damaged and was passed over", "warning")
            elif differs := others(saved, self._identity):
                self._say(f"{path.name} is of another run ({', '.join(differs)}) and was passed over", "warning")
            else:
                return saved
        return None

    def save_last(self, state: State, parts: dict[str, Any]) -> None:
        """Save a place to go on from.

        Raises:
            InputError: the disk is full. What was saved before is still there.

        """
        self.save_state(state, {**self._identity, **parts})

    def save_state(self, state: State, saved: dict[str, Any]) -> None:
        """Save a restored checkpoint again with another state; raises as `save_last` does."""
        self._save(self._folder / "last.pt", {**saved, "state": state.saved()})

    def save_best(self, member: int, best: dict[str, Any]) -> None:
        """Save what a backbone's best epoch was; raises as `save_last` does."""
        self._save(self._folder / f"best-{member}.pt", {**self._identity, **best})

    def best(self, member: int) -> dict[str, Any]:
        """Return the best epoch of a backbone.

        Raises:
            JobError: it is not there, or damaged, and so is the one before it.

        """
        identity = {key: value for key, value in self._identity.items() if key != "given"}  # there it is a path
        return load_best(self._folder, member, self._say, identity)

    def _save(self, path: Path, values: dict[str, Any]) -> None:
        try:
            checkpoint.save(path, values)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(f"{path}: no space left for a checkpoint.", "Make room, then resume the job.") from None


def others(saved: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    """Return in what a checkpoint is of another run.

    One without a job and data is of a version that did not keep them.
    """
    optional = ("job", "data")
    return [
        key for key, value in identity.items() if saved.get(key) != value and not (key in optional and key not in saved)
    ]


def load_best(folder: Path, member: int, say: Say, identity: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the best epoch of a run's backbone, or where that file is damaged, the best before it.

    Args:
        folder: of the run's checkpoints.
        member: the backbone's number.
        say: receives (message, level) when a checkpoint is passed over.
        identity: of the run; a checkpoint of another run is passed over.

    Raises:
        JobError: there is none that can be read.

    """
    path = folder / f"best-{member}.pt"
    for file, saved in checkpoint.candidates(path):
        if saved is None:
            say(f"{file.name} is damaged; the best before it is used", "warning")
        elif differs := others(saved, identity or {}):
            say(f"{file.name} is of another run ({', '.join(differs)}) and was passed over", "warning")
        else:
            return saved
    raise JobError(f"{path}: no checkpoint that can be read.", "Train again.")
