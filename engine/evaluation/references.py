"""Published results that can be shown beside one's own: whose, on what, and why they do not compare."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from itertools import combinations
from typing import Any

from engine.evaluation.conclusions import said_unpaired
from engine.evaluation.differences import holm_unpaired, unpaired
from engine.evaluation.metrics import wilson
from engine.quantities import counted


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of the data that one's own results are on.

    Attributes:
        digest: the catalog's, which changes with any image, label or split; empty where it is not known.
        labels: number of labels.
        train: number of training images.
        val: number of validation images.
        test: number of test images.
        answer_formats: of one's own contestants, by kind; a kind that is not there is not compared in this.

    """

    digest: str
    labels: int
    train: int
    val: int
    test: int
    answer_formats: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """One published row. What was not published is None or empty.

    Attributes:
        name: as published.
        kind: of contestant.
        model: what answered.
        source: publisher, on what, and date.
        on: on what it was measured.
        answer_format: in which it was told to answer.
        n: test images.
        correct: of these.
        accuracy: share; `low` and `high` are its 95% Wilson interval, by our reckoning from the counts.
        low: see there.
        high: see there.
        latency_ms: mean and percentiles by name (`mean`, `p50`, `p90`, `p95`, `p99`).
        requests_per_second: one after another.
        cost_usd: by item (`training`, `inference`).
        hosting_hourly: US dollars.
        train_seconds: time to train.
        notes: what must be known of the row itself.
        why_not: reasons for which it does not compare with one's own results; empty where none is known.
        apart: it was tested on other images than the rows beside it, so that it makes no pairs with them either.

    """

    name: str
    kind: str
    model: str
    source: str
    on: str
    answer_format: str
    n: int
    correct: int
    accuracy: float
    low: float
    high: float
    latency_ms: dict[str, float]
    requests_per_second: float | None
    cost_usd: dict[str, float]
    hosting_hourly: float | None
    train_seconds: float | None
    notes: tuple[str, ...]
    why_not: tuple[str, ...]
    apart: bool = False

    @property
    def comparable(self) -> bool:
        """Whether nothing is known that keeps it from being held against one's own results."""
        return not self.why_not

    @property
    def sentence(self) -> str:
        """Whose it is, on what, and whether it compares."""
        told = f"Published ({self.source}): {self.correct} of {self.n} right, on {self.on}."
        if self.comparable:
            return f"{told} It was measured on the same images and split."
        return f"{told} Not comparable: {'; '.join(self.why_not)}."


def references(dataset: DatasetInfo) -> list[Reference]:
    """Return all published rows, each with why it does not compare with results on that dataset."""
    return [_reference(table, row, dataset) for table in _tables() for row in table["rows"]]


def among(published: Sequence[Reference]) -> list[str]:
    """Return what the counts of every two rows of one publication say, without the pairs that it does not tell."""
    pairs = [(b, a) for a, b in combinations(published, 2) if a.source == b.source]
    counted = [unpaired(a.correct, a.n, b.correct, b.n) for a, b in pairs]
    told = []
    for (a, b), found in zip(pairs, holm_unpaired(counted), strict=True):
        alike = found if not (a.apart or b.apart) else replace(found, p_if_paired=None)
        told.append(said_unpaired(a.name, b.name, alike))
    return told


@cache
def _tables() -> list[dict[str, Any]]:
    folder = files("assets") / "references"
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    return [tomllib.loads(entry.read_text(encoding="utf-8")) for entry in found]


def _reference(table: Mapping[str, Any], row: Mapping[str, Any], dataset: DatasetInfo) -> Reference:
    low, high = wilson(row["correct"], row["n"])
    return Reference(
        name=row["name"],
        kind=row["kind"],
        model=row["model"],
        source=f"{table['source']}, {table['published']}",
        on=row["on"],
        answer_format=row["answer_format"],
        n=row["n"],
        correct=row["correct"],
        accuracy=row["correct"] / row["n"],
        low=low,
        high=high,
        latency_ms={name: float(ms) for name, ms in row.get("latency_ms", {}).items()},
        requests_per_second=row.get("requests_per_second"),
        cost_usd=dict(row["cost_usd"]),
        hosting_hourly=row.get("hosting_hourly"),
        train_seconds=row.get("train_seconds"),
        notes=tuple(row.get("notes", ())),
        why_not=tuple(_why_not(table, row, dataset)),
        apart=bool(row.get("other_images")),
    )


def _why_not(table: Mapping[str, Any], row: Mapping[str, Any], dataset: DatasetInfo) -> list[str]:
    differs = {copy["digest"]: copy["differs"] for copy in table["copies"]}.get(dataset.digest)
    reasons = []
    if dataset.labels != table["labels"]:
        reasons.append(f"it tells {counted(table['labels'], 'label')} apart, yours {dataset.labels}")
    theirs = f"{table['train']:,}/{table['val']:,}/{table['test']:,}"
    own = f"{dataset.train:,}/{dataset.val:,}/{dataset.test:,}"
    if theirs != own:
        reasons.append(f"its images are {theirs} (train/validation/test), yours {own}")
    if differs:
        reasons.append(f"it saw {table['images']}; yours are the same photographs and split, {differs}")
    elif differs is None:
        reasons.append(f"nothing shows that your images and split are those it was measured on ({table['dataset']})")
    if row.get("other_images"):
        reasons.append("it was tested on other images than the article's own other rows")
    own_format = dataset.answer_formats.get(row["kind"])
    if own_format is not None and own_format != row["answer_format"]:
        reasons.append(f"it was told to answer as {row['answer_format']}, yours as {own_format}")
    return reasons
