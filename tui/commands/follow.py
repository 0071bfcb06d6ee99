"""Following an experiment without a screen: its logs and progress as lines on stderr."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from engine import Engine, JobView, at_rest
from tui.commands.common import say

POLL_SECONDS = 0.3
QUIET_SECONDS = 15.0
"""A job that gets further is not silent for longer; nor, where it takes hours, for a twentieth of these."""


async def follow(engine: Engine, experiment: str) -> bool:
    """Narrate until nothing happens any more by itself; return whether all jobs succeeded."""
    seen: dict[int, int] = {}
    shown: dict[int, _Shown] = {}
    while True:
        await engine.tick()
        jobs = await engine.jobs(experiment)
        for job in jobs:
            before = seen.get(job.id, 0)
            seen[job.id] = await say_new_lines(engine, job, before)
            _say_progress(job, shown.setdefault(job.id, _Shown()), spoke=seen[job.id] != before)
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


@dataclass
class _Shown:
    """What was last narrated of a job: the quarter, when (monotonic), and in which words."""

    quarter: int = 0
    at: float = 0.0
    text: str = ""


def _say_progress(job: JobView, shown: _Shown, *, spoke: bool) -> None:
    """Narrate progress at each quarter, and before a job that gets further was silent for too long.

    Args:
        job: as it is now.
        shown: of the job; is kept up to date.
        spoke: whether lines of its log were just narrated.

    """
    now, quarter, text = time.monotonic(), int(job.progress * 4), f"{job.done_of_total} {job.note}".strip()
    if spoke or not shown.at:
        shown.at = now
    quiet = now - shown.at > max(QUIET_SECONDS, job.seconds(time.time()) / 20)
    if job.state == "running" and text != shown.text and (quiet or (job.total and quarter > shown.quarter)):
        shown.quarter, shown.at, shown.text = quarter, now, text
        say(f"{time.strftime('%H:%M:%S')} {_tag(job)} {text}")
