"""`dogcls-tui emulator`: a local Azure OpenAI for any client."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine import InputError, emulator_command
from tui.commands.common import globals_of

SPEEDS = ("real", "fast", "instant")


def register(app: typer.Typer) -> None:
    """Add this command to the root."""
    app.command()(emulator)


def emulator(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 0,
    speed: Annotated[str, typer.Option(help="How fast life cycles pass: real, fast or instant.")] = "fast",
    state: Annotated[
        Path | None, typer.Option(help="Where it keeps everything; a folder of --home unless named.")
    ] = None,
) -> None:
    """Serve an emulator of Azure OpenAI on loopback until stopped; how to reach it is the first line."""
    if speed not in SPEEDS:
        raise InputError(f"--speed {speed}: no such speed.", f"Choose one of: {', '.join(SPEEDS)}.")
    command = emulator_command(globals_of(context).home, state, port, speed)
    sys.stdout.flush()
    # The server takes this process's place: signals, exit code and output are its own.
    os.execv(command[0], command)  # noqa: S606 - our own interpreter
