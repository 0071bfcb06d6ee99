"""The list of experiments, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.binding import Binding
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine import ExperimentView
from tui.styles.theme import DIM, STATES
from tui.text import literal


class ExperimentList(OptionList):
    """One line an experiment: its state, its name, how many of its jobs are done."""

    BINDINGS = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("g", "first", show=False),
        Binding("G", "last", show=False),
    ]

    def show(self, experiments: Sequence[ExperimentView], chosen: str | None) -> None:
        """Show these experiments; the cursor stands on the chosen one."""
        names = [e.name for e in experiments]
        room = max(6, self.content_size.width - 7)
        prompts = [_line(e, room) for e in experiments]
        if names != [option.id for option in self.options]:
            with self.prevent(OptionList.OptionHighlighted):
                self.clear_options()
                self.add_options(Option(prompt, id=name) for prompt, name in zip(prompts, names, strict=True))
                self.highlighted = names.index(chosen) if chosen in names else None
            return
        for number, prompt in enumerate(prompts):
            if self.get_option_at_index(number).prompt != prompt:
                self.replace_option_prompt_at_index(number, prompt)


def _line(experiment: ExperimentView, room: int) -> Text:
    mark, style = STATES[experiment.state]
    name = Text(literal(experiment.name))
    name.truncate(room, overflow="ellipsis", pad=True)
    done = (f" {experiment.jobs_done}/{experiment.jobs_total}", DIM)
    return Text.assemble((mark, style), " ", name, done, no_wrap=True)
