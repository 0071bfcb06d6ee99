"""A job's log, of any length: only the lines in sight are read, and a few pages around them are kept."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine import Browser, LogLine, counted
from tui.guard import work
from tui.keys import WALKING
from tui.styles.theme import look
from tui.text import one_line

PAGE = 200
KEPT_PAGES = 12
FLOOD_SECONDS = 2.0
"""How long a log rests that has just grown by half a screen: a slow line carries other things, too."""
STAMP = 9
"""Cells of the time before each line."""
LEVELS: tuple[tuple[str, ...], ...] = ((), ("warning", "error"), ("error",))
NAMES = ("", "warnings and errors", "errors")


class LogView(ScrollView, can_focus=True):
    """Lines by position. It follows its end until the reader goes elsewhere."""

    BINDINGS = [
        *WALKING,
        Binding("ctrl+d", "page_down", show=False),
        Binding("ctrl+u", "page_up", show=False),
    ]
    following = var(True)
    wrap = var(False)

    class Told(Message):
        """What the view is about has changed: how many lines, which levels, what is searched."""

    def __init__(self, browse: Browser, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._browse = browse
        self.job_id: int | None = None
        self.count = 0
        self.cursor = 0
        self.level = 0
        self.searched = ""
        self._pages: OrderedDict[int, list[LogLine]] = OrderedDict()
        self._asked: set[int] = set()
        self._lengths: list[int] = []
        self._rows: list[int] = []
        self._longest = 0
        self._calm_until = 0.0
        self._waiting = False

    # -- what is shown

    @property
    def about(self) -> str:
        """What the reader should know: lines, levels, what is searched, whether the end is followed."""
        parts = [counted(self.count, "line")]
        parts += [NAMES[self.level]] if self.level else []
        parts += [f"/{self.searched}"] if self.searched else []
        parts += ["following" if self.following else f"line {self.cursor + 1:,}"]
        return " · ".join(parts)

    def show_job(self, job_id: int | None) -> None:
        """Show another job's log, from its end."""
        if job_id != self.job_id:
            self.job_id = job_id
            self._forget()
            self.following = True
            self.grow()

    def _forget(self) -> None:
        self._pages.clear()
        self._asked.clear()
        self._lengths, self._rows = [], []
        self._longest = self.count = self.cursor = 0
        self._calm_until = 0.0

    def grow(self) -> None:
        """See how long the log is now: at once, or a little later when it comes faster than anybody reads."""
        wait = self._calm_until - time.monotonic()
        if wait <= 0:
            self._grow()
        elif not self._waiting:
            self._waiting = True
            self.set_timer(wait, self._grow)

    @work(exclusive=True, group="size")
    async def _grow(self) -> None:
        self._waiting = False
        job_id, level = self.job_id, self.level
        if job_id is None:
            self._resize(0)
            return
        count = await self._browse.log_size(job_id, LEVELS[level])
        if self.wrap:
            self._lengths += await self._browse.log_lengths(job_id, len(self._lengths), LEVELS[level])
        if count != self.count and self.count:
            self._pages.pop(self.count // PAGE, None)  # it was not full
        if self.following and count:  # what will be in sight is read before it is drawn
            height = max(1, self.scrollable_content_region.height)
            for number in {max(0, count - height) // PAGE, (count - 1) // PAGE}.difference(self._pages):
                page = await self._browse.log_page(job_id, number * PAGE, PAGE, LEVELS[level])
                if (job_id, level) == (self.job_id, self.level):
                    self._keep(number, page)
        if (job_id, level) == (self.job_id, self.level):
            if self.count and count - self.count > self.scrollable_content_region.height // 2:
                self._calm_until = time.monotonic() + FLOOD_SECONDS
            self._resize(count)

    def _keep(self, number: int, page: list[LogLine]) -> None:
        self._pages[number] = page
        while len(self._pages) > KEPT_PAGES:
            self._pages.popitem(last=False)

    def _resize(self, count: int) -> None:
        changed, self.count = count != self.count, count
        room = max(1, self.scrollable_content_region.width - STAMP)
        if self.wrap:
            del self._lengths[count:]
            # Bytes are at least as many as cells in nearly every script, so no line is cut.
            self._rows = list(accumulate(max(1, -(-length // room)) for length in self._lengths))
            size = Size(self.scrollable_content_region.width, self._rows[-1] if self._rows else 0)
        else:
            size = Size(max(self._longest + STAMP, self.scrollable_content_region.width), count)
        if size != self.virtual_size:
            self.virtual_size = size
        self.cursor = min(self.cursor, max(0, count - 1))
        if self.following and count:
            self.cursor = count - 1
            self.scroll_end(animate=False, immediate=True)
        if changed:
            self.refresh()
        self.post_message(self.Told())

    def on_resize(self) -> None:
        """Wrapped lines take other rows now."""
        self._resize(self.count)

    # -- drawing

    def _line_at(self, row: int) -> tuple[int, int]:
        """Return the line at a row, and which row of the line it is."""
        if not self.wrap:
            return row, 0
        line = bisect_right(self._rows, row)
        return line, row - (self._rows[line - 1] if line else 0)

    def _row_of(self, line: int) -> int:
        return (self._rows[line - 1] if line and self._rows else 0) if self.wrap else line

    def render_line(self, y: int) -> Strip:
        """Return one row of the screen."""
        scroll_x, scroll_y = self.scroll_offset
        width = self.scrollable_content_region.width
        line, part = self._line_at(scroll_y + y)
        background = self.rich_style
        if line >= self.count:
            return Strip.blank(width, background)
        found = self._line(line)
        if found is None:
            return Strip([Segment("        …", background)]).adjust_cell_length(width, background)
        chosen = line == self.cursor and self.has_focus and not self.following
        base = background + Style(bgcolor=look().cursor) if chosen else background
        text = one_line(found.message, 20_000 if self.wrap else 2_000)
        stamp = time.strftime("%H:%M:%S ", time.localtime(found.at)) if part == 0 else " " * STAMP
        room = max(1, width - STAMP)
        if self.wrap:
            text = _row(text, room, part)
        elif cell_len(text) > self._longest:
            self._longest = cell_len(text)
            self.call_after_refresh(self._resize, self.count)
        segments = [Segment(stamp, base + Style.parse(look().dim)), *self._marked(text, found.level, base)]
        strip = Strip(segments)
        if not self.wrap and scroll_x:
            strip = strip.crop(scroll_x, scroll_x + width)
        return strip.adjust_cell_length(width, base)

    def _marked(self, text: str, level: str, base: Style) -> list[Segment]:
        style = base + Style.parse(look().level(level) or "none")
        needle = self.searched.lower()
        if not needle:
            return [Segment(text, style)]
        found, start, lowered = [], 0, text.lower()
        while (at := lowered.find(needle, start)) >= 0:
            found += [Segment(text[start:at], style)] if at > start else []
            found.append(Segment(text[at : at + len(needle)], base + Style(color=look().ink, bgcolor=look().accent)))
            start = at + len(needle)
        return [*found, Segment(text[start:], style)]

    def _line(self, position: int) -> LogLine | None:
        number = position // PAGE
        page = self._pages.get(number)
        if page is None:
            if number not in self._asked:
                self._asked.add(number)
                self._load(number)
            return None
        self._pages.move_to_end(number)
        return page[position % PAGE] if position % PAGE < len(page) else None

    @work(group="pages")
    async def _load(self, number: int) -> None:
        job_id, level = self.job_id, self.level
        if job_id is None:
            return
        page = await self._browse.log_page(job_id, number * PAGE, PAGE, LEVELS[level])
        if (job_id, level) != (self.job_id, self.level):
            return
        self._asked.discard(number)
        self._keep(number, page)
        self.refresh()

    # -- moving

    def go(self, line: int) -> None:
        """Choose a line and bring it into sight."""
        self.following = False
        self.cursor = max(0, min(self.count - 1, line))
        self.scroll_to_region(Region(self.scroll_offset.x, self._row_of(self.cursor), 1, 1), animate=False)
        self.refresh()
        self.post_message(self.Told())

    def action_cursor_down(self) -> None:
        """Choose the next line."""
        self.go(self.cursor + 1)

    def action_cursor_up(self) -> None:
        """Choose the line before."""
        self.go(self.cursor - 1)

    def action_page_down(self) -> None:
        """Go a screenful on."""
        self.go(self.cursor + self.scrollable_content_region.height)

    def action_page_up(self) -> None:
        """Go a screenful back."""
        self.go(self.cursor - self.scrollable_content_region.height)

    def action_first(self) -> None:
        """Choose the first line."""
        self.go(0)

    def action_last(self) -> None:
        """Choose the last line, and follow what comes."""
        self.follow(True)

    def follow(self, wanted: bool) -> None:
        """Stay at the end while lines come, or stay here."""
        self.following = wanted
        self._resize(self.count)
        self.refresh()

    def toggle_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self.wrap = not self.wrap
        self._lengths = []
        self.grow()
        self.refresh()

    def next_level(self) -> None:
        """Show fewer levels, then all again."""
        self.level = (self.level + 1) % len(LEVELS)
        self._forget()
        self.grow()

    @work(exclusive=True, group="search")
    async def search(self, text: str | None = None, *, back: bool = False) -> None:
        """Find a text, or the last one again; a search that reaches the end goes on at the other."""
        if text is not None:
            self.searched = text
            self.refresh()
        if not self.searched or self.job_id is None:
            self.post_message(self.Told())
            return
        start = self.cursor - 1 if text is not None and not self.following else self.cursor
        other = self.count if back else -1
        for position in (start, other):
            found = await self._browse.log_find(
                self.job_id, self.searched, position, back=back, levels=LEVELS[self.level]
            )
            if found is not None:
                self.go(found)
                return
        self.notify(f"No line has “{one_line(self.searched, 60)}”.", markup=False)

    async def line(self) -> LogLine | None:
        """Return the chosen line, whole."""
        if self.job_id is None:
            return None
        found = await self._browse.log_page(self.job_id, self.cursor, 1, LEVELS[self.level])
        return found[0] if found else None

    async def all_lines(self) -> list[str]:
        """Return the whole log as lines of text, read by the page."""
        told: list[str] = []
        while self.job_id is not None:
            page = await self._browse.log_page(self.job_id, len(told), 5_000)
            told += [f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(p.at))} {p.level} {p.message}" for p in page]
            await asyncio.sleep(0)
            if len(page) < 5_000:
                break
        return told


def _row(text: str, room: int, part: int) -> str:
    """Return one row of a line that is wrapped at `room` cells."""
    for _ in range(part + 1):
        row, used = 0, 0
        for row, character in enumerate(text):  # noqa: B007
            used += cell_len(character)
            if used > room:
                break
        else:
            row = len(text)
        head, text = text[:row], text[row:]
    return head
