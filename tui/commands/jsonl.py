"""`dogcls-tui data jsonl`: a dataset's split as files for the service.

It opens the store alone: an engine takes longer to load than the article's 4,800 lines to write.
"""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from engine import InputError, agrees, counted
from tui.commands.common import globals_of, out_json, progress_line, say
from tui.text import dollars, literal

if TYPE_CHECKING:
    from engine import Choice, Exports, Form, Order


class Kind(StrEnum):
    """What the files are for."""

    batch = "batch"
    fine_tune = "fine-tune"
    both = "both"


class Part(StrEnum):
    """Which images."""

    train = "train"
    val = "val"
    test = "test"


class Format(StrEnum):
    """Of the images."""

    as_is = "as-is"
    jpeg = "jpeg"
    webp = "webp"
    png = "png"


class Answer(StrEnum):
    """What is answered."""

    json = "json"
    text = "text"


class Detail(StrEnum):
    """How the model sees the images."""

    low = "low"
    high = "high"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("jsonl")(jsonl)


def jsonl(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A dataset.")],
    kind: Annotated[
        Kind,
        typer.Option(help="Batch requests, training examples, or both: examples of train and val, requests of test."),
    ],
    split: Annotated[list[Part] | None, typer.Option(help="Which images; may be given several times.")] = None,
    output: Annotated[Path | None, typer.Option(help="The folder of the files; made where it is not there.")] = None,
    max_side: Annotated[
        int | None, typer.Option(help="Scale images whose longer side has more pixels than this.", min=16)
    ] = None,
    quality: Annotated[int | None, typer.Option(help="Of JPEG and WEBP (85).", min=1, max=100)] = None,
    form: Annotated[
        Format, typer.Option("--format", help="Of the images: as they are, or scaled to what --detail uses.")
    ] = Format.as_is,
    prompt: Annotated[
        Path | None, typer.Option(help="A text file with {labels}; or TOML with system, user, labels, answer, key.")
    ] = None,
    answer: Annotated[Answer | None, typer.Option(help="json for a batch unless told, text for fine-tuning.")] = None,
    model: Annotated[str | None, typer.Option(help="Whose tokens and prices are told.")] = None,
    deployment: Annotated[
        str | None, typer.Option(help="Whom a batch asks; the settings' batch deployment, else the model.")
    ] = None,
    detail: Annotated[Detail, typer.Option(help="How the model sees the images.")] = Detail.low,
    preview: Annotated[
        bool, typer.Option("--preview", help="Write nothing: tell what each form of the images would come to.")
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out images that cannot be sent.")] = False,
) -> None:
    """Write splits as JSONL, in files of at most what the service takes; print the files as JSON.

    The same dataset and options give the same bytes. A run that was cut off goes on where it was.
    """
    from engine import Exports, Form

    if output is None and not preview:
        raise InputError("There is no --output.", "Give a folder, or --preview.")
    if quality is not None and (form == Format.png or (form == Format.as_is and max_side is None)):
        raise InputError("--quality changes nothing here.", "Add --format jpeg or webp, or --max-side.")
    if not split and kind != Kind.both:
        raise InputError("There is no --split.", "Choose train, val or test, or --kind both.")
    options = globals_of(context)
    exports = Exports.open(options.home, readonly=options.readonly)
    try:
        if deployment is None and kind != Kind.fine_tune:
            deployment = exports.batch_deployment(options.profile)
        orders = [
            _order(
                name,
                each,
                part,
                prompt,
                answer,
                detail,
                model,
                deployment or "",
                Form(form.value, quality or 85, max_side),
            )
            for each, part in _pairs(kind, split or list(Part))
        ]
        for order in orders:
            for caution in exports.cautions(order):
                say(f"warning: {order.kind} {order.split}: {caution}")
        if preview:
            told = [row for order in orders for row in _show(exports.choices(order), order)]
        else:
            assert output is not None
            told = [row for order in orders for row in _write(exports, order, output, skip_bad)]
        out_json(told)
    finally:
        exports.close()


def _pairs(kind: Kind, splits: list[Part]) -> list[tuple[Kind, Part]]:
    """Return what is written of which images, each once; nobody is tested on what is for training."""
    found = dict.fromkeys(splits)
    if kind != Kind.both:
        return [(kind, part) for part in found]
    return [(Kind.batch if part == Part.test else Kind.fine_tune, part) for part in found]


def _order(
    name: str,
    kind: Kind,
    part: Part,
    prompt: Path | None,
    answer: Answer | None,
    detail: Detail,
    model: str | None,
    deployment: str,
    form: Form,
) -> Order:
    from engine import ARTICLE_PROMPT, Order, Prompt

    wanted = answer or (Answer.json if kind == Kind.batch else Answer.text)
    said: Literal["json", "text"] = "json" if wanted == Answer.json else "text"
    if prompt is None:
        question = Prompt(ARTICLE_PROMPT, said, detail.value)
    else:
        question = Prompt.from_file(prompt.expanduser(), said, detail.value, forced=answer is not None)
    asked = deployment if kind == Kind.batch else ""
    what: Literal["batch", "fine-tune"] = "batch" if kind == Kind.batch else "fine-tune"
    order = Order(name, what, part.value, question, deployment=asked, form=form)
    return order if model is None else order.of(model)


def _write(exports: Exports, order: Order, output: Path, skip_bad: bool) -> list[dict[str, object]]:
    exported, notes = exports.write(order, output, skip_bad=skip_bad, progress=progress_line())
    for note in notes:
        say(f"warning: {note}")
    for image, why in exported.bad:
        say(f"left out: {literal(image)}: {why}")
    if exported.skipped > len(exported.bad):
        say(f"left out: {exported.skipped - len(exported.bad):,} more")
    if exported.kept or exported.resumed:
        say(
            f"{counted(exported.kept, 'file')} {agrees(exported.kept, 'was', 'were')} there already, and"
            f" {counted(exported.resumed, 'line')} of the next"
        )
    tokens = "enqueued_tokens" if order.kind == "batch" else "tokens"
    return [
        {
            "path": str(shard.path),
            "kind": order.kind,
            "split": order.split,
            "lines": shard.requests,
            "bytes": shard.bytes,
            "sha256": shard.sha256,
            tokens: shard.tokens,
        }
        for shard in exported.shards
    ]


def _show(found: list[Choice], order: Order) -> list[dict[str, object]]:
    first = found[0]
    measured = f"{first.sampled:,} of " if first.sampled < first.images else "all "
    measured += counted(first.images, "image")
    say(f"{order.kind} {order.split}: measured on {measured}, carried over to all; tokens are estimates")
    what = "a batch" if order.kind == "batch" else "an epoch"
    say(f"  {'':<46}{'an image':>10}{'sent':>10}{'upload':>11}{'files':>7}{'tokens':>13}{what:>11}")
    for choice in found:
        cost = "no price" if choice.usd is None else dollars(choice.usd)
        say(
            f"{'>' if choice.chosen else ' '} {choice.name:<46}{choice.image_bytes / 1e3:>7.1f} kB"
            f"{choice.sent_bytes / 1e3:>7.1f} kB{choice.upload_bytes / 1e6:>8.1f} MB{choice.files:>7,}"
            f"{choice.tokens:>13,}{cost:>11}"
            + (f"  {choice.unusable:,} of the sample cannot be sent so" if choice.unusable else "")
        )
    say("  bytes of encoded images hold for one version of Pillow; nothing is enlarged")
    return [{"kind": order.kind, "split": order.split, **asdict(choice)} for choice in found]
