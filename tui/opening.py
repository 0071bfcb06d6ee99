"""Opens the app on a terminal, and says to the shell what is left when it closes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

from engine import InputError, is_unicode
from tui import terminal
from tui.options import Globals
from tui.pictures import prepare

if TYPE_CHECKING:
    from engine import Engine
    from tui.bridge import Bridge


def open_app(options: Globals, *, start_demo: bool = False, experiment: str | None = None, room: str = "home") -> None:
    """Open the screen; when it closes, print the comparison that was chosen last, as it stands then, to the shell.

    The engine is opened behind the first paint.

    Raises:
        InputError: this terminal cannot show the app.
        DogclsError: the engine cannot be opened.

    """
    if (why := terminal.problem()) is not None:
        raise InputError(*why)
    prepare(options.screen.pictures)  # asks the terminal, so before the app
    from tui.app import DogclsApp, Manners

    def opening() -> Engine:
        from engine import Engine

        return Engine(options.home, options.profile, readonly=options.readonly)

    drawn_on = sys.stderr if sys.stderr.isatty() else sys.stdout
    manners = Manners(options.screen.theme, options.screen.ascii or not is_unicode(drawn_on), options.screen.bell)
    app = DogclsApp(opening, start_demo=start_demo, experiment=experiment, room=room, manners=manners)
    print(terminal.KEEP_TITLE, end="", flush=True)
    try:
        error = app.run(mouse=options.screen.mouse)
    finally:
        print(terminal.progress(None) + terminal.OLD_TITLE, end="", flush=True)
    if error is not None:
        raise error
    if app.opened.is_set():
        try:
            asyncio.run(_farewell(app.engine, app.bridge))
        finally:
            app.engine.close()


async def _farewell(engine: Engine, bridge: Bridge) -> None:
    from engine import ACTIVE, DogclsError

    with contextlib.suppress(DogclsError):  # there is none, it was deleted, or its home was
        found = await engine.comparison(bridge.experiment, bridge.baseline)
        if any(c.complete for c in found.contestants):
            print((await engine.table(found)).rstrip("\n"), flush=True)
    with contextlib.suppress(DogclsError):
        if any(job.state in ACTIVE for job in await engine.jobs()):
            print("the jobs continue without this terminal; to see them again: dogcls-tui", file=sys.stderr, flush=True)
