"""Where a run is: what a checkpoint holds beside weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class State:
    """A place in a recipe, and what is known there.

    Attributes:
        member, phase: positions in the recipe's backbones and phases.
        epoch, step: epoch of the phase (from 1) and steps done in it.
        total: steps done in all, over phases and members: the step of every metric.
        past: epochs done in phases and members before this one.
        loss, right, seen: sums over the running epoch.
        best_accuracy, best_loss, best_epoch: of the member's best validation.
        stale: epochs since then in this phase.
        part: how many of a batch fit in memory; 0 for all.
        slower: what learning rates are multiplied with; halved each time the loss was no number.
        seconds: spent by all attempts, up to this place.
        images: trained on, over all epochs.
        needed: by what identifies them, the pictures of which a phase needs features or pixels.
        computed: of how many of these this run has computed them; the rest was in the cache.
        reached: (seconds, validation accuracy) of each validation that was better than all before it.

    """

    member: int = 0
    phase: int = 0
    epoch: int = 1
    step: int = 0
    total: int = 0
    past: int = 0
    loss: float = 0.0
    right: int = 0
    seen: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    best_epoch: int = 0
    stale: int = 0
    part: int = 0
    slower: float = 1.0
    seconds: float = 0.0
    images: int = 0
    needed: dict[str, int] = field(default_factory=dict)
    computed: int = 0
    reached: list[list[float]] = field(default_factory=list)

    def next_epoch(self) -> None:
        """Go to the start of the next epoch."""
        self.epoch, self.step, self.loss, self.right, self.seen = self.epoch + 1, 0, 0.0, 0, 0

    def next_phase(self) -> None:
        """Go to the start of the next phase."""
        self.past += self.epoch - 1
        self.next_epoch()
        self.phase, self.epoch, self.stale = self.phase + 1, 1, 0

    def next_member(self) -> None:
        """Go to the start of the next backbone."""
        self.member, self.phase = self.member + 1, 0
        self.best_accuracy, self.best_loss, self.best_epoch = -1.0, float("inf"), 0

    def opened(self, key: str, needed: int, computed: int) -> None:
        """Count what a phase found in the cache, and what it computed."""
        self.needed[key] = needed
        self.computed += computed

    @property
    def from_cache(self) -> float:
        """The share of features and pixels that were in the cache before this run, 0 to 1."""
        needed = sum(self.needed.values())
        return max(0.0, 1 - self.computed / needed) if needed else 0.0

    def saved(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)
