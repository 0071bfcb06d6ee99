"""What a training run is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Example:
    """One labelled image: its file, its label's position, the sha256 of its bytes."""

    path: Path
    label: int
    sha256: str


class Watch(Protocol):
    """Who is told how training goes, and may stop it."""

    def phase(self, name: str, done: int, total: int) -> None:
        """Tell how far a phase is."""

    def metric(self, name: str, value: float, step: int, epoch: float | None = None) -> None:
        """Tell a measured value."""

    def say(self, message: str) -> None:
        """Tell something worth a line in the log."""

    def check(self) -> None:
        """Give the chance to stop here, by raising. Called at least once a batch."""
