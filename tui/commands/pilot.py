"""`dogcls-tui pilot`: a few images for cents, before the whole is bought."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine import Engine, agrees, counted
from tui.commands.common import in_terminal, out, out_json, progress_line, say, with_engine
from tui.commands.run import PROMPT, full_path, spec_of


def register(app: typer.Typer) -> None:
    """Add this command to the root."""
    app.command()(pilot)


def pilot(
    context: typer.Context,
    dataset: Annotated[str, typer.Option(help="A dataset; see: data list.")],
    images: Annotated[int, typer.Option(help="Validation images to ask.", min=10, max=1000)] = 60,
    value: Annotated[float, typer.Option(help="What one more correct answer is worth, in USD.", min=1e-9)] = 0.01,
    volume: Annotated[int, typer.Option(help="How many images you will have classified.", min=1)] = 100_000,
    model: Annotated[str | None, typer.Option(help="The base model.  [default: gpt-4o-2024-08-06]")] = None,
    detail: Annotated[str | None, typer.Option(help="low or high.  [default: low]")] = None,
    prompt: Annotated[Path | None, typer.Option(help=PROMPT)] = None,
    max_cost: Annotated[float | None, typer.Option(help="Refuse to start above this price, in USD.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept the price.")] = False,
) -> None:
    """Ask zero-shot about a few validation images, and tell what fine-tuning would have to gain."""
    spec = spec_of(dataset, model=model, detail=detail, prompt=full_path(prompt), max_cost=max_cost)

    async def work(engine: Engine) -> None:
        cost = await engine.pilots.cost(spec, images)
        whose = " (the emulator's: nobody charges it)" if cost.emulated else ""
        say(f"{counted(cost.images, 'image')} to ask, about ${cost.usd:.4f}{whose}")
        if cost.caution:
            say(f"warning: {cost.caution}")
        if cost.images and not yes:
            if not in_terminal():
                say("error: Nothing was started. Add --yes to accept this price.")
                raise typer.Exit(2)
            if not typer.confirm(f"Spend about ${cost.usd:.2f}?", err=True):
                raise typer.Exit(2)
        found = await engine.pilots.run(spec, images, value_usd=value, volume=volume, progress=progress_line())
        if as_json:
            out_json({**asdict(found), "sentence": found.sentence})
            return
        share = f"{found.accuracy:.1%}, 95% interval {found.low:.1%}–{found.high:.1%}"
        out(f"right      {found.correct} of {found.n}: {share}")
        out(
            f"not right  {counted(found.unknown, 'answer')} {agrees(found.unknown, 'was', 'were')} no label,"
            f" {found.filtered} filtered, {found.failed} failed"
        )
        out(f"spent      ${found.spent_usd:.4f} on this pilot")
        out(f"whole run  about ${found.run_usd:,.2f}; of that fine-tuning and hosting ${found.tuning_usd:,.2f}")
        out("")
        out(found.sentence)

    with_engine(context, work)
