"""A pilot, before the whole is bought: what a few images cost, and what they say."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from engine import InputError, counted
from tui.guard import work
from tui.screens.dialogs import AskScreen
from tui.screens.papers import Paper
from tui.styles.theme import look
from tui.text import dollars, one_line
from tui.widgets.bar import interval

if TYPE_CHECKING:
    from engine import PilotCost, PilotResult

IMAGES = 60
VALUE_USD = 0.01
VOLUME = 100_000
"""What the command line takes too unless told otherwise; the page of a pilot's result changes both."""
CELLS = 40


class PilotScreen(Paper):
    """What a pilot found, and what follows for a correct answer's value and a number of images, which can be set."""

    BINDINGS = [Binding("v", "set_value", "value"), Binding("n", "set_volume", "images")]
    LEAVING = "v value · n images · esc closes"

    def __init__(self, dataset: str, found: PilotResult, changed: Callable[[float, int], None]) -> None:
        """Show a result.

        Args:
            dataset: its name.
            found: the result.
            changed: told of each new (value, number of images).

        """
        super().__init__()
        self.TITLED = f"Pilot on {one_line(dataset, 40)}"
        self._dataset = dataset
        self._found = found
        self._changed = changed

    def page(self) -> ComposeResult:
        """Right answers with their interval, what it cost, what the whole would, and all of it in a sentence."""
        yield Static(self._figures(), id="pilot-figures")
        yield Static(id="pilot-sentence")
        yield Static(id="pilot-command")

    def on_mount(self) -> None:
        """Say what follows."""
        self._tell()

    def _tell(self) -> None:
        found = self._found
        self.query_one("#pilot-figures", Static).update(self._figures())
        self.query_one("#pilot-sentence", Static).update(Text(f"\n{one_line(found.sentence)}\n", "bold"))
        told = f"dogcls-tui pilot --dataset {one_line(self._dataset, 40)} --value {_plain(found.value_usd)}"
        told += f" --volume {found.volume}"
        self.query_one("#pilot-command", Static).update(Text(f"$ {told}", look().info))

    @work
    async def action_set_value(self) -> None:
        """Ask what a correct answer is worth, and say what follows; the service is asked nothing."""
        question = "What one more correct answer is worth, in US dollars"
        typed = await self.app.push_screen_wait(AskScreen(question, _plain(self._found.value_usd)))
        if typed is not None:
            self._set(typed, lambda: self._found.at(float(typed.strip().lstrip("$")), self._found.volume))

    @work
    async def action_set_volume(self) -> None:
        """Ask how many images there will be, and say what follows; likewise."""
        question = "How many images you will have classified, a year or in all"
        typed = await self.app.push_screen_wait(AskScreen(question, str(self._found.volume)))
        if typed is not None:
            number = re.sub(r"[ _,.'](?=\d{3})", "", typed.strip())
            self._set(typed, lambda: self._found.at(self._found.value_usd, int(number)))

    def _set(self, typed: str, made: Callable[[], PilotResult]) -> None:
        try:
            self._found = made()
        except (ValueError, InputError):
            self.notify(f"{one_line(typed, 40)!r} is no number above 0.", severity="error", markup=False)
            return
        self._changed(self._found.value_usd, self._found.volume)
        self._tell()

    def _figures(self) -> Grid:
        found, at = self._found, look()
        colour = at.contestant("zero-shot")
        grid = Grid.grid(padding=(0, 2))
        grid.add_column(style=at.dim, no_wrap=True)
        grid.add_column(overflow="fold")
        right = Text.assemble((f"{found.accuracy:.1%}", f"bold {colour}"), f"  {found.correct} of {found.n}")
        if found.emulated:
            right.append("  (emulated)", at.dim)
        grid.add_row("right", right)
        drawn = interval((found.low, found.accuracy, found.high), CELLS, colour)
        grid.add_row("95% interval", Text.assemble(drawn, f" {found.low:.1%}–{found.high:.1%}"))
        others = f"{found.unknown} without a label, {found.filtered} filtered; {found.failed} failed, not counted"
        grid.add_row("not right", Text(others, at.dim))
        spent = Text(dollars(found.spent_usd))
        grid.add_row("spent", spent.append("  emulated: nobody charges it" if found.emulated else "", at.dim))
        grid.add_row("whole run", Text.assemble(f"about {dollars(found.run_usd)}", (
            f"  of that fine-tuning and hosting {dollars(found.tuning_usd)}", at.dim)))  # fmt: skip
        hopeless = found.needed_points > found.possible_points
        needed = f"{found.needed_points:.1f} points, of {found.possible_points:.1f} that it can gain at the most"
        grid.add_row("must gain", Text(needed, at.warn if hopeless else ""))
        stake = Text.assemble((f"${_plain(found.value_usd)}", f"bold {at.accent}"), (" a correct answer, ", at.dim))
        grid.add_row("at stake", stake.append(f"{found.volume:,}", f"bold {at.accent}").append(" images", at.dim))
        return grid


def _plain(usd: float) -> str:
    """Return a sum without the zeros that say nothing; small ones without an exponent."""
    return f"{usd:.9f}".rstrip("0").rstrip(".")


def pilot_question(cost: PilotCost, dataset: str) -> tuple[str, str]:
    """Return the question before a pilot, and what follows from a yes."""
    question = f"Ask {counted(cost.images, 'validation image')} of {dataset} for about {dollars(cost.usd)}?"
    told = "It is the emulator's: nobody charges it." if cost.emulated else "At list prices."
    told += " It tells what fine-tuning would have to gain. What is answered is never asked twice."
    return question, f"{told}\n{cost.caution}" if cost.caution else told
