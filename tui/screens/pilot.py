"""A pilot, before the whole is bought: what a few images cost, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from tui.screens.papers import Paper
from tui.styles.theme import look
from tui.text import dollars, one_line
from tui.widgets.bar import interval
from tui.wording import counted

if TYPE_CHECKING:
    from engine import PilotResult

IMAGES = 60
VALUE_USD = 0.01
VOLUME = 100_000
"""What the command line takes too unless told otherwise."""
CELLS = 40


class PilotScreen(Paper):
    """What a pilot found."""

    def __init__(self, dataset: str, found: PilotResult) -> None:
        super().__init__()
        self.TITLED = f"Pilot on {one_line(dataset, 40)}"
        self._dataset = dataset
        self._found = found

    def page(self) -> ComposeResult:
        """Right answers with their interval, what it cost, what the whole would, and all of it in a sentence."""
        yield Static(self._figures())
        yield Static(Text(f"\n{one_line(self._found.sentence)}\n", "bold"))
        told = f"dogcls-tui pilot --dataset {one_line(self._dataset, 40)} --value USD --volume IMAGES"
        yield Static(Text.assemble("Other sums, asking nothing twice:\n", (f"$ {told}", look().info), style=look().dim))

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
        return grid


def pilot_question(images: int, dataset: str, usd: float, emulated: bool) -> tuple[str, str]:
    """Return the question before a pilot, and what follows from a yes."""
    question = f"Ask {counted(images, 'validation image')} of {dataset} for about {dollars(usd)}?"
    whose = "It is the emulator's: nobody charges it." if emulated else "At list prices."
    return question, f"{whose} It tells what fine-tuning would have to gain. What is answered is never asked twice."
