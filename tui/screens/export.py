"""Writing the results to a file: in which form, where, and where it then lies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from tui.screens.add import PathSuggester
from tui.screens.dialogs import AskScreen, ChooseScreen, ConfirmScreen
from tui.screens.papers import TextScreen

if TYPE_CHECKING:
    from engine import Findings
    from tui.app import DogclsApp

FORMS = (
    ("html", "one page with charts and pictures; opens offline", ".html"),
    ("markdown", "for a pull request or a wiki", ".md"),
    ("table", "what the command line prints", ".txt"),
    ("json", "for programs; figures unrounded", ".json"),
    ("csv", "three files: contestants, classes, images", ".csv"),
)
"""Name, what it is for, and how its file ends."""


async def export(desk: DogclsApp, found: Findings) -> None:
    """Ask for the form and the place, write, and show what was written."""
    choices = [(name, meaning) for name, meaning, _ in FORMS]
    form = await desk.push_screen_wait(ChooseScreen("Write the results as", choices, FORMS[0][0]))
    if form is None:
        return
    ending = next(e for name, _, e in FORMS if name == form)
    stem = f"{found.analysis.experiment}-results{ending}"
    name = await desk.push_screen_wait(AskScreen(f"Write {form} to", stem, PathSuggester()))
    if not name:
        return
    path = await asyncio.to_thread(lambda: Path(name).expanduser().absolute())
    there = await asyncio.to_thread(lambda: [str(f) for f in desk.engine.outcomes.files(form, path) if f.exists()])
    told = f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already."
    if there and not await desk.push_screen_wait(ConfirmScreen(told, "Write over?")):
        return
    written = await desk.doing(desk.engine.outcomes.write(found, form, path))
    if isinstance(written, list | tuple):
        await desk.push_screen_wait(TextScreen("Written", "\n".join(map(str, written))))
