"""Datasets: what is in them, what is wrong with them, what would be sent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import DataTable, OptionList, Static, TabbedContent, TabPane, TextArea

from engine import ARTICLE_PROMPT, DatasetView, DogclsError, Split, make_spec
from tui.bridge import Looked
from tui.screens.add import AddScreen
from tui.screens.base import Room
from tui.screens.dialogs import AskScreen
from tui.screens.papers import TextScreen
from tui.styles.theme import look
from tui.text import dollars, literal, one_line, size
from tui.widgets.bar import bar, stacked
from tui.widgets.gallery import Gallery
from tui.widgets.lists import List
from tui.widgets.tables import Table

if TYPE_CHECKING:
    from engine import Finding

DEBOUNCE_SECONDS = 0.2


class DataScreen(Room):
    """Sets at the left, tabs of the chosen one at the right."""

    ROOM = "data"
    FIRST = "#sets"

    def __init__(self) -> None:
        super().__init__()
        self._sets: dict[str, DatasetView] = {}
        self._findings: list[Finding] = []
        self._first = self._request = 0
        """The first picture of the gallery, and the test image of the request."""
        self._shown: object = None
        self._written = Text()

    def body(self) -> ComposeResult:
        """Lay it out."""
        with Horizontal(classes="row"):
            yield List(id="sets", classes="pane")
            with TabbedContent(initial="classes-tab", id="tabs"):
                with TabPane("Classes", id="classes-tab"):
                    yield Static(id="about")
                    yield Table(id="classes")
                with TabPane("Pictures", id="pictures-tab"):
                    yield Gallery(self.engine.browse, id="gallery")
                with TabPane("Findings", id="findings-tab"):
                    yield Table(id="findings")
                    yield Static(id="finding", classes="pane")
                with TabPane("Prompt", id="prompt-tab"):
                    yield TextArea(id="prompt", soft_wrap=True, show_line_numbers=False)
                    with VerticalScroll(id="request-box"):
                        yield Static(id="request")
                with TabPane("Files", id="files-tab"), VerticalScroll(id="files-box"):
                    yield Static(id="files")

    def on_mount(self) -> None:
        """Name the panes."""
        super().on_mount()
        self.query_one("#sets").border_title = "Datasets"
        self.query_one("#finding").border_title = "What helps"

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
            hint = Text("No dataset yet.\n\na adds one: a folder, .tar or .zip of class folders.", look().dim)
            self.query_one("#about", Static).update(hint)
        self._draw()

    @property
    def _chosen(self) -> DatasetView | None:
        return self._sets.get(self.query_one("#sets", List).chosen or "")

    @on(OptionList.OptionHighlighted)
    def _another(self, event: OptionList.OptionHighlighted) -> None:
        self._first, self._request, self._written = 0, 0, Text()
        self._draw()

    @on(TabbedContent.TabActivated)
    def _tab(self) -> None:
        self._draw()

    def tab_shown(self, tab: str) -> None:
        """Give the focus to what is in front."""
        focus = {"classes-tab": "#classes", "findings-tab": "#findings", "files-tab": "#files-box"}
        self.query_one(focus.get(tab, "#sets")).focus()

    # -- drawing the tab in front

    @work(exclusive=True, group="draw")
    async def _draw(self) -> None:
        data = self._chosen
        if data is None:
            return
        self.desk.dataset = data.name
        tab = self.query_one("#tabs", TabbedContent).active
        try:
            if tab == "classes-tab":
                await self._draw_classes(data)
            elif tab == "pictures-tab":
                await self._draw_pictures(data)
            elif tab == "findings-tab":
                await self._draw_findings(data)
            elif tab == "prompt-tab":
                self._draw_prompt(data)
            else:
                self._draw_files(data)
        except DogclsError as error:
            self.desk.trouble(str(error))

    async def _draw_classes(self, data: DatasetView) -> None:
        at = look()
        splits = (("train", data.train, at.accent), ("val", data.val, at.info), ("test", data.test, at.ok))
        total = sum(count for _, count, _ in splits)
        room = self.query_one("#tabs").size.width - 2
        about = Text(f"{len(data.labels):,} classes, {total:,} images:")
        for name, count, style in splits:
            about.append(" █ ", style).append(f"{name} {count:,}")
        about.append("\n").append_text(stacked([(n, style) for _, n, style in splits], total, room))
        about.append(f"\n{data.split} split, frozen as {data.digest[:12]}, from {one_line(data.source, 120)}", at.dim)
        self.query_one("#about", Static).update(about)
        counts = await self.engine.class_counts(data.name)
        most = max((sum(row[1:]) for row in counts), default=1)
        room = max(8, room - 34 - 26)
        rows = {
            str(n): [
                Text(one_line(label, 34)),
                *(Text(f"{count:,}", justify="right") for count in row),
                stacked(list(zip(row, (at.accent, at.info, at.ok), strict=True)), most, room, "━"),
            ]
            for n, (label, *row) in enumerate(counts)
        }
        self.query_one("#classes", Table).fill(("class", "train", "val", "test", ""), rows)

    async def _draw_pictures(self, data: DatasetView) -> None:
        gallery, images = self.query_one(Gallery), []
        for n in range(self._first, self._first + gallery.room):  # one of each class, then the next of each
            at, label = divmod(n, len(data.labels))
            images += await self.engine.browse.images(data.name, at, 1, label=label)
        if not images and self._first:
            self._first = 0
            await self._draw_pictures(data)
            return
        gallery.show(images)

    async def _draw_findings(self, data: DatasetView) -> None:
        if self._shown != data.name:
            self._findings = await self.engine.browse.findings(data.name)
            self._shown = data.name
        at = look()
        styles = {"error": f"bold {at.bad}", "warning": at.warn, "note": at.dim}
        rows = {str(n): [Text(f.level, styles[f.level]), Text(one_line(f.what))] for n, f in enumerate(self._findings)}
        if not rows:
            told = f"nothing: no copies, no leakage, no imbalance, no tiny pictures among {len(data.labels):,} classes"
            rows["-1"] = [Text("✓", at.ok), Text(told)]
        self.query_one("#findings", Table).fill(("", "finding"), rows)
        self._explain()

    @on(DataTable.RowHighlighted, "#findings")
    def _explain(self) -> None:
        """Say where the chosen finding was found, and what helps."""
        finding, box = self._finding, self.query_one("#finding", Static)
        if finding is None:
            box.update(Text("Nothing needs to be done.", look().dim))
            return
        where = one_line(", ".join(finding.where[:5]), 400)
        more = f" and {len(finding.where) - 5:,} more" if len(finding.where) > 5 else ""
        box.update(Text.assemble(f"{finding.cure}\n", (f"{where}{more}", look().dim)))

    @property
    def _finding(self) -> Finding | None:
        chosen = int(self.query_one("#findings", Table).chosen or -1)
        return self._findings[chosen] if 0 <= chosen < len(self._findings) else None

    def _draw_prompt(self, data: DatasetView) -> None:
        area = self.query_one("#prompt", TextArea)
        if not area.text:
            area.text = ARTICLE_PROMPT
        self._preview(data, area.text)

    @work(exclusive=True, group="preview")
    async def _preview(self, data: DatasetView, system: str) -> None:
        await asyncio.sleep(DEBOUNCE_SECONDS)
        box = self.query_one("#request", Static)
        try:
            p = await self.engine.browse.request(make_spec({"dataset": data.name}), system, self._request)
        except DogclsError as error:
            box.update(Text(one_line(str(error), 300), look().bad))
            return
        at = look()
        told = Text.assemble(
            (f"{p.text_tokens + p.image_tokens:,} tokens", "bold"),
            (f" (about {p.text_tokens:,} of text, {p.image_tokens:,} of image)  ", at.dim),
            (f"1,000 requests: {dollars(p.batch_usd)} by batch, {dollars(p.real_time_usd)} one by one\n", at.accent),
            (f"test image {one_line(p.image.name, 60)}  (space: the next)\n", at.dim),
            literal(p.body[:6000]),
        )
        box.update(told)

    def _draw_files(self, data: DatasetView) -> None:
        told = Text("w writes the files that the service takes:\n", look().dim)
        told.append(f"  batch        {data.test:,} requests about the test images\n", look().dim)
        told.append(f"  fine-tuning  {data.train:,} training and {data.val:,} validation examples\n\n", look().dim)
        self.query_one("#files", Static).update(told.append_text(self._written))

    # -- what the reader does

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that would do something now."""
        if not self.is_mounted:
            return True
        tab = self.query_one("#tabs", TabbedContent).active
        if action == "add":
            return not self.engine.readonly
        if action == "more":
            return tab in ("pictures-tab", "prompt-tab")
        if action == "open":
            return tab == "findings-tab"
        if action in ("edit", "write"):
            return self._chosen is not None
        return True

    @work
    async def action_add(self) -> None:
        """Add a dataset."""
        name = await self.app.push_screen_wait(AddScreen(self.engine))
        if name:
            self._shown = None
            self._find(name)

    def action_more(self) -> None:
        """Show the next pictures, or the next request."""
        if self.query_one("#tabs", TabbedContent).active == "prompt-tab":
            self._request += 1
        else:
            self._first += self.query_one(Gallery).room
        self._draw()

    @on(Gallery.Changed)
    def _room_changed(self) -> None:
        self._draw()

    def action_edit(self) -> None:
        """Edit the prompt."""
        self.query_one("#tabs", TabbedContent).active = "prompt-tab"
        self.query_one("#prompt").focus()

    @on(TextArea.Changed)
    def _edited(self, event: TextArea.Changed) -> None:
        if data := self._chosen:
            self._preview(data, event.text_area.text)

    def action_back(self) -> None:
        """Out of the editor: what was written is kept for the launch."""
        if isinstance(self.focused, TextArea):
            self._keep_prompt()
        super().action_back()

    @work
    async def _keep_prompt(self) -> None:
        data, text = self._chosen, self.query_one("#prompt", TextArea).text.strip()
        if data is None:
            return
        if text == ARTICLE_PROMPT:
            self.desk.prompts.pop(data.name, None)
            return
        path = await self.desk.doing(self.engine.keep_prompt(data.name, text), "Kept; launch asks with it.")
        if isinstance(path, Path):
            self.desk.prompts[data.name] = str(path)

    @work
    async def action_write(self) -> None:
        """Write the files for the service."""
        data = self._chosen
        if data is None:
            return
        folder = await self.app.push_screen_wait(AskScreen("Write the JSONL files into", f"{data.name}-jsonl"))
        if not folder:
            return
        self.query_one("#tabs", TabbedContent).active = "files-tab"
        system = self.query_one("#prompt", TextArea).text.strip() or ARTICLE_PROMPT
        spec = make_spec({"dataset": data.name})
        self._written = Text()

        def progress(phase: str, done: int, total: int) -> None:
            line = bar(done / total if total else 1.0, 30, look().accent).append(f"  {phase} {done:,} of {total:,}")
            self.app.call_from_thread(self.query_one("#files", Static).update, Text.assemble(self._written, line))

        for kind, split in (("batch", Split.TEST), ("fine-tune", Split.TRAIN), ("fine-tune", Split.VAL)):
            work = self.engine.write_jsonl(data.name, kind, split, system, spec, Path(folder), progress)
            done = await self.desk.doing(work)
            for shard in done if isinstance(done, list) else ():
                told = f"{shard.path}  {shard.requests:,} lines, {size(shard.bytes)}\n"
                self._written.append("✓ ", look().ok).append(told)
        self._draw_files(data)

    def action_open(self) -> None:
        """Show everywhere the chosen finding was found."""
        if finding := self._finding:
            text = "\n".join((finding.what, *finding.where, "", finding.cure))
            self.app.push_screen(TextScreen(one_line(finding.what, 60), text))

    @on(DataTable.RowSelected, "#findings")
    def _selected(self) -> None:
        self.action_open()

    def repaint(self) -> None:
        """Draw everything in other colours."""
        for table in self.query(Table):
            table.redraw()
        super().repaint()
        self._find()
