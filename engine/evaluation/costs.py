"""What each kind of mistake costs: a table of truth by answer, read from a user's `costs.toml`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.datasets.labels import Labels, canonical
from engine.errors import InputError
from engine.text_files import parse_toml, read_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

OTHERS = "*"
"""As a truth, every class without a table of its own; as an answer, every wrong one without a cell of its own."""
NO_ANSWER = "no answer"
"""As an answer: no label at all. Unless given, it costs what the dearest answer to that truth costs."""
MOST = 1e12
_TABLED = 1_000
"""Labels up to which all costs are one table in memory; with more, only the cells that were given."""
_FORM = f'Write one table a true label: [defect], below it ok = 20 for each wrong answer; "{OTHERS}" is all others.'


@dataclass(frozen=True)
class Costs:
    """The cost of every answer to every truth.

    Attributes:
        rows: of each true label, in label order: (what the answers without a cell cost, cells as (answer's position,
            cost)). A right answer costs nothing unless it has a cell; position `len(rows)` is no label.
        text: what it was read from, to be kept.

    """

    rows: tuple[tuple[float, tuple[tuple[int, float], ...]], ...]
    text: str = ""

    def of(self, truths: NDArray[Any], answers: NDArray[Any]) -> NDArray[Any]:
        """Return the cost of each answer.

        Args:
            truths: positions of labels, `[n]`.
            answers: likewise; the number of labels stands for no label.

        """
        import numpy as np

        if len(self.rows) <= _TABLED:
            found: NDArray[Any] = self._table[truths, answers]
            return found
        keys, values, rest = self._arrays
        wanted = truths.astype(np.int64) * (len(self.rows) + 1) + answers
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, values[at], np.where(truths == answers, 0.0, rest[truths]))

    def guessed(self, truth: int) -> float:
        """Return the mean cost of a truth whose answer is any label, each as likely."""
        rest, row = self.rows[truth]
        k, cells = len(self.rows), {at: cost for at, cost in row if at < len(self.rows)}
        cells.setdefault(truth, 0.0)
        return (sum(cells.values()) + rest * (k - len(cells))) / k

    @cached_property
    def _table(self) -> NDArray[Any]:
        """The cost of each answer to each truth, `[labels, labels + 1]`."""
        import numpy as np

        found = np.repeat(np.array([[rest] for rest, _ in self.rows]), len(self.rows) + 1, axis=1)
        np.fill_diagonal(found, 0.0)
        for truth, (_, row) in enumerate(self.rows):
            for answer, cost in row:
                found[truth, answer] = cost
        return found

    @cached_property
    def _arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The cells' keys in order, their costs, and what all other answers to each truth cost."""
        import numpy as np

        k = len(self.rows) + 1
        cells = sorted((truth * k + answer, cost) for truth, (_, row) in enumerate(self.rows) for answer, cost in row)
        rest = np.array([rest for rest, _ in self.rows])
        return np.array([key for key, _ in cells], dtype=np.int64), np.array([cost for _, cost in cells]), rest


def load_costs(path: Path, labels: Sequence[str]) -> Costs:
    """Read a table of costs.

    Raises:
        InputError: the file cannot be read, or is no such table; names the file and what is wrong.

    """
    return parse_costs(read_text(path, wait=True), labels, str(path))


def parse_costs(text: str, labels: Sequence[str], source: str = "costs.toml") -> Costs:
    """Return the table of costs that a TOML text has.

    Args:
        text: one table a true label, one number an answer.
        labels: of the dataset.
        source: of the text, for errors.

    Raises:
        InputError: it is no TOML; a label is unknown or named twice; a cost is missing, negative or no number.

    """
    table = parse_toml(text, source, _FORM)
    place = _Places(labels, source)
    given: dict[int | str, dict[int | str, float]] = {}
    for name, row in table.items():
        if not isinstance(row, dict):
            raise InputError(f"{source}: {name!r} is not a table.", _FORM)
        truth = place.of(name, given, "the true label")
        given[truth] = {}
        for answer, value in row.items():
            at = place.of(answer, given[truth], f"an answer to {name!r}", answer=True)
            given[truth][at] = _amount(value, f"{source}: the cost of {answer!r} for {name!r}")
    rows = tuple(_row(position, given, labels, source) for position in range(len(labels)))
    if len(labels) < 2:
        raise InputError(f"{source}: there is only one class, so there is no mistake that costs.", "Judge by accuracy.")
    if not any(rest or any(usd for _, usd in cells) for rest, cells in rows):
        raise InputError(f"{source}: every mistake costs 0, so no contestant is better than another.", _FORM)
    return Costs(rows, text)


class Names:
    """Finds labels by name: exactly, or in another spelling that means one of them."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = labels
        self._exact = {label: at for at, label in enumerate(labels)}
        self._spellings = Labels(given=True)
        for label in labels:
            with contextlib.suppress(InputError):  # a twin of another one, from before these were refused
                self._spellings.of(label, listed=True)

    def find(self, name: str) -> int | None:
        """Return a label's position; None where the name means none of them."""
        if name in self._exact:
            return self._exact[name]
        label = self._spellings.find(name)
        return None if label is None else self._exact.get(label)

    @property
    def hint(self) -> str:
        """The labels, the first ones of many."""
        return f"They are: {', '.join(map(repr, self.labels[:5]))}{', …' if len(self.labels) > 5 else ''}."


class _Places:
    """The rows and columns of a table, each of them once."""

    def __init__(self, labels: Sequence[str], source: str) -> None:
        self._names, self._source = Names(labels), source

    def of(self, name: str, taken: Mapping[int | str, object], what: str, *, answer: bool = False) -> int | str:
        at: int | str | None = self._names.find(name)
        if at is None and name == OTHERS:
            at = OTHERS
        if at is None and answer and canonical(name).casefold() == NO_ANSWER:
            at = NO_ANSWER
        if at is None:
            raise InputError(f"{self._source}: {what}, {name!r}, is not among the labels.", self._names.hint)
        if at in taken:
            raise InputError(f"{self._source}: {what}, {name!r}, is there twice.", "Keep one of both.")
        return at


def _amount(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{what} is no number.", "Write a number, 0 or more.")
    amount = float(value) if abs(value) <= MOST else math.inf
    if not 0 <= amount <= MOST:
        raise InputError(f"{what} is {value}, not a number from 0 to {MOST:g}.", "Write a number, 0 or more.")
    return amount


def _row(
    truth: int, given: Mapping[int | str, dict[int | str, float]], labels: Sequence[str], source: str
) -> tuple[float, tuple[tuple[int, float], ...]]:
    """Return one truth's costs; what has no cell of its own is taken from the tables of all others."""
    everywhere = given.get(OTHERS, {})
    # What all others cost where this label is the answer is a mistake's cost, and here the answer is right.
    own = {at: usd for at, usd in everywhere.items() if at != truth} | given.get(truth, {})
    rest = own.get(OTHERS)
    cells = {at: usd for at, usd in own.items() if isinstance(at, int)}
    missing = [label for at, label in enumerate(labels) if at != truth and at not in cells]
    if rest is None and missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise InputError(
            f"{source}: there is no cost for the truth {labels[truth]!r} answered {missing[0]!r}{more}.", _FORM
        )
    dearest = max([usd for at, usd in cells.items() if at != truth] + ([rest] if rest is not None else []), default=0.0)
    cells[len(labels)] = own.get(NO_ANSWER, dearest)
    return rest or 0.0, tuple(sorted(cells.items()))
