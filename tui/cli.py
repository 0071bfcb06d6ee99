"""The command `dogcls-tui`. Every command is a thin layer over `engine.Engine`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine import DogclsError, __version__
from tui.commands import data, emulator, jobs, launch, results, run
from tui.commands.common import Globals
from tui.text import literal

app = typer.Typer(
    name="dogcls-tui",
    help="For your labelled images: zero-shot GPT-4o, fine-tuned GPT-4o, or a small local CNN?",
    epilog="Without a command the app opens. stdout is data, stderr is narration."
    " Exit codes: 0 done, 1 a job failed, 2 bad usage or input, 3 not signed in or not configured,"
    " 130 interrupted.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.add_typer(launch.app, name="launch")
for module in (run, jobs, results, emulator):
    module.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dogcls-tui {__version__}")
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
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Remember the options before the command; without one, open the app."""
    context.obj = Globals(home, profile, umask=os.umask(0o077))
    if context.invoked_subcommand is None:
        if not sys.stdout.isatty():
            raise typer.BadParameter("the app needs a terminal; for data, name a command (see --help)")
        run.open_app(context)


def main() -> None:
    """Run the command line; turn every known error into one line and its exit code."""
    try:
        app()
    except DogclsError as error:
        print(f"error: {literal(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
