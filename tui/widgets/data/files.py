"""Files for the service: what they are for, in which form the images go, what that comes to; and writing them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import OptionList, Static

from engine import Choice, DatasetView, DogclsError, Engine, Exported, Form, Order, Prompt, counted, signed
from tui.guard import work
from tui.screens.dialogs import AskScreen
from tui.styles.theme import look
from tui.text import dollars, one_line, size
from tui.widgets.data.base import DataTab, dials, told
from tui.widgets.lists import List
from tui.widgets.tables import Table

DEBOUNCE_SECONDS = 0.2
KINDS = {"batch": "requests", "fine-tune": "examples"}
SIDES = (None, 512, 384, 256, 224)
QUALITY = 85
_WORDS = (
    ("leave such images out: --skip-bad", "choose bad: leave out"),
    ('labels = "json" in a prompt file can', "listed as json (Prompt) it can"),
    ("the same command then goes on", "w then goes on"),
    ("--format ", ""),
    ("--max-side", "side"),
    ("--quality", "quality"),
)
"""What the engine says for a command line, and how that is done here."""
DETAILS = {"low": "512 pixels are seen, one price for any size", "high": "2048 are seen, dearer by the tile"}
BAD = {"stop": "at an image that cannot be sent", "leave out": "what cannot be sent, and name it"}
WIDE = 80
"""Cells from which on the uploads are also told as shares."""
NAMED = 5
"""Images that were left out and are named; the sum tells the rest."""


class FilesTab(DataTab):
    """Choices, a table of forms with their effects, and what was written."""

    FOCUS = "#order"

    def __init__(
        self, engine: Engine, prompt_for: Callable[[DatasetView, str], Awaitable[Prompt]], **options: str
    ) -> None:
        """Make the tab.

        Args:
            engine: of the home.
            prompt_for: returns the question of a dataset for a kind of file.
            options: of a widget.

        """
        super().__init__(engine, **options)
        self._prompt_for = prompt_for
        self._kind, self._split, self._detail, self._bad = "batch", "test", "low", "stop"
        self._side, self._quality = 0, QUALITY
        self._choices: list[Choice] = []
        self._measured: Order | None = None
        """What the choices are of."""
        self._progress = Text()
        self._written = Text()

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield List(id="order")
        yield Table(id="forms")
        with VerticalScroll(id="files-box"):
            yield Static(id="files")

    async def draw(self, data: DatasetView, *, fresh: bool) -> None:
        """Show the choices, and have the forms measured."""
        if fresh:
            self._written = Text()
        self._draw_order(data)
        self._measure()

    def _draw_order(self, data: DatasetView) -> None:
        count = {"train": data.train, "val": data.val, "test": data.test}[self._split]
        side = SIDES[self._side]
        rows = [
            ("for", self._kind, "half the price, within a day" if self._kind == "batch" else "training examples"),
            ("images", self._split, f"{count:,} {KINDS[self._kind]}"),
            ("detail", self._detail, DETAILS[self._detail]),
            ("side", f"{side}" if side else "as detail", "pixels at most; as-is stays as it is"),
            ("quality", f"{self._quality}", "of one more JPEG to compare"),
            ("bad", self._bad, BAD[self._bad]),
        ]
        self.query_one("#order", List).show(dials(rows))

    async def _order(self, data: DatasetView) -> Order:
        """Return what was chosen; raises InputError."""
        batch, side = self._kind == "batch", SIDES[self._side]
        asked = await self.engine.curate.batch_deployment(self.engine.profile) if batch else ""
        prompt = await self._prompt_for(data, self._kind)
        own = side is not None or self._quality != QUALITY
        return Order(
            data.name,
            "batch" if batch else "fine-tune",
            self._split,
            replace(prompt, detail="high" if self._detail == "high" else "low"),
            deployment=asked,
            form=Form("jpeg", self._quality, side) if own else Form(),
        )

    @work(exclusive=True, group="measure")
    async def _measure(self) -> None:
        """Try all forms on a sample, in a thread."""
        data = self.data
        await asyncio.sleep(DEBOUNCE_SECONDS)
        if data is None:
            return

        def progress(phase: str, done: int, total: int) -> None:
            self.app.call_from_thread(self._tell, told((phase, done, total)).append("\n"))

        try:
            order = await self._order(data)
            if order == self._measured and self._choices:
                self._draw_forms()
                return
            self._choices = []
            self._tell(Text("measuring each form on a sample …\n", look().dim))
            found, cautions = await self.engine.curate.forms(order, progress)
        except DogclsError as error:
            self._tell(Text(_said_here(str(error)), look().bad))
            return
        self._choices, self._measured = found, order
        self._draw_forms()
        chosen = next((n for n, c in enumerate(found) if c.chosen), 0)
        self.query_one("#forms", Table).move_cursor(row=chosen)
        said, sampled = Text(), next(iter(found)).sampled
        for caution in cautions:
            said.append(f"! {_said_here(caution)}\n", look().warn)
        self._tell(
            said.append(f"Measured on {counted(sampled, 'image')}, carried over; tokens are estimates.\n", look().dim)
        )

    def _draw_forms(self) -> None:
        at, least = look(), min((c.upload_bytes for c in self._choices if not c.unusable), default=0)
        wide = self.size.width >= WIDE
        as_is = next((c.upload_bytes for c in self._choices if c.form.untouched), 0)
        rows = {}
        for n, c in enumerate(self._choices):
            bad = f"{c.unusable} of {c.sampled} tried cannot be sent" if c.unusable else ""
            small = c.upload_bytes == least and not c.unusable
            rows[str(n)] = [
                Text(c.name.removeprefix("--format ").replace("--quality", "q").replace("--max-side", "≤"), "bold"),
                Text(size(c.sent_bytes), justify="right"),
                Text(size(c.upload_bytes), f"bold {at.ok}" if small else "", justify="right"),
                *(
                    [Text(f"{signed(100 * (c.upload_bytes / max(1, as_is) - 1), 0)}%", at.dim, justify="right")]
                    if wide
                    else []
                ),
                Text(f"{c.files:,}", justify="right"),
                Text(f"{c.tokens:,}", at.dim, justify="right"),
                Text("–" if c.usd is None else dollars(c.usd), at.accent, justify="right"),
                Text(bad, at.bad),
            ]
        heads = ("images as", "each", "upload", *(("change",) if wide else ()), "files", "tokens", "price", "")
        self.query_one("#forms", Table).fill(heads, rows)

    def _tell(self, more: Text) -> None:
        if self.busy:
            more = Text.assemble(self._progress, ("   esc stops; w goes on from there\n", look().dim), more)
        hint = Text("tab: choose a form; w writes in the one under the cursor.\n", look().dim)
        self.query_one("#files", Static).update(Text.assemble(more, self._written or hint))

    def ready(self, split: str) -> bool:
        """Whether the forms of a split are measured, so that it can be written."""
        return bool(self._choices) and self._measured is not None and self._measured.split == split and not self.busy

    # -- what the reader does

    @on(OptionList.OptionSelected, "#order")
    def _selected(self) -> None:
        self.open()

    def open(self) -> None:
        """Choose the next of what stands under the cursor."""
        if self.data is None or self.busy:
            return
        chosen = self.query_one("#order", List).chosen
        if chosen == "for":
            self._kind = "fine-tune" if self._kind == "batch" else "batch"
            self._split = "test" if self._kind == "batch" else "train"
        elif chosen == "images":
            splits = ("train", "val", "test")
            self._split = splits[(splits.index(self._split) + 1) % 3]
        elif chosen == "detail":
            self._detail = "high" if self._detail == "low" else "low"
        elif chosen == "side":
            self._side = (self._side + 1) % len(SIDES)
        elif chosen == "quality":
            self._ask_quality()
            return
        else:
            self._bad = "leave out" if self._bad == "stop" else "stop"
        self._draw_order(self.data)
        if chosen != "bad":
            self._measure()

    @work
    async def _ask_quality(self) -> None:
        typed = await self.app.push_screen_wait(AskScreen("Quality, 1 to 100", str(self._quality)))
        if typed is None or self.data is None:
            return
        if not typed.strip().isdecimal() or not 1 <= int(typed) <= 100:
            self._tell(Text(f"{one_line(typed, 20)} is no quality: type a number from 1 to 100.\n", look().bad))
            return
        self._quality = int(typed)
        self._draw_order(self.data)
        self._measure()

    def write(self) -> None:
        """Ask where to, and write, once it is known what is chosen among."""
        if self.data is not None and self.ready(self._split):
            self._working = self._write(self.data)

    @work(group="write")
    async def _write(self, data: DatasetView) -> None:
        order, last = self._chosen_order(), 0.0
        to = await self.app.push_screen_wait(AskScreen("Write the JSONL files into", f"{data.name}-jsonl"))
        if not to or order is None:
            return

        def progress(phase: str, done: int, total: int) -> None:
            nonlocal last
            if done < total and time.monotonic() - last < 0.1:  # a slow line carries little
                return
            last = time.monotonic()
            self._progress = told((phase, done, total))
            self.app.call_from_thread(self._tell, Text())

        self._progress = Text("writing …")
        self._tell(Text())
        self.screen.refresh_bindings()
        try:
            exported, notes = await self.engine.curate.export(
                order, Path(to), skip_bad=self._bad == "leave out", progress=progress
            )
        except DogclsError as error:
            self._written = Text(f"✗ {_said_here(str(error))}\n", look().bad)
        except asyncio.CancelledError:
            self._written = Text("Stopped; w goes on where it was.\n", look().warn)
            raise
        else:
            self._written = _result(exported, notes)
        finally:
            self._working = None
            if self.is_attached:
                self._tell(Text())
                self.screen.refresh_bindings()

    def _chosen_order(self) -> Order | None:
        """Return what was measured, with the form under the cursor."""
        chosen = int(self.query_one("#forms", Table).chosen or 0)
        if self._measured is None or chosen >= len(self._choices):
            return None
        return replace(self._measured, form=self._choices[chosen].form)


def _said_here(text: str) -> str:
    for command, here in _WORDS:
        text = text.replace(command, here)
    return one_line(text, 600)


def _result(exported: Exported, notes: list[str]) -> Text:
    """Return what is there now."""
    at, text = look(), Text()
    if exported.shards:
        text.append(f"In {one_line(str(exported.shards[0].path.parent), 300)}:\n", at.dim)
    for shard in exported.shards:
        text.append("✓ ", at.ok)
        text.append(f"{one_line(shard.path.name, 200)}  {counted(shard.requests, 'line')}, {size(shard.bytes)}\n")
    if exported.kept or exported.resumed:
        text.append(
            f"There already: {exported.kept:,} of the files, {counted(exported.resumed, 'line')} of the next.\n", at.dim
        )
    if exported.skipped:
        text.append(f"{exported.skipped:,} left out:\n", at.warn)
        for path, why in exported.bad[:NAMED]:
            text.append(f"  {one_line(path, 200)}: {one_line(why, 200)}\n", at.warn)
    for note in notes:
        text.append(f"! {_said_here(note)}\n", at.warn)
    return text
