"""What a newcomer sees: what this is, and the one key that shows it."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widgets import Static

from tui.styles.theme import look
from tui.widgets.bar import bar


class Welcome(Container):
    """Stands where there is no experiment yet."""

    _told = False

    def compose(self) -> ComposeResult:
        """Say it in few words."""
        with Vertical() as box:
            box.border_title = "Welcome"
            yield Static(id="words")
            yield Static(id="phase")

    def on_mount(self) -> None:
        """Write it in the colours of now."""
        at = look()
        self.query_one("#words", Static).update(
            Text.assemble(
                ("For your labelled images:\n", "bold"),
                "is a ",
                ("zero-shot", at.zero_shot),
                " GPT-4o enough, is ",
                ("fine-tuning", at.fine_tuned),
                " it worth\nthe money, or does a small local ",
                ("CNN", at.cnn),
                " do?\n\n",
                (" d ", f"bold {at.ink} on {at.accent}"),
                "  run the demo, from nothing to the comparison\n",
                ("     drawn dogs, an embedded emulator of Azure OpenAI;\n", at.dim),
                ("     no account, no cost, about a minute\n\n", at.dim),
                (" 2 ", f"bold {at.ink} on {at.info}"),
                "  add your own images: folder, tar or zip\n",
                (" ? ", f"bold {at.ink} on {at.dim}"),
                "  all keys",
            )
        )

    def begin(self, drawing: bool) -> None:
        """Say that the demo is on its way, before there is anything to measure."""
        if drawing and not self._told:
            self.progress("getting ready", 0, 0)

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show how far the dataset is."""
        self._told = True
        told = Text.assemble("\n", bar(done / total if total else 0.0, 40, look().accent), (f"  {phase}", look().dim))
        self.query_one("#phase", Static).update(told)
