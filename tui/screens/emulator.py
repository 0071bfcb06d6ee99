"""The demo's emulator: how fast it is, what it does wrong, what it was paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.suggester import SuggestFromList
from textual.widgets import Input, OptionList, Static

from engine import DIALS, Dial, DogclsError, EmulatorSettings, Payment, dial_text, emulator_patch
from tui.bridge import Looked
from tui.guard import work
from tui.screens.base import Room
from tui.screens.dialogs import ChooseScreen
from tui.styles.theme import look
from tui.text import one_line
from tui.widgets.ledger import LedgerTable, summary
from tui.widgets.lists import List
from tui.widgets.topbar import FAULT

LOOK_SECONDS = 2.0
_RESTING = "not running: the first job starts it, or the first setting"
_STARTING = "starting the emulator …"
_DIALS = {dial.name: dial for dial in DIALS}
_PRESETS = {
    "429 storm": (
        "Half of all chat requests are refused. Jobs wait, and go on.",
        (("calls", "chat 429 50%"),),
    ),
    "bad day": (
        "Some calls are refused, some fail, some break off in mid-answer.",
        (("calls", "* 429 10%; * 500 5%; * drop 2%"),),
    ),
    "the article's latency": (
        "Chat requests take as long as published: 1.6 s mostly, 4 s at times.",
        (("latency", "article"),),
    ),
    "lost lines": ("5% of a batch's answers are in neither of its files.", (("lost_lines", "5%"),)),
    "all faults off": ("As it is by default.", (("faults", "off"),)),
}


class EmulatorScreen(Room):
    """Its settings above, what the chosen one means, its ledger below."""

    ROOM = "emulator"
    FIRST = "#dials"

    def __init__(self) -> None:
        super().__init__()
        self._settings: EmulatorSettings | None = None
        self._payments: tuple[Payment, ...] | None = None
        self._status = ""
        """How it stands with the emulator."""
        self._problem = ""
        """What is wrong with the value, as the emulator or we found."""
        self._one_at_a_time = asyncio.Lock()
        self._offered: object = None

    def body(self) -> ComposeResult:
        """Lay it out."""
        yield List(id="dials", classes="pane")
        yield Input(id="editor")
        yield Static(id="meaning", classes="pane")
        yield LedgerTable(id="ledger", classes="pane")

    def on_mount(self) -> None:
        """Name the panes."""
        super().on_mount()
        self.query_one("#dials").border_title = "Emulator"
        self.query_one("#meaning").border_title = "What it means"
        self.query_one("#ledger").border_title = "Ledger: what was paid for, in the emulator's money"
        self._draw()
        self.set_interval(LOOK_SECONDS, self._look)

    def on_screen_resume(self) -> None:
        """Look at once."""
        super().on_screen_resume()
        self._look()

    def on_resize(self) -> None:
        """Columns depend on the width."""
        super().on_resize()
        self.call_after_refresh(self._draw_ledger)

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        """Nothing here hangs on jobs."""

    # -- what is shown

    @work(group="look")
    async def _look(self) -> None:
        """Read settings and ledger again, unless the last look is still under way, or something is being set."""
        if not self.is_current or self._one_at_a_time.locked():
            return
        async with self._one_at_a_time:
            emulation = self.engine.emulation
            try:
                view = await emulation.view()
                self._settings = await emulation.settings()
                payments = await emulation.ledger()
            except DogclsError as error:
                self._status = one_line(error.message, 70)
            else:
                self._status = _RESTING if self._settings is None else f"runs at {view.address}"
                if view.under_way:
                    self._status += f" · {view.under_way} under way"
                self._payments = self._payments if payments is None else payments
            self._show()

    def _show(self) -> None:
        if self._settings is not None:
            self.bridge.faults_on(len(self._settings.active))
        self._draw()
        self._draw_ledger()
        marks = (self._settings is not None and bool(self._settings.active), self.has_class("editing"))
        if marks != self._offered:
            self._offered = marks
            self.refresh_bindings()

    def _draw(self) -> None:
        at, settings = look(), self._settings
        lines = []
        for dial in DIALS:
            text = "–" if settings is None else one_line(dial_text(settings, dial.name), 300)
            changed = settings is not None and text != dial.usual[0]
            on = dial.fault and changed
            style = f"bold {at.warn}" if on else f"bold {at.accent}" if changed else at.dim if dial.fault else ""
            mark = Text(f"{FAULT} " if on else "○ " if dial.fault else "  ", at.warn if on else at.dim)
            line = Text.assemble(mark, (f"{dial.title:<19}", "" if settings else at.dim), (f"{text:<22}", style))
            if len(text) <= 20:
                line.append(f"  {dial.allowed}", at.dim)
            line.no_wrap, line.overflow = True, "ellipsis"
            lines.append((dial.name, line))
        box = self.query_one("#dials", List)
        box.show(lines)
        readonly = "only to look at (--readonly)" if self.engine.readonly else ""
        box.border_subtitle = Text(" · ".join(filter(None, (self._status, readonly))))
        self._explain()

    def _explain(self) -> None:
        box = self.query_one("#meaning", Static)
        dial = self._dial
        if self._problem:
            box.update(Text(one_line(self._problem, 1_000), look().bad))
        elif dial is not None:
            more = f"\n{dial.more}" if self.has_class("editing") and dial.more else ""
            box.update(Text.assemble(dial.help, (more, look().dim)))

    def _draw_ledger(self) -> None:
        table = self.query_one(LedgerTable)
        table.show(self._payments or ())
        told = "it tells while it runs" if self._payments is None else summary(self._payments)
        table.border_subtitle = Text(told)

    @property
    def _dial(self) -> Dial | None:
        """The chosen setting."""
        return _DIALS.get(self.query_one("#dials", List).chosen or "")

    @on(OptionList.OptionHighlighted, "#dials")
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._problem = ""
        self._explain()

    @on(OptionList.OptionSelected, "#dials")
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.action_change()

    # -- what the reader does

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that would do something now."""
        if action in ("change", "turn", "preset", "all_off") and self.engine.readonly:
            return False
        if action == "all_off":
            return self._settings is not None and bool(self._settings.active)
        return True

    async def _set(self, texts: Iterable[tuple[str, str]]) -> bool:
        """Set this at once; tell whether the emulator took it."""
        if self._settings is None:
            self._status = _STARTING
            self._draw()
        try:
            self._settings = await self.engine.emulation.set(emulator_patch(texts))
            self._problem = ""
        except DogclsError as error:
            self._problem = str(error)
        self._status = "" if self._status == _STARTING else self._status
        self._show()
        return not self._problem

    @work
    async def action_turn(self) -> None:
        """Set the next of the values that are tried most."""
        dial = self._dial
        if dial is None:
            return
        async with self._one_at_a_time:
            # It keeps its settings while it does not run: what comes next is known only when it does.
            if self._settings is None and not await self._set(()):
                return
            assert self._settings is not None
            text, usual = dial_text(self._settings, dial.name), dial.usual
            await self._set([(dial.name, usual[(usual.index(text) + 1) % len(usual)] if text in usual else usual[0])])

    @work
    async def action_change(self) -> None:
        """Turn the chosen setting on or off, or open the field for its value."""
        dial = self._dial
        if dial is None or self.engine.readonly:
            return
        if dial.allowed == "on, off":
            self.action_turn()
            return
        if self._settings is None:
            async with self._one_at_a_time:
                if self._settings is None and not await self._set(()):
                    return
        assert self._settings is not None
        editor = self.query_one("#editor", Input)
        editor.border_title = f"{dial.title}: enter sets it, esc leaves it"
        editor.border_subtitle = dial.allowed
        editor.suggester = SuggestFromList(dial.usual)
        with editor.prevent(Input.Changed):
            editor.value = dial_text(self._settings, dial.name)
        self._edit(True)

    def _edit(self, editing: bool) -> None:
        editor = self.query_one("#editor", Input)
        self.set_class(editing, "editing")
        editor.set_class(editing, "shown")
        self._problem = ""
        (editor if editing else self.query_one("#dials")).focus()
        self._show()

    @on(Input.Changed, "#editor")
    def _typing(self, event: Input.Changed) -> None:
        """Say what cannot be read while it is typed."""
        self._problem = ""
        if self._dial is not None:
            try:
                emulator_patch([(self._dial.name, event.value)])
            except DogclsError as error:
                self._problem = str(error)
        self._explain()

    @on(Input.Submitted, "#editor")
    @work
    async def _accept(self, event: Input.Submitted) -> None:
        if self._dial is None:
            return
        async with self._one_at_a_time:
            taken = await self._set([(self._dial.name, event.value)])
        if taken:
            self._edit(False)

    @work
    async def action_preset(self) -> None:
        """Choose one of several settings that belong together."""
        choices = [(name, meaning) for name, (meaning, _) in _PRESETS.items()]
        name = await self.app.push_screen_wait(ChooseScreen("Set at once; other faults stay as they are", choices))
        if name is not None:
            async with self._one_at_a_time:
                await self._set(_PRESETS[name][1])

    @work
    async def action_all_off(self) -> None:
        """Put all faults out."""
        async with self._one_at_a_time:
            await self._set([("faults", "off")])

    def action_back(self) -> None:
        """Leave the field; else the page."""
        if self.has_class("editing"):
            self._edit(False)
        else:
            self.desk.action_emulator()

    def repaint(self) -> None:
        """Draw everything in other colours."""
        super().repaint()
        self.query_one(LedgerTable).redraw()
        self._show()
