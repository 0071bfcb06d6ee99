"""Everything that is said about an experiment, in one value: made from contestants' answers, nothing else is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from engine.evaluation.comparison import ContestantInput, shown_name
from engine.evaluation.differences import PairedDifference, holm, paired, shared
from engine.evaluation.judging import Judged, judge
from engine.evaluation.latency import Latencies, latencies
from engine.evaluation.properties import Bucket, ImageProperties, by_property
from engine.evaluation.quality import Quality, quality, right
from engine.evaluation.reading import Reader, Reading, Synonyms
from engine.evaluation.verdict import Price, Standing, Verdict, verdict
from engine.quantities import counted
from engine.states import Outcome


@dataclass(frozen=True)
class ContestantAnalysis:
    """One contestant; an emulated one says so in its name, as in the comparison.

    `predictions`, `hits` and `readings` are by test image, in the order that all share; `readings` is empty where no
    raw answers are known, and has None for an image without one.
    """

    name: str
    kind: str
    model: str
    emulated: bool
    complete: bool
    prompt: str
    answer_format: str
    quality: Quality
    latency: Latencies
    by_property: tuple[Bucket, ...]
    price: Price | None
    predictions: tuple[str | None, ...]
    hits: tuple[bool, ...]
    outcomes: tuple[Outcome, ...]
    readings: tuple[Reading | None, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """All of it.

    `differences` has every two contestants once, in their order, by the comparison's measure; `by_accuracy` the same by
    accuracy, which is what money is computed with.
    """

    experiment: str
    dataset: str
    split: Mapping[str, int]
    labels: tuple[str, ...]
    truths: tuple[str, ...]
    images: tuple[str, ...]
    contestants: tuple[ContestantAnalysis, ...]
    differences: tuple[PairedDifference, ...]
    by_accuracy: tuple[PairedDifference, ...]
    judged: Judged
    verdict: Verdict

    @property
    def n(self) -> int:
        """Number of test images."""
        return len(self.truths)

    def of(self, name: str) -> ContestantAnalysis:
        """Return a contestant by its name; raises KeyError."""
        for contestant in self.contestants:
            if contestant.name == name:
                return contestant
        raise KeyError(name)

    def between(self, a: str, b: str) -> PairedDifference:
        """Return the difference in accuracy of two contestants, whichever is named first; raises KeyError."""
        for difference in self.by_accuracy:
            if {difference.a, difference.b} == {a, b}:
                return difference
        raise KeyError((a, b))


def analyse(
    experiment: str,
    dataset: str,
    split: Mapping[str, int],
    labels: Sequence[str],
    inputs: Sequence[ContestantInput],
    *,
    properties: ImageProperties | None = None,
    synonyms: Synonyms | None = None,
    prices: Mapping[str, Price] | None = None,
    volume: float = 1000,
    hours: float = 0.0,
    horizon: str = "",
    judged: Judged | None = None,
    seed: int = 0,
) -> Analysis:
    """Return everything that can be said about contestants on the same test images.

    Args:
        experiment: its name.
        dataset: its name.
        split: the number of images of `train`, `val` and `test`.
        labels: all classes.
        inputs: the contestants; none, one or many.
        properties: of the test images, where they are known.
        synonyms: with which raw answers are read again, to tell what was lenient; predictions stay as they are.
        prices: by contestant's name, as it is given or as it is shown; of others, what their own test cost.
        volume: for how many images the verdict compares prices.
        hours: for how many hours of hosting.
        horizon: that volume in words, where it takes more than a number.
        judged: by the comparison's measure, as `compare` has it; by accuracy unless given.
        seed: of the bootstrap.

    Raises:
        ValueError: contestants have different test images or labels, two have one name, or their columns do not fit.

    """
    check_alike(labels, inputs)
    reader = Reader(labels, synonyms)
    contestants = tuple(_contestant(i, labels, properties, reader, prices or {}) for i in inputs)
    by_accuracy = holm([_difference(a, b, seed) for a, b in combinations(contestants, 2)], seed=seed)
    if judged is None:
        truths = inputs[0].truths if inputs else ()
        judged = judge(labels, truths, {shown_name(i): i for i in inputs}, seed=seed)
    differences = tuple(_measured(d, judged) for d in by_accuracy)
    standings = standings_of(contestants, judged)
    return Analysis(
        experiment=experiment,
        dataset=dataset,
        split=dict(split),
        labels=tuple(labels),
        truths=tuple(inputs[0].truths) if inputs else (),
        images=next((tuple(i.images) for i in inputs if i.images), ()),
        contestants=contestants,
        differences=differences,
        by_accuracy=by_accuracy,
        judged=judged,
        verdict=verdict(standings, differences, judged, volume=volume, hours=hours, horizon=horizon),
    )


def standings_of(contestants: Sequence[ContestantAnalysis], judged: Judged, *, priced: bool = True) -> list[Standing]:
    """Return what the verdict has to know of contestants; without prices where nothing is known of them."""
    return [
        Standing(
            c.name,
            c.quality,
            c.price if priced else None,
            c.complete,
            c.emulated,
            c.prompt,
            c.answer_format,
            judged.values[c.name],
        )
        for c in contestants
    ]


def _measured(d: PairedDifference, judged: Judged) -> PairedDifference:
    """Return a difference by the measure: by accuracy, as it is."""
    c = judged.pairs.get((d.a, d.b))
    if c is None:
        return d
    return replace(
        d, gain=c.gain, low=c.low, high=c.high, interval=c.interval, p=c.p, p_holm=c.p_holm, needed=c.needed,
        measure=judged.measure,
    )  # fmt: skip


def check_alike(labels: Sequence[str], inputs: Sequence[ContestantInput]) -> None:
    """Refuse contestants that cannot be compared.

    Raises:
        ValueError: says who differs from whom, and in what.

    """
    names = [shown_name(i) for i in inputs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two contestants are called {min(twice)!r}")
    for given in inputs:
        if given.labels and set(given.labels) != set(labels):
            odd = sorted(set(given.labels) ^ set(labels))
            raise ValueError(
                f"{given.name} was asked for other labels than the {len(labels)} here; {len(odd)} differ, as {odd[0]!r}"
            )
        first = inputs[0]
        if given.images and first.images and list(given.images) != list(first.images):
            alone = len(set(given.images) - set(first.images)), len(set(first.images) - set(given.images))
            what = (
                f"{counted(alone[0], 'image')} that {first.name} has not, and lacks {alone[1]} that it has"
                if any(alone)
                else "the same images in another order"
            )
            raise ValueError(
                f"{given.name} and {first.name} were not tested on the same images: {given.name} has {what}"
            )
        if list(given.truths) != list(first.truths):
            raise ValueError(
                f"{given.name} and {first.name} were not tested on the same images: the true labels differ"
                f" ({len(given.truths)} and {len(first.truths)} of them)"
            )


def _contestant(
    given: ContestantInput,
    labels: Sequence[str],
    properties: ImageProperties | None,
    reader: Reader,
    prices: Mapping[str, Price],
) -> ContestantAnalysis:
    try:
        readings = _readings(given, reader)
        found = quality(
            given.truths,
            given.predictions,
            labels,
            given.outcomes,
            readings=readings,
            rankings=given.rankings,
            probabilities=given.probabilities,
            partial=not given.complete,
        )
        times = latencies(given.latencies_ms, given.sequential, given.concurrent)
        hits = right(given.truths, given.predictions)
        asked = [n for n, o in enumerate(given.outcomes) if given.complete or o != Outcome.MISSING]
        buckets = by_property([hits[n] for n in asked], properties.among(asked)) if properties else ()
    except ValueError as error:
        raise ValueError(f"{given.name}: {error}") from error
    return ContestantAnalysis(
        name=shown_name(given),
        kind=str(given.kind),
        model=given.model,
        emulated=given.emulated,
        complete=given.complete,
        prompt=given.prompt,
        answer_format=given.answer_format,
        quality=found,
        latency=times,
        by_property=buckets,
        price=prices.get(shown_name(given)) or prices.get(given.name) or _own_price(given),
        predictions=tuple(given.predictions),
        hits=tuple(hits),
        outcomes=tuple(given.outcomes),
        readings=tuple(readings),
    )


def _readings(given: ContestantInput, reader: Reader) -> list[Reading | None]:
    """Return what each raw answer says; few are different, so that each is read once."""
    if not given.raw:
        return []
    read: dict[str, Reading] = {}
    found: list[Reading | None] = []
    for raw, outcome in zip(given.raw, given.outcomes, strict=True):
        if raw is None or outcome not in (Outcome.ANSWERED, Outcome.UNKNOWN_LABEL):
            found.append(None)
            continue
        if raw not in read:
            read[raw] = reader.read(raw, given.answer_format)
        found.append(read[raw])
    return found


def _own_price(given: ContestantInput) -> Price | None:
    """Return what its own test says of a contestant's price; what an hour of hosting costs it does not."""
    if given.training_usd is None or given.hosting_usd is None or given.inference_usd is None:
        return None
    asked = sum(outcome != Outcome.MISSING for outcome in given.outcomes)
    return Price(once=given.training_usd, per_thousand=1000 * given.inference_usd / asked if asked else 0.0)


def _difference(a: ContestantAnalysis, b: ContestantAnalysis, seed: int) -> PairedDifference:
    """Compare two contestants; where one is unfinished, on the images that both were asked about."""
    among = shared(a.outcomes, b.outcomes, complete=a.complete and b.complete)
    return paired(a.name, b.name, a.hits, b.hits, said_a=a.predictions, said_b=b.predictions, among=among, seed=seed)
