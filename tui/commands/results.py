"""`dogcls-tui results`, `experiment` and `info`, and how a comparison is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine import Engine, InputError
from tui.commands.common import globals_of, out, out_json, say, with_engine

FORMATS = ("table", "json", "csv", "markdown")


def register(app: typer.Typer) -> None:
    """Add these commands to the root."""
    app.command()(results)
    app.command()(experiment)
    app.command()(info)


async def print_results(engine: Engine, name: str, as_json: bool) -> None:
    """Print an experiment's comparison."""
    out((await engine.render(await engine.comparison(name), "json" if as_json else "table")).rstrip("\n"))


def results(
    context: typer.Context,
    experiment: Annotated[str | None, typer.Argument(help="The newest unless named.")] = None,
    form: Annotated[str, typer.Option("--format", help="table, json, csv or markdown.")] = "table",
    output: Annotated[Path | None, typer.Option(help="Write a file instead.")] = None,
) -> None:
    """Print the comparison of an experiment's contestants."""
    if form not in FORMATS:
        raise InputError(f"--format {form}: no such format.", f"Choose one of: {', '.join(FORMATS)}.")

    async def work(engine: Engine) -> None:
        text = (await engine.render(await engine.comparison(experiment), form)).rstrip("\n")
        if output is None:
            out(text)
            return
        try:
            output.write_text(text + "\n", encoding="utf-8")
            output.chmod(0o666 & ~globals_of(context).umask)  # it is for others to read, unlike what is in the home
        except OSError as error:
            raise InputError(f"{output}: {error.strerror}.", "Choose another --output.") from error
        say(f"wrote {output}")

    with_engine(context, work)


def experiment(context: typer.Context, name: Annotated[str, typer.Argument(help="An experiment.")]) -> None:
    """Print an experiment's parameters as TOML; save it, change it, and run it with: run --file."""

    async def work(engine: Engine) -> None:
        out((await engine.experiment_file(name)).rstrip("\n"))

    with_engine(context, work)


def info(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show versions, device, paths, profile and terminal."""
    import os
    import shutil
    import sys

    async def work(engine: Engine) -> None:
        about = await engine.about()
        size = shutil.get_terminal_size()
        about["terminal"] = {
            "term": os.environ.get("TERM"),
            "colorterm": os.environ.get("COLORTERM"),
            "columns": size.columns,
            "lines": size.lines,
            "stdout_is_terminal": sys.stdout.isatty(),
        }
        if as_json:
            out_json(about)
            return
        for name, value in about.items():
            if isinstance(value, dict):
                out(f"{name}:")
                for key, inner in value.items():
                    out(f"  {key}: {inner}")
            else:
                out(f"{name}: {value}")

    with_engine(context, work)
