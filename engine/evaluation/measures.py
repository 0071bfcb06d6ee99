"""By what contestants are judged: accuracy, balanced accuracy, macro-F1, recall of named classes, cost of mistakes.

A measure is a function of the confusion matrix alone. Only the cells that occur are kept, so that neither images nor
classes make it large.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from engine.datasets.labels import canonical
from engine.errors import InputError
from engine.evaluation.costs import Costs, Names
from engine.evaluation.words import listed
from engine.quantities import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MeasureKind(StrEnum):
    """The measures, by the names that they have on every surface."""

    ACCURACY = "accuracy"
    BALANCED = "balanced accuracy"
    MACRO_F1 = "macro-F1"
    RECALL = "recall"
    COST = "cost of mistakes"


_NAMES = {
    "accuracy": MeasureKind.ACCURACY,
    "balanced": MeasureKind.BALANCED,
    "balanced accuracy": MeasureKind.BALANCED,
    "f1": MeasureKind.MACRO_F1,
    "macro f1": MeasureKind.MACRO_F1,
    "cost": MeasureKind.COST,
    "costs": MeasureKind.COST,
    "cost of mistakes": MeasureKind.COST,
}
MEASURES = "accuracy, balanced-accuracy, macro-f1, recall:CLASS[,CLASS], cost"
"""How a measure is named on the command line."""


@dataclass(frozen=True)
class Cells:
    """A confusion matrix by the cells that occur.

    `truth`, `answer` and `count` are `[m]`; labels are positions from 0, and `labels` as an answer is no label.
    """

    labels: int
    truth: NDArray[Any]
    answer: NDArray[Any]
    count: NDArray[Any]

    @property
    def n(self) -> int:
        """Number of images."""
        return int(self.count.sum())

    @property
    def support(self) -> NDArray[Any]:
        """Images of each class, `[labels]`."""
        return self._by(self.truth)[: self.labels]

    @property
    def named(self) -> NDArray[Any]:
        """Answers naming each class, `[labels]`."""
        return self._by(self.answer)[: self.labels]

    @property
    def right(self) -> NDArray[Any]:
        """Images of each class that were recognised, `[labels]`."""
        same = self.truth == self.answer
        return self._by(self.truth[same], self.count[same])[: self.labels]

    def _by(self, where: NDArray[Any], weights: NDArray[Any] | None = None) -> NDArray[Any]:
        import numpy as np

        weights = self.count if weights is None else weights
        return np.bincount(where, weights=weights, minlength=self.labels + 1)


def codes(values: Sequence[str | None], labels: Sequence[str]) -> NDArray[Any]:
    """Return labels as positions, `[n]` of int32; no label is the number of labels.

    Raises:
        ValueError: a value is not among the labels.

    """
    import numpy as np

    place: dict[str | None, int] = {label: at for at, label in enumerate(labels)} | {None: len(labels)}
    try:
        return np.fromiter((place[value] for value in values), dtype=np.int32, count=len(values))
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} is not among the {counted(len(labels), 'label')}") from None


def tally(truths: NDArray[Any], answers: NDArray[Any], labels: int) -> Cells:
    """Return the confusion matrix of positions, see `codes`."""
    import numpy as np

    keys, counts = np.unique(truths.astype(np.int64) * (labels + 1) + answers, return_counts=True)
    return Cells(labels, keys // (labels + 1), keys % (labels + 1), counts)


@dataclass(frozen=True)
class Pairs:
    """Two contestants' answers to the same images, by the combinations that occur: `truth`, `a`, `b`, `count`, `[m]`.

    Labels are positions, and `labels` as an answer is no label. Truths are in order.
    """

    labels: int
    truth: NDArray[Any]
    a: NDArray[Any]
    b: NDArray[Any]
    count: NDArray[Any]

    @property
    def first(self) -> Cells:
        """The confusion matrix of a; a cell may be there several times."""
        return Cells(self.labels, self.truth, self.a, self.count)

    @property
    def second(self) -> Cells:
        """The confusion matrix of b, likewise."""
        return Cells(self.labels, self.truth, self.b, self.count)


def pairs_of(truths: NDArray[Any], a: NDArray[Any], b: NDArray[Any], labels: int) -> Pairs:
    """Return the combinations of truth and two answers, each `[n]` of positions; see `codes`."""
    import numpy as np

    size = labels + 1
    keys, counts = np.unique((truths.astype(np.int64) * size + a) * size + b, return_counts=True)
    return Pairs(labels, keys // size // size, keys // size % size, keys % size, counts)


def against_constant(cells: Cells, answer: int) -> Pairs:
    """Return a contestant beside one that always gives the same answer."""
    import numpy as np

    return Pairs(cells.labels, cells.truth, cells.answer, np.full_like(cells.answer, answer), cells.count)


@dataclass(frozen=True)
class Measure:
    """By what contestants are judged. `classes` are of recall, `costs` of the cost of mistakes."""

    kind: MeasureKind = MeasureKind.ACCURACY
    classes: tuple[str, ...] = ()
    positions: tuple[int, ...] = ()
    costs: Costs | None = None

    @property
    def name(self) -> str:
        """Its name, the same on every surface."""
        return f"recall of {listed(self.classes)}" if self.kind == MeasureKind.RECALL else str(self.kind)

    @property
    def less_is_better(self) -> bool:
        """Whether the lower value wins."""
        return self.kind == MeasureKind.COST

    @property
    def is_share(self) -> bool:
        """Whether its values are shares, which are written in percent."""
        return self.kind not in (MeasureKind.COST, MeasureKind.MACRO_F1)

    def score(self, value: float) -> float:
        """Return a value so that the higher one is better."""
        return -value if self.less_is_better else value

    def of(self, cells: Cells) -> float:
        """Return the measure of a confusion matrix: a share, or the mean cost of an image; 0 without images.

        Means over classes are over those that have images: whatever is answered to others counts against these.
        """
        import numpy as np

        if not cells.n:
            return 0.0
        right, named, support = cells.right, cells.named, cells.support
        cost = 0.0
        if self.costs is not None:
            cost = float(np.dot(cells.count, self.costs.of(cells.truth, cells.answer)))
        return float(self.score(float(self.scores(right[:, None], named[:, None], support, np.array([cost]))[0])))

    def scores(
        self, right: NDArray[Any], named: NDArray[Any], support: NDArray[Any], cost: NDArray[Any]
    ) -> NDArray[Any]:
        """Return the scores (higher is better) of `r` test sets with the same images of each class.

        Args:
            right: images recognised, `[labels, r]`.
            named: answers naming each class, `[labels, r]`.
            support: images of each class, `[labels]`.
            cost: of all mistakes, `[r]`.

        """
        import numpy as np

        n = support.sum()
        held = list(self.positions) or np.flatnonzero(support)
        size, hits = support[held, None], right[held]
        found: NDArray[Any]
        if self.kind == MeasureKind.COST:
            found = -cost / n
        elif self.kind == MeasureKind.ACCURACY:
            found = hits.sum(axis=0) / n
        elif self.kind == MeasureKind.MACRO_F1:
            found = (2 * hits / (size + named[held])).mean(axis=0)
        else:
            found = (hits / np.maximum(size, 1)).mean(axis=0)
        return found

    def kept(self) -> str:
        """Return it as JSON, to be stored; costs have a text of their own."""
        return json.dumps({"kind": str(self.kind), "classes": self.classes}, ensure_ascii=False)

    # -- in words

    def shown(self, value: float) -> str:
        """Return a value as it is written."""
        if self.is_share:
            return f"{value:.1%}"
        return f"{value:.3f}" if self.kind == MeasureKind.MACRO_F1 else amount(value)

    def axis(self, value: float) -> str:
        """Return a value as it is written at an axis."""
        return f"{value:.0%}" if self.is_share else f"{value:g}" if self.kind == MeasureKind.MACRO_F1 else amount(value)

    def gap(self, gain: float, *, sign: bool = False) -> str:
        """Return a difference as it is written, without its unit."""
        if self.is_share:
            text = f"{100 * gain:.1f}"
        else:
            text = f"{gain:.3f}" if self.kind == MeasureKind.MACRO_F1 else amount(gain)
        zero = not float(text.replace(",", ""))
        text = text.removeprefix("-") if zero else text  # there is no "-0.0"
        return f"+{text}" if sign and gain > 0 and not zero else text

    @property
    def unit(self) -> str:
        """What follows a difference in a sentence that has named the measure."""
        if self.is_share:
            return " points"
        return "" if self.kind == MeasureKind.MACRO_F1 else " an image"

    @property
    def unit_of(self) -> str:
        """What follows a difference in a sentence that has not; accuracy needs no name."""
        if self.kind == MeasureKind.ACCURACY:
            return self.unit
        return f"{self.unit} {'in' if self.less_is_better else 'of'} {self.name}"

    def told(self, value: float, low: float, high: float) -> str:
        """Return a value with its interval."""
        each = " an image" if self.less_is_better else ""
        return f"{self.shown(value)}{each} (95% interval {self.shown(low)} to {self.shown(high)})"


ACCURACY = Measure()
BALANCED = Measure(MeasureKind.BALANCED)
MACRO_F1 = Measure(MeasureKind.MACRO_F1)
STANDARD = (ACCURACY, BALANCED, MACRO_F1)
"""Those that need nothing to be named, and that every comparison has."""


def amount(value: float) -> str:
    """Return a cost of an image: two decimals, three below 1, and what it takes to see less than a thousandth."""
    if not value or abs(value) >= 1:
        return f"{value:,.2f}"
    return f"{value:.3f}" if abs(value) >= 0.001 else f"{value:.2g}"


def kept_measure(text: str, labels: Sequence[str], costs: Costs | None = None) -> Measure:
    """Return the measure that `Measure.kept` has written; accuracy where there is none, or where it fits no more."""
    if not text:
        return ACCURACY
    found = json.loads(text)
    kind, classes = MeasureKind(found["kind"]), tuple(found["classes"])
    if not set(classes) <= set(labels) or (kind == MeasureKind.COST and costs is None):
        return ACCURACY
    positions = tuple(labels.index(label) for label in classes)
    return Measure(kind, classes, positions, costs if kind == MeasureKind.COST else None)


def read_measure(text: str, labels: Sequence[str], costs: Costs | None = None) -> Measure:
    """Return the measure that a user has named; see `MEASURES`.

    Args:
        text: its name; hyphens, underscores and case do not matter.
        labels: of the dataset.
        costs: of its mistakes, where they are known.

    Raises:
        InputError: there is no such measure or class, or no costs are known.

    """
    head, mark, rest = text.partition(":")
    if not mark and canonical(text).casefold().startswith("recall of "):
        head, mark, rest = "recall", ":", text.strip()[len("recall of ") :]
        rest = rest if rest in labels else rest.replace(" and ", ",")
    word = canonical(head.replace("-", " ").replace("_", " ")).casefold()
    if word == "recall":
        return Measure(MeasureKind.RECALL, *_classes(rest, labels))
    kind = _NAMES.get(word) if not mark else None
    if kind is None:
        raise InputError(f"--measure {text}: there is no such measure.", f"Choose one of: {MEASURES}.")
    if kind != MeasureKind.COST:
        return Measure(kind)
    if costs is None:
        raise InputError(f"--measure {text}: the cost of each mistake is not known.", "Add --costs costs.toml.")
    return Measure(kind, costs=costs)


def _classes(text: str, labels: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the labels that are named in a list with commas, and their positions, in label order."""
    known = Names(labels)
    names = [text] if text in labels else next(csv.reader([text], skipinitialspace=True), [])
    if not any(name.strip() for name in names):
        raise InputError("recall: no class is named.", "Name it: --measure recall:CLASS")
    found = set()
    for name in names:
        at = known.find(name.strip())
        if at is None:
            raise InputError(f"recall: {name.strip()!r} is not among the labels.", known.hint)
        found.add(at)
    return tuple(labels[at] for at in sorted(found)), tuple(sorted(found))


def usable(measure: Measure, support: NDArray[Any]) -> None:
    """Refuse a recall of classes without test images.

    Raises:
        ValueError: names the class.

    """
    for label, at in zip(measure.classes, measure.positions, strict=True):
        if not support[at]:
            raise ValueError(f"recall of {label!r} cannot be computed: it has no test images")
