"""`dogcls-tui jobs`, `logs`, `cancel`, `pause`, `resume`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from engine import ACTIVE, Correction, Engine, InputError, JobView, PriceError, at_rest
from tui.commands.common import agreed, in_terminal, out, out_json, say, with_engine
from tui.text import cost, literal, one_line

JobId = Annotated[int, typer.Argument(help="A job's number, as in: dogcls-tui jobs", metavar="JOB")]


def register(app: typer.Typer) -> None:
    """Add these commands to the root."""
    app.command()(jobs)
    app.command()(logs)
    app.command()(cancel)
    app.command()(pause)
    app.command()(resume)


def job_line(job: JobView) -> str:
    """Return a job as one line."""
    who = f"{job.id:>4}  {job.kind:<10} {one_line(job.experiment, 60):<20}"
    spent = f"${job.cost_usd:.4f}" if job.cost_is_known else cost(job.cost_usd, False)
    how = f"{job.state:<12} {job.progress:>4.0%}  {spent}"
    return f"{who} {how}  {one_line(job.error or job.note)}".rstrip()


def jobs(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List all jobs."""

    async def work(engine: Engine) -> None:
        await engine.recover()
        found = await engine.jobs()
        if as_json:
            out_json(
                [
                    {
                        "id": j.id,
                        "kind": j.kind,
                        "experiment": j.experiment,
                        "state": j.state,
                        "attempt": j.attempt,
                        "progress": j.progress,
                        "error": j.error,
                    }
                    for j in found
                ]
            )
            return
        if not found:
            say("no job yet; start the demo: dogcls-tui demo")
        for j in found:
            out(job_line(j))

    with_engine(context, work)


def logs(
    context: typer.Context,
    job: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
) -> None:
    """Print a job's log."""
    import time

    async def work(engine: Engine) -> None:
        after = 0
        while True:
            await engine.recover()
            view = await engine.job(job)
            while lines := await engine.log(job, after):
                for line in lines:
                    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.at))
                    out(f"{clock} {line.level:<7} {literal(line.message)}")
                    after = line.id
            if not follow or at_rest([view]):
                return
            await asyncio.sleep(0.3)

    with_engine(context, work)


def cancel(
    context: typer.Context,
    jobs: Annotated[list[int], typer.Argument(help="Numbers of jobs, as in: dogcls-tui jobs", metavar="JOB...")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Return only when nothing of it runs or costs any more.")
    ] = False,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="End jobs that can never be cancelled on the service, without it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --give-up: accept what may still cost there.")] = False,
) -> None:
    """Cancel jobs, here and on the service, whatever state they are in.

    A batch or fine-tuning job of it is cancelled there and its deployment deleted; until that is done the job is
    shown as cancelling, and it is retried. What was answered or trained until then is kept, and was paid for. Jobs that
    need a cancelled one end too. If the resource was deleted, or access to it is gone for good, --give-up ends a job
    that stays cancelling: it shows what may still run and cost there, and needs to be accepted.
    """

    async def work(engine: Engine) -> None:
        if give_up:
            await _give_up(engine, jobs, yes)
            return
        for job in jobs:
            consequences = await engine.browse.consequences(job)
            if not await engine.cancel(job):
                raise InputError(f"Job {job} is {(await engine.job(job)).state}: there is nothing to cancel.")
            say(f"job {job}: {_cancelled(await engine.job(job))}")
            for sentence in consequences:
                say(f"  {sentence}")
        while wait and any(view.state in ACTIVE for view in await engine.jobs() if view.id in jobs):
            await engine.recover()
            await asyncio.sleep(0.3)

    with_engine(context, work)


async def _give_up(engine: Engine, jobs: list[int], yes: bool) -> None:
    """Show what stays on the service; end the jobs if that is accepted.

    Raises:
        typer.Exit: with 2, where it was not accepted.

    """
    if engine.readonly:
        raise engine.home.refusal()
    for job in jobs:
        found = await engine.browse.remains(job)
        say(f"job {job}: on the service this may still run and cost:")
        for sentence in found or ("Nothing is known of it there.",):
            say(f"  {sentence}")
    if not yes:
        if not in_terminal():
            say("error: Nothing was given up. Add --yes to accept what may still cost.")
            raise typer.Exit(2)
        if not await asyncio.to_thread(typer.confirm, "Give up cancelling it there?", err=True):
            raise typer.Exit(2)
    for job in jobs:
        await engine.give_up(job)
        say(f"job {job}: cancelled here only; delete what is left in the Azure portal")


def _cancelled(job: JobView) -> str:
    if job.state == "cancelling":
        return f"cancelling on the service; follow it with: dogcls-tui logs {job.id} --follow"
    return "cancelled" if job.state == "cancelled" else "cancel requested"


def pause(context: typer.Context, job: JobId) -> None:
    """Pause a job. A batch goes on at the service; a deployment goes on costing money."""

    async def work(engine: Engine) -> None:
        if not await engine.pause(job):
            raise InputError(f"Job {job} is {(await engine.job(job)).state}: there is nothing to pause.")
        say(f"job {job}: pause requested")

    with_engine(context, work)


def resume(
    context: typer.Context,
    job: JobId,
    retry: Annotated[
        str | None, typer.Option(help="How a batch asks again what has no answer: batch or realtime.")
    ] = None,
    max_cost: Annotated[float | None, typer.Option(help="Refuse to resume above this price, in USD.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept the price of what is paid again.")] = False,
) -> None:
    """Resume a job, and return at once.

    With it, the jobs that it needs and those that were cancelled only because of these; never another job that you
    cancelled. What the service has made or answered is not paid again; where something must be, its price is shown
    first. A job that has succeeded, but for some images, queries these only.
    """

    async def work(engine: Engine) -> None:
        found = await engine.browse.again(job, retry)
        if found.lines:
            for sentence in found.sentences:
                say(f"  {sentence}")
            if max_cost is not None and (found.usd is None or found.usd > max_cost):
                raise PriceError(f"This is over the limit of ${max_cost:.2f}.", "Raise --max-cost.")
            await agreed(found.usd, yes)
        corrections = await accepted_corrections(engine, job, retry, yes)
        taken = await engine.resume(job, retry, corrections)
        if taken:
            say(f"resumed: {', '.join(f'job {number}' for number in taken)}")
        else:
            say(f"nothing to resume: job {job} is {(await engine.job(job)).state}")

    with_engine(context, work)


async def accepted_corrections(engine: Engine, job: int, retry: str | None, yes: bool) -> tuple[Correction, ...]:
    """Show which deployments a resume takes from the settings instead of the job's; return them if that is accepted.

    Raises:
        typer.Exit: with 2, without a terminal to confirm in, or where the answer was no.

    """
    found = await engine.remote.corrections(job, retry)
    for correction in found:
        say(f"  {correction.sentence}")
    if not found or yes:
        return found
    if not in_terminal():
        say("error: Nothing was resumed. Add --yes to accept the changed deployments.")
        raise typer.Exit(2)
    if not await asyncio.to_thread(typer.confirm, "Use these deployments?", err=True):
        raise typer.Exit(2)
    return found
