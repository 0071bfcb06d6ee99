"""Anybody's predictions, evaluated and compared as an experiment's own."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePath

from engine import clock
from engine.errors import InputError
from engine.evaluation.comparison import ContestantInput, compare
from engine.evaluation.costs import load_costs
from engine.evaluation.details import Answers, ContestantAnswers
from engine.evaluation.findings import Asked, Evidence, Findings, TestImage, find
from engine.evaluation.given import Given, Predictions, read_labels, read_predictions
from engine.evaluation.measures import read_measure
from engine.evaluation.provenance import Provenance
from engine.evaluation.reading import Reader
from engine.evaluation.synonyms import load_synonyms
from engine.evaluation.terms import Terms
from engine.jobs.provenance import software
from engine.quantities import agrees, counted
from engine.states import Outcome, Split

KIND = "elsewhere"
"""The kind of a contestant of which nothing is known but its answers."""


def score(
    file: Path,
    labels: Path | None,
    synonyms: Path | None,
    *,
    common: bool = False,
    measure: str | None = None,
    costs: Path | None = None,
) -> Findings:
    """Return all that can be said of predictions that were made elsewhere.

    Answers are read by the same rules as everybody's; one that names no label counts as wrong, and so does none.

    Args:
        file: of predictions; see `engine.evaluation.given`.
        labels: one a line; those of the truths unless given.
        synonyms: the home's table of other names; None, or a file that is not there, is none.
        common: compare on the images that all contestants have, where they have different ones.
        measure: by which contestants are judged, see `measures.MEASURES`; unless given, accuracy, or the cost of
            mistakes where a file of costs is given.
        costs: of each kind of mistake; see `engine.evaluation.costs`.

    Raises:
        InputError: a file cannot be read or compared; names the line and the cure.

    """
    named = read_labels(labels) if labels is not None else None
    given = read_predictions(file, named, common=common)
    names = tuple(named or sorted(set(given.truths.values())))
    table = load_synonyms(synonyms, names)
    reader = Reader(names, table)
    inputs = [_input(name, rows, given, names, reader) for name, rows in given.rows.items()]
    place = {label: number for number, label in enumerate(names)}
    answers = Answers(
        experiment=file.stem,
        labels=names,
        images=tuple(Path(image) for image in given.truths),
        truths=tuple(place[truth] for truth in given.truths.values()),
        contestants=tuple(_answers(i, place) for i in inputs),
    )
    prices = load_costs(costs, names) if costs is not None else None
    by = read_measure(measure or ("cost" if prices is not None else "accuracy"), names, prices)
    split = {"train": 0, "val": 0, "test": len(given.truths)}
    try:
        return find(
            Evidence(
                comparison=compare(file.stem, file.name, split, names, inputs, measure=by, costs=prices),
                answers=answers,
                inputs=inputs,
                economics=(),
                data=None,
                provenance=_provenance(file, given, names),
                images=[TestImage(image) for image in given.truths],
                asked=[[Asked(rows[image].latency_ms) for image in given.truths] for rows in given.rows.values()],
                synonyms=table,
                sure={i.name: i.probabilities for i in inputs if i.probabilities},
                notes=_notes(given, labels is not None),
            ),
            Terms(),
        )
    except ValueError as error:
        raise InputError(f"{file}: {error}.", "Correct the file.") from error


def _input(
    name: str, rows: dict[str, Given], given: Predictions, labels: tuple[str, ...], reader: Reader
) -> ContestantInput:
    ordered = [rows[image] for image in given.truths]
    said = [reader.read(row.answer).label for row in ordered]
    outcomes = [
        Outcome.MISSING if not row.answer else Outcome.UNKNOWN_LABEL if label is None else Outcome.ANSWERED
        for row, label in zip(ordered, said, strict=True)
    ]
    sure = [row.probability for row in ordered]
    return ContestantInput(
        name=name,
        kind=KIND,
        model="",
        emulated=False,
        prompt="",
        answer_format="",
        truths=list(given.truths.values()),
        predictions=said,
        outcomes=outcomes,
        latencies_ms=[row.latency_ms for row in ordered if row.latency_ms is not None],
        images=list(given.truths),
        labels=labels,
        raw=[row.answer or None for row in ordered],
        probabilities=sure if any(p is not None for p in sure) else (),
    )


def _answers(i: ContestantInput, place: dict[str, int]) -> ContestantAnswers:
    said = tuple(None if label is None else place[label] for label in i.predictions)
    return ContestantAnswers(i.name, i.kind, said, tuple(i.raw), tuple(i.outcomes), tuple(i.latencies_ms))


def _provenance(file: Path, given: Predictions, labels: tuple[str, ...]) -> Provenance:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    rows = sum(len(rows) for rows in given.rows.values())
    about = {"file": file.name, "sha256": digest, "rows": rows, "test": len(given.truths), "labels": len(labels)}
    return Provenance(clock.now(), software(), dataset=about)


def _notes(given: Predictions, labelled: bool) -> list[str]:
    told = []
    if given.left_out:
        told.append(
            f"Partial: {counted(given.left_out, 'image')} {agrees(given.left_out, 'was', 'were')} left out because not"
            f" all contestants have them; all of this is about the other {len(given.truths):,}."
        )
    if not labelled:
        told.append("The labels are those of the truths: an answer that names any other counts as unknown.")
    if given.ignored:
        told.append(f"Columns that were not looked at: {', '.join(name or '(no name)' for name in given.ignored)}.")
    from engine.training.caution import imagenet_note  # it imports numpy

    if note := imagenet_note((PurePath(image), truth, Split.TEST) for image, truth in given.truths.items()):
        told.append(note)
    if any(row.latency_ms is not None for rows in given.rows.values() for row in rows.values()):
        told.append("Latencies are as given; whether requests were made one at a time is not known.")
    return told
