"""`dogcls-tui train` and `recipes`: the local CNN, which costs nothing and asks nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine import Engine, JobKind, counted
from tui.commands import launch
from tui.commands.common import jobs_go_on, out, out_json, say, with_engine
from tui.commands.follow import follow
from tui.commands.run import DEVICE, RECIPE, WEIGHTS, full_path, spec_of
from tui.text import one_line
from tui.wording import recipe_lines


def register(app: typer.Typer) -> None:
    """Add these commands to the root."""
    app.command()(train)
    app.command()(recipes)


def train(
    context: typer.Context,
    dataset: launch.Dataset,
    name: launch.Name = None,
    recipe: Annotated[str | None, typer.Option(help=RECIPE)] = None,
    seed: launch.Seed = None,
    epochs: Annotated[int | None, typer.Option(help="Of each phase, instead of the recipe's.", min=1)] = None,
    device: Annotated[str | None, typer.Option(help=DEVICE)] = None,
    weights: Annotated[Path | None, typer.Option(help=WEIGHTS)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    detach: launch.Detach = False,
) -> None:
    """Train the local CNN by a recipe, and test it on the test images. It costs nothing."""
    spec = spec_of(dataset, name=name, recipe=recipe, weights=full_path(weights), seed=seed, device=device)

    async def work(engine: Engine) -> bool:
        plan, _ = await engine.plan_job(JobKind.TRAIN, spec, train_epochs=epochs)
        await engine.check(plan)
        with jobs_go_on("dogcls-tui jobs"):
            experiment = await engine.start(spec, plan)
        (job,) = await engine.jobs(experiment)
        if detach:
            if as_json:
                out_json({"job": job.id, "experiment": experiment, "state": job.state})
            else:
                out(f"{job.id}")
            return True
        with jobs_go_on(f"dogcls-tui logs {job.id} --follow"):
            well = await follow(engine, experiment)
        found = await engine.browse.learning.outcome(job.id)
        if as_json:
            out_json(found)
        elif well:
            out(outcome_table(found))
        return well

    if not with_engine(context, work):
        raise typer.Exit(1)


def outcome_table(found: dict[str, Any]) -> str:
    """Return what a training job came to as lines for people; what is not known is left out."""
    rows = [("recipe", f"{found['recipe']}, seed {found['seed']}"), ("backbone", found["backbone"] or "–")]
    rows += [("weights", f"{w.get('weights')} (sha256 {str(w.get('sha256'))[:12]})") for w in found["weights"]]
    if "n" in found:
        interval = f"{found['accuracy_low']:.1%}–{found['accuracy_high']:.1%}"
        rows.append(("right", f"{found['correct']} of {found['n']}: {found['accuracy']:.1%} (95%: {interval})"))
    if found["val_accuracy"] is not None:
        rows.append(("validation", f"{found['val_accuracy']:.1%}"))
    if found["train_seconds"] is not None:
        cached = found.get("train_from_cache") or 0.0
        told = f", with the features of {cached:.0%} of its images from the cache" if cached else ""
        rows.append(("trained in", f"{found['train_seconds']:.1f} s on {found['device']}{told}"))
    reached = found["seconds_to_accuracy"]
    if reached:
        told = ", ".join(f"{100 * float(level):.4g}% in {seconds:.1f} s" for level, seconds in reached.items())
        rows.append(("reached", f"{told} (validation)"))
    for name, what in (("images_per_second", "trained"), ("predictions_per_second", "predicted")):
        if found[name]:
            rows.append((f"{what}/s", f"{counted(found[name], 'image')}"))
    if found["latency_ms"]:
        told = ", ".join(f"{name} {ms:.1f}" for name, ms in found["latency_ms"].items())
        rows.append(("latency ms", told))
    for point in found.get("learning_curve") or ():
        rows.append(("labels", f"{point.get('per_class')} a class: {point.get('accuracy', 0):.1%}"))
    if note := (found.get("learning_curve_about") or {}).get("note"):
        rows.append(("", f"learning curve: {note}"))
    if doubled := found.get("labels_doubled"):
        rows.append(("", str(doubled["sentence"])))
    if found.get("caution"):
        rows.append(("caution", str(found["caution"])))
    rows.append(("experiment", f"{found['experiment']}, job {found['job']}"))
    return "\n".join(f"{name:<11} {one_line(str(value))}" for name, value in rows)


def recipes(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List the recipes by which the CNN is trained."""

    async def work(engine: Engine) -> None:
        found = await engine.browse.learning.recipes()
        if as_json:
            out_json([{**each.settings, "seconds": each.seconds} for each in found])
            return
        for each in found:
            out("\n".join([each.name, *(f"  {line}" for line in recipe_lines(each)), ""]))
        say("train by one with: dogcls-tui train --dataset NAME --recipe RECIPE")

    with_engine(context, work)
