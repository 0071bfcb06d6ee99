"""The emulator's own time: a clock that may jump, and how long the service's waiting lasts."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time

WAITS = {
    "file": 2.0,  # an uploaded file is imported
    "validating": 30.0,  # a batch's file is checked
    "finalizing": 30.0,  # a batch's results are written
    "cancelling": 30.0,
    "queue": 60.0,  # a fine-tuning job waits for jobs ahead
    "import": 30.0,  # its data is imported
    "gpus": 60.0,  # it waits for hardware
    "evaluating": 60.0,  # the tuned model is evaluated
    "pausing": 15.0,
    "deploying": 60.0,  # a deployment goes from Accepted to Succeeded
    "appearing": 60.0,  # it has succeeded, and is answered for
    "deleting": 15.0,
}
"""Seconds that an object stays in a state that is mere waiting, at the service's own pace. Published runs
and the documentation give orders of magnitude, no more. The work itself takes what it takes."""

SPEEDS = {"real": 1.0, "fast": 240.0, "instant": math.inf}


class Clock:
    """Tells the time, and waits."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.factor = SPEEDS["fast"]
        self._changed = asyncio.Event()

    def now(self) -> float:
        """Return the time in seconds since the epoch, jumps included."""
        return time.time() + self.offset

    def seconds(self, what: str) -> float:
        """Return how long a waiting lasts at this speed."""
        return WAITS[what] / self.factor

    def passed(self, since: float, *what: str) -> bool:
        """Tell whether these waitings, one after another, are over for an object that has waited since then."""
        return self.now() >= since + sum(map(self.seconds, what))

    def changed(self) -> None:
        """Wake whoever waits: the speed, the time or a state is not what it was."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until_changed(self, seconds: float | None = None) -> None:
        """Sleep until something has changed, or for so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def wait(self, what: str) -> None:
        """Sit out a waiting, however speed and time change meanwhile."""
        since = self.now()
        while not self.passed(since, what):
            await self.until_changed(since + self.seconds(what) - self.now())
