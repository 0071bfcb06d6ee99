"""A pilot, before the whole is bought: what a few images cost, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from engine import counted
from tui.guard import work
from tui.screens.papers import Paper
from tui.screens.terms import TermsScreen
from tui.styles.theme import look
from tui.text import dollars, one_line
from tui.widgets.bar import interval

if TYPE_CHECKING:
    from engine import PilotCost, PilotResult, Terms

IMAGES = 60
CELLS = 40


class PilotScreen(Paper):
    """What a pilot found, and what follows under the terms of all costs, which can be set here too."""

    BINDINGS = [Binding("v", "terms", "terms")]
    LEAVING = "v terms · esc closes"

    def __init__(self, dataset: str, found: PilotResult, changed: Callable[[Terms], object]) -> None:
        """Show a result.

        Args:
            dataset: its name.
            found: the result.
            changed: called with new terms.

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
        told = f"dogcls-tui pilot --dataset {one_line(self._dataset, 40)}"
        self.query_one("#pilot-command", Static).update(Text(f"$ {told}", look().info))

    @work
    async def action_terms(self) -> None:
        """Query the terms, and show what follows; the service is sent nothing."""
        terms = await self.app.push_screen_wait(TermsScreen(self._found.terms))
        if terms is not None:
            self._found = self._found.at(terms)
            self._changed(terms)
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
        grid.add_row("whole run", Text(f"about {dollars(found.run_usd)}"))
        grid.add_row("fine-tuning", self._price())
        grid.add_row("must gain", self._needed())
        grid.add_row("terms", Text(f"{found.terms.horizon}; {', '.join(found.terms.assumptions)}", at.dim))
        return grid

    def _price(self) -> Text:
        """Return what fine-tuning costs more under the terms, part by part."""
        extra, at = self._found.extra, look()
        if extra is None:
            return Text("unknown", at.warn)
        return Text.assemble((f"{dollars(extra.cost)} more", f"bold {at.accent}"), (f"  {self._found.parts}", at.dim))

    def _needed(self) -> Text:
        """Return what would pay for that: points where a value is set, else a value."""
        found, at = self._found, look()
        possible = f"{found.possible_points:.1f} that are possible"
        if found.needed_points is not None:
            told = f"{found.needed_points:,.1f} points, of {possible}"
            return Text(told, at.warn if found.needed_points > found.possible_points else "")
        if found.needed_value is None:
            return Text("unknown", at.warn)
        return Text(f"a right answer worth {dollars(found.needed_value)}, with all points, {possible}")


def pilot_question(cost: PilotCost, dataset: str) -> tuple[str, str]:
    """Return the question before a pilot, and what follows from a yes."""
    question = f"Ask {counted(cost.images, 'validation image')} of {dataset} for about {dollars(cost.usd)}?"
    told = "It is the emulator's: nobody charges it." if cost.emulated else "At list prices."
    told += " It tells what fine-tuning would have to gain. What is answered is never asked twice."
    return question, f"{told}\n{cost.caution}" if cost.caution else told
