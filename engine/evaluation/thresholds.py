"""Where a cascade's first member gives up: chosen on validation images, never on test images.

What is known decides the rule, and each choice says which rule it was:

1. Both were asked about the same validation images: the threshold at which the cascade does best on them.
2. Only the first was, and somebody says how often the second is right: an image goes on where the second's
   accuracy promises more than keeping it. This takes the second to be as good on the images that are hard for
   the first as on any; it hardly is, so too many go on rather than too few.
3. Only the first was: the lowest threshold at which what it keeps has at most so many errors. Nothing is
   assumed of the second, and nothing follows of how good the cascade will be.

The first member's best epoch was chosen by these validation images as well, so its confidences on them are a
little too good; the test images alone say how good a cascade is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.evaluation.metrics import wilson
from engine.quantities import counted

EVERYTHING = 1.01
"""A threshold that no probability reaches: all goes on."""
FEWEST = 30
"""Validation images from which on a threshold is chosen by them."""
KEPT_ERRORS = 0.05
"""Share of errors that the first member may keep where nothing is known of the second."""
FEWEST_KEPT = 10
"""Of fewer images no share of errors is told."""


class Basis(StrEnum):
    """Which rule chose a threshold."""

    BOTH = "both validated"
    ASSUMED = "assumed accuracy"
    KEPT = "kept errors"


@dataclass(frozen=True)
class Checked:
    """What a contestant made of one validation image: the probability of what it said, and whether that was right."""

    probability: float
    right: bool


@dataclass(frozen=True)
class Choice:
    """A threshold, and on what it was chosen.

    Attributes:
        threshold: from this probability on the first member's answer stands; 0: always, above 1: never.
        basis: the rule.
        chosen_on: that in a sentence, with numbers.
        n: validation images by which it was chosen.
        share_to_second: of these.
        accuracy: of the cascade on these; None where the second was not asked about them.

    """

    threshold: float
    basis: Basis
    chosen_on: str
    n: int
    share_to_second: float
    accuracy: float | None


def choose(
    first: Mapping[int, Checked],
    second: Mapping[int, bool] | None = None,
    *,
    assumed: float | None = None,
    why_assumed: str = "",
    price: float = 0.0,
    value: float = 0.0,
    kept_errors: float = KEPT_ERRORS,
) -> Choice | None:
    """Choose a cascade's threshold.

    Args:
        first: what the first member made of its validation images, by image.
        second: whether the second was right about those that it was asked about, by image; at least 30 must be
            shared for the first rule.
        assumed: share of images that the second gets right, for the second rule.
        why_assumed: where that number comes from, for the sentence.
        price: US dollars that an image costs more when it goes on.
        value: US dollars that a correct answer is worth. With 0 the price is not looked at, and accuracy alone
            decides; among equals the fewest images go on.
        kept_errors: share, for the third rule.

    Returns:
        The choice, or None when the first was validated on fewer than 30 images.

    """
    if len(first) < FEWEST:
        return None
    cost = price / value if value > 0 else 0.0
    shared = [(first[image], float(right)) for image, right in (second or {}).items() if image in first]
    if len(shared) >= FEWEST:
        threshold, sent, right = _best(shared, cost)
        weighed = f" at ${value:g} a correct answer and ${1000 * price:.2f} per 1,000 sent on" if cost else ""
        return Choice(
            threshold,
            Basis.BOTH,
            f"Threshold chosen on {counted(len(shared), 'validation image')} that both were asked about:"
            f" best{weighed} there.",
            len(shared),
            sent / len(shared),
            right / len(shared),
        )
    if assumed is not None:
        threshold, sent, _ = _best([(c, assumed) for c in first.values()], cost)
        return Choice(
            threshold,
            Basis.ASSUMED,
            f"Threshold chosen on the first member's {counted(len(first), 'validation image')}, taking the second to be"
            f" right on {assumed:.0%} of whatever it is asked{f' ({why_assumed})' if why_assumed else ''}.",
            len(first),
            sent / len(first),
            None,
        )
    return _kept(list(first.values()), kept_errors)


def _best(images: Sequence[tuple[Checked, float]], cost: float) -> tuple[float, int, float]:
    """Return the threshold with the most right answers less `cost` an image sent on, how many go on, and the right."""
    ranked = sorted(images, key=lambda item: item[0].probability)
    right = float(sum(checked.right for checked, _ in ranked))
    best, found = right, (0.0, 0, right)
    for sent, (checked, second) in enumerate(ranked, start=1):
        right += second - checked.right
        following = ranked[sent][0].probability if sent < len(ranked) else None
        if following == checked.probability:
            continue  # images of one probability stay together
        if right - cost * sent > best + 1e-9:
            best = right - cost * sent
            found = (_between(checked.probability, following), sent, right)
    return found


def _between(below: float, above: float | None) -> float:
    """Return a threshold between two probabilities, so that rounding moves no image across."""
    return EVERYTHING if above is None else (below + above) / 2


def _kept(images: list[Checked], most: float) -> Choice:
    """Keep as many as possible with at most that share of errors."""
    ranked = sorted(images, key=lambda checked: checked.probability, reverse=True)
    errors, kept, threshold = 0, 0, EVERYTHING
    for count, checked in enumerate(ranked, start=1):
        errors += not checked.right
        following = ranked[count].probability if count < len(ranked) else None
        if following == checked.probability or count < FEWEST_KEPT or errors > most * count:
            continue
        kept, threshold = count, 0.0 if following is None else _between(following, checked.probability)
    wrong = sum(not checked.right for checked in ranked[:kept])
    on = f"the first member's {counted(len(ranked), 'validation image')}"
    told = f"Threshold chosen on {on}, nothing assumed of the second: "
    if kept:
        low, high = wilson(wrong, kept)
        told += (
            f"the lowest at which at most {most:.0%} of what it keeps is wrong"
            f" ({wrong} of {kept}, 95% interval {low:.1%} to {high:.1%})."
        )
    else:
        told += f"whatever it keeps, more than {most:.0%} is wrong, so all goes on."
    return Choice(threshold, Basis.KEPT, told, len(ranked), 1 - kept / len(ranked), None)
