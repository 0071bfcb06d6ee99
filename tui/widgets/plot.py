"""Curves of several runs laid over each other, with the line that says which is which."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from engine import JobView
from tui.curves import FROM_ZERO, SMOOTHED, Run
from tui.guard import work
from tui.styles.theme import look


@dataclass(frozen=True)
class Layer:
    """One run to be drawn; `epochs` is how many it has in all, where that is known."""

    job: JobView
    run: Run
    epochs: float | None


class Curves(Vertical):
    """A plot with its legend."""

    class Ready(Message):
        """The plotting library is there: draw now."""

    def __init__(self, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._plot: Any = None
        self._fine: Any = None

    def compose(self) -> ComposeResult:
        """The legend; the plot comes when its library is read."""
        yield Static(id="key")

    def on_mount(self) -> None:
        """Read the plotting library while the rest is on the screen already."""
        self._open()

    @work
    async def _open(self) -> None:
        library = await asyncio.to_thread(importlib.import_module, "textual_plot")
        self._fine = library.HiResMode.BRAILLE
        plot = library.PlotWidget(id="plot", allow_pan_and_zoom=False)
        plot.can_focus = False
        await self.mount(plot)
        plot.margin_top, plot.margin_bottom, plot.margin_left = 0, 2, 7
        self._plot = plot  # only now: until it is mounted it has no parts to draw on
        self.post_message(self.Ready())

    def show(self, layers: Sequence[Layer], measure: str, axis: str, smoothing: float) -> None:
        """Draw one measure of these runs.

        Args:
            layers: the chosen run first; its line has its contestant's colour.
            measure: one of `tui.curves.MEASURES`.
            axis: one of `tui.curves.AXES`.
            smoothing: of training; validation is told seldom enough.

        """
        if self._plot is None:
            return
        plot, legend, at = self._plot, Text(), look()
        plot.clear()
        plot.set_ylimits(0.0 if measure in FROM_ZERO else None, None)
        colours = [at.bad, at.warn, at.zero_shot, at.cnn, at.fine_tuned]
        smoothing = smoothing if measure in SMOOTHED else 0.0
        validated = False
        for number, layer in enumerate(layers):
            own = colours[(number - 1) % len(colours)] if number else at.contestant(layer.job.contestant)
            named = False
            for name, kind in layer.run.names(measure):
                x, y = layer.run.curve(name, axis, smoothing if kind == "training" else 0.0, layer.epochs)
                if not x:
                    continue
                validation = kind == "validation"
                colour = at.foreground if validation and number == 0 else own
                if len(x) > 1 and not (validation and len(x) < 3):
                    plot.plot(x, y, line_style=colour, hires_mode=self._fine)
                if validation:  # marks over the line: colour alone would not tell it from the other
                    plot.scatter(x, y, marker="◆", marker_style=colour)
                    validated = True
                if not named:
                    legend.append(f"── {layer.job.kind} {layer.job.id}  ", own)
                    named = True
        about = f"{measure} by {axis}" + (f", smoothed {smoothing:g}" if smoothing else "")
        marks = " ◆ validation   " if validated else " "
        nothing = Text(f"No {measure} measured yet; the first values appear here.", at.dim)
        drawn = bool(legend)
        self.query_one("#key", Static).update(legend.append(f"{marks}{about}", at.dim) if drawn else nothing)
        plot.display = drawn
