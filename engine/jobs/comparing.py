"""Brings an experiment's predictions from the store to the evaluation."""

from __future__ import annotations

from engine.errors import InputError, NotFoundError
from engine.evaluation.comparison import Comparison, ContestantInput, compare
from engine.evaluation.details import Answers, ContestantAnswers
from engine.evaluation.latency import Timing as RequestTiming
from engine.jobs.measuring import Chosen, measure_of
from engine.learning import is_from_cache
from engine.states import ContestantKind, JobKind, Outcome, Split
from engine.store import Store
from engine.store.predictions import Prediction


def answers(store: Store, experiment: str) -> Answers:
    """Return who said what of which test image; see `Engine.answers`."""
    stored = store.experiments.get(experiment)
    contestants = store.experiments.contestants(experiment)
    if stored.dataset is None or not contestants:
        raise NotFoundError(f"Experiment {experiment!r} has no contestants to compare.", "See: dogcls-tui jobs")
    dataset = store.datasets.get(stored.dataset)
    images = store.datasets.images(dataset.name, Split.TEST)
    said = []
    for contestant in contestants:
        found = store.predictions.of(contestant.id)
        rows = [found.get(i.id) or Prediction(i.id, None, None, Outcome.MISSING) for i in images]
        said.append(
            ContestantAnswers(
                name=contestant.name,
                kind=contestant.kind,
                predicted=tuple(r.label for r in rows),
                raw=tuple(r.raw for r in rows),
                outcomes=tuple(r.outcome for r in rows),
                latencies_ms=tuple(store.predictions.latencies(contestant.id).values()),
            )
        )
    return Answers(
        experiment, dataset.labels, tuple(i.path for i in images), tuple(i.label for i in images), tuple(said)
    )


def comparison(
    store: Store,
    experiment: str | None,
    baseline: str | None = None,
    chosen: Chosen | None = None,
) -> Comparison:
    """Compare an experiment's contestants; see `Engine.comparison`.

    Args:
        store: of the home.
        experiment: its name; the newest one with contestants unless given.
        baseline: the contestant that the others are held against.
        chosen: the measure, and the costs of mistakes; those that are kept with the experiment unless given.

    Raises:
        InputError: a stored label is none of the data set's.
        NotFoundError: there is no such experiment, or it has no contestants.

    """
    name = experiment or store.experiments.latest()
    if name is None:
        raise NotFoundError("There is no experiment yet.", "Start one: dogcls-tui demo")
    stored = store.experiments.get(name)
    contestants = store.experiments.contestants(name)
    if stored.dataset is None or not contestants:
        raise NotFoundError(f"Experiment {name!r} has no contestants to compare.", "See: dogcls-tui jobs")
    dataset = store.datasets.get(stored.dataset)
    images = store.datasets.images(dataset.name, Split.TEST)
    jobs = store.jobs.views(name)
    unfinished = {j.contestant for j in jobs if j.state != "succeeded"}
    trained = {j.contestant: store.jobs.get(j.id).result or {} for j in jobs if j.kind == JobKind.TRAIN}
    inputs = []
    for contestant in contestants:
        found = store.predictions.of(contestant.id)
        rows = [found.get(i.id) or Prediction(i.id, None, None, Outcome.MISSING) for i in images]
        costs = store.predictions.costs(contestant.id)
        sequential, concurrent = timings_of(store, contestant.id)
        result = trained.get(contestant.name, {})
        inputs.append(
            ContestantInput(
                name=contestant.name,
                kind=ContestantKind(contestant.kind),
                model=contestant.model,
                emulated=contestant.emulated,
                prompt=contestant.prompt,
                answer_format=contestant.answer_format,
                truths=[dataset.labels[i.label] for i in images],
                predictions=[_named(dataset.labels, r.label, contestant.name) for r in rows],
                outcomes=[r.outcome for r in rows],
                latencies_ms=list(store.predictions.latencies(contestant.id).values()),
                training_usd=costs.get("training", 0.0),
                hosting_usd=costs.get("hosting", 0.0),
                inference_usd=costs.get("inference", 0.0),
                estimate_usd=store.predictions.estimates(contestant.id),
                train_seconds=contestant.train_seconds,
                train_from_cache=float(result.get("from_cache") or 0.0) if is_from_cache(result) else 0.0,
                complete=contestant.name not in unfinished,
                sequential=sequential,
                concurrent=concurrent,
                caution=str(result.get("caution") or ""),
            )
        )
    split = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    measure, prices = chosen or measure_of(store, name)
    counts = {label: train for label, train, *_ in store.datasets.class_counts(dataset.name)}
    training = [counts.get(label, 0) for label in dataset.labels]
    try:
        return compare(
            name, dataset.name, split, list(dataset.labels), inputs, baseline,
            measure=measure, costs=prices, training=training,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"{name}: {error}.", "Compare contestants of one experiment.") from error


def timings_of(store: Store, contestant_id: int) -> tuple[list[RequestTiming], list[RequestTiming]]:
    """Return how a contestant's real-time requests went: those made one after another, and those many at a time."""
    sequential: list[RequestTiming] = []
    concurrent: list[RequestTiming] = []
    for t in store.predictions.timings(contestant_id):
        (sequential if t.single else concurrent).append((t.first_ms, t.total_ms, t.attempts))
    return sequential, concurrent


def _named(labels: tuple[str, ...], label: int | None, contestant: str) -> str | None:
    if label is not None and not 0 <= label < len(labels):
        raise InputError(
            f"A stored answer of {contestant} has label {label}, and there are {len(labels)}: the store was changed.",
            "See which: dogcls-tui results --verify",
        )
    return None if label is None else labels[label]
