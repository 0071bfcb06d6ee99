"""Measured values as curves: by step, epoch or time, smoothed or as they are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine import JobView, Metric

AXES = ("step", "epoch", "minutes")
SMOOTHINGS = (0.0, 0.6, 0.9)
MEASURES: dict[str, tuple[tuple[str, str], ...]] = {
    "loss": (
        ("loss", "training"),
        ("train_loss", "training"),
        ("val_loss", "validation"),
        ("valid_loss", "validation"),
    ),
    "accuracy": (
        ("accuracy", "training"),
        ("train_accuracy", "training"),
        ("train_mean_token_accuracy", "training"),
        ("val_accuracy", "validation"),
        ("valid_mean_token_accuracy", "validation"),
    ),
    "learning rate": (("learning_rate", "training"),),
    "images a second": (("images_per_second", "training"),),
    "MB of memory": (("memory_mb", "training"),),
}
"""What can be drawn: the names that it may have been measured by. The first that is there of a kind is drawn."""
SMOOTHED = ("loss", "accuracy")
"""Those of which a batch says little."""
FROM_ZERO = ("images a second", "MB of memory")
"""Amounts: drawn from nothing, or the smallest change would fill the screen."""
MOST_POINTS = 300
"""More than there are columns; the mean stands for values that would share one."""


@dataclass
class Run:
    """What one job measured, by name and step; grows as it is told more."""

    values: dict[str, dict[int, tuple[float | None, float, float]]] = field(default_factory=dict)
    """Name → step → (epoch, value, when)."""
    last: float = 0.0

    def add(self, metrics: Iterable[Metric]) -> None:
        """Take note of values; a step measured again replaces the first."""
        for m in metrics:
            self.values.setdefault(m.name, {})[m.step] = (m.epoch, m.value, m.at)
            self.last = max(self.last, m.at)

    def latest(self, name: str) -> float | None:
        """Return the newest value of a name."""
        steps = self.values.get(name)
        return steps[max(steps)][1] if steps else None

    def names(self, measure: str) -> list[tuple[str, str]]:
        """Return (name, kind) of what this run has of a measure: at most one training and one validation."""
        found: dict[str, str] = {}
        for name, kind in MEASURES[measure]:
            if name in self.values:
                found.setdefault(kind, name)
        return [(name, kind) for kind, name in found.items()]

    def best(self, name: str) -> float | None:
        """Return the highest value of a name."""
        return max((value for _, value, _ in self.values.get(name, {}).values()), default=None)

    def curve(self, name: str, axis: str, smoothing: float, epochs: float | None) -> tuple[list[float], list[float]]:
        """Return x and y of one name.

        Args:
            axis: one of `AXES`.
            smoothing: see `smooth`.
            epochs: of the whole run, for values that were told by step alone; None where nobody knows.

        """
        steps = sorted(self.values.get(name, {}).items())
        if not steps:
            return [], []
        most = max(max(s) for s in self.values.values())
        begun = min(at for _, (_, _, at) in steps)
        x = []
        for step, (epoch, _, at) in steps:
            if axis == "epoch":
                x.append(epoch if epoch is not None else step / most * epochs if epochs else float(step))
            else:
                x.append(float(step) if axis == "step" else (at - begun) / 60)
        y = smooth([value for _, (_, value, _) in steps], smoothing)
        return _thinned(x), _thinned(y)


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """Return the exponential moving average, corrected for its start (as TensorBoard draws it)."""
    found, average, seen = [], 0.0, 0.0
    for value in values:
        average = average * weight + (1 - weight) * value
        seen = seen * weight + (1 - weight)
        found.append(average / seen)
    return found


def _thinned(values: list[float]) -> list[float]:
    group = -(-len(values) // MOST_POINTS)
    return [sum(values[n : n + group]) / len(values[n : n + group]) for n in range(0, len(values), group)]


_SHORT = {
    "loss": "loss",
    "train_loss": "loss",
    "val_loss": "val loss",
    "valid_loss": "val loss",
    "accuracy": "acc",
    "train_accuracy": "acc",
    "train_mean_token_accuracy": "acc",
    "val_accuracy": "val acc",
    "valid_mean_token_accuracy": "val acc",
    "full_valid_loss": "full val loss",
    "full_valid_mean_token_accuracy": "full val acc",
    "learning_rate": "rate",
    "images_per_second": "images/s",
    "memory_mb": "MB",
}
"""Names of columns. Of two names of one column the later counts: an epoch's mean, over its last batch."""
MOST_ROWS = 1000


def epochs(run: Run, count: float | None) -> tuple[list[str], dict[str, list[str]]]:
    """Return columns and rows of all that was measured, newest first: one row an epoch, or a step where none is known.

    Within an epoch the last value stands; `count` is how many epochs the whole run has, where that is known.
    """
    found = {name: run.values[name] for name in _SHORT if name in run.values}
    names = list(dict.fromkeys(_SHORT[name] for name in found))
    last = max((max(steps) for steps in found.values()), default=0)
    by_epoch = count is not None or all(e is not None for steps in found.values() for e, _, _ in steps.values())
    rows: dict[int, dict[str, float]] = {}
    for name, steps in found.items():
        for step, (epoch, value, _) in sorted(steps.items()):
            at = epoch if epoch is not None else step / max(1, last) * (count or 0)
            rows.setdefault(max(1, math.ceil(at - 1e-6)) if by_epoch else step, {})[_SHORT[name]] = value
    keys = sorted(rows, reverse=True)[:MOST_ROWS]
    columns = ["epoch" if by_epoch else "step", *names]
    return columns, {str(key): [f"{key:,}", *(figure(rows[key].get(name)) for name in names)] for key in keys}


def figure(value: float | None) -> str:
    """Return a measured value with as many digits as say something."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"


def measured(jobs: Iterable[JobView]) -> list[JobView]:
    """Return the jobs that learn, newest first."""
    return sorted((j for j in jobs if j.kind in ("train", "fine-tune")), key=lambda job: -job.id)
