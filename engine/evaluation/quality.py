"""How good one contestant is: shares with intervals, figures by class, what was answered at all, what was forgiven.

Positions and conventions are scikit-learn's. An image without a label counts against its own class and is no class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from engine.evaluation.metrics import macro_f1, wilson
from engine.evaluation.reading import Reading, Rule
from engine.quantities import counted
from engine.states import Outcome

_T = TypeVar("_T")
Ranking = Sequence[tuple[int, float]]
"""(label's position, probability) of the likeliest labels, best first; empty where none are told."""

TOP = (1, 3, 5)
BINS = 15


@dataclass(frozen=True)
class Share:
    """`k` of `n`, and the 95% Wilson interval of that share; of nothing, 0 and the interval from 0 to 1."""

    k: int
    n: int
    value: float
    low: float
    high: float


def share(k: int, n: int) -> Share:
    """Return `k` of `n` with its interval (Wilson 1927)."""
    return Share(k, n, k / n if n else 0.0, *wilson(k, n))


@dataclass(frozen=True)
class ClassQuality:
    """One class. `recall` is of its `support` images, `precision` of the answers naming it; 0 where there are none."""

    label: str
    support: int
    named: int
    right: int
    precision: float
    recall: Share
    f1: float


@dataclass(frozen=True)
class Coverage:
    """What became of the `n` questions, and the two readings of accuracy.

    `over_all` counts everything without a right label as wrong. `over_answered` leaves out what was filtered, failed or
    is missing, and keeps answers that name no label: those are the contestant's own. Both are of the images that were
    asked about where a contestant is not finished.
    """

    n: int
    outcomes: dict[Outcome, int]
    over_all: Share
    over_answered: Share

    @property
    def replied(self) -> int:
        """How many questions came back with an answer, whatever it says."""
        return self.outcomes[Outcome.ANSWERED] + self.outcomes[Outcome.UNKNOWN_LABEL]


@dataclass(frozen=True)
class Leniency:
    """What forgiving the form of answers did.

    `answers` is the number of images with a raw answer, `lenient` how many of them have a label only by leniency;
    `strict` is the accuracy over all images without it. `rules` counts the rules by which they were read, `changed` the
    images whose stored label is not what these rules read today.
    """

    answers: int
    lenient: Share
    strict: Share
    rules: dict[Rule, int]
    changed: int


@dataclass(frozen=True)
class TopK:
    """How often the truth is among the `k` likeliest labels, over all images; without a ranking it is not."""

    k: int
    share: Share


@dataclass(frozen=True)
class CalibrationBin:
    """Answers of one range of probability: how many, how sure on average, how often right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How honest the probabilities are.

    `error` is the expected calibration error of Guo et al. (2017): the mean gap between confidence and accuracy over
    the bins, weighted by their answers; `n` of them have a probability. Empty bins are left out.
    """

    n: int
    error: float
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True)
class Confused:
    """A mistake by its classes: `truth` was taken for `answer` in `count` of its `support` images."""

    truth: str
    answer: str
    count: int
    support: int


@dataclass(frozen=True)
class Quality:
    """Everything about one contestant's answers; `accuracy` is over all images."""

    accuracy: Share
    balanced_accuracy: float
    macro_f1: float
    weighted_f1: float
    classes: tuple[ClassQuality, ...]
    coverage: Coverage
    confused: tuple[Confused, ...]
    top: tuple[TopK, ...] = ()
    calibration: Calibration | None = None
    leniency: Leniency | None = None


def quality(
    truths: Sequence[str],
    predictions: Sequence[str | None],
    labels: Sequence[str],
    outcomes: Sequence[Outcome] | None = None,
    *,
    readings: Sequence[Reading | None] = (),
    rankings: Sequence[Ranking] = (),
    probabilities: Sequence[float | None] = (),
    partial: bool = False,
) -> Quality:
    """Return how good one contestant's answers are.

    Args:
        truths: the label of each image, `[n]`.
        predictions: the label that was read from each answer, or None, `[n]`.
        labels: all classes, each once.
        outcomes: how each question ended, `[n]`; unless given, an image without a label has an unknown answer.
        readings: of each raw answer, None where there is none; `[n]` or empty.
        rankings: the likeliest labels of each image, `[n]` or empty.
        probabilities: of each answer, from 0 to 1; `[n]` or empty. Unless given, the rankings' first.
        partial: it is not finished: all shares are of the images that it was asked about, and its coverage counts all.

    Raises:
        ValueError: lengths differ, a label is not among the labels or is there twice, or a probability is none.

    """
    n = len(truths)
    outcomes = outcomes or [Outcome.UNKNOWN_LABEL if p is None else Outcome.ANSWERED for p in predictions]
    _check(truths, predictions, labels, outcomes)
    for name, given in (("readings", readings), ("rankings", rankings), ("probabilities", probabilities)):
        if given and len(given) != n:
            raise ValueError(f"{len(given)} {name} for {counted(n, 'image')}")
    if partial:
        asked = [i for i, outcome in enumerate(outcomes) if outcome != Outcome.MISSING]
        found = quality(
            _among(asked, truths),
            _among(asked, predictions),
            labels,
            _among(asked, outcomes),
            readings=_among(asked, readings),
            rankings=_among(asked, rankings),
            probabilities=_among(asked, probabilities),
        )
        counts = Counter(outcomes)
        whole = replace(found.coverage, n=n, outcomes={o: counts[o] for o in Outcome})
        return replace(found, coverage=whole)
    hits = right(truths, predictions)
    if not probabilities and any(rankings):
        probabilities = [ranking[0][1] if ranking else None for ranking in rankings]
    classes = by_class(truths, predictions, labels)
    held = [c for c in classes if c.support]
    return Quality(
        accuracy=share(sum(hits), n),
        balanced_accuracy=sum(c.recall.value for c in held) / len(held) if held else 0.0,
        macro_f1=macro_f1(truths, predictions, labels),
        weighted_f1=sum(c.f1 * c.support for c in held) / n if n else 0.0,
        classes=classes,
        coverage=coverage(hits, outcomes),
        confused=confused(truths, predictions, labels),
        top=top_k(truths, rankings, labels),
        calibration=calibration(hits, probabilities),
        leniency=leniency(truths, predictions, readings),
    )


def _among(images: Sequence[int], values: Sequence[_T]) -> list[_T]:
    return [values[i] for i in images] if values else []


def _check(
    truths: Sequence[str], predictions: Sequence[str | None], labels: Sequence[str], outcomes: Sequence[Outcome]
) -> None:
    if not len(truths) == len(predictions) == len(outcomes):
        lengths = ((predictions, "prediction"), (outcomes, "outcome"), (truths, "image"))
        raise ValueError(", ".join(counted(len(of), noun) for of, noun in lengths))
    known = set(labels)
    if len(known) != len(labels):
        raise ValueError(f"the label {Counter(labels).most_common(1)[0][0]!r} is there twice")
    if unknown := {*truths, *(p for p in predictions if p is not None)} - known:
        raise ValueError(f"{min(unknown)!r} is not among the {counted(len(labels), 'label')}")


def right(truths: Sequence[str], predictions: Sequence[str | None]) -> list[bool]:
    """Return of each image whether it was recognised."""
    return [p is not None and p == t for t, p in zip(truths, predictions, strict=True)]


def by_class(
    truths: Sequence[str], predictions: Sequence[str | None], labels: Sequence[str]
) -> tuple[ClassQuality, ...]:
    """Return the figures of each label, in label order; what cannot be divided is 0, as in scikit-learn."""
    support, named = Counter(truths), Counter(predictions)
    hits = Counter(t for t, p in zip(truths, predictions, strict=True) if t == p)
    found = []
    for label in labels:
        k, n, said = hits[label], support[label], named[label]
        f1 = 2 * k / (n + said) if n + said else 0.0
        found.append(ClassQuality(label, n, said, k, k / said if said else 0.0, share(k, n), f1))
    return tuple(found)


def coverage(hits: Sequence[bool], outcomes: Sequence[Outcome]) -> Coverage:
    """Return what became of all questions, and accuracy over all and over those that were answered."""
    counts = Counter(outcomes)
    replied = counts[Outcome.ANSWERED] + counts[Outcome.UNKNOWN_LABEL]
    correct = sum(hits)
    return Coverage(len(hits), {o: counts[o] for o in Outcome}, share(correct, len(hits)), share(correct, replied))


def confused(truths: Sequence[str], predictions: Sequence[str | None], labels: Sequence[str]) -> tuple[Confused, ...]:
    """Return all mistakes that name another label, the most frequent first, then in label order."""
    support = Counter(truths)
    place = {label: number for number, label in enumerate(labels)}
    pairs = Counter((t, p) for t, p in zip(truths, predictions, strict=True) if p is not None and p != t)
    order = sorted(pairs.items(), key=lambda item: (-item[1], place[item[0][0]], place[item[0][1]]))
    return tuple(Confused(truth, said, count, support[truth]) for (truth, said), count in order)


def top_k(truths: Sequence[str], rankings: Sequence[Ranking], labels: Sequence[str]) -> tuple[TopK, ...]:
    """Return top-k accuracy for those of k = 1, 3, 5 that the rankings reach; none without rankings."""
    told = [ranking for ranking in rankings if ranking]
    if not told:
        return ()
    depth = min(len(ranking) for ranking in told)
    place = {label: number for number, label in enumerate(labels)}
    found = []
    for k in TOP:
        if k > depth and depth < len(labels):
            continue
        hits = sum(
            place[truth] in [label for label, _ in ranking[:k]] for truth, ranking in zip(truths, rankings, strict=True)
        )
        found.append(TopK(k, share(hits, len(truths))))
    return tuple(found)


def calibration(hits: Sequence[bool], probabilities: Sequence[float | None], bins: int = BINS) -> Calibration | None:
    """Return how the probabilities of answers compare with how often they are right; None without any.

    Raises:
        ValueError: a probability is not between 0 and 1.

    """
    import numpy as np

    told = [(hit, p) for hit, p in zip(hits, probabilities, strict=False) if p is not None]
    if not told:
        return None
    correct = np.array([hit for hit, _ in told], dtype=float)
    sure = np.array([p for _, p in told], dtype=float)
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError("a probability is not between 0 and 1")
    edges = np.linspace(0.0, 1.0, bins + 1)
    where = np.searchsorted(edges[1:-1], sure)
    found = []
    for number in np.unique(where):
        here = where == number
        low, high = float(edges[number]), float(edges[number + 1])
        found.append(CalibrationBin(low, high, int(here.sum()), float(sure[here].mean()), float(correct[here].mean())))
    error = sum(b.n * abs(b.confidence - b.accuracy) for b in found) / len(told)
    return Calibration(len(told), error, tuple(found))


def leniency(
    truths: Sequence[str], predictions: Sequence[str | None], readings: Sequence[Reading | None]
) -> Leniency | None:
    """Return what forgiving the form of answers did; None where no raw answers are known."""
    told = [reading for reading in readings if reading is not None]
    if not told:
        return None
    counts = Counter(reading.rule for reading in told)
    strict = changed = 0
    for truth, said, reading in zip(truths, predictions, readings, strict=True):
        strict += reading is not None and reading.strict_label == truth
        changed += reading is not None and reading.label != said
    return Leniency(
        answers=len(told),
        lenient=share(sum(reading.lenient for reading in told), len(told)),
        strict=share(strict, len(truths)),
        rules={rule: counts[rule] for rule in Rule if counts[rule]},
        changed=changed,
    )
