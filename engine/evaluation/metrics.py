"""The figures: accuracy with its interval, macro-F1, a paired test, latency percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache


@lru_cache(maxsize=8192)  # scipy takes a millisecond, and classes have few counts that differ
def wilson(correct: int, n: int) -> tuple[float, float]:
    """Return the 95% Wilson score interval of a share (Wilson 1927); (0, 1) when n is 0."""
    from scipy.stats import binomtest

    if n == 0:
        return 0.0, 1.0
    interval = binomtest(correct, n).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def macro_f1(truths: Sequence[str], predictions: Sequence[str | None], labels: Sequence[str]) -> float:
    """Return the unweighted mean of F1 over the labels that have images.

    An image without a label counts against its own class, and is no class itself. What names a label without images
    counts against the image's own class, too: a mean with such labels would call a contestant without a mistake wrong.
    """
    from sklearn.metrics import f1_score

    if not truths:
        return 0.0
    position = {label: number for number, label in enumerate(labels)}
    return float(
        f1_score(
            [position[truth] for truth in truths],
            [-1 if p is None else position[p] for p in predictions],
            labels=sorted({position[truth] for truth in truths}),
            average="macro",
            zero_division=0.0,
        )
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p of McNemar's test (McNemar 1947).

    Args:
        only_a: images that only the one contestant got right.
        only_b: images that only the other did.

    """
    from scipy.stats import binomtest

    n = only_a + only_b
    return 1.0 if n == 0 else float(binomtest(only_a, n, 0.5).pvalue)


@dataclass(frozen=True)
class Latency:
    """Milliseconds of single requests: their number, mean and percentiles (linear interpolation)."""

    n: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float


def latency(milliseconds: Sequence[float]) -> Latency | None:
    """Return the percentiles of single-request latencies, or None when there are none."""
    import numpy as np

    if not milliseconds:
        return None
    p50, p90, p95, p99 = (float(p) for p in np.percentile(milliseconds, (50, 90, 95, 99)))
    return Latency(len(milliseconds), float(np.mean(milliseconds)), p50, p90, p95, p99)


@dataclass(frozen=True)
class Requests:
    """Real-time requests of one kind; times in milliseconds.

    `retried` of the `n` were answered at a later attempt than the first, `attempts` is all attempts together.
    `first` is of those answered at once; `total` is of all, from the first attempt to the answer, waits included.
    `concurrent`: many were made at a time; else one after another.
    """

    n: int
    retried: int
    attempts: int
    first: Latency | None
    total: Latency | None
    concurrent: bool = False


def requests(
    sequential: Sequence[tuple[float | None, float, int]], concurrent: Sequence[tuple[float | None, float, int]] = ()
) -> Requests | None:
    """Return what became of real-time requests, or None when there were none.

    Times of both kinds are never mixed: where there are requests that were made many at a time, it is theirs.

    Args:
        sequential: of each that was made one after another: ms of the first attempt (None where it failed), ms until
            the answer, and attempts.
        concurrent: the same of those that were made many at a time.

    """
    timings = concurrent or sequential
    if not timings:
        return None
    return Requests(
        n=len(timings),
        retried=sum(attempts > 1 for _, _, attempts in timings),
        attempts=sum(attempts for _, _, attempts in timings),
        first=latency([first for first, _, _ in timings if first is not None]),
        total=latency([total for _, total, _ in timings]),
        concurrent=bool(concurrent),
    )
