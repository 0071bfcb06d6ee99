"""What stands on the service, whoever started it: looked at, followed, cancelled, downloaded, deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table as Grid
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import Worker

from engine import DogclsError, InputError, JobView, RemoteItem, counted
from tui import bridge
from tui.guard import work
from tui.screens.dialogs import AskScreen, ConfirmScreen
from tui.screens.jobs import JobRoom
from tui.styles.theme import look
from tui.text import moment, one_line

if TYPE_CHECKING:
    from engine import Engine

OVER = ("completed", "succeeded", "failed", "expired", "cancelled", "canceled", "cancelling")
"""States from which nothing can be cancelled any more."""
_RUNS = ("batch", "fine-tuning")
_SAID = {"cancel": "cancels", "download": "fetches", "delete": "deletes"}
MOST_LINES = 200


def can_cancel(item: RemoteItem) -> bool:
    """Tell whether this still runs."""
    return item.kind in _RUNS and item.state.lower() not in OVER


def can_download(item: RemoteItem) -> bool:
    """Tell whether this may have made something, or is something, to download."""
    return item.kind in (*_RUNS, "file")


def can_delete(item: RemoteItem) -> bool:
    """Tell whether this can be deleted."""
    return item.kind in ("deployment", "file")


class ItemScreen(ModalScreen[str | None]):
    """One thing on the service, and how it stands from now on. The answer is what is to be done with it."""

    BINDINGS = [
        Binding("escape,q,enter", "dismiss(None)", "close"),
        Binding("c", "leave('cancel')", "cancel"),
        Binding("d", "leave('download')", "download"),
        Binding("x", "leave('delete')", "delete"),
        Binding("j,down", "scroll('down')", show=False),
        Binding("k,up", "scroll('up')", show=False),
    ]

    def __init__(self, engine: Engine, item: RemoteItem) -> None:
        super().__init__()
        self._engine = engine
        self._item = item
        self._lines: list[tuple[float, str]] = []
        """What it said since it was opened."""
        self._end = ""
        """Why nothing more is said."""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with VerticalScroll() as box:
            box.border_title = Text(f"{self._item.kind} on the service")
            box.border_subtitle = " · ".join([*(f"{key} {_SAID[what]}" for key, what in self._offers()), "esc closes"])
            yield Static(self._about())
            if self._item.kind in _RUNS:
                yield Static(id="standing")

    def on_mount(self) -> None:
        """Follow it, if it moves at all."""
        if self._item.kind in _RUNS:
            self._draw()
            self._follow()

    def _offers(self) -> list[tuple[str, str]]:
        item, offers = self._item, []
        if can_cancel(item) and not self._engine.readonly:
            offers.append(("c", "cancel"))
        if can_download(item):
            offers.append(("d", "download"))
        if can_delete(item) and not self._engine.readonly:
            offers.append(("x", "delete"))
        return offers

    def _about(self) -> Grid:
        item, grid = self._item, Grid.grid(padding=(0, 2))
        grid.add_column(style=look().dim, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row("id", Text(one_line(item.id)))
        if item.name != item.id:
            grid.add_row("name", Text(one_line(item.name)))
        grid.add_row("listed as", Text(one_line(item.state)))
        if item.created_at:
            grid.add_row("since", Text(moment(item.created_at)))
        if item.detail:
            grid.add_row({"fine-tuning": "base model", "deployment": "model"}.get(item.kind, "about"),
                         Text(one_line(item.detail)))  # fmt: skip
        grid.add_row("whose", Text(f"of job {item.job_id} here" if item.job_id else "not known to be ours"))
        return grid

    @work(exclusive=True, group="follow")
    async def _follow(self) -> None:
        """Write down how it stands whenever that changes, until its end or ours."""
        try:
            async for line in self._engine.remote.follow(self._item.id):
                self._lines = [*self._lines, (bridge.now(), line)][-MOST_LINES:]
                self._draw()
            self._end = "That is its end."
        except DogclsError as error:
            self._end = str(error)
        self._draw()

    def _draw(self) -> None:
        at = look()
        told = Text.assemble(("\nhow it stands", "bold"))
        for when, line in self._lines:
            told.append(f"\n{moment(when)[11:]}  ", at.dim).append(one_line(line, 400))
        if not self._end:
            told.append("\nfollowing …" if self._lines else "\nasking the service …", at.dim)
        elif self._end.startswith("That is"):
            told.append(f"\n{self._end}", at.dim)
        else:
            told.append(f"\n{one_line(self._end, 600)}", at.bad)
        self.query_one("#standing", Static).update(told)

    def action_leave(self, what: str) -> None:
        """Close, and have that done, if it can be."""
        if what in (name for _, name in self._offers()):
            self.dismiss(what)

    def action_scroll(self, way: str) -> None:
        """Scroll where the terminal is too low for all of it."""
        box = self.query_one(VerticalScroll)
        box.scroll_down() if way == "down" else box.scroll_up()


class ServiceRoom(JobRoom):
    """A room that also shows what stands on the service, of which one may be chosen."""

    def job_of(self, item: RemoteItem) -> JobView | None:
        """Our job that the thing belongs to, while it is under way."""
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The thing's keys where one is chosen, else the job's."""
        item = self.item if self.is_mounted else None
        if action == "details" and item is not None:
            return True
        if action == "cancel" and item is not None:
            return can_cancel(item) and not self.engine.readonly
        if action == "delete" and item is not None:
            return can_delete(item) and not self.engine.readonly
        if action == "download":
            return item is not None and can_download(item)
        return super().check_action(action, parameters)

    def action_cancel(self) -> Worker[None]:
        """Ask, then cancel what is chosen."""
        return super().action_cancel() if self.item is None else self._cancel_item(self.item)

    @work
    async def look_into(self, item: RemoteItem) -> None:
        """Show a thing and how it stands; do with it what the reader wants."""
        wanted = await self.app.push_screen_wait(ItemScreen(self.engine, item))
        if wanted == "cancel":
            self._cancel_item(item)
        elif wanted == "download":
            self._download(item)
        elif wanted == "delete":
            self._delete_item(item)

    @work
    async def _cancel_item(self, item: RemoteItem) -> None:
        kept = "What was done is kept, and paid for."
        job = self.job_of(item)
        whose = f"It belongs to job {job.id}, which is cancelled with it." if job else "We did not start it."
        if item.job_id and job is None:
            whose = f"It belongs to job {item.job_id}, which does not run."
        more = await self.desk.doing(self.engine.browse.consequences(job.id)) if job else ()
        told = " ".join((whose, *(more if isinstance(more, tuple) else ()), kept))
        if not await self.app.push_screen_wait(ConfirmScreen(f"Cancel {one_line(item.id, 80)}?", told)):
            return
        work = self.engine.cancel(job.id) if job else self.engine.remote.cancel(item.id)
        await self.desk.doing(work, "Cancel requested.")
        self.look_at_service()

    def action_download(self) -> None:
        """Ask for a folder, then download there what the chosen thing has made."""
        if self.item is not None:
            self._download(self.item)

    @work
    async def _download(self, item: RemoteItem) -> None:
        name = await self.app.push_screen_wait(AskScreen("Download into the folder", str(Path.cwd() / "downloads")))
        if not name or not name.strip():
            return
        self.notify(f"Downloading what {one_line(item.id, 60)} has made …", markup=False, timeout=3)
        found = await self.desk.doing(_fetch(self.engine, item, name.strip()))
        if isinstance(found, list):
            paths = "\n".join(one_line(str(path)) for path in found)
            self.notify(f"{counted(len(found), 'file')} downloaded:\n{paths}", markup=False, timeout=15)

    @work
    async def _delete_item(self, item: RemoteItem) -> None:
        ours = f"It belongs to job {item.job_id}." if item.job_id else "It is not known to be ours."
        if item.needed:
            ours = f"It is {item.needed}: that job cannot end well without it."
        if await self.app.push_screen_wait(ConfirmScreen(f"Delete {item.kind} {item.name}?", ours)):
            # Of a deployment of ours the job keeps the books: it is told, so that its hours are charged.
            ours_too = [c.job_id for c in self._standing if (item.kind, item.name) == ("deployment", c.deployment)]
            engine = self.engine
            # The question has named the job that needs it: the answer is the force.
            force = bool(item.needed)
            work = (
                engine.delete_deployment(ours_too[0], force=force)
                if ours_too
                else engine.remote.delete(item.id, force=force)
            )
            await self.desk.doing(work, "Deleted.")
            self.look_at_service()

    def action_delete(self) -> Worker[None]:
        """Ask, then delete what is chosen."""
        return super().action_delete() if self.item is None else self._delete_item(self.item)


async def _fetch(engine: Engine, item: RemoteItem, name: str) -> list[Path]:
    def make() -> Path:
        folder = Path(name).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    try:
        return await engine.remote.download(item.id, await asyncio.to_thread(make))
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}.", "Choose another folder.") from None
