"""`dogcls-tui remote`: everything on the resource, whoever started it; `clean`; `doctor`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine import Checkup, DogclsError, Engine, InputError, Leftover
from tui.commands.common import in_terminal, out, out_json, say, with_engine
from tui.text import one_line

app = typer.Typer(help="Batches, fine-tuning jobs, deployments and files of the resource.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="As in: dogcls-tui remote list", metavar="ID")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KINDS = ("deployment", "model", "file")
_MARKS = {"ok": "ok", "warning": "!", "problem": "✗", "unknown": "?"}


def register(root: typer.Typer) -> None:
    """Add the other two to the root."""
    root.command()(clean)
    root.command()(doctor)


def _moment(at: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) if at else ""


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List what stands on the resource, ours or not; the newest fifty of each kind."""

    async def work(engine: Engine) -> None:
        items = await engine.remote.items()
        if as_json:
            out_json([asdict(item) for item in items])
            return
        for item in items:
            ours = f"job {item.job_id}" if item.job_id else ""
            needed = f"  {item.needed}" if item.needed else ""
            line = f"{item.kind:<12} {one_line(item.id):<44} {one_line(item.state):<12} {_moment(item.created_at):<16}"
            out(f"{line} {ours:<8} {one_line(item.detail)}{needed}".rstrip())
        if not items:
            say("nothing there")

    with_engine(context, work)


@app.command()
def follow(context: typer.Context, item_id: Id) -> None:
    """Print how a batch or fine-tuning job stands, until its end."""

    async def work(engine: Engine) -> None:
        async for line in engine.remote.follow(item_id):
            out(f"{time.strftime('%H:%M:%S')} {one_line(line)}")

    with_engine(context, work)


@app.command()
def cancel(context: typer.Context, item_id: Id) -> None:
    """Cancel a batch or a fine-tuning job. What was done is kept, and was paid for."""

    async def work(engine: Engine) -> None:
        await engine.remote.cancel(item_id)
        say(f"{item_id}: cancel requested")

    with_engine(context, work)


@app.command()
def download(
    context: typer.Context,
    item_id: Id,
    output: Annotated[Path, typer.Option(help="The folder to write to.", file_okay=False)] = Path(),
) -> None:
    """Download what a batch or fine-tuning job has made, or a file; print the paths."""

    async def work(engine: Engine) -> None:
        output.mkdir(parents=True, exist_ok=True)
        for path in await engine.remote.download(item_id, output):
            out(str(path))

    with_engine(context, work)


def clean(
    context: typer.Context,
    kind: Annotated[str, typer.Option(help="Any of deployment,model,file.")] = "deployment,model,file",
    everybodys: Annotated[bool, typer.Option("--all", help="Also what other homes and tools have made.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
) -> None:
    """List what this home has left on the resource, then delete it if you confirm. What a job still needs is kept."""
    kinds = [word.strip() for word in kind.split(",")]
    if unknown := [word for word in kinds if word not in KINDS]:
        raise InputError(f"--kind {unknown[0]!r} is unknown.", f"Choose any of {','.join(KINDS)}.")

    async def work(engine: Engine) -> bool:
        found = [item for item in await engine.remote.leftovers(everybodys=everybodys) if item.kind in kinds]
        _show(found, await _costs(engine, found))
        free = [item for item in found if not item.kept]
        if not free:
            say("nothing to delete")
            return True
        if not yes and not in_terminal():
            say(f"{len(free)} could be deleted; nothing was. Add --yes to delete them.")
            return True
        if not yes and not typer.confirm(f"Delete these {len(free)}?", err=True):
            return True
        well = True
        for item, problem in await engine.remote.clean(free):
            say(f"{item.kind} {item.id}: {problem or 'deleted'}")
            well &= not problem
        return well

    if not with_engine(context, work):
        raise typer.Exit(1)


async def _costs(engine: Engine, items: Sequence[Leftover]) -> dict[str, str]:
    """Return what each deployment costs, and has cost since the service says that it is there."""
    found = {}
    for item in items:
        if item.kind != "deployment":
            continue
        try:
            hourly = await engine.remote.hourly_usd(item.detail)
        except InputError:  # a model without a price is listed without one
            continue
        so_far = "" if item.created_at is None else f", ${hourly * (time.time() - item.created_at) / 3600:.2f} so far"
        found[item.id] = f"  ${hourly:.2f} an hour{so_far}"
    return found


def _show(items: Sequence[Leftover], costs: Mapping[str, str]) -> None:
    for item in items:
        kept = f"  kept: {item.kept}" if item.kept else ""
        kept += f"  ({item.origin})" if item.origin else ""
        cost = costs.get(item.id, "")
        name = "" if item.name == item.id else f" {one_line(item.name)}"
        detail = f"  {one_line(item.detail)}" if item.detail else ""
        out(f"{item.kind:<11} {_moment(item.created_at):<16} {one_line(item.id)}{name}{detail}{cost}{kept}")


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Check endpoint, sign-in, clock, proxy, roles, deployments and quota; say what to do. Costs nothing."""
    is_open = False

    async def work(engine: Engine) -> list[Checkup]:
        nonlocal is_open
        is_open = True
        return await engine.remote.doctor()

    try:
        found = with_engine(context, work)
    except DogclsError as error:
        if is_open:
            raise
        found = [Checkup("setup", "problem", error.message, error.cure)]  # of home, settings or store
    if as_json:
        out_json([asdict(checkup) for checkup in found])
    else:
        for checkup in found:
            out(f"{_MARKS[checkup.state]:<2} {checkup.name:<17} {one_line(checkup.found)}")
            if checkup.cure and checkup.state != "ok":
                out(f"   {'':<17} → {one_line(checkup.cure)}")
    if any(checkup.state == "problem" for checkup in found):
        raise typer.Exit(3)
