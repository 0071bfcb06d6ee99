"""The line at the top: where we are, what runs, what it has cost."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text
from textual.widgets import Static

from engine import ACTIVE, ExperimentView, JobView
from tui.styles.theme import ACCENT, DIM
from tui.text import dollars, literal


class TopBar(Static):
    """Name and profile at the left; jobs under way and money at the right."""

    def show(self, profile: str, experiments: Sequence[ExperimentView], jobs: Sequence[JobView]) -> None:
        """Show what there is now."""
        emulated = profile == "demo"
        where = "embedded emulator: no account, no cost" if emulated else f"profile {literal(profile)}"
        left = Text.assemble(("dogcls-tui", f"bold {ACCENT}"), ("  " + where, DIM))
        running = sum(job.state in ACTIVE for job in jobs)
        spent = sum(e.cost_usd for e in experiments)
        right = Text(f"{running} running  " if running else "", ACCENT)
        if experiments:
            right.append(f"{dollars(spent)} {'emulated' if emulated else 'spent'}", DIM)
        row = Table.grid(expand=True)
        row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        row.add_column(justify="right", no_wrap=True)
        row.add_row(left, right)
        self.update(row)
