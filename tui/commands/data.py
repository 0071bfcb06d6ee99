"""`dogcls-tui data`: add, list and show datasets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from engine import Engine, InputError
from tui.commands.common import out, out_json, progress_line, say, with_engine
from tui.text import literal

app = typer.Typer(help="Datasets: add, list, show.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A folder, .tar or .zip of class folders; or the word demo.")],
    name: Annotated[str, typer.Option(help="Its name here.")],
    split: Annotated[
        str | None, typer.Option(help="article (50 a class in path order: 40/5/5) or stratified (80/10/10).")
    ] = None,
    per_class: Annotated[int | None, typer.Option(help="Images a class, at most.", min=1)] = None,
    train: Annotated[int | None, typer.Option(help="Training images a class.", min=1)] = None,
    val: Annotated[int | None, typer.Option(help="Validation images a class.", min=1)] = None,
    test: Annotated[int | None, typer.Option(help="Test images a class.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Shuffles the stratified split; draws the demo.")] = 42,
) -> None:
    """Catalogue a labelled set of images: every image is decoded and hashed, and the split is fixed."""
    if split not in (None, "article", "stratified"):
        raise InputError(f"--split {split}: no such split.", "Choose article or stratified.")
    options = {"per_class": per_class, "train": train, "val": val, "test": test, "seed": seed}
    if source != "demo":
        options["split"] = split or "stratified"  # type: ignore[assignment]
    elif split is not None or per_class is not None:
        raise InputError("The demo set takes no --split and no --per-class.", "Use --train, --val and --test.")

    async def work(engine: Engine) -> None:
        dataset = await engine.add_dataset(source, name, progress_line(), **options)
        say(
            f"added {dataset.name}: {len(dataset.labels)} classes,"
            f" {dataset.train:,} train, {dataset.val:,} val, {dataset.test:,} test"
        )

    with_engine(context, work)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the datasets."""

    async def work(engine: Engine) -> None:
        datasets = await engine.datasets()
        if as_json:
            out_json([{**asdict(d), "labels": len(d.labels)} for d in datasets])
            return
        if not datasets:
            say("no dataset yet; add one: dogcls-tui data add SOURCE --name NAME")
        for d in datasets:
            counts = f"{d.train:,}/{d.val:,}/{d.test:,}"
            out(f"{d.name:<20} {len(d.labels):>5} classes  {counts:>18}  {d.split}  {literal(d.source)}")

    with_engine(context, work)


@app.command()
def show(
    context: typer.Context, name: Annotated[str, typer.Argument(help="A dataset.")], as_json: Json = False
) -> None:
    """Show a dataset: its split, its digest, its classes with their counts."""

    async def work(engine: Engine) -> None:
        dataset = await engine.dataset(name)
        classes = await engine.class_counts(name)
        if as_json:
            rows = [{"label": c, "train": tr, "val": va, "test": te} for c, tr, va, te in classes]
            out_json({**asdict(dataset), "labels": list(dataset.labels), "classes": rows})
            return
        out(f"{dataset.name}: {len(dataset.labels)} classes from {literal(dataset.source)}")
        out(f"split {dataset.split}, seed {dataset.seed}, digest {dataset.digest[:16]}")
        out(f"{'class':<34}{'train':>7}{'val':>6}{'test':>6}")
        for label, train, val, test in classes:
            out(f"{literal(label)[:33]:<34}{train:>7,}{val:>6,}{test:>6,}")
        out(f"{'all':<34}{dataset.train:>7,}{dataset.val:>6,}{dataset.test:>6,}")

    with_engine(context, work)
