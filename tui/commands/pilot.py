"""`dogcls-tui pilot`: a few images for cents, before the whole is bought."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine import Engine, agrees, counted
from tui.commands.common import in_terminal, out, out_json, progress_line, say, with_engine
from tui.commands.run import PROMPT, full_path, spec_of
from tui.commands.terms import Batch, HostingHours, LabelPrice, Months, Value, Volume, terms_of


def register(app: typer.Typer) -> None:
    """Add this command to the root."""
    app.command()(pilot)


def pilot(
    context: typer.Context,
    dataset: Annotated[str, typer.Option(help="A dataset; see: data list.")],
    images: Annotated[int, typer.Option(help="Validation images to ask.", min=10, max=1000)] = 60,
    volume: Volume = None,
    months: Months = None,
    value: Value = None,
    hosting_hours: HostingHours = None,
    batch: Batch = None,
    label_price: LabelPrice = None,
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
        terms = await terms_of(
            engine,
            volume=volume,
            months=months,
            value=value,
            hosting_hours=hosting_hours,
            batch=batch,
            label_price=label_price,
        )
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
        found = await engine.pilots.run(spec, images, terms=terms, progress=progress_line())
        if as_json:
            extra = None if found.extra is None else found.extra.cost
            made = {name: getattr(found, name) for name in ("needed_points", "needed_value", "possible_points")}
            out_json({**asdict(found), "extra_usd": extra, **made, "sentence": found.sentence})
            return
        share = f"{found.accuracy:.1%}, 95% interval {found.low:.1%}–{found.high:.1%}"
        out(f"right      {found.correct} of {found.n}: {share}")
        out(
            f"not right  {counted(found.unknown, 'answer')} {agrees(found.unknown, 'was', 'were')} no label,"
            f" {found.filtered} filtered, {found.failed} failed"
        )
        out(f"spent      ${found.spent_usd:.4f} on this pilot")
        out(f"whole run  about ${found.run_usd:,.2f}")
        out(f"terms      {found.terms.horizon}; {', '.join(found.terms.assumptions)}")
        out("")
        out(found.sentence)

    with_engine(context, work)
