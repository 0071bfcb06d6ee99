"""How fast a job goes, and so how long it will still take: measured, never assumed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine import JobView

WINDOW_SECONDS = 60.0
SURE_AFTER_SECONDS = 3.0


class Pace:
    """Watches how `done` grows over the last minute, job by job."""

    def __init__(self) -> None:
        self._seen: dict[int, deque[tuple[float, int, int]]] = {}

    def watch(self, jobs: Sequence[JobView], at: float) -> None:
        """Take note of what is done now."""
        running = {job.id for job in jobs if job.state == "running"}
        for gone in self._seen.keys() - running:
            del self._seen[gone]
        for job in jobs:
            if job.id not in running or not job.total:
                continue
            seen = self._seen.setdefault(job.id, deque())
            # Another attempt or another phase counts from the start again; so does all after a pause of the watch or
            # a change of the clock.
            gap = at - seen[-1][0] if seen else 0.0
            if seen and (seen[-1][2] != job.total or job.done < seen[-1][1] or not 0 <= gap <= WINDOW_SECONDS):
                seen.clear()
            seen.append((at, job.done, job.total))
            while seen[-1][0] - seen[0][0] > WINDOW_SECONDS:
                seen.popleft()

    def rate(self, job: JobView) -> float | None:
        """Return what is done a second, or None while nobody can know."""
        seen = self._seen.get(job.id)
        if not seen or seen[-1][0] - seen[0][0] < SURE_AFTER_SECONDS:
            return None
        return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])

    def left(self, job: JobView) -> float | None:
        """Return the seconds still to go, or None while nobody can know."""
        rate = self.rate(job)
        return (job.total - job.done) / rate if rate else None
