"""Cleaning up: what was left on the service, which of it goes, and what happened to it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import DataTable, Static

from engine import DogclsError, counted
from tui import bridge
from tui.bridge import Looked
from tui.guard import work
from tui.screens.base import Room
from tui.screens.dialogs import ConfirmScreen
from tui.styles.theme import look
from tui.text import dollars, moment, one_line, span
from tui.widgets.tables import Table

if TYPE_CHECKING:
    from engine import Leftover, StandingCost

TICK_SECONDS = 1.0
AGAIN_SECONDS = 5.0
"""After so long it is asked again while something that was deleted is still listed."""
WIDE = 96
"""Columns inside the table from which the day has room."""
_ABOUT = {
    "deployment": "It costs by the hour, used or not. Its model stays.",
    "model": "It costs nothing to keep. Once deleted, it must be trained and paid for again.",
    "file": "Predictions and results that are on this machine stay here.",
}


class CleanScreen(Room):
    """What could be deleted; deployments first, for they cost. Nothing is deleted without a yes."""

    ROOM = "clean"
    FIRST = "#leftovers"

    def __init__(self) -> None:
        super().__init__()
        self._items: list[Leftover] | None = None
        self._hourly: dict[str, float] = {}
        """Deployment → US dollars an hour, where the price is known."""
        self._taken: set[str] = set()
        self._seen: set[str] = set()
        """What was listed before: it is as the reader left it."""
        self._everybodys = False
        self._fates: dict[str, str] = {}
        """Id → what became of it: `deleting`, `deleted`, or what went wrong."""
        self._busy = ""
        """What is under way."""
        self._since = 0.0
        self._asked = 0.0
        self._standing: list[StandingCost] = []
        self._problem = ""

    def body(self) -> ComposeResult:
        """Lay it out."""
        yield Table(id="leftovers", classes="pane")
        yield Static(id="choice", classes="pane")

    def on_mount(self) -> None:
        """Name the panes."""
        super().on_mount()
        self.query_one("#leftovers").border_title = "Clean up"
        self.set_interval(TICK_SECONDS, self._tick)

    def on_screen_resume(self) -> None:
        """Ask whenever one comes here: much may have changed."""
        super().on_screen_resume()
        self.action_again()

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        """Know which deployments are ours."""
        self._standing = message.standing

    def on_resize(self) -> None:
        """Columns depend on the width."""
        super().on_resize()
        self.call_after_refresh(self._draw)

    # -- what is shown

    def _tick(self) -> None:
        if self._busy:
            self._head()
        elif self.is_current and "deleted" in self._fates.values() and time.monotonic() - self._asked > AGAIN_SECONDS:
            self.action_again()  # the service takes a while to let go of it

    def _head(self) -> None:
        table, whose = self.query_one("#leftovers"), "everybody's" if self._everybodys else "ours"
        table.border_title = f"Clean up: {whose}"
        if self._busy:
            table.border_subtitle = f"{self._busy}  {span(bridge.now() - self._since)}"
        elif self._problem:
            table.border_subtitle = Text("could not be asked; r asks again", look().bad)
        else:
            readonly = "only to look at (--readonly)" if self.engine.readonly else ""
            count = counted(len(self._items), "thing") if self._items else "nothing is left"
            table.border_subtitle = Text(" · ".join(filter(None, (count, readonly))))

    def _draw(self) -> None:
        table, at = self.query_one("#leftovers", Table), look()
        wide = table.content_size.width >= WIDE
        rows = {}
        for item in self._items or ():
            fate = self._fates.get(item.id, "")
            mark, style = ("●", at.accent) if item.id in self._taken else ("○", at.dim)
            if item.kept:
                mark, style = "·", at.dim
            about = Text(one_line(" · ".join(filter(None, (item.origin, item.detail))), 100), at.dim)
            if item.kept:
                about = Text(f"kept: {one_line(item.kept, 200)}", at.info)
            if item.id in self._hourly:
                about = Text.assemble((f"{self._cost(item)}  ", at.warn), about)
            if fate:
                well = fate in ("deleting", "deleted")
                mark, style = ("✓", at.ok) if fate == "deleted" else ("●", at.accent) if well else ("✗", at.bad)
                told = "deleted; the service still lists it" if fate == "deleted" else fate
                about = Text(one_line(told, 400), at.dim if well else at.bad)
            name = Text(one_line(item.name, 80), at.dim if item.kept else "")
            day = [Text(moment(item.created_at)[:16], at.dim)] if wide else []
            rows[item.id] = [Text(mark, style), Text(item.kind, at.dim if item.kept else ""), name, *day, about]
        table.fill(("", "kind", "name", *(["since"] if wide else []), "about"), rows)
        self._head()
        self._explain()

    def _cost(self, item: Leftover) -> str:
        """Return what a deployment costs, and has cost since it was made where the service tells when that was."""
        hourly = self._hourly[item.id]
        if item.created_at is None:
            return f"{dollars(hourly)}/h"
        return f"{dollars(hourly)}/h, {dollars(hourly * max(0.0, bridge.now() - item.created_at) / 3600)} so far"

    @property
    def _item(self) -> Leftover | None:
        """The thing under the cursor."""
        chosen = self.query_one("#leftovers", Table).chosen
        return next((item for item in self._items or () if item.id == chosen), None)

    @property
    def _going(self) -> list[Leftover]:
        """What is taken."""
        return [item for item in self._items or () if item.id in self._taken and not item.kept]

    @on(DataTable.RowHighlighted, "#leftovers")
    def _explain(self) -> None:
        box, at, item, going = self.query_one("#choice", Static), look(), self._item, self._going
        box.border_title = "Nothing is taken" if not going else Text(f"Taken: {_sum(going)}")
        hourly = sum(self._hourly.get(g.id, 0.0) for g in going)
        box.border_subtitle = Text(f"saves {dollars(hourly)} an hour" if hourly else "", at.warn)
        if self._problem:
            box.update(Text(one_line(self._problem, 600), at.bad))
        elif self._items is None:
            box.update(Text("Deployments of tuned models, tuned models, and files.", at.dim))
        elif item is None:
            told = "Nothing of anybody's is left." if self._everybodys else "Nothing of ours is left; a: everybody's."
            box.update(Text(told, at.dim))
        elif (fate := self._fates.get(item.id, "")) and fate not in ("deleting", "deleted"):
            box.update(Text(one_line(fate, 600), at.bad))
        else:
            kept = f"It is kept: {one_line(item.kept, 200)}." if item.kept else _ABOUT.get(item.kind, "")
            line = Text.assemble((one_line(item.id, 120), "bold"), (f"  {one_line(item.detail, 120)}", at.dim))
            box.update(line.append(f"\n{kept}", at.info if item.kept else at.dim))

    # -- what the reader does

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that would do something now; with --readonly none that would change anything."""
        if action in ("take", "delete") and self.engine.readonly:
            return False
        if action == "delete":
            return bool(self._going) and not self._busy
        if action == "take":
            return bool(self._items) and not self._busy
        return not self._busy if action in ("again", "everybodys") else True

    def action_take(self) -> None:
        """Take the chosen thing, or leave it."""
        item = self._item
        if item is None or item.kept or not self.check_action("take", ()):
            return
        self._taken ^= {item.id}
        self._fates.pop(item.id, None)
        self._draw()
        self.refresh_bindings()

    @on(DataTable.RowSelected, "#leftovers")
    def _clicked(self, event: DataTable.RowSelected) -> None:
        self.action_take()

    def action_everybodys(self) -> None:
        """List what other homes and tools have made too; or only ours."""
        if not self._busy:
            self._everybodys = not self._everybodys
            self.action_again()

    def action_again(self) -> None:
        """Ask, unless something is under way."""
        if not self._busy:
            self._start("asking the service …")
            self._ask()

    def _start(self, what: str) -> None:
        self._busy, self._since = what, bridge.now()
        self._head()
        self.refresh_bindings()

    def _done(self) -> None:
        self._busy = ""
        self._draw()
        self.refresh_bindings()

    @work(group="clean")
    async def _ask(self) -> None:
        await self._list()
        self._done()

    async def _list(self) -> None:
        """Read what is left. Ours that is new is taken, but no model; of other tools' nothing is."""
        remote = self.engine.remote
        self._asked = time.monotonic()
        try:
            found = await remote.leftovers(everybodys=self._everybodys)
            ours = found if not self._everybodys else await remote.leftovers()
        except DogclsError as error:
            self._problem = str(error)
            return
        self._problem = ""
        for item in found:
            if item.kind == "deployment" and item.id not in self._hourly:
                try:
                    self._hourly[item.id] = await remote.hourly_usd(item.detail)
                except DogclsError:
                    continue  # a model without a price is listed without one
        new = {item.id for item in ours if item.id not in self._seen and item.kind != "model"}
        if not self.engine.readonly:
            self._taken |= new
        self._seen |= {item.id for item in found}
        self._taken &= {item.id for item in found if not item.kept}
        self._items = found
        here = {item.id for item in found}
        self._fates = {key: fate for key, fate in self._fates.items() if key in here}

    @work
    async def action_delete(self) -> None:
        """Name the number, ask, then delete one after another; what went wrong stays in its line."""
        going = self._going
        if not going or self._busy:
            return
        hourly = sum(self._hourly.get(item.id, 0.0) for item in going)
        saves = f" That saves {dollars(hourly)} an hour." if hourly else ""
        question = f"Delete {_many(going)}?"
        models = " Its training must be paid for again." if any(item.kind == "model" for item in going) else ""
        told = f"{_sum(going)}.{saves}{models} This cannot be undone."
        if not await self.app.push_screen_wait(ConfirmScreen(question, told)):
            return
        failed = 0
        try:
            for n, item in enumerate(going, start=1):
                self._start(f"deleting {n} of {len(going)} …")
                self._fates[item.id] = "deleting"
                self._draw()
                problem = await self._delete_one(item)
                self._fates[item.id] = problem or "deleted"
                failed += bool(problem)
                self._taken.discard(item.id)
                if not problem:
                    self.bridge.strangers.pop(item.name, None)
            self._start("asking the service …")
            await self._list()
        except DogclsError as error:
            self.desk.trouble(str(error))
        self._done()
        if failed:
            self.desk.trouble(f"{failed} of {len(going)} could not be deleted; their lines say why.")
        else:
            self.notify(f"{_many(going)} deleted.", markup=False)

    async def _delete_one(self, item: Leftover) -> str:
        """Return what went wrong; of a deployment of ours its job keeps the books, and charges its hours."""
        job = next((c.job_id for c in self._standing if c.deployment == item.name), None)
        if item.kind != "deployment" or job is None:
            return "".join(problem for _, problem in await self.engine.remote.clean([item]))
        try:
            await self.engine.delete_deployment(job)
        except DogclsError as error:
            return str(error)
        return ""

    def action_back(self) -> None:
        """Back to the room before."""
        self.desk.action_clean()

    def repaint(self) -> None:
        """Draw everything in other colours."""
        super().repaint()
        self.query_one(Table).redraw()
        self._draw()


def _many(items: list[Leftover]) -> str:
    kinds = {item.kind for item in items}
    return counted(len(items), kinds.pop() if len(kinds) == 1 else "thing")


def _sum(items: list[Leftover]) -> str:
    """Return how many of each kind, in words."""
    count = Counter(item.kind for item in items)
    return ", ".join(counted(number, kind) for kind, number in count.items())
