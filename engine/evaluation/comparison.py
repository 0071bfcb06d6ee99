"""The comparison: all contestants on the same test images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from engine.evaluation.costs import Costs
from engine.evaluation.differences import LEVEL, corrected, shared
from engine.evaluation.judging import Judged, judge
from engine.evaluation.measures import ACCURACY, Measure
from engine.evaluation.metrics import Latency, Requests, latency, macro_f1, mcnemar, requests, wilson
from engine.quantities import counted
from engine.states import ContestantKind, Outcome


@dataclass(frozen=True)
class ContestantInput:
    """One contestant's predictions, in the order of the test images that all contestants share."""

    name: str
    kind: str
    model: str
    emulated: bool
    prompt: str
    answer_format: str
    truths: Sequence[str]
    predictions: Sequence[str | None]
    outcomes: Sequence[Outcome]
    latencies_ms: Sequence[float] = ()
    training_usd: float | None = 0.0
    """US dollars, as the two below; None where the price of a part is not known."""
    hosting_usd: float | None = 0.0
    inference_usd: float | None = 0.0
    estimate_usd: Mapping[str, float] = field(default_factory=dict)
    train_seconds: float | None = None
    train_from_cache: float = 0.0
    """Share of the features that were in the cache already: `train_seconds` has no time for them."""
    complete: bool = True
    images: Sequence[str] = ()
    """What tells the test images apart (a path, a hash), where that is known."""
    labels: Sequence[str] = ()
    """The labels that it was asked for, where they may differ from the others'."""
    raw: Sequence[str | None] = ()
    """What it wrote about each image."""
    rankings: Sequence[Sequence[tuple[int, float]]] = ()
    """Of each image, (label's position, probability) of the likeliest labels, best first."""
    probabilities: Sequence[float | None] = ()
    """How sure each answer is, where there are no rankings."""
    sequential: Sequence[tuple[float | None, float, int]] = ()
    """Of each real-time request that was made one after another: ms of the first attempt (None where it failed), ms
    until the answer, attempts."""
    concurrent: Sequence[tuple[float | None, float, int]] = ()
    """The same of those that were made many at a time."""
    caution: str = ""
    """Why its figures may say more than they should; nothing as a rule."""


@dataclass(frozen=True)
class Cost:
    """US dollars; None where the price of a part is not known."""

    training: float | None
    hosting: float | None
    inference: float | None

    @property
    def total(self) -> float | None:
        """All three; None where one is not known."""
        if self.training is None or self.hosting is None or self.inference is None:
            return None
        return self.training + self.hosting + self.inference


@dataclass(frozen=True)
class ContestantResult:
    """One row of the comparison. An emulated contestant says so in its name.

    `estimate` is what it was expected to cost when it was started; None where nobody estimated. `caution` says why its
    figures may say more than they should.
    """

    name: str
    kind: str
    model: str
    emulated: bool
    prompt: str
    answer_format: str
    n: int
    correct: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    outcomes: dict[Outcome, int]
    latency: Latency | None
    cost: Cost
    train_seconds: float | None
    complete: bool
    estimate: Cost | None = None
    requests: Requests | None = None
    caution: str = ""
    train_from_cache: float = 0.0
    never: tuple[str, ...] = ()
    """Classes with test images that none of its answers names."""


@dataclass(frozen=True)
class Difference:
    """One contestant against the baseline, image by image.

    `gain` is by the comparison's measure, positive where this one is better; `p` is McNemar's exact p of the images
    that only one got right (by another measure than accuracy, the paired permutation test's), `p_holm` the same after
    Holm's correction for the `pairs` of all contestants, as everywhere: whichever of them are shown here.
    """

    name: str
    baseline: str
    gain: float
    only_this: int
    only_baseline: int
    p: float
    p_holm: float
    pairs: int = 1

    @property
    def real(self) -> bool:
        """Whether the difference is beyond chance at 5%, all pairs considered."""
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class Comparison:
    """The whole: contestants in the order in which they were named, and by what measure they are judged."""

    experiment: str
    dataset: str
    split: dict[str, int]
    contestants: list[ContestantResult]
    differences: list[Difference] = field(default_factory=list)
    judged: Judged = field(default_factory=Judged)


def compare(
    experiment: str,
    dataset: str,
    split: dict[str, int],
    labels: Sequence[str],
    inputs: Sequence[ContestantInput],
    baseline: str | None = None,
    *,
    measure: Measure = ACCURACY,
    costs: Costs | None = None,
    training: Sequence[int] = (),
) -> Comparison:
    """Compare contestants.

    Args:
        experiment: its name.
        dataset: its name.
        split: the number of images of `train`, `val` and `test`.
        labels: all classes.
        inputs: the contestants.
        baseline: the name of the one that the others are held against; zero-shot unless told, else the
            first.
        measure: by which they are judged.
        costs: of mistakes, where they are known.
        training: training images of each class, in label order; empty where there are none.

    Raises:
        ValueError: contestants were not asked about the same images, or cannot be judged; see `judging.judge`.

    """
    if any(list(i.truths) != list(inputs[0].truths) for i in inputs):
        raise ValueError("the contestants were not tested on the same images")
    results = [_result(i, labels) for i in inputs]
    hits = [_hits(i) for i in inputs]
    base = next((r for r in results if r.name == baseline), None) or next(
        (r for r in results if r.kind == ContestantKind.ZERO_SHOT), results[0] if results else None
    )
    named = {r.name: i for r, i in zip(results, inputs, strict=True)}
    truths = inputs[0].truths if inputs else ()
    judged = judge(labels, truths, named, measure=measure, costs=costs, training=training)
    pairs = list(combinations(range(len(results)), 2))
    counts = {pair: _only(inputs[pair[0]], inputs[pair[1]], hits[pair[0]], hits[pair[1]]) for pair in pairs}
    only = {pair: found for pair, found in counts.items() if found is not None}
    tested = [mcnemar(*found) for found in only.values()]
    differences = []
    for ((a, b), (only_a, only_b)), p, (p_holm, _) in zip(only.items(), tested, corrected(tested), strict=True):
        one, other = results[a], results[b]
        if base not in (one, other) or not (one.complete and other.complete):
            continue
        gain = one.accuracy - other.accuracy
        if (contrast := judged.pairs.get((one.name, other.name))) is not None:
            gain, p, p_holm = contrast.gain, contrast.p, contrast.p_holm
        if one is base:
            one, other, only_a, only_b, gain = other, one, only_b, only_a, -gain
        differences.append(Difference(one.name, other.name, gain, only_a, only_b, p, p_holm, len(only)))
    return Comparison(experiment, dataset, split, results, differences, judged)


def shown_name(contestant: ContestantInput) -> str:
    """Return a contestant's name as it stands in every result: an emulated one says so."""
    return f"{contestant.name} (emulated)" if contestant.emulated else contestant.name


def _hits(contestant: ContestantInput) -> list[bool]:
    return [p is not None and p == t for p, t in zip(contestant.predictions, contestant.truths, strict=True)]


def _only(
    a: ContestantInput, b: ContestantInput, hits_a: Sequence[bool], hits_b: Sequence[bool]
) -> tuple[int, int] | None:
    """Return how many images only the one got right, and only the other, among those that both were asked about.

    None where there is no such image.
    """
    among = shared(a.outcomes, b.outcomes, complete=a.complete and b.complete)
    pairs = Counter((hits_a[i], hits_b[i]) for i in (range(len(hits_a)) if among is None else among))
    return (pairs[True, False], pairs[False, True]) if pairs else None


def _result(contestant: ContestantInput, labels: Sequence[str]) -> ContestantResult:
    n = len(contestant.truths)
    correct = sum(_hits(contestant))
    low, high = wilson(correct, n)
    found = Counter(contestant.outcomes)
    outcomes = {outcome: found[outcome] for outcome in Outcome}
    if sum(outcomes.values()) != n:
        raise ValueError(f"{contestant.name}: {counted(sum(outcomes.values()), 'outcome')} for {counted(n, 'image')}")
    return ContestantResult(
        name=shown_name(contestant),
        kind=contestant.kind,
        model=contestant.model,
        emulated=contestant.emulated,
        prompt=contestant.prompt,
        answer_format=contestant.answer_format,
        n=n,
        correct=correct,
        accuracy=correct / n if n else 0.0,
        accuracy_low=low,
        accuracy_high=high,
        macro_f1=macro_f1(contestant.truths, contestant.predictions, labels),
        outcomes=outcomes,
        latency=latency(contestant.latencies_ms),
        cost=Cost(contestant.training_usd, contestant.hosting_usd, contestant.inference_usd),
        train_seconds=contestant.train_seconds,
        complete=contestant.complete,
        estimate=_estimate(contestant.estimate_usd),
        requests=requests(contestant.sequential, contestant.concurrent),
        caution=contestant.caution,
        train_from_cache=contestant.train_from_cache,
        never=_never(contestant, labels),
    )


def _never(contestant: ContestantInput, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the classes with test images that none of a contestant's answers names; none where it names no class."""
    named, held = set(contestant.predictions) - {None}, set(contestant.truths)
    return tuple(label for label in labels if label in held and label not in named) if named else ()


def _estimate(usd: Mapping[str, float]) -> Cost | None:
    return Cost(*(usd.get(item, 0.0) for item in ("training", "hosting", "inference"))) if usd else None
