"""`dogcls-tui data`: add, list and show datasets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine import InputError, counted
from tui.commands import jsonl
from tui.commands.common import out, out_json, progress_line, say, with_engine
from tui.text import literal, one_line

if TYPE_CHECKING:
    from engine import Engine

app = typer.Typer(help="Datasets: add, check, list, show.", no_args_is_help=True)
PAGE = 200
SHOWN = 8
"""Files of a finding that are printed; --json has a hundred."""
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
jsonl.register(app)


@app.command()
def add(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, .tar or .zip of class folders (perhaps below train, val, test); a .csv or .tsv; a .jsonl;"
            " or the word demo, digits or stanford-dogs."
        ),
    ],
    name: Annotated[str, typer.Option(help="Its name here.")],
    split: Annotated[
        str | None,
        typer.Option(
            help="article (50 a class in path order: 40/5/5), stratified (80/10/10), official (as the source says),"
            " or test-only (no training images)."
        ),
    ] = None,
    per_class: Annotated[int | None, typer.Option(help="Images a class, at most.", min=1)] = None,
    train: Annotated[int | None, typer.Option(help="Training images a class.", min=1)] = None,
    val: Annotated[int | None, typer.Option(help="Validation images a class.", min=1)] = None,
    test: Annotated[int | None, typer.Option(help="Test images a class.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Shuffles the stratified split; draws the demo.")] = 42,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out what cannot be used; it is named and counted.")
    ] = False,
    class_level: Annotated[
        int | None,
        typer.Option(help="Folders: which level is the class, where that is not clear; 1 is the topmost.", min=1),
    ] = None,
    accept_classes: Annotated[
        bool,
        typer.Option("--accept-classes", help="Folders: take classes named like files, splits, dates or None."),
    ] = False,
    root: Annotated[Path | None, typer.Option(help="CSV: what its paths are relative to.")] = None,
    path_column: Annotated[str | None, typer.Option(help="CSV: the column of paths.")] = None,
    label_column: Annotated[str | None, typer.Option(help="CSV: the column of labels.")] = None,
    split_column: Annotated[str | None, typer.Option(help="CSV: the column of splits.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Batch JSONL: a CSV file with the columns custom_id and label.")
    ] = None,
    accept_licence: Annotated[bool, typer.Option("--accept-licence", help="stanford-dogs: its licence.")] = False,
    crop_boxes: Annotated[
        bool, typer.Option("--crop-boxes", help="stanford-dogs: only what is in the boxes around the dogs.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="stanford-dogs: another place of its archives.")] = None,
) -> None:
    """Catalogue a labelled set of images: every image is decoded, hashed and compared, and the split is fixed."""
    if split not in (None, "article", "stratified", "official", "test-only"):
        what = f"--split {split}: no such split."
        raise InputError(what, "Choose article, stratified, official or test-only.")
    counts = {"per_class": per_class, "train": train, "val": val, "test": test, "seed": seed}
    columns = {"path_column": path_column, "label_column": label_column, "split_column": split_column}
    folders = {"class_level": class_level, "accept_classes": accept_classes or None}
    more = {
        **folders,
        "root": root,
        "labels": labels,
        "accept_licence": accept_licence,
        "crop_boxes": crop_boxes,
        "url": url,
    }
    options: dict[str, Any] = {**counts, "split": split, "skip_bad": skip_bad or None, **columns}
    options |= {key: value or None for key, value in more.items()}
    options = {key: value for key, value in options.items() if value is not None}
    if source == "demo" and not options.keys() <= {"train", "val", "test", "seed"}:
        raise InputError("The demo set takes no --split and no --per-class.", "Use --train, --val and --test.")

    async def work(engine: Engine) -> None:
        dataset = await engine.add_dataset(source, name, progress_line(), **options)
        say(
            f"added {dataset.name}: {counted(len(dataset.labels), 'class')},"
            f" {dataset.train:,} train, {dataset.val:,} val, {dataset.test:,} test"
        )
        report = await engine.curate.report(name)
        for kind, level, findings, files in report.kinds:
            say(f"  {level:<8} {kind:<15} {counted(findings, 'finding')}, {counted(files, 'file')}")
        if skip_bad:
            await _say_left_out(engine, name)
        if report.kinds:
            say(f"see: dogcls-tui data check {name}")

    with_engine(context, work)


async def _say_left_out(engine: Engine, name: str) -> None:
    """Name what was left out, whatever it is; nothing is dropped silently."""
    count = 0
    for finding in await engine.curate.findings(name, 0, 100):
        if finding.level == "error" and finding.left_out:
            count += finding.files
            for at in range(0, finding.files, PAGE):
                for path, note in await engine.curate.files(finding.id, at, PAGE):
                    say(f"  left out: {one_line(path)}: {note}")
    say(f"left out: {counted(count, 'file')}")


@app.command()
def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A dataset.")],
    most: Annotated[int, typer.Option(help="Print so many findings at most, the worst first.", min=0)] = 1000,
    as_json: Json = False,
) -> None:
    """Look at every image of a dataset again: formats, copies, look-alikes, leakage, labels, balance, changes."""

    async def work(engine: Engine) -> None:
        report = await engine.curate.check(name, progress_line())
        found = []
        for at in range(0, most, PAGE):
            page = await engine.curate.findings(name, at, min(PAGE, most - at))
            found += page
            if len(page) < PAGE:
                break
        total = sum(findings for _, _, findings, _ in report.kinds)
        if as_json:
            kinds = [
                {"kind": kind, "severity": level, "findings": findings, "files": files}
                for kind, level, findings, files in report.kinds
            ]
            rows = [
                {
                    "kind": f.kind,
                    "severity": f.level,
                    "files": f.files,
                    "what": f.what,
                    "where": f.where,
                    "cure": f.cure,
                }
                for f in found
            ]
            out_json(
                {
                    "dataset": name,
                    "images": report.images,
                    "seconds": round(report.seconds, 3),
                    "images_per_second": round(report.images_per_second, 1),
                    "total": total,
                    "kinds": kinds,
                    "findings": rows,
                }
            )
            return
        for f in found:
            out(f"{f.level:<8} {f.kind:<15} {literal(f.what)}. {f.cure}")
            for where in f.where[:SHOWN]:
                out(f"{'':<25}{one_line(where)}")
            if f.files > SHOWN:
                out(f"{'':<25}and {f.files - SHOWN:,} more")
        if total > len(found):
            out(f"and {counted(total - len(found), 'finding')} more (--most)")
        for kind, level, findings, files in report.kinds:
            out(f"{level:<8} {kind:<15} {counted(findings, 'finding')}, {counted(files, 'file')}")
        out(
            f"{name}: {counted(report.images, 'image')} checked in {report.seconds:,.1f} s"
            f" ({report.images_per_second:,.0f} a second), {counted(total, 'finding')}"
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
            out(f"{d.name:<20} {counted(len(d.labels), 'class'):>11}  {counts:>18}  {d.split}  {literal(d.source)}")

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
        out(f"{dataset.name}: {counted(len(dataset.labels), 'class')} from {literal(dataset.source)}")
        out(f"split {dataset.split}, seed {dataset.seed}, digest {dataset.digest[:16]}")
        out(f"{'class':<34}{'train':>7}{'val':>6}{'test':>6}")
        for label, train, val, test in classes:
            out(f"{literal(label)[:33]:<34}{train:>7,}{val:>6,}{test:>6,}")
        out(f"{'all':<34}{dataset.train:>7,}{dataset.val:>6,}{dataset.test:>6,}")

    with_engine(context, work)
