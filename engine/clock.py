"""Time, in one place, so that tests can move it instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable

now: Callable[[], float] = time.time
"""Seconds since the epoch. Tests replace it; everybody calls it as `clock.now()`."""


def seconds(duration: float) -> str:
    """Return a duration as people say it: `4 s`, `3 min 20 s`, `5 h 14 min`."""
    if duration < 60:
        return f"{duration:.0f} s"
    if duration < 3600:
        return f"{int(duration // 60)} min {int(duration % 60)} s"
    return f"{int(duration // 3600)} h {int(duration % 3600 // 60)} min"
