"""How long answers take: percentiles by linear interpolation, each with an interval, and never two kinds in one figure.

Apart are kept: requests that had the service to themselves (sequential) and requests of which many went at a time
(concurrent); and of each, the first attempt and the whole wait, retries and pauses included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PERCENTILES = (50, 90, 95, 99)
FEWEST = 5
"""Times from which on their mean has an interval."""

Timing = tuple[float | None, float, int]
"""Of one request: ms of the first attempt (None where it failed), ms in all, number of attempts."""


@dataclass(frozen=True)
class Figure:
    """Milliseconds with a 95% interval; an end of it that so few requests do not give is None."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LatencyProfile:
    """Times of `n` requests in milliseconds; `percentiles` by their number, 50, 90, 95 and 99."""

    n: int
    mean: Figure
    percentiles: dict[int, Figure]


@dataclass(frozen=True)
class Waits:
    """Requests of one kind: the attempts that succeeded at once, and everything until the answer came.

    `retried` of the `n` took more than one attempt; `attempts` is all attempts together.
    """

    n: int
    retried: int
    attempts: int
    first: LatencyProfile | None
    total: LatencyProfile | None


@dataclass(frozen=True)
class Latencies:
    """One contestant's times. `single` is the attempt that was answered of the sequential requests, as published."""

    single: LatencyProfile | None = None
    sequential: Waits | None = None
    concurrent: Waits | None = None


def latencies(
    single_ms: Sequence[float] = (), sequential: Sequence[Timing] = (), concurrent: Sequence[Timing] = ()
) -> Latencies:
    """Return a contestant's times, each kind for itself; None where there are none of a kind.

    Args:
        single_ms: of the answered attempt of each request that was made one after another.
        sequential: how those requests went in all, where that is known.
        concurrent: how the requests went that were made many at a time.

    """
    return Latencies(profile(single_ms), waits(sequential), waits(concurrent))


def waits(timings: Sequence[Timing]) -> Waits | None:
    """Return what became of requests, or None when there were none."""
    if not timings:
        return None
    return Waits(
        n=len(timings),
        retried=sum(attempts > 1 for _, _, attempts in timings),
        attempts=sum(attempts for _, _, attempts in timings),
        first=profile([first for first, _, _ in timings if first is not None]),
        total=profile([total for _, total, _ in timings]),
    )


def profile(milliseconds: Sequence[float]) -> LatencyProfile | None:
    """Return mean and percentiles with 95% intervals, or None without times.

    The mean's interval is Student's of its logarithm (delta method), for times are skewed and never negative; fewer
    than five times give none. The percentiles' are the order statistics between which the true percentile lies with at
    least 95% (Conover 1999, section 3.2), which requires nothing of the times' distribution but that requests are alike
    and independent.

    Raises:
        ValueError: a time is negative, infinite or no number.

    """
    import numpy as np
    from scipy.stats import quantile_test, t

    times = np.asarray(milliseconds, dtype=float)
    if not times.size:
        return None
    if not (np.isfinite(times) & (times >= 0)).all():
        raise ValueError("a latency is no number of milliseconds")
    n, mean = int(times.size), float(times.mean())
    ends: tuple[float | None, float | None] = (None, None)
    if n >= FEWEST:
        error = float(t.ppf(0.975, n - 1) * times.std(ddof=1) / np.sqrt(n))
        ratio = float(np.exp(error / mean)) if mean else 1.0  # of n times the error is at most t / √n of the mean
        ends = mean / ratio, mean * ratio
    found = {}
    for percentile in PERCENTILES:
        value = float(np.percentile(times, percentile))
        interval = quantile_test(times, p=percentile / 100).confidence_interval(0.95)
        low, high = (None if np.isnan(end) else float(end) for end in interval)
        # Of a handful of times even the last may be below a high percentile, and the interpolated one below that.
        found[percentile] = Figure(value, None if low is None else min(low, value), high)
    return LatencyProfile(n, Figure(mean, *ends), found)
