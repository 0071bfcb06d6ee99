"""The command `dogcls-tui`. Every command is a thin layer over `engine.Engine`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine import __version__
from tui.lazy import Commands
from tui.options import Globals, OnScreen


class Theme(StrEnum):
    """The looks of `tui.styles.theme`, named here so that no command reads Textual."""

    kennel = "kennel"
    day = "kennel-day"
    safe = "kennel-safe"
    sixteen = "kennel-16"


class Pictures(StrEnum):
    """What `tui.widgets.picture.prepare` takes."""

    auto = "auto"
    sixel = "sixel"
    kitty = "kitty"
    blocks = "blocks"


app = typer.Typer(
    name="dogcls-tui",
    cls=Commands,
    help="For your labelled images: zero-shot GPT-4o, fine-tuned GPT-4o, or a small local CNN?",
    epilog="Without a command the app opens. stdout is data, stderr is narration."
    " Exit codes: 0 done, 1 a job failed or results do not hold, 2 bad usage or input, 3 not signed in or not"
    " configured, 130 interrupted.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dogcls-tui {__version__}", flush=True)  # here an error of printing can be reported, at the exit not
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option(help="The folder of everything: store, caches, logs. [env: DOGCLS_HOME]")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="demo (the embedded emulator), azure, or one named in the settings.")
    ] = None,
    readonly: Annotated[bool, typer.Option("--readonly", help="Only look: nothing can be started or stopped.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print the monitor once, and leave.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Tell what happens line by line, for screen readers; no screen.")
    ] = False,
    theme: Annotated[Theme, typer.Option(help="Colours; T changes them.")] = Theme.kennel,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Draw with ASCII characters alone.")] = False,
    no_mouse: Annotated[bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")] = False,
    pictures: Annotated[Pictures, typer.Option(help="How the terminal shows pictures.")] = Pictures.auto,
    no_bell: Annotated[bool, typer.Option("--no-bell", help="No bell when a job ends.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Remember the options before the command; without one, open the app."""
    screen = OnScreen(theme.value, ascii_only, not no_mouse, pictures.value, not no_bell)
    context.obj = Globals(home, profile, readonly, screen)
    if context.invoked_subcommand is not None:
        return
    if once or plain:
        from tui.commands import monitor

        (monitor.once if once else monitor.narrate)(context)
    else:
        from tui.opening import open_app

        open_app(context.obj)
