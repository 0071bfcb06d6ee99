"""Which of two contestants is better, and whether the test could tell.

Paired wherever both answered about the same images: only the images on which one is right and the other wrong say
anything, and their number decides how sure anybody can be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.evaluation.measures import ACCURACY, Measure
from engine.evaluation.metrics import mcnemar
from engine.evaluation.quality import Share, share
from engine.quantities import counted
from engine.states import Outcome

RESAMPLES = 20_000
FEW = 10
POWER = 0.8
LEVEL = 0.05


@dataclass(frozen=True)
class PairedDifference:
    """Contestant `a` against `b` on the same `n` images.

    `gain` is a's accuracy minus b's as a fraction, with its interval, which `interval` names the method of. `p` is
    McNemar's exact p, `p_holm` the same after Holm's correction for all pairs of the comparison; `low` and `high` are
    corrected with it: the 95% interval of one pair, the interval at Holm's level of one among several (see `holm`), so
    that an interval leaves out 0 where the difference is `real`, and nowhere else. `only_a` and `only_b`
    are positions of the images that only one got right, `both` and `neither` count the rest; `differ` has the images
    about which they said different things. `needed` is the number of test images it would take to tell the two apart,
    all pairs considered, if they differ as much as they do here (see `images_needed`); None where they do not differ.
    `partial`: one of them is not finished, so that only the images are compared which both were asked about. `pairs`
    is the number of pairs for which all of it is corrected: those that have images in common. By another `measure` than
    accuracy, `gain` and its interval are in that measure's unit and positive where a is better, and p is the paired
    permutation test's (`measured.Contrast`); the images are still those that were recognised.
    """

    a: str
    b: str
    n: int
    gain: float
    low: float
    high: float
    interval: str
    only_a: tuple[int, ...]
    only_b: tuple[int, ...]
    both: int
    neither: int
    differ: tuple[int, ...]
    p: float
    p_holm: float
    needed: int | None
    partial: bool = False
    pairs: int = 1
    measure: Measure = ACCURACY

    @property
    def real(self) -> bool:
        """Whether the difference is beyond chance at 5%, all pairs considered."""
        return self.p_holm < LEVEL


@dataclass(frozen=True)
class UnpairedDifference:
    """Two shares of which only the counts are known, so that images cannot be paired.

    `gain` is a's share minus b's with Newcombe's 95% interval, `p` is of the two-proportion score test, `needed` is the
    number of images for each of the two. `p_if_paired` is what McNemar's exact p would be at least and at most if both
    had the same images, whichever those were that they got right; None where the numbers of images differ. After
    `holm_unpaired` all of them are corrected for the number of pairs, `pairs`.
    """

    a: Share
    b: Share
    gain: float
    low: float
    high: float
    p: float
    needed: int | None
    p_if_paired: tuple[float, float] | None
    pairs: int = 1


def paired(
    a: str,
    b: str,
    hits_a: Sequence[bool],
    hits_b: Sequence[bool],
    *,
    said_a: Sequence[str | None] = (),
    said_b: Sequence[str | None] = (),
    among: Sequence[int] | None = None,
    seed: int = 0,
) -> PairedDifference:
    """Compare two contestants image by image; `p_holm` is not corrected for other pairs yet, see `holm`.

    Args:
        a: the name of the one.
        b: the name of the other.
        hits_a: whether each image was recognised, `[n]`.
        hits_b: likewise.
        said_a: the answer to each image, `[n]` or empty.
        said_b: likewise.
        among: positions of the images to compare on; all unless given, which makes it partial.
        seed: of the bootstrap.

    Raises:
        ValueError: the two have different numbers of images.

    """
    if len(hits_a) != len(hits_b):
        raise ValueError(
            f"{a} was tested on {counted(len(hits_a), 'image')}, {b} on {len(hits_b)}: they cannot be paired"
        )
    images = range(len(hits_a)) if among is None else among
    only_a = tuple(i for i in images if hits_a[i] and not hits_b[i])
    only_b = tuple(i for i in images if hits_b[i] and not hits_a[i])
    both = sum(bool(hits_a[i] and hits_b[i]) for i in images)
    n, k_a, k_b = len(images), len(only_a), len(only_b)
    differ = tuple(i for i in images if said_a[i] != said_b[i]) if said_a and said_b else tuple(sorted(only_a + only_b))
    low, high, interval = gain_interval(k_a, k_b, n, seed=seed)
    p = mcnemar(k_a, k_b)
    return PairedDifference(
        a=a,
        b=b,
        n=n,
        gain=(k_a - k_b) / n if n else 0.0,
        low=low,
        high=high,
        interval=interval,
        only_a=only_a,
        only_b=only_b,
        both=both,
        neither=n - both - k_a - k_b,
        differ=differ,
        p=p,
        p_holm=p,
        needed=images_needed(k_a, k_b, n),
        partial=among is not None,
    )


def shared(a: Sequence[Outcome], b: Sequence[Outcome], *, complete: bool) -> list[int] | None:
    """Return the images that both contestants were asked about, by their outcomes; None: all, for both are complete."""
    if complete:
        return None
    return [n for n, ends in enumerate(zip(a, b, strict=True)) if Outcome.MISSING not in ends]


def holm(differences: Sequence[PairedDifference], *, seed: int = 0) -> tuple[PairedDifference, ...]:
    """Return the differences with p and intervals corrected for their number (Holm 1979).

    An interval is at the level at which Holm's procedure has tested its pair (Serlin 1993, Journal of Experimental
    Education 61). Images needed are for the level that is the strictest of Holm's: else fewer than there are could be
    said to be enough for a pair that these have not told apart.

    A pair without an image that both were asked about, as of a contestant that never ran, is no test: it is left as it
    is, and the others are not corrected for it.

    Args:
        differences: of all pairs, none of them corrected yet.
        seed: of the bootstrap.

    """
    found = list(differences)
    tested = [at for at, d in enumerate(found) if d.n]
    if len(tested) < 2:
        return tuple(found)
    for at, (p, level) in zip(tested, corrected([found[at].p for at in tested]), strict=True):
        d, m = found[at], len(tested)
        k_a, k_b = len(d.only_a), len(d.only_b)
        low, high, interval = gain_interval(k_a, k_b, d.n, seed=seed, level=level)
        needed = images_needed(k_a, k_b, d.n, level=LEVEL / m)
        found[at] = replace(d, p_holm=p, low=low, high=high, interval=interval, needed=needed, pairs=m)
    return tuple(found)


def corrected(p_values: Sequence[float]) -> list[tuple[float, float]]:
    """Return of each p, (p after Holm's correction for all of them, level at which the procedure has tested it).

    Holm tests the smallest of m p-values at 5% / m, the next at 5% / (m − 1), and stops at the first that is not below
    its level: all further ones are tested at that level.
    """
    m, level, highest, stopped = len(p_values), LEVEL, 0.0, False
    found = [(1.0, LEVEL)] * m
    for rank, at in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        level = level if stopped else LEVEL / (m - rank)
        stopped = stopped or p_values[at] >= level
        highest = max(highest, min(1.0, (m - rank) * p_values[at]))
        found[at] = highest, level
    return found


def gain_interval(only_a: int, only_b: int, n: int, *, seed: int = 0, level: float = LEVEL) -> tuple[float, float, str]:
    """Return the interval of the paired gain, 95% unless told, as fractions, and how it was made.

    The paired bootstrap (Efron 1979): images are drawn with replacement, both answers of each together, and of 20,000
    draws the middle 95% of the gains are kept. Drawing images makes the numbers of those that only one got right
    multinomial, so that these are drawn directly, at any number of images. From fewer than ten images that tell the
    two apart, or where every image does, there is too little to draw from: then it is Tango's score interval (1998).
    Either way it reaches to 0 where McNemar's exact test, which is the stricter one, does not find a difference at
    this level: a test and an interval never contradict each other.

    Args:
        only_a: images that only the one got right.
        only_b: images that only the other got right.
        n: all images.
        seed: of the draws; the same seed gives the same interval.
        level: 1 less the confidence.

    """
    import numpy as np

    if n == 0:
        return -1.0, 1.0, "no images"
    telling = only_a + only_b
    if telling < FEW or telling == n:
        return (*_reaching(tango(only_a, only_b, n, level), only_a, only_b, level), "score interval")
    drawn = np.random.default_rng(seed).multinomial(n, (only_a / n, only_b / n, 1 - telling / n), size=RESAMPLES)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, (level / 2, 1 - level / 2))
    return (*_reaching((float(low), float(high)), only_a, only_b, level), "paired bootstrap")


def _reaching(ends: tuple[float, float], only_a: int, only_b: int, level: float) -> tuple[float, float]:
    """Return the interval, with 0 in it where the exact test does not leave it out."""
    return ends if mcnemar(only_a, only_b) < level else (min(ends[0], 0.0), max(ends[1], 0.0))


def tango(only_a: int, only_b: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the score interval of a difference of paired shares (Tango 1998, Statistics in Medicine 17).

    It is the 95% one unless a level is given. It holds where no image tells the two apart, or every one does. Raises
    ValueError when n is 0.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if n < 1:
        raise ValueError("no images")
    z = float(norm.ppf(1 - level / 2))
    gain = (only_a - only_b) / n

    def score(delta: float) -> float:
        """Return the score statistic of a true difference `delta`; it falls as delta rises."""
        b = -only_a - only_b + (2 * n - only_a + only_b) * delta
        c = -only_b * delta * (1 - delta)
        q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
        variance = n * (2 * q + delta * (1 - delta))
        return (only_a - only_b - n * delta) / math.sqrt(variance) if variance > 0 else 0.0

    tiny = 1e-12
    low = -1.0 if score(-1 + tiny) < z else brentq(lambda d: score(d) - z, -1 + tiny, min(gain, 1 - tiny))
    high = 1.0 if score(1 - tiny) > -z else brentq(lambda d: score(d) + z, max(gain, -1 + tiny), 1 - tiny)
    return float(low), float(high)


def images_needed(only_a: int, only_b: int, n: int, power: float = POWER, *, level: float = LEVEL) -> int | None:
    """Return how many test images would tell two contestants apart with this power, or None if none would.

    If the shares of images that only one gets right stay what they are, McNemar's test needs
    n = (z₁₋α/₂ √ψ + z_power √(ψ − δ²))² / δ² of them, with ψ = (only_a + only_b) / n and δ = (only_a − only_b) / n
    (Connor 1987, Biometrics 43; after Miettinen 1968), and enough images that only one gets right for the exact test
    to come below the level at all: six at 5%.

    Args:
        only_a: images that only the one got right.
        only_b: images that only the other got right.
        n: all images.
        power: probability of finding the difference.
        level: below which p has to be.

    """
    from scipy.stats import norm

    if only_a == only_b or n == 0:
        return None
    psi, delta = (only_a + only_b) / n, abs(only_a - only_b) / n
    one, other = float(norm.ppf(1 - level / 2)), float(norm.ppf(power))
    root = one * math.sqrt(psi) + other * math.sqrt(max(0.0, psi - delta * delta))
    fewest = math.floor(1 - math.log2(level)) + 1  # 2 · ½ᵏ < level
    return max(math.ceil((root / delta) ** 2), math.ceil(fewest / psi))


def holm_unpaired(differences: Sequence[UnpairedDifference]) -> list[UnpairedDifference]:
    """Return the differences corrected for their number, as `holm` does; bounds of a paired p are Bonferroni's."""
    m, found = len(differences), []
    for d, (p, level) in zip(differences, corrected([d.p for d in differences]), strict=True):
        bounds = d.p_if_paired and (min(1.0, m * d.p_if_paired[0]), min(1.0, m * d.p_if_paired[1]))
        low, high = _newcombe(d.a, d.b, level)
        needed = _needed_each(d.a, d.b, LEVEL / m)
        found.append(replace(d, p=p, low=low, high=high, needed=needed, p_if_paired=bounds, pairs=m))
    return found


def unpaired(correct_a: int, n_a: int, correct_b: int, n_b: int) -> UnpairedDifference:
    """Compare two shares by their counts alone, as of published results; this needs more images than pairs do.

    The interval is Newcombe's (1998, method 10), the test the two-proportion score test (χ² without correction); the
    number of images is Fleiss, Levin and Paik's (2003, ch. 4) for groups of one size, without continuity correction.

    Raises:
        ValueError: there are no images, or more are correct than there are.

    """
    from scipy.stats import chi2_contingency

    if not (0 <= correct_a <= n_a and 0 <= correct_b <= n_b and n_a and n_b):
        raise ValueError(f"{correct_a} of {n_a} against {correct_b} of {counted(n_b, 'image')} cannot be")
    a, b = share(correct_a, n_a), share(correct_b, n_b)
    p = 1.0
    if correct_a * n_b != correct_b * n_a:
        table = [[correct_a, n_a - correct_a], [correct_b, n_b - correct_b]]
        p = float(chi2_contingency(table, correction=False).pvalue)
    bounds = mcnemar_bounds(correct_a, correct_b, n_a) if n_a == n_b else None
    return UnpairedDifference(a, b, a.value - b.value, *_newcombe(a, b, LEVEL), p, _needed_each(a, b, LEVEL), bounds)


def _newcombe(a: Share, b: Share, level: float) -> tuple[float, float]:
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = confint_proportions_2indep(a.k, a.n, b.k, b.n, method="newcomb", compare="diff", alpha=level)
    return float(low), float(high)


def _needed_each(a: Share, b: Share, level: float) -> int | None:
    from scipy.stats import norm

    if a.k * b.n == b.k * a.n:
        return None
    middle = (a.value + b.value) / 2
    spread = math.sqrt(a.value * (1 - a.value) + b.value * (1 - b.value))
    one, other = float(norm.ppf(1 - level / 2)), float(norm.ppf(POWER))
    root = one * math.sqrt(2 * middle * (1 - middle)) + other * spread
    return math.ceil((root / (a.value - b.value)) ** 2)


def mcnemar_bounds(correct_a: int, correct_b: int, n: int) -> tuple[float, float]:
    """Return the least and the greatest McNemar p that two counts on the same `n` images allow.

    Least where the images that the worse one got right are among those of the better one; greatest where they overlap
    as little as they can.
    """
    shared_most = min(correct_a, correct_b)
    shared_least = max(0, correct_a + correct_b - n)
    found = [mcnemar(correct_a - shared, correct_b - shared) for shared in (shared_most, shared_least)]
    return min(found), max(found)
