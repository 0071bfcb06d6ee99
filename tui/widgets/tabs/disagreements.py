"""The images on which two contestants say different things, with their pictures and who said what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import DataTable

from engine import Browser
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.pages import PagedTable
from tui.widgets.picture import Picture
from tui.widgets.tabs.base import Sheet, View, short

if TYPE_CHECKING:
    from engine import Answers, ContestantAnalysis, PairedDifference

KINDS = ("all", "one is right", "both are wrong")


class PicturedTab(Sheet):
    """A table of images, and the chosen one's picture beside it."""

    LINES = 5
    """Of text under the picture."""

    def __init__(self, browse: Browser, **options: str) -> None:
        super().__init__(**options)
        self._browse = browse
        self._images: Sequence[int] = ()
        """Of each row, the image's number."""

    def body(self) -> ComposeResult:
        """The table at the left, the picture at the right."""
        with Horizontal():
            yield PagedTable(classes="images")
            yield Picture(self._browse, self.LINES, classes="beside")

    @property
    def table(self) -> PagedTable:
        """The table."""
        return self.query_one(PagedTable)

    @on(DataTable.RowHighlighted)
    def _walked(self) -> None:
        self.picture()

    def picture(self) -> None:
        """Show the chosen image's picture."""
        place, picture = self.table.place, self.query_one(Picture)
        if self.view is None or place is None or place >= len(self._images):
            picture.show(None)
            return
        answers, image = self.view.found.answers, self._images[place]
        path = answers.images[image]
        told = Text(no_wrap=True, overflow="ellipsis")
        told.append(one_line(answers.labels[answers.truths[image]], 40), "bold")
        self.tell(told, self.view, place, image)
        told.append(f"\n{one_line(PurePath(path).name, 60)}", look().dim)
        picture.show(str(path), told)

    def tell(self, told: Text, view: View, place: int, image: int) -> None:
        """Add what was said of an image."""


def said(answers: Answers, contestant: int, image: int) -> Text:
    """Return what a contestant said of an image, with a mark of right or wrong."""
    c = answers.contestants[contestant]
    label = c.predicted[image]
    text = answers.labels[label] if label is not None else f"({c.outcomes[image].replace('_', ' ')})"
    right = label is not None and label == answers.truths[image]
    return Text(f"{'✓' if right else '✗'} {one_line(text, 60)}", look().ok if right else look().bad)


class DisagreementsTab(PicturedTab):
    """Two contestants, and the images that tell them apart."""

    FOCUS = "#disagreements .images"

    def __init__(self, browse: Browser, **options: str) -> None:
        super().__init__(browse, **options)
        self._kind = 0

    def sift(self) -> None:
        """Show all of them, those that one got right, or those that none did."""
        self._kind = (self._kind + 1) % len(KINDS)
        if self.view is not None:
            self.show(self.view)

    def draw(self, view: View) -> None:
        """Fill the table."""
        analysis, answers, at = view.found.analysis, view.found.answers, look()
        if not analysis.differences:
            self._images = ()
            self.head("There is one contestant: disagreeing takes two.")
            self.table.show(None, ("",), 0, lambda _: [])
            self.picture()
            return
        d = analysis.differences[view.pair]
        a, b = _place(analysis.contestants, d.a), _place(analysis.contestants, d.b)
        one = [*d.only_a, *d.only_b]
        decided = set(one)
        none = [image for image in d.differ if image not in decided]
        self._images = ([*one, *none], one, none)[self._kind]
        names = [
            (short(c.name), f"bold {at.contestant(c.kind)}") for c in (analysis.contestants[a], analysis.contestants[b])
        ]
        counts = f"  {len(d.only_a):,} only {short(d.a)}, {len(d.only_b):,} only {short(d.b)}, {len(none):,} none right"
        shown = f" · {KINDS[self._kind]}" if self._kind else ""
        self.head(names[0], " · ", names[1], counts, shown)

        def row(n: int) -> list[Text]:
            image = self._images[n]
            truth = Text(one_line(answers.labels[answers.truths[image]], 60))
            return [truth, said(answers, a, image), said(answers, b, image)]

        heads = ("label", short(d.a, 20), short(d.b, 20)) if self._images else ("",)
        self.table.show((d.a, d.b, self._kind), heads, len(self._images), row)
        self.picture()

    def tell(self, told: Text, view: View, place: int, image: int) -> None:
        """Add what every contestant wrote, as it wrote it; the two first."""
        d = view.found.analysis.differences[view.pair]
        own = view.found.analysis.contestants
        order = sorted(range(len(own)), key=lambda n: own[n].name not in (d.a, d.b))
        for n in order[:3]:
            c = view.found.answers.contestants[n]
            told.append(f"\n{short(own[n].name, 14)}: ", look().contestant(own[n].kind))
            told.append(one_line(c.raw[image] or f"({c.outcomes[image]})", 80))


def _place(contestants: Sequence[ContestantAnalysis], name: str) -> int:
    return next(n for n, c in enumerate(contestants) if c.name == name)


def pair_name(d: PairedDifference) -> str:
    """Return what two contestants are called together."""
    return f"{short(d.a)} · {short(d.b)}"
