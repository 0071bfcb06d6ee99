"""`dogcls-tui results`, `score`, `experiment` and `info`, and how a comparison is printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from engine import MEASURES, RESULT_FORMS, Engine, InputError, Scoring, about, write_outputs
from tui.commands.common import globals_of, out, out_json, out_json_text, say, with_engine
from tui.commands.terms import (
    Batch,
    HostingHours,
    LabelPrice,
    Machine,
    MachineHours,
    Months,
    Value,
    Volume,
    terms_of,
)
from tui.text import literal

_MEASURE = f"What contestants are judged by: {MEASURES}. [default: accuracy]"
_COSTS = (
    'The cost of each mistake, as TOML: [truth], below it answer = cost. Judges by "cost" unless --measure is given.'
)


def register(app: typer.Typer) -> None:
    """Add these commands to the root."""
    app.command()(results)
    app.command()(score)
    app.command()(experiment)
    app.command()(info)


async def print_results(engine: Engine, name: str, as_json: bool) -> None:
    """Print an experiment's comparison: the figures as JSON, or everything as a table."""
    found = await engine.outcomes.findings(name)
    form = "json" if as_json else "table"
    _deliver(await engine.outcomes.render(found, form), form, None)


def results(
    context: typer.Context,
    experiment: Annotated[str | None, typer.Argument(help="The newest unless named.")] = None,
    form: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(RESULT_FORMS)}.")] = "table",
    output: Annotated[Path | None, typer.Option(help="Write a file instead.")] = None,
    references: Annotated[bool, typer.Option("--references", help="Show published results too, marked so.")] = False,
    volume: Volume = None,
    months: Months = None,
    value: Value = None,
    hosting_hours: HostingHours = None,
    batch: Batch = None,
    machine: Machine = None,
    machine_hours: MachineHours = None,
    label_price: LabelPrice = None,
    measure: Annotated[str | None, typer.Option(help=_MEASURE + " Kept with the experiment.")] = None,
    costs: Annotated[Path | None, typer.Option(help=_COSTS)] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Reckon all again from what is stored; exit code 1 if it does not hold.")
    ] = False,
    every_file: Annotated[
        bool, typer.Option("--all-files", help="With --verify: look at each file of the data set, not at a sample.")
    ] = False,
) -> None:
    """Print what came out of an experiment: who is best, how sure that is, and what it costs."""
    _check_form(form, RESULT_FORMS)

    async def work(engine: Engine) -> bool:
        if verify:
            found = await engine.outcomes.verify(experiment, every_file=every_file)
            if form in ("json", "full-json"):
                out_json(found.plain())
            else:
                out("\n".join(found.lines()))
            return found.holds
        looked_at = form in ("html", "markdown", "full-json", "csv-images")
        chosen = None
        if measure is not None or costs is not None:
            chosen = await engine.outcomes.choose(experiment, measure, costs)
        terms = await terms_of(
            engine,
            volume=volume,
            months=months,
            value=value,
            hosting_hours=hosting_hours,
            batch=batch,
            machine=machine,
            machine_hours=machine_hours,
            label_price=label_price,
        )
        findings = await engine.outcomes.findings(experiment, terms, measure=looked_at, chosen=chosen)
        if chosen is not None and await engine.outcomes.keep(experiment, chosen):
            say(f"{findings.analysis.experiment} is judged by {chosen[0].name} from now on")
        _deliver(await engine.outcomes.render(findings, form, references=references), form, output)
        return True

    if not with_engine(context, work):
        raise typer.Exit(1)


def score(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV: contestant,image,truth,answer[,latency_ms][,probability].")],
    labels: Annotated[Path | None, typer.Option(help="One label a line; those of the truths unless given.")] = None,
    form: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(RESULT_FORMS)}.")] = "table",
    output: Annotated[Path | None, typer.Option(help="Write a file instead.")] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Compare on the images that all contestants have, and say so.")
    ] = False,
    measure: Annotated[str | None, typer.Option(help=_MEASURE)] = None,
    costs: Annotated[Path | None, typer.Option(help=_COSTS)] = None,
) -> None:
    """Evaluate and compare predictions that were made elsewhere, as an experiment's own."""
    _check_form(form, RESULT_FORMS)

    import asyncio

    async def work() -> None:
        scoring = Scoring.of(globals_of(context).home)
        found = await scoring.score(file, labels, common=common, measure=measure, costs=costs)
        _deliver(await scoring.render(found, form), form, output)

    asyncio.run(work())


def _check_form(form: str, forms: tuple[str, ...]) -> None:
    if form not in forms:
        raise InputError(f"--format {form}: no such format.", f"Choose one of: {', '.join(forms)}.")


def _deliver(text: str, form: str, output: Path | None) -> None:
    text = text.rstrip("\n")
    if output is not None:
        write_outputs({output: text + "\n"})
        say(f"wrote {output}")
        return
    # Data stays as it is for programs, but a terminal must not obey it.
    shown = literal(text) if sys.stdout.isatty() else text
    (out_json_text if form in ("json", "full-json") else out)(shown)


def experiment(context: typer.Context, name: Annotated[str, typer.Argument(help="An experiment.")]) -> None:
    """Print an experiment's parameters as TOML; save it, change it, and run it with: run --file."""

    async def work(engine: Engine) -> None:
        out((await engine.experiment_file(name)).rstrip("\n"))

    with_engine(context, work)


def info(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show versions, device, paths, profile and terminal."""
    import os
    import shutil

    options = globals_of(context)
    found = about(options.home, options.profile, readonly=options.readonly)
    size = shutil.get_terminal_size()
    found["terminal"] = {
        "term": os.environ.get("TERM"),
        "colorterm": os.environ.get("COLORTERM"),
        "columns": size.columns,
        "lines": size.lines,
        "stdout_is_terminal": sys.stdout.isatty(),
        "encoding": sys.stdout.encoding,
    }
    if as_json:
        out_json(found)
        return
    for name, value in found.items():
        if isinstance(value, dict):
            out(f"{name}:")
            for key, inner in value.items():
                out(f"  {key}: {inner}")
        elif not isinstance(value, list):
            out(f"{name}: {value}")
        else:
            out(f"{name}:{'' if value else ' none'}")
            for inner in value:
                out(f"  {literal(str(inner))}")
