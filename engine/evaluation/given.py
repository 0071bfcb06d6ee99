"""Predictions that were made elsewhere, read from a CSV file: whatever is wrong is told with its line and a cure."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import InputError

NEEDED = ("contestant", "image", "truth", "answer")
OPTIONAL = ("latency_ms", "probability")
_COLUMNS = f"Give it the columns {','.join(NEEDED)}, and if you like {' and '.join(OPTIONAL)}."
_UTF8 = "Save it as UTF-8, for example: iconv -f latin1 -t utf-8."
_QUOTED = "Write it as CSV: a quote inside quotes twice, and no field of more than 131,072 characters."
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


def read_predictions(path: Path, labels: Sequence[str] = (), *, common: bool = False) -> Predictions:
    """Read a file of predictions, row by row.

    Args:
        path: of the CSV file: UTF-8, commas, a header.
        labels: all labels, where they are known: every truth must be one of them.
        common: keep only the images that all contestants have, where they have different ones.

    Raises:
        InputError: names the file, the line, and the cure.

    """
    found, lines = Predictions(), _lines(path)
    header_at, header = next(lines, (0, []))
    columns = [name.strip().lower() for name in header]
    _check_header(path, header_at, columns)
    found.ignored = tuple(name for name in columns if name not in (*NEEDED, *OPTIONAL))
    known = set(labels)
    first_at: dict[str, int] = {}
    for line, cells in lines:
        if len(cells) != len(columns):
            raise _wrong(path, line, f"{len(cells)} fields, the header has {len(columns)}", _COLUMNS)
        row = dict(zip(columns, cells, strict=True))
        _take(path, line, row, found, first_at, known)
    if not found.rows:
        raise InputError(f"{path}: there are no predictions in it.", _COLUMNS)
    _align(path, found, common=common)
    return found


def read_labels(path: Path) -> list[str]:
    """Read a list of labels, one a line; blank lines are nothing.

    Raises:
        InputError: the file cannot be read, has no label, or one twice; names the line.

    """
    found: dict[str, int] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        label = line.strip()
        if not label:
            continue
        if label in found:
            raise _wrong(path, number, f"the label {label!r} is there already, in line {found[label]}", "Take one out.")
        found[label] = number
    if not found:
        raise InputError(f"{path}: there is no label in it.", "Write one label a line.")
    return list(found)


def _check_header(path: Path, line: int, columns: Sequence[str]) -> None:
    if not columns:
        raise InputError(f"{path}: it is empty.", _COLUMNS)
    if twice := {name for name in columns if columns.count(name) > 1 and name in (*NEEDED, *OPTIONAL)}:
        raise _wrong(path, line, f"the column {min(twice)} is there twice", "Take one out.")
    if missing := [name for name in NEEDED if name not in columns]:
        told = (
            f"the column{'s' * (len(missing) > 1)} {', '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing"
        )
        if len(columns) == 1 and any(mark in columns[0] for mark in ";\t"):
            raise _wrong(path, line, f"{told}; it is not separated by commas", "Separate its columns by commas.")
        raise _wrong(path, line, f"{told}; there are: {', '.join(columns)}", _COLUMNS)


def _take(
    path: Path, line: int, row: dict[str, str], found: Predictions, first_at: dict[str, int], known: set[str]
) -> None:
    contestant, image, truth = (row[name].strip() for name in ("contestant", "image", "truth"))
    for name, value in (("contestant", contestant), ("image", image), ("truth", truth)):
        if not value:
            raise _wrong(path, line, f"no {name}", "Fill it in, or take the line out.")
    if known and truth not in known:
        raise _wrong(path, line, f"the truth {truth!r} is not among the labels", "Add it to --labels, or correct it.")
    before = found.truths.setdefault(image, truth)
    at = first_at.setdefault(image, line)
    if before != truth:
        told = f"{image!r} is {truth!r} here and {before!r} in line {at}"
        raise _wrong(path, line, told, "Give each image one truth.")
    rows = found.rows.setdefault(contestant, {})
    if image in rows:
        told = f"{contestant} has answered about {image!r} already, in line {rows[image].line}"
        raise _wrong(path, line, told, "Keep one of both lines.")
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
        raise _wrong(path, line, f"{name} {told!r} is no number {span}", "Correct it, or leave it empty.")
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


# -- text


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) of a CSV file; blank lines are nothing. The line is where the row begins."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            line = 1
            while True:
                try:
                    cells = next(rows)
                except StopIteration:
                    return
                except csv.Error as error:
                    raise _wrong(path, line, str(error), _QUOTED) from None
                if any(cell.strip() for cell in cells):
                    yield line, cells
                line = rows.line_num + 1
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}.", "Name a CSV file.") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}.", "Name a text file.") from error


def _not_utf8(path: Path) -> InputError:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return _wrong(path, number, "it is not UTF-8", _UTF8)
    return InputError(f"{path}: it is not UTF-8.", _UTF8)


def _wrong(path: Path, line: int, told: str, cure: str) -> InputError:
    return InputError(f"{path}, line {line}: {told}.", cure)
