"""The terms under which money is computed ahead: one record for the pilot, the launch, results, and reports.

They lie in the home's `terms.toml`, so that every room and command computes with the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from engine.errors import InputError
from engine.quantities import counted, nouns
from engine.text_files import read_toml_if_there


@dataclass(frozen=True)
class Terms:
    """What the user sets, and everything that is computed ahead depends on.

    Hosting and the local machine are treated alike: both are ready day and night unless their hours are set, and
    without hours (None) both are paid only while they answer, one image after another.

    Attributes:
        volume: images a month.
        months: the horizon; what is paid once is paid within it.
        hosting_hours: hours a day for which a tuned model is deployed; None: only while it answers.
        batch: answers may wait (up to 24 hours), so that contestants that take batches are queried in batches.
        machine_hourly: US dollars an hour of the machine that a local network runs on; 0 for one that costs nothing.
        machine_hours: hours a day for which that machine is kept; None: only while it answers.
        value: US dollars that one correct answer is worth; 0: not set.
        label_price: US dollars to have one image labelled; None: labels are not priced.

    Raises:
        InputError: a value is out of its range.

    """

    volume: float = 10_000
    months: float = 12
    hosting_hours: float | None = 24
    batch: bool = False
    machine_hourly: float = 0.0
    machine_hours: float | None = 24
    value: float = 0.0
    label_price: float | None = None

    def __post_init__(self) -> None:
        for what, number in (("images a month", self.volume), ("months", self.months)):
            if not 0 < number < math.inf:
                raise InputError(f"The number of {what} is above 0, not {number:g}.", "Give another one.")
        for what, hours in (("hosting", self.hosting_hours), ("the machine", self.machine_hours)):
            if hours is not None and not 0 <= hours <= 24:
                raise InputError(f"Hours a day of {what} are 0 to 24, not {hours:g}.", "Give another number.")
        for what, usd in (
            ("An hour of the machine", self.machine_hourly),
            ("A correct answer", self.value),
            ("A label", self.label_price or 0.0),
        ):
            if not 0 <= usd < math.inf:
                raise InputError(f"{what} costs or is worth $0 or more, not {usd:g}.", "Give another amount.")

    @property
    def images(self) -> float:
        """Number of images over the whole horizon."""
        return self.volume * self.months

    @property
    def horizon(self) -> str:
        """Volume and horizon in words."""
        return f"{counted(self.volume, 'image')} a month over {self.months:g} {nouns(self.months, 'month')}"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """All other terms in words, one each."""
        return (
            "in batches where possible" if self.batch else "in real time",
            f"a tuned model hosted {_hours(self.hosting_hours)}",
            f"the local machine kept {_hours(self.machine_hours)} at ${self.machine_hourly:g} an hour",
            "labels: not priced" if self.label_price is None else f"a label at ${self.label_price:g}",
            f"a correct answer worth ${self.value:g}" if self.value else "no value set for a correct answer",
        )


def _hours(hours: float | None) -> str:
    return "only while it answers" if hours is None else f"{hours:g} {nouns(hours, 'hour')} a day"


def load_terms(path: Path, machine_hourly: float) -> Terms:
    """Return the terms of a file; of those that are not in it, the usual ones.

    Args:
        path: may be missing.
        machine_hourly: US dollars an hour of the local machine where the file has none: the price table's.

    Raises:
        InputError: the file cannot be read, has a term that does not exist, or a value out of range; names the term.

    """
    table = read_toml_if_there(path, "Correct it, or delete it: without it the usual terms hold.") or {}
    known = {f.name for f in fields(Terms)}
    values: dict[str, float | bool | None] = {"machine_hourly": machine_hourly}
    for name, value in table.items():
        if name not in known:
            raise InputError(f"{path}: there is no term {name!r}.", f"There are: {', '.join(sorted(known))}.")
        values[name] = _value(path, name, value)
    try:
        return Terms(**values)  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.cure) from None


def _value(path: Path, name: str, value: object) -> float | bool | None:
    if name == "batch":
        if isinstance(value, bool):
            return value
        raise InputError(f"{path}: batch is true or false, not {value!r}.", "Write one of both.")
    if name in ("hosting_hours", "machine_hours") and value == IN_USE:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}: {name} is a number, not {value!r}.", "Write a number.")
    return float(value)


IN_USE = "in use"
"""What stands for hours that are paid only while something answers."""


def written_terms(terms: Terms, machine_hourly: float) -> str:
    """Return terms as the text of their file; the machine's price only where it is not the price table's."""
    values: Mapping[str, float | bool | None] = {f.name: getattr(terms, f.name) for f in fields(terms)}
    lines = []
    for name, value in values.items():
        if (name == "machine_hourly" and value == machine_hourly) or (name == "label_price" and value is None):
            continue
        shown = f'"{IN_USE}"' if value is None else str(value).lower() if isinstance(value, bool) else f"{value!r}"
        lines.append(f"{name} = {shown}")
    return "\n".join(lines) + "\n"
