"""Labels that may be wrong, with their pictures and the reason."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from engine import counted
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.tabs.base import View
from tui.widgets.tabs.disagreements import PicturedTab


class SuspectsTab(PicturedTab):
    """Images on which contestants agree against the label."""

    FOCUS = "#suspects .images"
    LINES = 2

    def draw(self, view: View) -> None:
        """Fill the table."""
        found, answers, at = view.found.suspects, view.found.answers, look()
        self._images = [s.image for s in found]
        sure = sum(s.sure for s in found)
        if not found:
            why = "it takes two" if len(answers.contestants) < 2 else "nowhere do two agree on another one"
            self.head(f"No label is suspect: {why}.")
        else:
            self.head(
                (counted(len(found), "suspect label"), "bold"),
                f", {sure:,} for a strong reason (!): to be looked at, not proven",
            )

        def row(n: int) -> list[Text]:
            s = found[n]
            return [
                Text("!" if s.sure else "", f"bold {at.warn}"),
                Text(one_line(answers.labels[s.truth], 60)),
                Text(one_line(answers.labels[s.said], 60), at.bad),
                Text(f"{len(s.by)}:{len(s.against)}", at.dim, justify="right"),
                Text(f"{s.surest:.0%}" if s.surest is not None else "–", at.dim, justify="right"),
            ]

        heads = ("", "label", "they say", "by", "sure") if found else ("",)
        self.table.show((view.found.analysis.experiment, len(found)), heads, len(found), row)
        self.picture()

    def body(self) -> ComposeResult:
        """The table, the picture, and the reason over the whole width below."""
        yield from super().body()
        yield Static(classes="below")

    def picture(self) -> None:
        """Show the chosen one's reason, too."""
        super().picture()
        place, at, told = self.table.place, look(), Text()
        if self.view is not None and place is not None and place < len(self.view.found.suspects):
            s = self.view.found.suspects[place]
            told.append(one_line(s.reason, 400))
            if s.truth_probability is not None:
                told.append(f" It gave the label {s.truth_probability:.0%}.", at.dim)
        self.query_one(".below", Static).update(told)

    def tell(self, told: Text, view: View, place: int, image: int) -> None:
        """Add what it is said to be."""
        s = view.found.suspects[place]
        told.append(" → ", look().dim).append(one_line(view.found.answers.labels[s.said], 40), look().bad)
