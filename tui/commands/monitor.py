"""The monitor without a screen: once, or line by line for as long as something runs."""

from __future__ import annotations

import typer

from engine import ACTIVE, Engine, counted
from tui.commands.common import out, say, with_engine
from tui.commands.follow import follow
from tui.commands.jobs import job_line
from tui.text import cost, dollars, one_line


def once(context: typer.Context) -> None:
    """Print all jobs, what costs money, and how contestants stand; then leave."""

    async def work(engine: Engine) -> None:
        await engine.recover()
        jobs = await engine.jobs()
        running = sum(job.state in ACTIVE for job in jobs)
        emulated = engine.profile == "demo"  # the emulator's money and real money are never added up
        own = [e for e in await engine.experiments() if (e.profile == "demo") == emulated]
        spent = cost(sum(e.cost_usd for e in own), all(e.cost_is_known for e in own))
        whose = "emulated" if emulated else "spent"
        out(f"{counted(len(jobs), 'job')}, {running} running, {spent} {whose}")
        for job in jobs:
            out(job_line(job))
        for each in await engine.browse.standing():
            price = f"{dollars(each.usd_per_hour)} an hour, {dollars(each.usd)} so far"
            out(f"deployment {each.deployment} costs {price if each.price_is_known else 'an unknown sum an hour'}")
        for s in await engine.browse.scores():
            share = f"{s.right / s.asked:.1%}" if s.asked else "–"
            name = one_line(f"{s.experiment}: {s.contestant}", 60) + (" (emulated)" if s.emulated else "")
            out(f"{name:<40} {s.asked:,} of {s.n:,} asked, {s.right:,} right {share}")
        if not jobs:
            say("no job yet; start the demo: dogcls-tui demo")

    with_engine(context, work)


def narrate(context: typer.Context) -> None:
    """Tell what happens in every experiment that runs, line by line, until nothing does."""

    async def work(engine: Engine) -> None:
        running = [e.name for e in reversed(await engine.experiments()) if e.state in ACTIVE]
        if not running:
            say("nothing runs; start the demo: dogcls-tui demo --plain")
        for name in running:
            say(f"experiment {name}")
            await follow(engine, name)

    with_engine(context, work)
