"""The sentence on top of the results: what is concluded, or what to press where nothing can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.widgets import Static

from tui.styles.theme import look
from tui.text import one_line

if TYPE_CHECKING:
    from engine import Analysis, Comparison, ExperimentView, JobView

_TRIED = ("failed", "cancelled", "interrupted")
LOW, TALL = 3, 6
"""Lines that the sentence has on a low terminal, and on a tall one."""
TALL_ROWS = 36


class VerdictLine(Static):
    """A sentence that wraps; on a low terminal it is told shorter, for the table matters more."""

    def __init__(self, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._told = Text()

    def tell(self, sentence: str) -> None:
        """Say something that is no verdict."""
        self._told = Text(sentence, look().dim)
        self._fit()

    def show(self, analysis: Analysis, *, busy: bool, reckoning: bool) -> None:
        """Say the verdict, with what to press next."""
        at, v = look(), analysis.verdict
        mark, style = {
            "clear": ("✓", at.ok),
            "tied": ("≈", at.warn),
            "alone": ("●", at.info),
            "none": ("✗", at.warn),
            "open": ("…", at.warn),
        }[v.sure]
        sentence = one_line(v.sentence)
        if self.screen.size.height < TALL_ROWS:  # the table draws the intervals, and the tab About says it in full
            sentence = sentence.replace("95% interval ", "")
        told = Text.assemble((f"{mark} ", f"bold {style}"), sentence)
        if any(not c.complete for c in analysis.contestants):
            told.append("  4 watches it go on." if busy else "  4 shows why; there r resumes it.", at.accent)
        elif v.sure == "none":
            told.append("  m chooses another measure.", at.accent)
        elif v.sure == "alone":
            told.append("  3 launches others.", at.accent)
        if reckoning:
            told.append("  reckoning …", at.dim)
        self._told = told
        self._fit()

    def on_resize(self) -> None:
        """Wrap it anew."""
        self._fit()

    def _fit(self) -> None:
        """Show as many lines as there is room for; what is cut says so."""
        width = (self.content_size.width or self.screen.size.width) or 80
        most = TALL if self.screen.size.height >= TALL_ROWS else LOW
        lines = list(self._told.wrap(self.app.console, width))
        if len(lines) > most:
            rest = lines[most - 1 :]
            for line in rest:
                line.rstrip()
            last = Text(" ").join(rest)
            last.truncate(width, overflow="ellipsis")
            lines = [*lines[: most - 1], last]
        self.update(Text("\n").join(lines))


def nothing_yet(experiments: Sequence[ExperimentView], jobs: Sequence[JobView], comparison: Comparison | None) -> str:
    """Return why there is nothing to show, and what to press; nothing where there is something."""
    if not experiments:
        return "There is no experiment yet. 1 and d run the demo; 3 launches one of your own."
    if comparison is None or not comparison.contestants:
        return "This experiment has no contestants to compare. e goes to the next one; 3 launches another."
    if any(outcome != "missing" and count for c in comparison.contestants for outcome, count in c.outcomes.items()):
        return ""
    failed = [j for j in jobs if j.state in _TRIED]
    if failed and not any(j.state in ("running", "queued") for j in jobs):
        first = failed[0]
        why = f" ({first.kind} {first.id}: {one_line(first.error, 120)})" if first.error else ""
        return f"Nothing was answered: its jobs have {first.state}{why}. 4 shows why; there r tries again."
    return "Nothing is answered yet: the comparison appears with the first answers. 4 watches the jobs."
