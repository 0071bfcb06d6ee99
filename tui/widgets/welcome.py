"""What a newcomer sees: what this is, and the one key that shows it."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widgets import Static

from tui.styles.theme import ACCENT, DIM
from tui.widgets.bar import bar


class Welcome(Container):
    """Stands where there is no experiment yet."""

    def compose(self) -> ComposeResult:
        """Say it in few words."""
        with Vertical() as box:
            box.border_title = "Welcome"
            yield Static(
                Text.assemble(
                    ("For your labelled images:\n", "bold"),
                    "is a ",
                    ("zero-shot", "#7fb5d6"),
                    " GPT-4o enough, is ",
                    ("fine-tuning", "#e0a458"),
                    " it worth\nthe money, or does a small local ",
                    ("CNN", "#8fbf7f"),
                    " do?\n\n",
                    (" d ", "bold #15171a on #e0a458"),
                    "  run the demo, from nothing to the comparison\n",
                    ("     drawn dogs, an embedded emulator of Azure OpenAI;\n", DIM),
                    ("     no account, no cost, about a minute\n\n", DIM),
                    ("With your own images, in the shell:\n", DIM),
                    "dogcls-tui data add FOLDER --name mine\n",
                    "dogcls-tui run --dataset mine",
                )
            )
            yield Static(id="phase")

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show how far the dataset is."""
        told = Text.assemble("\n", bar(done / total if total else 0.0, 40, ACCENT), (f"  {phase}", DIM))
        self.query_one("#phase", Static).update(told)
