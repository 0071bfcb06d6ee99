"""A run's files: `last.pt` to go on from, and one `best-N.pt` for each backbone, to predict with."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import InputError, JobError
from engine.training import checkpoint
from engine.training.state import State

Say = Callable[[str, str], None]


class Keeper:
    """Saves and finds checkpoints of one run; those of another run are passed over, and said."""

    def __init__(self, folder: Path, identity: dict[str, Any], say: Say) -> None:
        """`identity` decides whose a checkpoint is: recipe, labels, seed, weights."""
        self._folder, self._identity, self._say = folder, identity, say

    def restore(self) -> dict[str, Any] | None:
        """Return the newest checkpoint to go on from, or None to start from nothing."""
        for path, saved in checkpoint.candidates(self._folder / "last.pt"):
            if saved is None:
                self._say(f"{path.name} is damaged and was passed over", "warning")
            elif any(saved.get(key) != value for key, value in self._identity.items()):
                self._say(
                    f"{path.name} is of another run (recipe, labels, seed or weights) and was passed over", "warning"
                )
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
        return load_best(self._folder, member, self._say)

    def _save(self, path: Path, values: dict[str, Any]) -> None:
        try:
            checkpoint.save(path, values)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(f"{path}: no space left for a checkpoint.", "Make room, then resume the job.") from None


def load_best(folder: Path, member: int, say: Say) -> dict[str, Any]:
    """Return the best epoch of a run's backbone, or where that file is damaged, the best before it.

    Raises:
        JobError: there is none that can be read.

    """
    path = folder / f"best-{member}.pt"
    for file, saved in checkpoint.candidates(path):
        if saved is not None:
            return saved
        say(f"{file.name} is damaged; the best before it is used", "warning")
    raise JobError(f"{path}: no checkpoint that can be read.", "Train again.")
