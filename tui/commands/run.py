"""`dogcls-tui demo` and `dogcls-tui run`: from a dataset to the comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine import Engine, InputError, Spec, make_spec, read_spec
from tui.commands.common import (
    globals_of,
    jobs_go_on,
    out,
    out_json,
    price_and_start,
    progress_line,
    shows_app,
    with_engine,
)
from tui.commands.follow import follow
from tui.commands.results import print_results
from tui.opening import open_app

RECIPE = "quick, article or best; see: recipes.  [default: quick]"
WEIGHTS = "Pretrained weights for the recipe's backbone, instead of its own."
DEVICE = "auto, cpu, cuda or mps.  [default: auto]"
PROMPT = "A file: the system message as text, or a whole template (.toml). {labels} stands for the classes."
CONVERT = "Fine-tune on RGB copies of grey, CMYK and palette images; else they are refused."
Plain = Annotated[bool, typer.Option("--plain", help="No screen: narration on stderr, the table on stdout.")]
Json = Annotated[bool, typer.Option("--json", help="No screen: one JSON object on stdout.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the root."""
    app.command()(demo)
    app.command()(run)


def demo(context: typer.Context, plain: Plain = False, as_json: Json = False) -> None:
    """Run the whole comparison on drawn dogs against the embedded emulator: no account, no cost."""
    options = globals_of(context)
    options.profile = options.profile or "demo"
    if shows_app() and not plain and not as_json:
        open_app(options, start_demo=True)
        return

    async def work(engine: Engine) -> bool:
        name = await engine.demo(progress_line())
        return await _to_the_end(engine, name, as_json)

    _exit(with_engine(context, work))


def run(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="A dataset; see: data list.")] = None,
    name: Annotated[str | None, typer.Option(help="The experiment's name.")] = None,
    contestants: Annotated[str | None, typer.Option(help="Any of zero-shot,fine-tuned,cnn.  [default: all]")] = None,
    file: Annotated[Path | None, typer.Option(help="An experiment file (TOML); options go on top.")] = None,
    model: Annotated[str | None, typer.Option(help="The base model.  [default: gpt-4o-2024-08-06]")] = None,
    epochs: Annotated[str | None, typer.Option(help="Fine-tuning epochs, or auto.  [default: 2]")] = None,
    batch_size: Annotated[str | None, typer.Option(help="Fine-tuning batch size, or auto.  [default: 6]")] = None,
    lr_multiplier: Annotated[
        str | None, typer.Option(help="Fine-tuning learning-rate multiplier, or auto.  [default: 0.5]")
    ] = None,
    convert: Annotated[bool, typer.Option("--convert", help=CONVERT)] = False,
    seed: Annotated[int | None, typer.Option(help="Of fine-tuning and CNN.  [default: 42]")] = None,
    detail: Annotated[str | None, typer.Option(help="low or high.  [default: low]")] = None,
    prompt: Annotated[Path | None, typer.Option(help=PROMPT)] = None,
    recipe: Annotated[str | None, typer.Option(help=f"The CNN's: {RECIPE}")] = None,
    weights: Annotated[Path | None, typer.Option(help=WEIGHTS)] = None,
    device: Annotated[str | None, typer.Option(help=f"Where the CNN trains: {DEVICE}")] = None,
    retry: Annotated[
        str | None, typer.Option(help="What a batch left unanswered: batch, realtime or none.  [default: batch]")
    ] = None,
    max_cost: Annotated[float | None, typer.Option(help="Refuse to start above this price, in USD.")] = None,
    plain: Plain = False,
    as_json: Json = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start, print the name, and leave.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept the price.")] = False,
) -> None:
    """Compare zero-shot, fine-tuned and CNN on the same test images of a dataset."""
    given: dict[str, Any] = {
        "dataset": dataset,
        "name": name,
        "model": model,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr_multiplier": lr_multiplier,
        "convert": convert or None,
        "seed": seed,
        "detail": detail,
        "prompt": full_path(prompt),
        "weights": full_path(weights),
        "recipe": recipe,
        "device": device,
        "retry": retry,
        "max_cost": max_cost,
        "contestants": None if contestants is None else [c.strip() for c in contestants.split(",")],
    }
    values = read_spec(file) if file else {}
    values |= {key: value for key, value in given.items() if value is not None}
    if "dataset" not in values:
        raise InputError("No dataset is named.", "Give --dataset NAME; see: dogcls-tui data list")
    spec = make_spec(values, where=str(file) if file else "")
    on_screen = shows_app() and not (plain or as_json or detach)

    async def work(engine: Engine) -> tuple[str, bool]:
        started = await price_and_start(engine, engine.plan(spec), spec, yes)
        if detach:
            if as_json:
                out_json({"experiment": started, "jobs": [j.id for j in await engine.jobs(started)]})
            else:
                out(started)
            return started, True
        return started, on_screen or await _to_the_end(engine, started, as_json)

    started, well = with_engine(context, work)
    if on_screen:
        open_app(globals_of(context), experiment=started, room="monitor")
    _exit(well)


async def _to_the_end(engine: Engine, name: str, as_json: bool) -> bool:
    """Follow an experiment, then print its comparison, also when a contestant is missing from it."""
    with jobs_go_on(f"dogcls-tui jobs ; dogcls-tui results {name}"):
        well = await follow(engine, name)
    await print_results(engine, name, as_json)
    return well


def _exit(well: bool) -> None:
    if not well:
        raise typer.Exit(1)


def full_path(path: Path | None) -> str | None:
    """Return a path that means the same in a worker's working folder."""
    return None if path is None else str(path.resolve())


def spec_of(dataset: str, **values: Any) -> Spec:
    """Return the parameters of one job alone, checked like an experiment's."""
    return make_spec({"dataset": dataset, **{k: v for k, v in values.items() if v is not None}})
