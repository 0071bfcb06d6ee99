"""A contestant for nothing: a local network answers where it is sure, another contestant where it is not.

Computed from stored predictions alone. The threshold comes from `engine.evaluation.thresholds`, which sees no
test image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.evaluation.comparison import ContestantInput
from engine.evaluation.details import Answers, ContestantAnswers, confidence
from engine.evaluation.economics import Economics, per_thousand
from engine.evaluation.metrics import Latency, latency, wilson
from engine.evaluation.terms import Terms
from engine.evaluation.thresholds import EVERYTHING, Checked, Choice, choose
from engine.states import ContestantKind, Outcome

KIND = "cascade"
LOOKING = "For looking only: the threshold was not chosen here, and the best of these is no result."


@dataclass(frozen=True)
class Cascade:
    """Two contestants as one.

    Attributes:
        name: as a contestant's.
        first: the name of the one that is asked first.
        second: the name of the one that is asked where the first is not sure.
        choice: the threshold, and on what it was chosen.
        to_second: of each test image, whether it goes on.
        predicted: of each test image, the label's position, or None.
        outcomes: of each test image, how the question to whoever answered ended.
        correct: test images with the right label.
        accuracy: share of all test images; `low` and `high` are its 95% Wilson interval.
        low: see there.
        high: see there.
        latency: milliseconds of a request, mixed from both; None where one was not timed.
        economics: what it costs; None where that of one of both is not known.

    """

    name: str
    first: str
    second: str
    choice: Choice
    to_second: tuple[bool, ...]
    predicted: tuple[int | None, ...]
    outcomes: tuple[Outcome, ...]
    correct: int
    accuracy: float
    low: float
    high: float
    latency: Latency | None
    economics: Economics | None

    @property
    def threshold(self) -> float:
        """Probability from which on the first member's answer stands."""
        return self.choice.threshold

    @property
    def chosen_on(self) -> str:
        """On what the threshold was chosen, in a sentence."""
        return self.choice.chosen_on

    @property
    def share_to_second(self) -> float:
        """Share of the test images that go on to the second member."""
        return sum(self.to_second) / len(self.to_second) if self.to_second else 0.0

    def per_thousand(self, terms: Terms) -> float | None:
        """Return US dollars for 1,000 images more; None where a member's price is not known."""
        known = self.economics is not None and self.economics.known(terms)
        return per_thousand(self.economics, terms) if self.economics and known else None

    def answers(self) -> ContestantAnswers:
        """Return it as a contestant's answers, to be looked at as any other's. Raw answers and latencies are empty."""
        return ContestantAnswers(
            name=self.name,
            kind=KIND,
            predicted=self.predicted,
            raw=(None,) * len(self.predicted),
            outcomes=self.outcomes,
            latencies_ms=(),
        )


def probabilities(contestant: ContestantAnswers) -> tuple[float | None, ...]:
    """Return how sure a contestant says it is of each test image, where it says so."""
    return tuple(confidence(raw) for raw in contestant.raw)


def build(
    answers: Answers,
    first: ContestantAnswers,
    second: ContestantAnswers,
    choice: Choice,
    *,
    sure: Sequence[float | None] | None = None,
    economics: Mapping[str, Economics] | None = None,
) -> Cascade:
    """Compute a cascade.

    At a threshold of 0 the second is never needed, and above 1 the first is not: then the cascade is the other
    one, in cost and latency too. An image of which the first tells no probability goes on, unless all stay.

    Args:
        answers: to all test images.
        first: who is asked first.
        second: who is asked where the first is not sure.
        choice: the threshold.
        sure: probability of the first's answer to each test image; read from its raw answers unless given.
        economics: of the members as `economics.by_name` has them, to tell what the cascade costs.

    """
    told = probabilities(first) if sure is None else sure
    threshold = choice.threshold
    to_second = tuple(threshold > 0 and (p is None or p < threshold) for p in told)
    pick = [second if on else first for on in to_second]
    predicted = tuple(who.predicted[n] for n, who in enumerate(pick))
    outcomes = tuple(who.outcomes[n] for n, who in enumerate(pick))
    correct = sum(said == truth for said, truth in zip(predicted, answers.truths, strict=True))
    n = len(predicted)
    low, high = wilson(correct, n)
    share = sum(to_second) / n if n else 0.0
    known = economics or {}
    # Their names say which is emulated; the answers' do not.
    name = " → ".join(known[who.name].name if who.name in known else who.name for who in (first, second))
    blended = None
    if _priced(known, first, second):
        blended = replace(
            blend(name, known[first.name], known[second.name], threshold, share), accuracy=correct / n if n else None
        )
    return Cascade(
        name=name,
        first=first.name,
        second=second.name,
        choice=choice,
        to_second=to_second,
        predicted=predicted,
        outcomes=outcomes,
        correct=correct,
        accuracy=correct / n if n else 0.0,
        low=low,
        high=high,
        latency=mixed(first.latencies_ms, second.latencies_ms, threshold, share),
        economics=blended,
    )


def _priced(known: Mapping[str, Economics], *members: ContestantAnswers) -> bool:
    return all(who.name in known and known[who.name].priced for who in members)


def blend(name: str, first: Economics, second: Economics, threshold: float, share: float) -> Economics:
    """Return what a cascade costs: both trainings and hosting, each image at the first, a `share` at the second."""
    if threshold <= 0 or threshold > 1:
        return replace(first if threshold <= 0 else second, name=name, kind=KIND)
    batch = second.batch_per_thousand
    return Economics(
        name=name,
        once=first.once + second.once,
        per_thousand=first.per_thousand + share * second.per_thousand,
        batch_per_thousand=None if batch is None else first.per_thousand + share * batch,
        hosting_hourly=first.hosting_hourly + second.hosting_hourly,
        machines=first.machines + second.machines,
        machine_seconds=first.machine_seconds + share * second.machine_seconds,
        machine_once_seconds=first.machine_once_seconds + second.machine_once_seconds,
        hosting_seconds=first.hosting_seconds + share * second.hosting_seconds,
        labels=max(first.labels, second.labels),  # both learn from the same ones
        tested=max(first.tested, second.tested),
        kind=KIND,
        emulated=first.emulated or second.emulated,
    )


def mixed(first: Sequence[float], second: Sequence[float], threshold: float, share: float) -> Latency | None:
    """Return the latency of a cascade's requests, in milliseconds.

    Those that go on take the first member's mean and a request to the second. Which images go on is taken to have
    no bearing on how long either takes: the timed images are too few to look at both. Percentiles are of the mixture
    of both distributions, each interpolated linearly as `metrics.latency` does.

    Args:
        first: single requests to the first member; may be few.
        second: likewise.
        threshold: at 0 only the first is asked, above 1 only the second.
        share: of the images that go on.

    Returns:
        The percentiles, `n` counting the requests that they come from; None where a member was not timed.

    """
    import numpy as np

    if threshold <= 0 or (share == 0 and threshold <= 1):
        return latency(first)
    if threshold > 1:
        return latency(second)
    if not first or not second:
        return None
    stays = np.sort(np.asarray(first, dtype=float))
    goes = np.sort(np.asarray(second, dtype=float)) + float(stays.mean())
    at = np.union1d(stays, goes)
    below = (1 - share) * _below(stays, at) + share * _below(goes, at)
    p50, p90, p95, p99 = (float(p) for p in np.interp((0.5, 0.9, 0.95, 0.99), below, at))
    mean = (1 - share) * float(stays.mean()) + share * float(goes.mean())
    return Latency(len(stays) + len(goes), mean, p50, p90, p95, p99)


def _below(values: Any, at: Any) -> Any:
    """Return the share of sorted `values` below each of `at`, shape (len(at),), linearly between them."""
    import numpy as np

    if len(values) == 1:
        return (at >= values[0]).astype(float)
    return np.interp(at, values, np.linspace(0.0, 1.0, len(values)))


def as_input(
    cascade: Cascade, first: ContestantInput, second: ContestantInput, labels: Sequence[str]
) -> ContestantInput:
    """Return a cascade as a row of the comparison, to be scored and held against the others as any.

    Its costs are what the test would have cost with it; of its latency there are no single requests, see
    `Cascade.latency`.

    Args:
        cascade: computed.
        first: its first member's row.
        second: its second member's row.
        labels: all classes; predictions are positions in them.

    """
    share, to_second = cascade.share_to_second, cascade.to_second
    needs_first, needs_second = cascade.threshold <= 1, cascade.threshold > 0

    def parted(mine: Sequence[Any], theirs: Sequence[Any]) -> tuple[Any, ...]:
        """Return of each image what the member has that answered; nothing where either has nothing at all."""
        if len(mine) != len(to_second) or len(theirs) != len(to_second):
            return ()
        return tuple(theirs[n] if on else mine[n] for n, on in enumerate(to_second))

    def spent(mine: float | None, theirs: float | None, part: float = 1.0) -> float | None:
        needed = [mine] * needs_first + [theirs if theirs is None else part * theirs] * needs_second
        known = [usd for usd in needed if usd is not None]
        return sum(known) if len(known) == len(needed) else None

    return ContestantInput(
        name=f"{first.name} → {second.name}",
        kind=KIND,
        model=f"{first.model} → {second.model}",
        emulated=(first.emulated and needs_first) or (second.emulated and needs_second),
        prompt=second.prompt,
        answer_format=f"{first.answer_format} → {second.answer_format}",
        truths=first.truths,
        predictions=tuple(None if label is None else labels[label] for label in cascade.predicted),
        outcomes=cascade.outcomes,
        training_usd=spent(first.training_usd, second.training_usd),
        hosting_usd=spent(first.hosting_usd, second.hosting_usd),
        inference_usd=spent(first.inference_usd, second.inference_usd, share),
        complete=(first.complete or not needs_first) and (second.complete or not needs_second),
        images=first.images,
        labels=first.labels,
        raw=parted(first.raw, second.raw),
    )


@dataclass(frozen=True)
class Setting:
    """A cascade of the test images at one threshold: its share that goes on, accuracy, dollars for 1,000 images."""

    threshold: float
    share_to_second: float
    accuracy: float
    per_thousand: float | None


@dataclass(frozen=True)
class Sweep:
    """All thresholds on the test images, from the first member alone to the second alone.

    `note` says that nothing may be chosen by it.
    """

    first: str
    second: str
    settings: tuple[Setting, ...]
    note: str = LOOKING


def sweep(
    answers: Answers,
    first: ContestantAnswers,
    second: ContestantAnswers,
    *,
    sure: Sequence[float | None] | None = None,
    economics: Mapping[str, Economics] | None = None,
    terms: Terms | None = None,
    points: int = 101,
) -> Sweep:
    """Return the cascade at thresholds over its whole range, on the test images: to be looked at, not chosen by.

    Args:
        answers: to all test images.
        first: who is asked first.
        second: who is asked where the first is not sure.
        sure: as in `build`.
        economics: of the members as `economics.by_name` has them, for dollars.
        terms: under which; the standing ones unless given.
        points: at most so many settings, spread evenly over the images.

    """
    told = probabilities(first) if sure is None else sure
    known, when = economics or {}, terms or Terms()
    both = _priced(known, first, second)
    n = len(answers.truths)
    order = sorted(range(n), key=lambda i: -1.0 if told[i] is None else float(told[i] or 0.0))
    right = sum(said == truth for said, truth in zip(first.predicted, answers.truths, strict=True))
    found = []

    def add(threshold: float, sent: int) -> None:
        share = sent / n if n else 0.0
        usd = None
        if both:
            usd = per_thousand(blend("", known[first.name], known[second.name], threshold, share), when)
        found.append(Setting(threshold, share, right / n if n else 0.0, usd))

    add(0.0, 0)
    step, due = max(1.0, n / max(1, points - 1)), 0.0
    for sent, image in enumerate(order, start=1):
        truth = answers.truths[image]
        right += (second.predicted[image] == truth) - (first.predicted[image] == truth)
        here, after = told[image], told[order[sent]] if sent < n else None
        if sent == n:
            add(EVERYTHING, n)
        elif here != after and sent >= due:
            due = sent + step
            add(((here or 0.0) + (after or 0.0)) / 2, sent)
    return Sweep(first.name, second.name, tuple(found))


def cascades(
    answers: Answers,
    validated: Mapping[str, Mapping[int, Checked]],
    bought: Mapping[str, Mapping[int, bool]] | None = None,
    *,
    assumed: Mapping[str, tuple[float, str]] | None = None,
    sure: Mapping[str, Sequence[float | None]] | None = None,
    economics: Mapping[str, Economics] | None = None,
    terms: Terms | None = None,
) -> list[Cascade]:
    """Return a cascade of each validated local network with each other kind of contestant.

    Args:
        answers: to all test images.
        validated: what each network made of its validation images, by its name and then by image.
        bought: whether another contestant was right about validation images, by its name and then by image.
        assumed: of others, the share of images taken to be right, and where that comes from.
        sure: probabilities of test answers by name; read from raw answers unless given.
        economics: of the contestants as `economics.by_name` has them.
        terms: the value of a correct answer, against which the price of sending an image on is held.

    """
    when, known = terms or Terms(), economics or {}
    found = []
    for first, second in members(answers.contestants):
        guess, why = (assumed or {}).get(second.name, (None, ""))
        choice = choose(
            validated.get(first.name, {}),
            (bought or {}).get(second.name),
            assumed=guess,
            why_assumed=why,
            price=per_thousand(known[second.name], when) / 1000 if _priced(known, second) else 0.0,
            value=when.value,
        )
        if choice is not None:
            told = (sure or {}).get(first.name)
            found.append(build(answers, first, second, choice, sure=told, economics=known))
    return found


def members(contestants: Iterable[ContestantAnswers]) -> list[tuple[ContestantAnswers, ContestantAnswers]]:
    """Return who may be asked first, and who then: a local network, and anything else that is no cascade itself."""
    everyone = list(contestants)
    return [
        (first, second)
        for first in everyone
        for second in everyone
        if first.kind == ContestantKind.CNN and second.kind not in (ContestantKind.CNN, KIND)
    ]
