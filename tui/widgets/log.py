"""The log of one job."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.text import Text
from textual.binding import Binding
from textual.widgets import RichLog

from engine import LogLine
from tui.styles.theme import DIM, LEVELS
from tui.text import literal

KEPT_LINES = 5_000


class JobLog(RichLog):
    """Lines as they come; it follows its end while its end is in sight."""

    BINDINGS = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G", "scroll_end", show=False),
    ]

    def __init__(self, **options: str) -> None:
        super().__init__(max_lines=KEPT_LINES, wrap=True, min_width=20, markup=False, highlight=False, **options)  # type: ignore[arg-type]

    def show(self, lines: Iterable[LogLine], *, fresh: bool) -> None:
        """Add lines; `fresh` clears what was there."""
        if fresh:
            self.clear()
        at_end = fresh or self.is_vertical_scroll_end
        for line in lines:
            at = time.strftime("%H:%M:%S", time.localtime(line.at))
            text = Text.assemble((f"{at} ", DIM), (literal(line.message), LEVELS.get(line.level, "")))
            self.write(text, scroll_end=at_end)
