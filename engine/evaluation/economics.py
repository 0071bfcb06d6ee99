"""What contestants cost beyond this test: an image more, a thousand, and where two of them cost the same."""

from __future__ import annotations

from dataclasses import dataclass

from engine.evaluation.comparison import ContestantResult
from engine.states import Outcome


@dataclass(frozen=True)
class Economics:
    """US dollars: once (training), and for 1,000 images more. Hosting goes by the hour and is neither."""

    name: str
    once: float
    per_thousand: float


def economics(result: ContestantResult) -> Economics:
    """Return what a contestant costs once, and by the image, from what its own test cost."""
    asked = result.n - result.outcomes[Outcome.MISSING]
    return Economics(result.name, result.cost.training, 1000 * result.cost.inference / asked if asked else 0.0)


def break_even(a: Economics, b: Economics) -> float | None:
    """Return the number of images from which on `a` is cheaper than `b` in all; None if that never happens.

    0 when it is cheaper from the first image.
    """
    more_once = a.once - b.once
    saved = (b.per_thousand - a.per_thousand) / 1000
    if saved <= 0:
        return 0.0 if more_once < 0 and saved == 0 else None
    return max(0.0, more_once / saved)
