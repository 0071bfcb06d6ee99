"""Behind the comparison: who said what of which picture. All pure; positions refer to `labels` and `images`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.states import Outcome


@dataclass(frozen=True)
class ContestantAnswers:
    """One contestant's answers, in the order of the test images. `predicted` is a label's position, or None."""

    name: str
    kind: str
    predicted: tuple[int | None, ...]
    raw: tuple[str | None, ...]
    outcomes: tuple[Outcome, ...]
    latencies_ms: tuple[float, ...]


@dataclass(frozen=True)
class Answers:
    """All answers to the test images of one dataset."""

    experiment: str
    labels: tuple[str, ...]
    images: tuple[Path, ...]
    truths: tuple[int, ...]
    contestants: tuple[ContestantAnswers, ...]

    def of(self, name: str) -> ContestantAnswers:
        """Return one contestant's answers; raises KeyError."""
        for contestant in self.contestants:
            if contestant.name == name:
                return contestant
        raise KeyError(name)

    def answered(self, contestant: ContestantAnswers) -> list[int]:
        """Return the images about which a contestant was asked and came to an end, well or not."""
        return [n for n, outcome in enumerate(contestant.outcomes) if outcome != Outcome.MISSING]


@dataclass(frozen=True)
class ClassScore:
    """One class: how many images it has, how many were right, how many others were taken for it."""

    label: str
    n: int
    right: int
    mistaken_for_it: int

    @property
    def recall(self) -> float:
        """Share of its images that were recognised; 0 where it has none."""
        return self.right / self.n if self.n else 0.0

    @property
    def precision(self) -> float:
        """Share of the answers naming it that were right; 0 where nobody named it."""
        named = self.right + self.mistaken_for_it
        return self.right / named if named else 0.0


def per_class(answers: Answers, contestant: ContestantAnswers) -> list[ClassScore]:
    """Return a score for each label, in label order."""
    n, right, mistaken = Counter[int](), Counter[int](), Counter[int]()
    for image in answers.answered(contestant):
        truth, said = answers.truths[image], contestant.predicted[image]
        n[truth] += 1
        if said == truth:
            right[truth] += 1
        elif said is not None:
            mistaken[said] += 1
    return [ClassScore(label, n[i], right[i], mistaken[i]) for i, label in enumerate(answers.labels)]


def confusion(answers: Answers, contestant: ContestantAnswers) -> list[list[int]]:
    """Return counts, shape (labels, labels + 1): truth by answer; the last column is no label at all."""
    size = len(answers.labels)
    matrix = [[0] * (size + 1) for _ in range(size)]
    for image in answers.answered(contestant):
        said = contestant.predicted[image]
        matrix[answers.truths[image]][size if said is None else said] += 1
    return matrix


def confused_pairs(matrix: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
    """Return (truth, answer, count) of all mistakes, most frequent first."""
    found = [
        (truth, said, count)
        for truth, row in enumerate(matrix)
        for said, count in enumerate(row)
        if count and truth != said
    ]
    return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))


def clustered(matrix: Sequence[Sequence[int]]) -> list[int]:
    """Return the labels in an order that brings those together that are taken for each other.

    Average-linkage clustering (UPGMA) with optimal leaf ordering (Bar-Joseph et al. 2001) of the
    symmetric share of mistakes, by scipy.
    """
    size = len(matrix)
    if size < 3:
        return list(range(size))
    import numpy as np
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    counts = np.asarray(matrix, dtype=float)[:, :size]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    close = (shares + shares.T) / 2
    np.fill_diagonal(close, 0.0)
    distance = 1.0 - close / max(1e-9, float(close.max()))
    np.fill_diagonal(distance, 0.0)
    # Optimal ordering takes cubic time: beyond some hundred labels nobody sees the difference.
    tree = linkage(squareform(np.clip(distance, 0.0, 1.0), checks=False), "average", optimal_ordering=size <= 300)
    return [int(leaf) for leaf in leaves_list(tree)]


@dataclass(frozen=True)
class ConfusionMap:
    """A confusion matrix, ready to be drawn.

    `shares` are of the truth (rows) by answer (columns), in clustered `order`, `per` labels to a cell.
    `pairs` are mistakes as (truth, answer, count), the answer len(labels) meaning no label.
    """

    order: list[int]
    per: int
    shares: list[list[float]]
    counts: list[list[int]]
    pairs: list[tuple[int, int, int]]


def confusion_map(answers: Answers, contestant: ContestantAnswers, cells: int, most_pairs: int = 500) -> ConfusionMap:
    """Return a contestant's confusion as at most `cells` × `cells` shares. Takes a while for thousands of labels."""
    import numpy as np

    matrix = confusion(answers, contestant)
    size = len(matrix)
    order = clustered(matrix)
    per = max(1, -(-size // max(1, cells)))
    counts = np.asarray(matrix, dtype=np.int64)
    starts = np.arange(0, size, per)
    ordered = counts[order][:, order]
    grouped = np.add.reduceat(np.add.reduceat(ordered, starts, axis=0), starts, axis=1)
    totals = np.add.reduceat(counts.sum(axis=1)[order], starts)
    shares = grouped / np.maximum(totals[:, None], 1)
    return ConfusionMap(order, per, shares.tolist(), grouped.tolist(), confused_pairs(matrix)[:most_pairs])


def confidence(raw: str | None) -> float | None:
    """Return how sure an answer says it is: the CNN writes `label (0.9876)`; others say nothing."""
    found = re.search(r"\((0\.\d+|1\.0*)\)$", raw or "")
    return float(found.group(1)) if found else None


def mistakes(answers: Answers, contestant: ContestantAnswers) -> list[tuple[int, float | None]]:
    """Return (image, confidence) of everything that a contestant got wrong, the surest first."""
    wrong = [n for n in answers.answered(contestant) if contestant.predicted[n] != answers.truths[n]]
    found = [(n, confidence(contestant.raw[n])) for n in wrong]
    return sorted(found, key=lambda pair: (-(pair[1] or 0.0), pair[0]))


@dataclass(frozen=True)
class Disagreement:
    """An image on which two contestants say different things."""

    image: int
    a_right: bool
    b_right: bool


def disagreements(answers: Answers, a: ContestantAnswers, b: ContestantAnswers) -> list[Disagreement]:
    """Return the images that both were asked about and answered differently.

    Those come first that only one got right: they decide the comparison.
    """
    both = sorted(set(answers.answered(a)) & set(answers.answered(b)))
    found = [
        Disagreement(n, a.predicted[n] == answers.truths[n], b.predicted[n] == answers.truths[n])
        for n in both
        if a.predicted[n] != b.predicted[n]
    ]
    return sorted(found, key=lambda d: (not (d.a_right or d.b_right), d.a_right, d.image))
