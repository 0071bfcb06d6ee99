"""Predictions that were made elsewhere, read from a table: whatever is wrong is reported with its line and a hint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.datasets.labels import Labels, whole_numbers
from engine.datasets.tables import TextTable, wrong
from engine.errors import InputError
from engine.text_files import read_text

NEEDED = ("contestant", "image", "truth", "answer")
OPTIONAL = ("latency_ms", "probability")
_HEADINGS = ("label", "labels", "class_name")
_COLUMNS = f"Give it the columns {','.join(NEEDED)}, and if you like {' and '.join(OPTIONAL)}."
_COMMON = "Give all contestants the same images (an empty answer counts as missing), or add --common."


@dataclass(frozen=True)
class Given:
    """One row; `line` is where it stands. An empty answer is none."""

    line: int
    answer: str
    latency_ms: float | None = None
    probability: float | None = None


@dataclass
class Predictions:
    """A file of predictions.

    Attributes:
        truths: the true label of each image, in the order in which images first came.
        rows: by contestant and image, in the order in which contestants first came.
        ignored: columns that nobody asked for.
        left_out: how many images were left out because not all contestants have them.

    """

    truths: dict[str, str] = field(default_factory=dict)
    rows: dict[str, dict[str, Given]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    left_out: int = 0


def read_predictions(path: Path, labels: Labels | None = None, *, common: bool = False) -> Predictions:
    """Read a file of predictions, row by row.

    Args:
        path: of the table, with a header; see `engine.datasets.tables`.
        labels: all labels, where they are known: every truth must mean one of them.
        common: keep only the images that all contestants have, where they have different ones.

    Raises:
        InputError: names the file, the line, and the hint.

    """
    found = Predictions()
    table = TextTable(path, [(name,) for name in (*NEEDED, *OPTIONAL)])
    rows = table.rows()
    line, header = next(rows, (0, []))
    columns = [name.lower() for name in header]
    _check_header(path, line, columns)
    found.ignored = tuple(name for name in columns if name not in (*NEEDED, *OPTIONAL))
    truths = _Truths(path, labels)
    first_at: dict[str, int] = {}
    for line, cells in rows:
        row = dict(zip(columns, cells, strict=True))
        if table.separator == ";":  # where it separates columns, a comma may be the decimal point
            row |= {name: row[name].replace(",", ".") for name in OPTIONAL if name in row}
        _take(path, line, row, found, first_at, truths)
    if not found.rows:
        raise InputError(f"{path}: there are no predictions in it.", _COLUMNS)
    truths.check()
    if labels is None and (renamed := whole_numbers(set(found.truths.values()))):
        found.truths = {image: renamed.get(truth, truth) for image, truth in found.truths.items()}
    _align(path, found, common=common)
    return found


def read_labels(path: Path) -> Labels:
    """Read a list of labels, one a line; blank lines are nothing, and neither is `label` as the heading of a column.

    Raises:
        InputError: the file cannot be read, has no label, or one twice; names the line.

    """
    labels = Labels(given=True, source=str(path))
    found: dict[str, int] = {}
    for number, line in enumerate(read_text(path, wait=True).splitlines(), start=1):
        if not line.strip() or (number == 1 and line.strip().casefold() in _HEADINGS):
            continue
        label = labels.of(line, f"line {number}", listed=True)
        if label in found:
            raise wrong(path, number, f"the label {label!r} is there already, in line {found[label]}", "Take one out.")
        found[label] = number
    if not found:
        raise InputError(f"{path}: there is no label in it.", "Write one label a line.")
    return labels


class _Truths:
    """Reads true labels: by the list of labels, or, where there is none, by those that came before."""

    def __init__(self, path: Path, labels: Labels | None) -> None:
        self._path, self._listed, self._met = (
            path,
            labels,
            Labels(given=True, source=str(path), accept="list it with --labels"),
        )

    def read(self, text: str, line: int) -> str:
        """Return the label that a truth means."""
        if self._listed is None:
            return self._met.of(text, f"line {line}")
        label = self._listed.find(text)
        if label is None:
            fact = f"the truth {text.strip()!r} is not among the labels"
            raise wrong(self._path, line, fact, "Add it to --labels, or correct it.")
        return label

    def check(self) -> None:
        """Compare the labels, once all were read."""
        self._met.check()


def _check_header(path: Path, line: int, columns: Sequence[str]) -> None:
    if not columns:
        raise InputError(f"{path}: it is empty.", _COLUMNS)
    if twice := {name for name in columns if columns.count(name) > 1 and name in (*NEEDED, *OPTIONAL)}:
        raise wrong(path, line, f"the column {min(twice)} is there twice", "Take one out.")
    if missing := [name for name in NEEDED if name not in columns]:
        told = (
            f"the column{'s' * (len(missing) > 1)} {', '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing"
        )
        raise wrong(path, line, f"{told}; there are: {', '.join(columns)}", _COLUMNS)


def _take(
    path: Path, line: int, row: dict[str, str], found: Predictions, first_at: dict[str, int], truths: _Truths
) -> None:
    contestant, image, truth = (row[name].strip() for name in ("contestant", "image", "truth"))
    for name, value in (("contestant", contestant), ("image", image), ("truth", truth)):
        if not value:
            raise wrong(path, line, f"no {name}", "Fill it in, or take the line out.")
    truth = truths.read(truth, line)
    before = found.truths.setdefault(image, truth)
    at = first_at.setdefault(image, line)
    if before != truth:
        told = f"{image!r} is {truth!r} here and {before!r} in line {at}"
        raise wrong(path, line, told, "Give each image one truth.")
    rows = found.rows.setdefault(contestant, {})
    if image in rows:
        told = f"{contestant} has answered about {image!r} already, in line {rows[image].line}"
        raise wrong(path, line, told, "Keep one of both lines.")
    latency = _number(path, line, row, "latency_ms", math.inf)
    rows[image] = Given(line, row["answer"].strip(), latency, _number(path, line, row, "probability", 1.0))


def _number(path: Path, line: int, row: dict[str, str], name: str, most: float) -> float | None:
    told = row.get(name, "").strip()
    if not told:
        return None
    try:
        value = float(told)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and 0 <= value <= most):
        span = "from 0 to 1" if most == 1 else "of milliseconds, 0 or more"
        raise wrong(path, line, f"{name} {told!r} is no number {span}", "Correct it, or leave it empty.")
    return value


def _align(path: Path, found: Predictions, *, common: bool) -> None:
    """See to it that all contestants have the same images."""
    shared = {image for image in found.truths if all(image in rows for rows in found.rows.values())}
    if len(shared) == len(found.truths):
        return
    if not common:
        name, rows = min(found.rows.items(), key=lambda item: len(item[1]))
        lacking = next(image for image in found.truths if image not in rows)
        other = next(who for who, theirs in found.rows.items() if lacking in theirs)
        raise InputError(
            f"{path}: the contestants have different images: {name} has {len(rows):,} of {len(found.truths):,}, and not"
            f" {lacking!r} (line {found.rows[other][lacking].line}); {len(shared):,} are common to all.",
            _COMMON if shared else "Compare contestants that were asked about the same images.",
        )
    if not shared:
        raise InputError(f"{path}: no image is common to all contestants.", "Compare others.")
    found.left_out = len(found.truths) - len(shared)
    found.truths = {image: truth for image, truth in found.truths.items() if image in shared}
    found.rows = {name: {i: row for i, row in rows.items() if i in shared} for name, rows in found.rows.items()}
