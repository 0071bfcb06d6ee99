"""`dogcls-tui predict` and `export`: what a trained contestant is good for afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine import ContestantKind, Engine, counted, user_rights
from tui.commands.common import agreed, out, out_json, progress_line, say, with_engine
from tui.commands.run import full_path
from tui.text import one_line

if TYPE_CHECKING:
    from engine import Predicted


def register(app: typer.Typer) -> None:
    """Add these commands to the root."""
    app.command()(predict)
    app.command()(export)


def predict(
    context: typer.Context,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Picture files, or folders of them.")],
    target: Annotated[
        str,
        typer.Option(
            "--with", metavar="EXPERIMENT[/CONTESTANT]", help="Who predicts; the only contestant, or CNN, unless named."
        ),
    ],
    top: Annotated[int, typer.Option(help="How many of the likeliest labels a CNN tells.", min=1)] = 1,
    deployment: Annotated[str | None, typer.Option(help="Ask this one, with the contestant's prompt.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept the price.")] = False,
) -> None:
    """Predict pictures with a trained contestant. A CNN does it here, for nothing; others ask their deployment."""

    async def work(engine: Engine) -> bool:
        files = await engine.trained.pictures(images)
        cost = await engine.trained.cost(target, files, deployment)
        if cost.kind != ContestantKind.CNN:
            whose = " (the emulator's: nobody charges it)" if cost.emulated else ""
            say(f"{cost.contestant}: {counted(cost.images, 'image')} to ask, about ${cost.usd:.4f}{whose}")
            await agreed(cost.usd, yes or cost.emulated)
        found = await engine.trained.predict(
            target,
            files,
            top=top,
            deployment=deployment,
            progress=progress_line(),
            say=lambda message, level: say(message if level == "info" else f"{level}: {message}"),
        )
        if as_json:
            out_json([_plain(each) for each in found])
        elif lines := table(found):
            out(lines)
        for each in found:
            if each.error:
                say(f"error: {one_line(each.image)}: {one_line(each.error, 300)}")
        return not any(each.error for each in found)

    if not with_engine(context, work):
        raise typer.Exit(1)


def table(found: Sequence[Predicted]) -> str:
    """Return a row a picture that was predicted; its further labels follow below it."""
    rows = [("image", "label", "probability", "ms")]
    for each in found:
        if each.label is None:
            continue
        ms = "–" if each.ms is None else f"{each.ms:.1f}"
        ranking = each.ranking or ((each.label, None),)
        for place, (label, probability) in enumerate(ranking):
            told = "–" if probability is None else f"{probability:.4f}"
            first = place == 0
            rows.append((one_line(each.image) if first else "", one_line(label), told, ms if first else ""))
    if len(rows) == 1:
        return ""
    wide = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{image:<{wide[0]}}  {label:<{wide[1]}}  {told:>{wide[2]}}  {ms:>{wide[3]}}".rstrip()
        for image, label, told, ms in rows
    )


def _plain(each: Predicted) -> dict[str, object]:
    ranking = [{"label": label, "probability": probability} for label, probability in each.ranking]
    return asdict(each) | {"ranking": ranking, "error": each.error or None}


def export(
    context: typer.Context,
    experiment: Annotated[str, typer.Argument(help="An experiment with a trained CNN.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="A folder; nothing in it is written over.")],
    contestant: Annotated[str | None, typer.Option(help="The only CNN unless named.")] = None,
) -> None:
    """Write a trained CNN as ONNX (checked by running it), safetensors and a model card."""
    folder = full_path(to)
    assert folder is not None
    was_there = Path(folder).exists()

    async def work(engine: Engine) -> None:
        made = await engine.trained.export(
            experiment,
            contestant,
            Path(folder),
            progress=progress_line(),
            say=lambda message, level: say(message if level == "info" else f"{level}: {message}"),
        )
        # They are for others to read, unlike what is in the home; a folder that was there keeps its rights.
        if not was_there:
            made[0].parent.chmod(user_rights(0o777))
        for path in made:
            path.chmod(user_rights(0o666))
            out(str(path))

    with_engine(context, work)
