"""What is wrong with a dataset: findings by kind, by the page, with their files; and the check that finds them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import DataTable, Static

from engine import DatasetView, DogclsError, Engine, InputError, counted
from tui.guard import work
from tui.styles.theme import look
from tui.text import moment, one_line
from tui.widgets.data.base import DataTab, told
from tui.widgets.pages import PAGE, PagedTable
from tui.widgets.picture import Picture

if TYPE_CHECKING:
    from engine import CheckReport, Finding

BESIDE = 4
"""Pictures of a finding that are shown side by side, where there is room: what looks alike is to be compared."""
NARROWEST = 22
"""Cells that each of them has at least."""
KEPT = 10
"""Pages of findings that are kept in memory."""
WHERE_FROM = 90
"""Cells of the table from which on it also names files."""


class FindingsTab(DataTab):
    """A line of kinds, a table, and the chosen finding's first pictures and cure."""

    FOCUS = "#findings"

    def __init__(self, engine: Engine, **options: str) -> None:
        super().__init__(engine, **options)
        self._report: CheckReport | None = None
        self._kind: str | None = None
        self._pages: dict[int, list[Finding]] = {}
        """Those pages of the table that were looked at, by number."""
        self._progress = Text()

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="checked")
        yield PagedTable(id="findings")
        with Horizontal(id="beside"):
            for _ in range(BESIDE):
                yield Picture(self.engine.browse)
        yield Static(id="finding", classes="pane")

    def on_mount(self) -> None:
        """Name the pane."""
        self.query_one("#finding").border_title = "What helps"

    @property
    def finding(self) -> Finding | None:
        """The chosen one."""
        return self._at(self.query_one(PagedTable).place)

    def _at(self, place: int | None) -> Finding | None:
        page = self._pages.get((place or 0) // PAGE, [])
        return page[place % PAGE] if place is not None and place % PAGE < len(page) else None

    # -- drawing

    async def draw(self, data: DatasetView, *, fresh: bool) -> None:
        """Read the report, and the page of the table that is looked at."""
        if fresh:
            self._pages, self._kind = {}, None
            try:
                self._report = await self.engine.curate.report(data.name)
            except InputError:  # it was never checked: added by a version that did not, or by a killed one
                self._report = None
        if self._report is not None and not self._pages:
            await self._read(data, 0)
        self.set_class(self._report is None, "bare")
        self._head()
        self._fill(data)
        self._explain()

    async def _read(self, data: DatasetView, page: int) -> None:
        kind = self._kind
        found = await self.engine.curate.findings(data.name, page * PAGE, PAGE, kind)
        if data is self.data and kind == self._kind:  # else somebody has gone on meanwhile
            self._pages[page] = found
            for far in sorted(self._pages, key=lambda n: -abs(n - page))[: max(0, len(self._pages) - KEPT)]:
                del self._pages[far]

    def _head(self) -> None:
        at, report = look(), self._report
        if self.busy:
            self.query_one("#checked", Static).update(Text.assemble(self._progress, ("   esc stops", at.dim)))
            return
        if report is None:
            line = Text("Never checked. ", f"bold {at.warn}")
            line.append("c looks at every picture: format, size, mode, copies, look-alikes, leakage.", at.dim)
            self.query_one("#checked", Static).update(line)
            return
        count = sum(findings for _, _, findings, _ in report.kinds)
        line = Text.assemble(
            (counted(count, "finding"), f"bold {at.accent}"),
            (f" in {counted(report.images, 'image')}, {moment(report.at)[:16]}", at.dim),
            (f", {report.images_per_second:,.0f} a second\n", at.dim),
        )
        for kind, level, findings, files in report.kinds:
            chosen = kind == self._kind
            style = f"bold reverse {_style(level)}" if chosen else _style(level)
            line.append(f"{kind} {findings:,}", style)
            line.append(f" ({counted(files, 'file')})" if files else "", at.dim).append("  ")
        if len(report.kinds) > 1:
            line.append("f: all" if self._kind == report.kinds[-1][0] else "f: one kind", at.dim)
        self.query_one("#checked", Static).update(line)

    @property
    def _count(self) -> int:
        kinds = self._report.kinds if self._report is not None else ()
        return sum(n for kind, _, n, _ in kinds if self._kind in (None, kind))

    def _fill(self, data: DatasetView) -> None:
        named = self.size.width >= WHERE_FROM

        def row(n: int) -> list[Text]:
            found = self._at(n)
            if found is None:
                if n % PAGE == 0 and n // PAGE not in self._pages:
                    self._pages[n // PAGE] = []
                    self._load(data, n // PAGE)
                return [Text(""), Text("", justify="right"), Text("…", look().dim), *([Text("")] * named)]
            files = Text(f"{found.files:,}" if found.files else "", look().dim, justify="right")
            cells = [Text(found.level, _style(found.level)), files, Text(one_line(found.what, 300))]
            if named:
                first = ", ".join(_name(where.split(" (")[0]) for where in found.where[:2])
                cells.append(Text(one_line(first, 100), look().dim))
            return cells

        heads = ("", "files", "finding", *(("where",) if named else ()))
        self.query_one(PagedTable).show((data.name, self._kind, self._report, named), heads, self._count, row)

    @work(group="page")
    async def _load(self, data: DatasetView, page: int) -> None:
        """Read a page that somebody has gone to."""
        await self._read(data, page)
        if data is self.data:
            self._fill(data)
            self._explain()

    @on(DataTable.RowHighlighted, "#findings")
    def _explain(self) -> None:
        """Say where the chosen finding was found, and what helps; show its first pictures."""
        finding, box = self.finding, self.query_one("#finding", Static)
        self.query_one("#beside").display = finding is not None and bool(finding.files)
        if finding is None:
            fine = self._report is not None and not self._count
            box.update(Text("✓ Nothing was found: no copies, no leakage, nothing broken." if fine else "", look().ok))
            return
        where = one_line(", ".join(finding.where[:5]), 400)
        more = f" and {finding.files - 5:,} more" if finding.files > 5 else ""
        told = Text.assemble(f"{finding.cure}\n", (f"{where}{more}", look().dim))
        if finding.files > 1:
            told.append("  enter shows all", look().accent)
        box.update(told)
        self._compare(finding)

    @work(exclusive=True, group="compare")
    async def _compare(self, finding: Finding) -> None:
        files = await self.engine.curate.files(finding.id, 0, max(1, min(BESIDE, self.size.width // NARROWEST)))
        if self.data is None or finding is not self.finding:
            return
        for n, picture in enumerate(self.query(Picture)):
            picture.display = n < len(files)
            if not picture.display:
                continue
            path, note = files[n]
            caption = Text(one_line(_name(path), 60), no_wrap=True, overflow="ellipsis")
            picture.show(f"{self.data.root}/{path}", caption.append(f"\n{one_line(note, 60)}", look().dim))

    # -- what the reader does

    def sift(self) -> None:
        """Show the next kind alone; after the last, all."""
        if self._report is None or self.data is None:
            return
        kinds = [None, *(kind for kind, *_ in self._report.kinds)]
        self._kind = kinds[(kinds.index(self._kind) + 1) % len(kinds)]
        self._pages = {}
        self.again()

    def check(self) -> None:
        """Look at every image again, unless somebody is at it."""
        if self.data is not None and not self.busy:
            self._working = self._check(self.data)

    @work(group="check")
    async def _check(self, data: DatasetView) -> None:
        last = 0.0

        def progress(phase: str, done: int, total: int) -> None:
            nonlocal last
            if done < total and time.monotonic() - last < 0.1:  # a slow line carries little
                return
            last = time.monotonic()
            self._progress = told((phase, done, total)).append(f" of {one_line(data.name, 30)}")
            self.app.call_from_thread(self._head)

        self._progress = Text("checking …", look().dim)
        self._head()
        self.screen.refresh_bindings()
        try:
            await self.engine.curate.check(data.name, progress)
        except DogclsError as error:
            self.desk.trouble(str(error))
        finally:
            self._working = None
            self.forget()
            if self.is_attached:
                self.again()


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _style(level: str) -> str:
    at = look()
    return {"error": f"bold {at.bad}", "warning": at.warn}.get(level, at.dim)
