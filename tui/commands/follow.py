"""Following an experiment without a screen: its logs and progress as lines on stderr."""

from __future__ import annotations

import asyncio
import time

from engine import Engine, JobView, at_rest
from tui.commands.common import say

POLL_SECONDS = 0.3


async def follow(engine: Engine, experiment: str) -> bool:
    """Narrate until nothing happens any more by itself; return whether all jobs succeeded."""
    seen: dict[int, int] = {}
    shown: dict[int, int] = {}
    while True:
        await engine.tick()
        jobs = await engine.jobs(experiment)
        for job in jobs:
            seen[job.id] = await say_new_lines(engine, job, seen.get(job.id, 0))
            _say_progress(job, shown)
        if at_rest(jobs):
            for job in jobs:
                if job.waits_for_settings:
                    say(f"{_tag(job)} {job.note}")
                elif job.state != "succeeded":
                    say(f"{_tag(job)} is {job.state}; go on with: dogcls-tui resume {job.id}")
            return all(job.state == "succeeded" for job in jobs)
        await asyncio.sleep(POLL_SECONDS)


async def say_new_lines(engine: Engine, job: JobView, after: int) -> int:
    """Narrate a job's log lines after a line's id; return the last line's id."""
    for line in await engine.log(job.id, after):
        mark = "" if line.level == "info" else f"{line.level}: "
        say(f"{time.strftime('%H:%M:%S', time.localtime(line.at))} {_tag(job)} {mark}{line.message}")
        after = line.id
    return after


def _tag(job: JobView) -> str:
    return f"{job.kind} {job.id}"


def _say_progress(job: JobView, shown: dict[int, int]) -> None:
    """Narrate progress at each quarter."""
    quarter = int(job.progress * 4)
    if job.state == "running" and job.total and quarter > shown.get(job.id, 0):
        shown[job.id] = quarter
        say(f"{time.strftime('%H:%M:%S')} {_tag(job)} {job.done:,} of {job.total:,} {job.note}".rstrip())
