"""Adding a dataset: a path (typed, completed, picked or dropped), a name, a split."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import DirectoryTree, Input, Static

from engine import DogclsError, Engine
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.bar import bar

_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".zip")
SPLITS = ("stratified", "article")


class PathSuggester(Suggester):
    """Completes a path from what lies on the disk."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Return the value with the first entry that goes on with it."""
        return await asyncio.to_thread(complete, value)


def complete(value: str) -> str | None:
    """Return a path that begins with a value: the first folder or archive there is."""
    if not value:
        return None
    typed = Path(value).expanduser()
    parent, stem = (typed, "") if value.endswith("/") else (typed.parent, typed.name)
    try:
        entries = sorted(parent.iterdir())
    except OSError:
        return None
    for entry in entries:
        if entry.name.startswith(stem) and not (entry.name.startswith(".") and not stem) and _usable(entry):
            return value[: len(value) - len(stem)] + entry.name + ("/" if entry.is_dir() else "")
    return None


def dropped(text: str) -> str:
    """Return the path in what a terminal types when a file is dropped on it: quoted, escaped, or a URL."""
    text = text.strip()
    if text.startswith("file://"):
        return unquote(urlsplit(text).path)
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    return words[0] if len(words) == 1 else text


def _usable(entry: Path) -> bool:
    return entry.is_dir() or entry.name.endswith(_ARCHIVES)


class Sources(DirectoryTree):
    """Folders and archives only."""

    BINDINGS = [Binding("j", "cursor_down", show=False), Binding("k", "cursor_up", show=False)]

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Leave the rest out."""
        return [path for path in paths if not path.name.startswith(".") and _usable(path)]


class AddScreen(ModalScreen[str | None]):
    """Returns the name of the dataset that was added."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "cancel"),
        Binding("ctrl+t", "split", "split"),
        Binding("down", "app.focus_next", show=False),
    ]

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._split = 0
        self._busy = False

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical() as box:
            box.border_title = "Add a dataset"
            yield Static(Text("A folder, .tar or .zip of class folders: type, drop, or pick (tab).", look().dim))
            yield Input(placeholder="path  (→ completes)", id="path", suggester=PathSuggester())
            yield Sources(Path.cwd())
            yield Input(placeholder="name", id="name", restrict=r"[\w.-]*")
            yield Static(id="split")
            yield Static(id="told")

    def on_mount(self) -> None:
        """Begin with the path."""
        self.query_one("#path").focus()
        self._draw()

    def _draw(self) -> None:
        texts = {"stratified": "80/10/10 of each class, shuffled", "article": "the first 50 of each class: 40/5/5"}
        name = SPLITS[self._split]
        told = Text.assemble("split ", (name, f"bold {look().accent}"), (f"  {texts[name]}  ", look().dim))
        told.append("ctrl+t: the other    enter: add    esc: leave", look().dim)
        self.query_one("#split", Static).update(told)

    def action_split(self) -> None:
        """The other split."""
        self._split = (self._split + 1) % len(SPLITS)
        self._draw()

    @on(DirectoryTree.FileSelected)
    @on(DirectoryTree.DirectorySelected)
    def _picked(self, event: DirectoryTree.FileSelected | DirectoryTree.DirectorySelected) -> None:
        self.query_one("#path", Input).value = str(event.path)

    @on(Input.Changed, "#path")
    def _path_changed(self, event: Input.Changed) -> None:
        path = dropped(event.value)
        if path != event.value.strip() and Path(path).exists():
            self.query_one("#path", Input).value = path
            return
        stem = re.sub(r"\.(tar\.gz|tgz|tar|zip)$", "", Path(path).name)
        self.query_one("#name", Input).value = re.sub(r"[^\w.-]+", "-", stem)[:64].strip("-.")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if not self._busy:
            self._add(dropped(self.query_one("#path", Input).value), self.query_one("#name", Input).value)

    @work
    async def _add(self, source: str, name: str) -> None:
        self._busy = True
        told = self.query_one("#told", Static)

        def progress(phase: str, done: int, total: int) -> None:
            text = bar(done / total if total else 0.0, 30, look().accent).append(f"  {phase} {done:,} of {total:,}")
            self.app.call_from_thread(told.update, text)

        try:
            await self._engine.add_dataset(source, name, progress, split=SPLITS[self._split])
        except DogclsError as error:
            told.update(Text(one_line(str(error), 600), look().bad))
        else:
            self.dismiss(name)
        finally:
            self._busy = False
