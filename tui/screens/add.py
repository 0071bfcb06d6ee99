"""Adding a dataset: a source (typed, completed, picked or dropped), a name, and what else that source can be told."""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import DirectoryTree, Input, Static
from textual.worker import Worker

from engine import DogclsError, Engine, InputError
from tui.guard import work
from tui.styles.theme import look
from tui.text import one_line, size
from tui.widgets.bar import bar

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
_TABLES = (".csv", ".tsv")
_LINES = (".jsonl", ".ndjson")
_ENDINGS = (*_ARCHIVES, *_TABLES, *_LINES)
_DEMO, _DIGITS, _STANFORD = "demo", "digits", "stanford-dogs"
BUILT_IN = {
    _DEMO: "16 breeds, drawn here in seconds: 40 of each to train, 5 to validate, 26 to test",
    _DIGITS: "1,797 handwritten digits that come with scikit-learn (CC BY 4.0)",
    _STANFORD: "120 breeds, 20,580 photographs, 0.8 GB; its licence is shown first",
}
SPLITS = {
    "": "as the source says, else 80/10/10 of each class",
    "stratified": "80/10/10 of each class, shuffled",
    "article": "the first 50 of each class: 40/5/5",
    "test-only": "no training images: zero-shot only",
}
FIELDS = (
    ("table", "root", "paths are below", "the .csv's own folder unless given"),
    ("table", "path_column", "column of paths", "path, file, filename, image … unless given"),
    ("table", "label_column", "column of labels", "label, class, category … unless given"),
    ("table", "split_column", "column of splits", "split, set, subset … unless given; none is fine"),
    ("lines", "labels", "labels of a batch", "a .csv of custom_id and label, where lines have no answers"),
    ("any", "per_class", "images a class", "at most; all unless given"),
    ("class_level", "class_level", "level of classes", "1 for the topmost folders, 2 below …"),
)
_NUMBERS = ("per_class", "class_level")
TICKS = {
    "accept_classes": "these are classes",
    "skip_bad": "leave out images that cannot be used; they are among the findings",
    "crop_boxes": "only what is in the boxes around the dogs",
    "accept_licence": "I have read the licence, and accept it",
}
_KINDS = {
    "table": ("table", "any"),
    "lines": ("lines", "any"),
    "path": ("any",),
    _DIGITS: ("any",),
    _STANFORD: ("any",),
}
_WORDS = (
    ("--skip-bad leaves such files out", "“leave out” above does without such files"),
    ("Give it: --class-level 1", "Type its level above: 1"),
    ("--class-level ", ""),
    ("add --accept-classes", "tick “these are classes” above"),
    ("choose --split stratified", "choose the stratified split (ctrl+t)"),
    ("takes no --per-class. Give --train, --val and --test, or none", "takes no number of images. Leave it empty"),
    ("another --name", "another name"),
    ("Leave --crop-boxes out", "Do without the boxes"),
)
"""What the engine says for a command line, and how that is done here."""
SLOW_SECONDS = 0.1
"""Progress is drawn no more often: a slow line carries little."""


class PathSuggester(Suggester):
    """Completes a path from what lies on the disk, or the name of a set that is built in."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Return the value with the first entry that goes on with it."""
        return await asyncio.to_thread(complete, value)


def complete(value: str) -> str | None:
    """Return a path that begins with a value: the first that can be added; else a built-in set's name."""
    if not value:
        return None
    typed = Path(value).expanduser()
    parent, stem = (typed, "") if value.endswith("/") else (typed.parent, typed.name)
    try:
        entries = sorted(parent.iterdir())
    except OSError:
        entries = []
    for entry in entries:
        if entry.name.startswith(stem) and not (entry.name.startswith(".") and not stem) and _usable(entry):
            return value[: len(value) - len(stem)] + entry.name + ("/" if entry.is_dir() else "")
    return next((name for name in BUILT_IN if name.startswith(value)), None)


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
    return entry.is_dir() or entry.name.lower().endswith(_ENDINGS)


def kind_of(source: str) -> str:
    """Return what a source is: a built-in set's name, `table`, `lines`, or another `path`."""
    if source in BUILT_IN:
        return source
    name = source.lower()
    return "table" if name.endswith(_TABLES) else "lines" if name.endswith(_LINES) else "path"


class Tick(Static, can_focus=True):
    """A line that space ticks; enter is the screen's."""

    BINDINGS = [Binding("space", "tick", show=False), Binding("enter", "screen.add", show=False)]
    value = False

    def __init__(self, label: str, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._label = label

    def on_mount(self) -> None:
        """Show it."""
        self._show()

    def action_tick(self) -> None:
        """Tick it, or not."""
        self.value = not self.value
        self._show()

    def on_click(self) -> None:
        """The same."""
        self.action_tick()

    def _show(self) -> None:
        self.update(Text.assemble(("[x] " if self.value else "[ ] ", f"bold {look().accent}"), self._label))


class Sources(DirectoryTree):
    """Only what can be added."""

    BINDINGS = [Binding("j", "cursor_down", show=False), Binding("k", "cursor_up", show=False)]

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Leave the rest out."""
        return [path for path in paths if not path.name.startswith(".") and _usable(path)]


class Passes:
    """How far each pass over a source is, one line a pass."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[float, int, int]] = {}
        """Of each pass by its name: when it began, how much is done, of how much."""

    def told(self, phase: str, done: int, total: int) -> None:
        """Take note of a pass."""
        began = self._begun.get(phase, (time.monotonic(), 0, 0))[0]
        self._begun[phase] = (began, done, total)

    def text(self) -> Text:
        """Return all lines; the last pass is under way."""
        at, text = look(), Text(no_wrap=True, overflow="ellipsis")
        for number, (phase, (began, done, total)) in enumerate(self._begun.items(), start=1):
            much = size if phase.startswith("fetching") else "{:,}".format
            under_way = number == len(self._begun)
            if not under_way or phase.startswith("listing"):  # whose end nobody knows
                mark = ("… ", at.accent) if under_way else ("✓ ", at.ok)
                text.append_text(Text.assemble(mark, one_line(phase, 60), (f"  {much(done)}\n", at.dim)))
                continue
            text.append_text(bar(done / total if total else 0.0, 16, at.accent))
            text.append(f"  {one_line(phase, 40)}").append(f"  {much(done)} of {much(total)}", at.dim)
            seconds = time.monotonic() - began
            if seconds > 1 and done:
                text.append(f", {much(done / seconds) if much is size else f'{done / seconds:,.0f}'} a second", at.dim)
            text.append("\n")
        text.rstrip()
        return text


class AddScreen(ModalScreen[str | None]):
    """Returns the name of the dataset that was added."""

    VERTICAL_BREAKPOINTS = [(0, "-low"), (36, "-tall")]
    BINDINGS = [
        Binding("escape", "leave", "cancel"),
        Binding("ctrl+t", "split", "split"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._split = ""
        self._questions: set[str] = set()
        """Fields and ticks that an answer to the last refusal needs."""
        self._adding: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        """Lay it out."""
        about = "A folder, .tar, .zip, .csv or .jsonl: type, drop, or pick (tab)."
        with Vertical() as box:
            box.border_title = "Add a dataset"
            yield Static(Text.assemble((about, look().dim), ("\nOr one of: ", look().dim), ", ".join(BUILT_IN)))
            yield Input(placeholder="path  (→ completes)", id="path", suggester=PathSuggester())
            yield Sources(Path.cwd())
            yield Static(id="source")
            yield Input(placeholder="name", id="name", restrict=r"[\w.-]*")
            for kind, name, title, meaning in FIELDS:
                with Horizontal(classes=f"field of-{kind}"):
                    yield Static(Text(f"{title:>17} "), classes="field-name")
                    yield Input(id=name, compact=True, type="integer" if name in _NUMBERS else "text")
                    yield Static(Text(f" {meaning}", look().dim), classes="field-meaning")
            for name, label in TICKS.items():
                yield Tick(label, id=name)
            yield Static(id="split")
            yield Static(id="told")

    def on_mount(self) -> None:
        """Begin with the path."""
        self.query_one("#accept_licence").display = False  # until the licence was shown
        self.query_one("#path").focus()
        self._draw()

    @property
    def _source(self) -> str:
        return dropped(self.query_one("#path", Input).value)

    def _draw(self) -> None:
        """Show what this source can be told, and no more."""
        kind = kind_of(self._source)
        for row in self.query(".field"):
            row.display = any(row.has_class(f"of-{each}") for each in (*_KINDS.get(kind, ()), *self._questions))
        about = self.query_one("#source", Static)
        about.display = kind in BUILT_IN
        about.update(Text(BUILT_IN.get(kind, ""), look().accent))
        self.query_one(Sources).display = kind == "path"
        self.query_one("#skip_bad").display = kind not in (_DEMO, _DIGITS)
        self.query_one("#crop_boxes").display = kind == _STANFORD
        self.query_one("#accept_classes").display = "accept_classes" in self._questions
        if kind != _STANFORD:
            self.query_one("#accept_licence").display = False
        told = Text(no_wrap=True, overflow="ellipsis")
        if kind != _DEMO:  # it is drawn by its counts
            told.append("split ").append(self._split or "own", f"bold {look().accent}")
            told.append(f"  {SPLITS[self._split]}\nctrl+t: another split    ", look().dim)
        told.append("enter: add    space: tick    esc: leave", look().dim)
        self.query_one("#split", Static).update(told)

    def action_split(self) -> None:
        """The next kind of split."""
        names = list(SPLITS)
        self._split = names[(names.index(self._split) + 1) % len(names)]
        self._draw()

    def action_leave(self) -> None:
        """Stop what is under way; else close."""
        if self._adding is not None and self._adding.is_running:
            self._adding.cancel()
        else:
            self.dismiss(None)

    @on(DirectoryTree.FileSelected)
    @on(DirectoryTree.DirectorySelected)
    def _picked(self, event: DirectoryTree.FileSelected | DirectoryTree.DirectorySelected) -> None:
        self.query_one("#path", Input).value = str(event.path)
        if kind_of(str(event.path)) != "path":  # the tree makes room for what else can be told
            self.query_one("#name").focus()

    @on(Input.Changed, "#path")
    def _path_changed(self, event: Input.Changed) -> None:
        path = dropped(event.value)
        if path != event.value.strip() and Path(path).exists():
            self.query_one("#path", Input).value = path
            return
        ending = next((e for e in sorted(_ENDINGS, key=len, reverse=True) if path.lower().endswith(e)), "")
        stem = Path(path[: len(path) - len(ending)]).name
        self.query_one("#told", Static).update("")
        self._questions.clear()
        self.query_one("#name", Input).value = re.sub(r"[^\w.-]+", "-", stem)[:64].strip("-.")
        self._draw()

    @on(Input.Submitted)
    def action_add(self) -> None:
        """Add it, unless that is under way."""
        if self._adding is None or not self._adding.is_running:
            self._adding = self._add(self._source, self.query_one("#name", Input).value)

    def _options(self, kind: str) -> dict[str, Any]:
        """Return what was told of such a source; what was left empty is not told."""
        found: dict[str, Any] = {} if kind == _DEMO else {"split": self._split}
        for where, name, _, _ in FIELDS:
            if where in _KINDS.get(kind, ()) or where in self._questions:
                found[name] = self.query_one(f"#{name}", Input).value.strip()
        for tick in self.query(Tick):
            if tick.display and tick.id:
                found[tick.id] = tick.value
        found = {name: value for name, value in found.items() if value}
        if not self._source:
            raise InputError("There is no path.", "Type one, or the name of a set that is built in.")
        for name in found.keys() & {"root", "labels"}:
            found[name] = Path(dropped(found[name])).expanduser()
        for name, what in (("per_class", "{} images a class."), ("class_level", "Level {} of the classes.")):
            if name in found:
                if not found[name].isdecimal() or not int(found[name]):
                    raise InputError(what.format(found[name]), "Type a number, 1 or more.")
                found[name] = int(found[name])
        return found

    @work
    async def _add(self, source: str, name: str) -> None:
        told, kind, passes, drawn = self.query_one("#told", Static), kind_of(source), Passes(), 0.0
        hint = Text("\nesc stops it", look().dim)

        def progress(phase: str, done: int, total: int) -> None:
            nonlocal drawn
            passes.told(phase, done, total)
            if done >= total or time.monotonic() - drawn > SLOW_SECONDS:
                drawn = time.monotonic()
                self.app.call_from_thread(told.update, passes.text().append_text(hint))

        tree = self.query_one(Sources)
        tree.display = False  # its place is for what is told
        told.update(Text("…", look().dim))
        try:
            options = self._options(kind)
            await self._engine.add_dataset(source, name, progress, **options)
        except DogclsError as error:
            if kind == _STANFORD and not self.query_one("#accept_licence", Tick).value:
                self._ask_licence(error)
            else:
                told.update(Text(one_line(_said_here(str(error)), 600), look().bad))
                self._question(str(error))
        except asyncio.CancelledError:
            if self.is_attached:
                told.update(Text("Stopped; nothing was added.", look().warn))
            raise
        else:
            self.dismiss(name)
            return
        finally:
            self._adding = None
        self._draw()

    def _question(self, refusal: str) -> None:
        """Show the field or tick that a refusal's hint names."""
        for name, option in (("class_level", "--class-level"), ("accept_classes", "--accept-classes")):
            if option in refusal:
                self._questions.add(name)
                self._draw()
                self.query_one(f"#{name}").focus()

    def _ask_licence(self, error: DogclsError) -> None:
        """Show the licence, which is what the engine answers before it is accepted."""
        box = self.query_one("#accept_licence", Tick)
        box.display = True
        box.focus()
        told = Text.assemble((one_line(error.message, 1_000), look().warn), "\n")
        told.append("space accepts it, enter then fetches 0.8 GB.", look().dim)
        self.query_one("#told", Static).update(told)


def _said_here(text: str) -> str:
    for command, key in _WORDS:
        text = text.replace(command, key)
    return text
