"""Commands whose modules are loaded when they are run: a command that is quick need not wait for all others."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

MODULES = {
    "demo": "run",
    "run": "run",
    "train": "train",
    "recipes": "train",
    "predict": "trained",
    "export": "trained",
    "pilot": "pilot",
    "jobs": "jobs",
    "logs": "jobs",
    "cancel": "jobs",
    "pause": "jobs",
    "resume": "jobs",
    "results": "results",
    "score": "results",
    "experiment": "results",
    "info": "results",
    "clean": "remote",
    "doctor": "remote",
    "data": "data",
    "launch": "launch",
    "emulator": "emulator",
    "remote": "remote",
}
"""The module of `tui.commands` that has each command, in the order of the help page."""


class Commands(TyperGroup):
    """The commands of `MODULES`. The help page loads all of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return all names, without loading anything."""
        return list(MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load a command."""
        if cmd_name in MODULES and cmd_name not in self.commands:
            self.commands.update(commands_of(MODULES[cmd_name]))
        return self.commands.get(cmd_name)


def commands_of(name: str) -> dict[str, Any]:
    """Return what a module of `tui.commands` has: single commands, a group of its own name, or both."""
    module = import_module(f"tui.commands.{name}")
    part = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    if hasattr(module, "register"):
        module.register(part)
    if hasattr(module, "app"):
        part.add_typer(module.app, name=name)
    return dict(get_group(part).commands)
