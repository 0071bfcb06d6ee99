"""What a training run is given, and whom it tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.store.frozen import Content, read_frozen


@dataclass(frozen=True)
class Example:
    """One labelled image: its file, its label's position, sha256 and number of its bytes, its number in the store."""

    path: Path
    label: int
    sha256: str
    bytes: int
    id: int = 0

    def read(self) -> Content:
        """Return its bytes, exactly those that were catalogued; see `read_frozen`."""
        return read_frozen(self.path, self.bytes, self.sha256)


@dataclass(frozen=True)
class Judged:
    """What a network made of one validation image.

    Attributes:
        image: the image's number in the store.
        label: the position that it said.
        probability: of what it said.
        truth_probability: that it gave to the truth.

    """

    image: int
    label: int
    probability: float
    truth_probability: float


class Watch(Protocol):
    """Who is told how training goes, and may stop it."""

    def stage(self, name: str) -> None:
        """Begin a stage of the job; see `engine.training.stages`."""

    def phase(self, name: str, done: int, total: int) -> None:
        """Tell how far the stage is, and what it does."""

    def metric(self, name: str, value: float, step: int, epoch: float | None = None) -> None:
        """Tell a measured value."""

    def say(self, message: str, level: str = "info") -> None:
        """Tell something worth a line in the log."""

    def validated(self, judged: Sequence[Judged]) -> None:
        """Tell what the last validation made of each image."""

    def check(self) -> None:
        """Give the chance to stop here, by raising. Called at least once a step."""
