"""How far a training is: what has to be saved so that it goes on at the very step."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np

from engine.emulator import durable
from engine.emulator.brain.tuning import Head, Step, softmax_loss
from engine.emulator.state import Object


class Run:
    """How far training is: head, Adam's moments, and what each step measured."""

    def __init__(self, head: Head, moments: list[np.ndarray], rows: list[Object] | None = None) -> None:
        self.head = head
        self.moments = moments
        self.rows: list[Object] = rows or []

    @property
    def step(self) -> int:
        """The last step that was done; 0 before the first."""
        return int(self.rows[-1]["step"]) if self.rows else 0

    def note(self, step: Step) -> None:
        """Add what a step measured."""
        self.rows.append({"step": step.number, "train_loss": step.loss, "train_mean_token_accuracy": step.accuracy})

    def judge(self, features: np.ndarray, truths: np.ndarray) -> None:
        """Add the loss and accuracy on held-out examples to the last row."""
        if not len(truths):
            return
        loss, accuracy, _ = softmax_loss(self.head.scores(features), truths)
        for prefix in ("valid", "full_valid"):
            self.rows[-1].update({f"{prefix}_loss": loss, f"{prefix}_mean_token_accuracy": accuracy})

    def save(self, path: Path) -> None:
        """Write it, atomically."""
        partial = path.with_name("partial.npz")
        moments = {f"moment{n}": m for n, m in enumerate(self.moments)}
        np.savez(
            partial,
            weight=self.head.weight,
            bias=self.head.bias,
            rows=json.dumps(self.rows),
            **moments,  # type: ignore[arg-type]
        )
        durable.keep(partial, path)

    @classmethod
    def load(cls, path: Path, classes: list[str]) -> Run | None:
        """Read it; None where nothing was saved, or it is damaged: then training begins again."""
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as data:
                head = Head(classes, data["weight"].copy(), data["bias"].copy())
                return cls(head, [data[f"moment{n}"].copy() for n in range(4)], json.loads(str(data["rows"])))
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
            durable.set_aside(path, "damaged")
            return None
