"""`dogcls-tui launch`: any one job alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine import Engine, JobKind, Spec
from tui.commands.common import out, out_json, price_and_start, with_engine
from tui.commands.follow import follow
from tui.commands.run import CONVERT, DEVICE, PROMPT, RECIPE, WEIGHTS, full_path, spec_of

app = typer.Typer(help="Any one job alone.", no_args_is_help=True)

Dataset = Annotated[str, typer.Option(help="A dataset; see: data list.")]
Name = Annotated[str | None, typer.Option(help="A name for it among the experiments.")]
Model = Annotated[str | None, typer.Option(help="The base model.  [default: gpt-4o-2024-08-06]")]
Detail = Annotated[str | None, typer.Option(help="low or high.  [default: low]")]
PromptFile = Annotated[Path | None, typer.Option(help=PROMPT)]
Seed = Annotated[int | None, typer.Option(help="[default: 42]")]
Deployment = Annotated[str | None, typer.Option(help="Whom to ask; the configured one unless named.")]
Json = Annotated[bool, typer.Option("--json", help="Print the job as JSON when it has ended.")]
Detach = Annotated[bool, typer.Option("--detach", help="Start, print the job's number, and leave.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Accept the price.")]


def _launch(
    context: typer.Context,
    kind: JobKind,
    spec: Spec,
    as_json: bool,
    detach: bool,
    yes: bool,
    **options: Any,
) -> None:
    async def work(engine: Engine) -> bool:
        name = await price_and_start(engine, engine.plan_job(kind, spec, **options), spec, yes)
        well = True if detach else await follow(engine, name)
        (job,) = await engine.jobs(name)
        if as_json:
            out_json({"id": job.id, "kind": job.kind, "experiment": name, "state": job.state, "error": job.error})
        else:
            out(f"{job.id}")
        return well

    if not with_engine(context, work):
        raise typer.Exit(1)


@app.command()
def batch(
    context: typer.Context,
    dataset: Dataset,
    name: Name = None,
    deployment: Deployment = None,
    model: Model = None,
    detail: Detail = None,
    prompt: PromptFile = None,
    retry: Annotated[
        str | None, typer.Option(help="Requests that failed: batch, realtime or none.  [default: batch]")
    ] = None,
    as_json: Json = False,
    detach: Detach = False,
    yes: Yes = False,
) -> None:
    """Ask a deployment about all test images through the Batch API."""
    spec = spec_of(dataset, name=name, model=model, detail=detail, prompt=full_path(prompt), retry=retry)
    _launch(context, JobKind.BATCH, spec, as_json, detach, yes, deployment=deployment)


@app.command("fine-tune")
def fine_tune(
    context: typer.Context,
    dataset: Dataset,
    name: Name = None,
    model: Model = None,
    epochs: Annotated[str | None, typer.Option(help="A number, or auto.  [default: 2]")] = None,
    batch_size: Annotated[str | None, typer.Option(help="A number, or auto.  [default: 6]")] = None,
    lr_multiplier: Annotated[str | None, typer.Option(help="A number, or auto.  [default: 0.5]")] = None,
    convert: Annotated[bool, typer.Option("--convert", help=CONVERT)] = False,
    seed: Seed = None,
    detail: Detail = None,
    prompt: PromptFile = None,
    as_json: Json = False,
    detach: Detach = False,
    yes: Yes = False,
) -> None:
    """Fine-tune a model on the training images; the log ends with the tuned model's name."""
    spec = spec_of(
        dataset,
        name=name,
        model=model,
        epochs=epochs,
        batch_size=batch_size,
        lr_multiplier=lr_multiplier,
        convert=convert or None,
        seed=seed,
        detail=detail,
        prompt=full_path(prompt),
    )
    _launch(context, JobKind.FINE_TUNE, spec, as_json, detach, yes)


@app.command()
def deploy(
    context: typer.Context,
    tuned_model: Annotated[str, typer.Option(help="A tuned model, or one of its checkpoints.")],
    name: Name = None,
    model: Model = None,
    as_json: Json = False,
    detach: Detach = False,
    yes: Yes = False,
) -> None:
    """Deploy a tuned model. It costs money every hour until it is deleted."""
    _launch(
        context,
        JobKind.DEPLOY,
        spec_of("", name=name, model=model),
        as_json,
        detach,
        yes,
        tuned_model=tuned_model,
    )


@app.command()
def score(
    context: typer.Context,
    dataset: Dataset,
    deployment: Deployment = None,
    name: Name = None,
    model: Annotated[str | None, typer.Option(help="Whose prices apply.  [default: gpt-4o-2024-08-06]")] = None,
    detail: Detail = None,
    prompt: PromptFile = None,
    concurrency: Annotated[int | None, typer.Option(help="Requests at a time, at most.  [default: 32]")] = None,
    as_json: Json = False,
    detach: Detach = False,
    yes: Yes = False,
) -> None:
    """Ask a deployment about all test images by real-time requests. The deployment is left as it is."""
    spec = spec_of(dataset, name=name, model=model, detail=detail, prompt=full_path(prompt), concurrency=concurrency)
    _launch(context, JobKind.SCORE, spec, as_json, detach, yes, deployment=deployment)


@app.command()
def train(
    context: typer.Context,
    dataset: Dataset,
    name: Name = None,
    recipe: Annotated[str | None, typer.Option(help=RECIPE)] = None,
    weights: Annotated[Path | None, typer.Option(help=WEIGHTS)] = None,
    epochs: Annotated[int | None, typer.Option(help="Of each phase, instead of the recipe's.", min=1)] = None,
    seed: Seed = None,
    device: Annotated[str | None, typer.Option(help=DEVICE)] = None,
    as_json: Json = False,
    detach: Detach = False,
    yes: Yes = False,
) -> None:
    """Train the local CNN and predict the test images; `train` also tells what came of it."""
    spec = spec_of(dataset, name=name, recipe=recipe, weights=full_path(weights), seed=seed, device=device)
    _launch(context, JobKind.TRAIN, spec, as_json, detach, yes, train_epochs=epochs)
