"""The options by which a command computes with other terms than the home's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from engine import InputError

if TYPE_CHECKING:
    from engine import Engine, Terms

IN_USE = "in-use"
"""In place of hours: paid only while it answers."""

Volume = Annotated[float | None, typer.Option(help="Images a month, for costs. [default: the home's terms, or 10000]")]
Months = Annotated[float | None, typer.Option(help="The horizon, for costs. [default: the home's terms, or 12]")]
Value = Annotated[float | None, typer.Option(help="US dollars that a correct answer is worth.")]
HostingHours = Annotated[
    str | None, typer.Option(help=f"Hours a day that a tuned model is hosted, or {IN_USE}. [default: 24]")
]
Batch = Annotated[bool | None, typer.Option("--batch/--real-time", help="Whether answers can wait for batches.")]
Machine = Annotated[
    float | None, typer.Option(help="US dollars an hour of the CNN's machine. [default: the price table's]")
]
MachineHours = Annotated[str | None, typer.Option(help=f"Hours a day that it is kept, or {IN_USE}. [default: 24]")]
LabelPrice = Annotated[float | None, typer.Option(help="US dollars to have one image labelled. [default: not priced]")]


async def terms_of(
    engine: Engine,
    *,
    volume: float | None = None,
    months: float | None = None,
    value: float | None = None,
    hosting_hours: str | None = None,
    batch: bool | None = None,
    machine: float | None = None,
    machine_hours: str | None = None,
    label_price: float | None = None,
) -> Terms:
    """Return the home's terms with what was given in their place."""
    given: dict[str, object] = {
        "volume": volume,
        "months": months,
        "value": value,
        "batch": batch,
        "machine_hourly": machine,
        "label_price": label_price,
    }
    changed = {name: one for name, one in given.items() if one is not None}
    for name, hours in (("hosting_hours", hosting_hours), ("machine_hours", machine_hours)):
        if hours is not None:
            changed[name] = _hours(name, hours)
    return replace(await engine.outcomes.terms(), **changed)  # type: ignore[arg-type]


def _hours(name: str, text: str) -> float | None:
    if text == IN_USE:
        return None
    try:
        return float(text)
    except ValueError:
        option = name.replace("_", "-")
        raise InputError(f"--{option} {text}: not a number of hours.", f"Give 0 to 24, or {IN_USE}.") from None
