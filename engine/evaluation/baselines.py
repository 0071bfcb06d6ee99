"""What needs no model: always the majority class, and chance. Rows of every comparison, computed from labels alone.

Neither is a contestant: nothing is stored, launched or paid. A contestant that is not better than the better one of
both is never the best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.datasets.labels import canonical
from engine.evaluation.differences import LEVEL, corrected
from engine.evaluation.measured import chance_p, contrasts, interval
from engine.evaluation.measures import STANDARD, Cells, Measure, against_constant
from engine.evaluation.metrics import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAJORITY, CHANCE = "majority class", "chance"
KIND = "baseline"
"""In place of a contestant's kind."""
TRAINING, TEST = "training labels", "test labels"


@dataclass(frozen=True)
class Baseline:
    """One row.

    Attributes:
        name: `majority class` or `chance`.
        label: what the majority class always answers; None of chance.
        source: of the label: the training labels, or the test labels where there are none.
        n: test images.
        correct: how many of them are right; None of chance, which has an expectation only.
        accuracy: share of them; `accuracy_low` and `accuracy_high` are its 95% Wilson interval, None of chance.
        balanced_accuracy, macro_f1: of the same answers; of chance, of the counts to be expected.
        value: of the comparison's measure; `low` and `high` are its 95% interval, None where there is none.
        recalls: of each label, in label order.

    """

    name: str
    label: str | None
    source: str
    n: int
    correct: int | None
    accuracy: float
    accuracy_low: float | None
    accuracy_high: float | None
    balanced_accuracy: float
    macro_f1: float
    value: float
    low: float | None
    high: float | None
    recalls: tuple[float, ...] = field(default=(), repr=False)

    @property
    def shown(self) -> str:
        """Its name in tables: it is marked where its label is not known from training."""
        return f"{self.name} ({self.source})" if self.label is not None and self.source == TEST else self.name


@dataclass(frozen=True)
class Edge:
    """A finished contestant against the better one of the baselines, by the comparison's measure.

    `gain` is positive where the contestant is better; `p_holm` is corrected for all finished contestants.
    """

    name: str
    baseline: str
    gain: float
    p: float
    p_holm: float

    @property
    def better(self) -> bool:
        """Whether the contestant is better, beyond chance at 5%."""
        return self.gain > 0 and self.p_holm < LEVEL


@dataclass(frozen=True)
class Baselines:
    """Both rows, the better one of them by the measure, and every finished contestant against that."""

    rows: tuple[Baseline, ...] = ()
    best: Baseline | None = None
    edges: Mapping[str, Edge] = field(default_factory=dict)

    def beaten_by(self, name: str) -> bool:
        """Return whether a contestant is better than both."""
        return name in self.edges and self.edges[name].better


def baselines(
    labels: Sequence[str],
    support: NDArray[Any],
    measure: Measure,
    contestants: Mapping[str, Cells],
    training: Sequence[int] = (),
    *,
    seed: int = 0,
) -> Baselines:
    """Return the baselines, and the contestants against the better one of them.

    Args:
        labels: all classes.
        support: test images of each, `[labels]`.
        measure: by which the comparison judges.
        contestants: the confusion matrices of those that are finished.
        training: training images of each class; empty or all 0 where there are none.
        seed: of draws.

    """
    if not len(labels) or not support.sum():
        return Baselines()
    known = any(training)
    counts = list(training) if known else [int(n) for n in support]
    label = counts.index(max(counts))  # of several as frequent, the first
    source = TRAINING if known else TEST
    rows = (_constant(labels, support, measure, label, source, seed), _chance(labels, support, measure))
    best = max(rows, key=lambda row: measure.score(row.value))
    names = list(contestants)
    if best.name == MAJORITY:
        found = contrasts(measure, [against_constant(contestants[name], label) for name in names], seed=seed)
        tests = [(c.gain, c.p, c.p_holm) for c in found]
    else:
        p_values = [chance_p(measure, contestants[name], seed=seed) for name in names]
        scores = [measure.score(measure.of(contestants[name])) for name in names]
        tests = [
            (score - measure.score(best.value), p, p_holm)
            for score, p, (p_holm, _) in zip(scores, p_values, corrected(p_values), strict=True)
        ]
    return Baselines(rows, best, {n: Edge(n, best.name, *test) for n, test in zip(names, tests, strict=True)})


def reserved(name: str) -> bool:
    """Return whether a contestant's name is a baseline's."""
    return canonical(name).casefold() in (MAJORITY, CHANCE)


def _constant(
    labels: Sequence[str], support: NDArray[Any], measure: Measure, label: int, source: str, seed: int
) -> Baseline:
    import numpy as np

    held = np.flatnonzero(support)
    cells = Cells(len(labels), held, np.full_like(held, label), support[held].astype(np.int64))
    n, correct = cells.n, int(support[label])
    accuracy, balanced, macro_f1 = (standard.of(cells) for standard in STANDARD)
    ends, recalls = interval(measure, cells, seed=seed), tuple(float(at == label) for at in range(len(labels)))
    value = measure.of(cells)
    return Baseline(MAJORITY, labels[label], source, n, correct, accuracy, *wilson(correct, n), balanced, macro_f1,
                    value, *ends, recalls)  # fmt: skip


def _chance(labels: Sequence[str], support: NDArray[Any], measure: Measure) -> Baseline:
    import numpy as np

    k, n = len(labels), int(support.sum())
    right, named = (support / k)[:, None], np.full((k, 1), n / k)
    cost = np.zeros(1)
    if measure.costs is not None:
        cost[0] = sum(float(support[t]) * measure.costs.guessed(t) for t in range(k))

    def of(one: Measure) -> float:
        return one.score(float(one.scores(right, named, support, cost)[0]))

    accuracy, balanced, macro_f1 = (of(standard) for standard in STANDARD)
    return Baseline(CHANCE, None, "", n, None, accuracy, None, None, balanced, macro_f1, of(measure), None, None,
                    (1 / k,) * k)  # fmt: skip
