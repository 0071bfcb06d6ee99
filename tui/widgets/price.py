"""What an experiment costs, how long it takes, and what it meets on the service, as the launch room shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tui.styles.theme import look
from tui.text import dollars, one_line, span

if TYPE_CHECKING:
    from engine import Outline, Outlook, Price

LINES = 8
"""Of a price, at the most; `v` shows all."""
WIDE = 90
"""Columns from which there is room to say why the time is not known."""


def price_text(
    price: Price,
    outline: Outline | None,
    outlook: tuple[Outlook, ...] | str | None,
    ahead: str = "",
    *,
    tall: bool,
    width: int = 300,
) -> Text:
    """Draw a price.

    Args:
        price: of the plan.
        outline: its command and time, as soon as they are known.
        outlook: quotas and files; None while they are asked for, or why they are not known.
        ahead: what the contestants cost beyond this experiment, in a sentence.
        tall: whether there is room to tell it line by line.
        width: columns, to which lines about the service are cut.

    """
    at = look()
    whose = "emulated: nobody charges it" if price.emulated else f"list prices of {price.as_of}"
    text = Text.assemble(("about ", at.dim), (dollars(price.total), f"bold {at.accent}"), (f"  {whose}", at.dim))
    if outline is not None:
        took = "not known yet" if width < WIDE else "not known: nothing was measured here yet"
        if outline.seconds is not None:
            took = f"about {span(outline.seconds)}"
        text.append(f"    time {took}", at.dim)
    for caution in price.cautions:
        text.append(f"\n! {one_line(caution, 300 if tall else max(width - 3, 20))}", at.warn)
    for line in price.lines[:LINES] if tall else ():
        text.append(f"\n{line.contestant:<11} {line.item:<10} {one_line(line.detail, 60):<52}", at.dim)
        text.append(f"{dollars(line.usd):>10}")
    if tall and ahead:
        text.append(f"\n{one_line(ahead, 400)}", at.dim)
    for told in outlook_lines(outlook) if tall else _short(outlook):
        text.append(f"\n{one_line(told, max(width - 1, 20))}", at.dim)
    if outline is not None:
        text.append(f"\n$ {one_line(outline.command, 300)}", at.info)
    return text


def price_lines(price: Price, outlook: tuple[Outlook, ...] | str | None) -> list[str]:
    """Return all of it in lines of any length: what speaks against it, what is paid for, what it meets."""
    paid = [f"{line.contestant} {line.item}: {line.detail}" for line in price.lines]
    return [*price.cautions, *paid, *outlook_lines(outlook)]


def outlook_lines(outlook: tuple[Outlook, ...] | str | None) -> list[str]:
    """Return quotas and files, a line for each job that asks a deployment."""
    if outlook is None:
        return ["quota …"]
    if isinstance(outlook, str):
        return [one_line(f"quota not known: {outlook}", 300)]
    return [f"{one.contestant:<11} {one.kind:<10} {one_line(one.sentence, 300)}" for one in outlook]


def _short(outlook: tuple[Outlook, ...] | str | None) -> list[str]:
    """Return the same in two lines, without what only a deployment that is yet to be made will have."""
    if outlook is None or isinstance(outlook, str):
        return outlook_lines(outlook)
    return [one.sentence for one in outlook if one.files or one.deployment]
