"""Datasets: what is in them, what is wrong with them, what would be sent."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import DataTable, OptionList, TabbedContent, TabPane, TextArea

from engine import DatasetView
from tui.bridge import Looked
from tui.guard import work
from tui.screens.add import AddScreen
from tui.screens.base import Room
from tui.screens.finding import FindingScreen
from tui.screens.papers import TextScreen
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.data.base import DataTab
from tui.widgets.data.classes import ClassesTab
from tui.widgets.data.files import FilesTab
from tui.widgets.data.findings import FindingsTab
from tui.widgets.data.pictures import PicturesTab
from tui.widgets.data.prompt import PromptTab
from tui.widgets.lists import List
from tui.widgets.tables import Table

_WHERE = {
    "check": ("classes-tab", "pictures-tab", "findings-tab"),
    "more": ("pictures-tab", "prompt-tab"),
    "open": ("findings-tab", "prompt-tab", "files-tab"),
    "sift": ("findings-tab",),
}
"""Keys that do something on some tabs only."""


class DataScreen(Room):
    """Sets at the left, tabs of the chosen one at the right."""

    ROOM = "data"
    FIRST = "#sets"

    def __init__(self) -> None:
        super().__init__()
        self._sets: dict[str, DatasetView] = {}

    def body(self) -> ComposeResult:
        """Lay it out."""
        prompt = PromptTab(self.engine)
        tabs: tuple[tuple[str, DataTab], ...] = (
            ("Classes", ClassesTab(self.engine)),
            ("Pictures", PicturesTab(self.engine)),
            ("Findings", FindingsTab(self.engine)),
            ("Prompt", prompt),
            ("Files", FilesTab(self.engine, prompt.for_kind)),
        )
        with Horizontal(classes="row"):
            yield List(id="sets", classes="pane")
            with TabbedContent(initial="classes-tab", id="tabs"):
                for title, tab in tabs:
                    with TabPane(title, id=f"{title.lower()}-tab"):
                        yield tab

    def on_mount(self) -> None:
        """Name the pane."""
        super().on_mount()
        self.query_one("#sets").border_title = "Datasets"

    def on_screen_resume(self) -> None:
        """Datasets may have been added meanwhile."""
        super().on_screen_resume()
        self._find()

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        """Nothing here hangs on jobs."""

    @work(exclusive=True, group="find")
    async def _find(self, chosen: str | None = None) -> None:
        found = {d.name: d for d in await self.engine.datasets()}
        self._sets = dict(reversed(found.items()))
        lines = []
        for d in self._sets.values():
            text = Text(one_line(d.name, 30), no_wrap=True, overflow="ellipsis")
            lines.append((d.name, text.append(f" {d.train + d.val + d.test:,}", look().dim)))
        sets = self.query_one("#sets", List)
        sets.show(lines, chosen)
        if chosen is not None:
            sets.choose(chosen)
        if not self._sets:
            self.query_one(ClassesTab).nothing()
        self._draw()
        self.refresh_bindings()

    @property
    def _chosen(self) -> DatasetView | None:
        return self._sets.get(self.query_one("#sets", List).chosen or "")

    @property
    def _front(self) -> DataTab:
        """The tab in front."""
        return self.query_one(f"#{self.query_one(TabbedContent).active}").query_one(DataTab)

    @on(OptionList.OptionHighlighted, "#sets")
    @on(TabbedContent.TabActivated)
    def _draw(self) -> None:
        """Show the chosen set on the tab in front."""
        data = self._chosen
        if data is not None:
            self.desk.dataset = data.name
            self._front.show(data)

    def tab_shown(self, tab: str) -> None:
        """Give the focus to what is in front."""
        self.query_one(self._front.FOCUS).focus()

    # -- what the reader does

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that would do something now."""
        if not self.is_mounted:
            return True
        if action == "add":
            return not self.engine.readonly
        if action == "check" and (self.engine.readonly or self.query_one(FindingsTab).busy):
            return False
        if action == "open" and isinstance(self.focused, TextArea):
            return False
        if action == "back":
            return isinstance(self.focused, TextArea) or self._front.busy
        if action in ("edit", "write", *_WHERE) and self._chosen is None:
            return False
        if action in ("sift", "open") and self._front.has_class("bare"):
            return False
        return action not in _WHERE or self.query_one(TabbedContent).active in _WHERE[action]

    @work
    async def action_add(self) -> None:
        """Add a dataset."""
        name = await self.app.push_screen_wait(AddScreen(self.engine))
        if name:
            self._find(name)

    def action_more(self) -> None:
        """Show the next pictures, or the next request."""
        self._front.more()

    def action_sift(self) -> None:
        """Show findings of the next kind alone."""
        self.query_one(FindingsTab).sift()

    def action_check(self) -> None:
        """Look at every image again."""
        self._go("findings-tab")
        self.query_one(FindingsTab).check()

    def action_edit(self) -> None:
        """Edit the prompt."""
        self._go("prompt-tab")
        self.query_one("#prompt").focus()

    def action_write(self) -> None:
        """Write files for the service: the first time it is shown what they would be."""
        tabs = self.query_one(TabbedContent)
        if tabs.active == "files-tab":
            self.query_one(FilesTab).write()
        else:
            self._go("files-tab")

    def _go(self, tab: str) -> None:
        self.query_one(TabbedContent).active = tab
        self._draw()
        self.tab_shown(tab)
        self.call_after_refresh(self.refresh_bindings)

    def action_back(self) -> None:
        """Out of the editor, whose prompt is kept for the launch; else stop what is under way."""
        if isinstance(self.focused, TextArea):
            self.query_one(PromptTab.FOCUS).focus()
        else:
            self._front.stop()

    @on(DataTable.RowSelected, "#findings")
    def action_open(self) -> None:
        """Show everywhere the chosen finding was found; choose on other tabs."""
        tab, data = self._front, self._chosen
        if not isinstance(tab, FindingsTab):
            tab.open()
        elif data is not None and (finding := tab.finding) is not None:
            if finding.files:
                self.app.push_screen(FindingScreen(self.engine, data.root, finding))
            else:
                self.app.push_screen(TextScreen(one_line(finding.what, 60), f"{finding.what}\n\n{finding.cure}"))

    def repaint(self) -> None:
        """Draw everything in other colours."""
        for table in self.query(Table):
            table.redraw()
        super().repaint()
        self._find()
