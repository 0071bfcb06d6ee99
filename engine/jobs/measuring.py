"""By which measure an experiment's contestants are judged: chosen by the user, and kept with the experiment."""

from __future__ import annotations

from pathlib import Path

from engine.errors import InputError
from engine.evaluation.costs import Costs, load_costs, parse_costs
from engine.evaluation.measures import Measure, kept_measure, read_measure
from engine.store import Store

Chosen = tuple[Measure, Costs | None]
"""A measure, and the costs of mistakes where they are known."""


def measure_of(store: Store, experiment: str) -> Chosen:
    """Return an experiment's measure, accuracy unless one was chosen, and the costs of mistakes where they are known.

    Raises:
        NotFoundError: there is no such experiment.

    """
    stored = store.experiments.get(experiment)
    labels = _labels(store, stored.dataset)
    costs = parse_costs(stored.costs, labels, f"costs of {experiment}") if stored.costs else None
    return kept_measure(stored.measure, labels, costs), costs


def chosen(store: Store, experiment: str, measure: str | None, file: Path | None) -> Chosen:
    """Return the measure that a user has named, and the costs of mistakes; nothing is kept.

    Args:
        store: of the home.
        experiment: its name.
        measure: see `measures.MEASURES`; None: the cost of mistakes where a file is named, else the one that is kept.
        file: a costs.toml; None: the costs that are kept with the experiment.

    Raises:
        InputError: there is no such measure, or the file is no table of costs.
        NotFoundError: there is no such experiment.

    """
    before, costs = measure_of(store, experiment)
    labels = _labels(store, store.experiments.get(experiment).dataset)
    if file is not None:
        costs = load_costs(file, labels)
    name = measure if measure is not None else "cost" if file is not None else None
    found = before if name is None else read_measure(name, labels, costs)
    if found.classes:
        tested = {label for label, _, _, test in store.datasets.class_counts(_dataset(store, experiment)) if test}
        for label in found.classes:
            if label not in tested:
                raise InputError(f"{found.name}: {label!r} has no test images.", "Name a class that has.")
    return found, costs


def keep(store: Store, experiment: str, measure: Measure, costs: Costs | None) -> bool:
    """Keep a measure with an experiment; return whether it is another one than before."""
    before = store.experiments.get(experiment)
    after = (measure.kept(), costs.text if costs is not None else "")
    if after == (before.measure, before.costs):
        return False
    store.experiments.set_measure(experiment, *after)
    return True


def _dataset(store: Store, experiment: str) -> str:
    return store.experiments.get(experiment).dataset or ""


def _labels(store: Store, dataset: str | None) -> tuple[str, ...]:
    return () if dataset is None else store.datasets.get(dataset).labels
