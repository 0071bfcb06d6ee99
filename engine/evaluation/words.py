"""Figures in words, as verdicts and tables have them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evaluation.quality import Share
from engine.quantities import counted


def p_value(p: float) -> str:
    """Return a p as it is written: `p = 0.032`, `p < 0.001`."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def corrected_p(p: float, pairs: int) -> str:
    """Return a p after Holm's correction for so many pairs, as it is written."""
    return p_value(p) + (f" corrected for {counted(pairs, 'pair')}" if pairs > 1 else "")


UNKNOWN = "unknown"
"""What stands for an amount that is not known."""


def dollars(usd: float | None) -> str:
    """Return an amount; below a cent, with what it takes to see it. None is not known."""
    if usd is None:
        return UNKNOWN
    return f"${usd:,.2f}" if usd >= 0.01 or usd == 0 else f"${usd:.2g}"


def rate(usd: float) -> str:
    """Return a price of an hour, whose parts of a cent add up: `$1.70`, `$0.192`."""
    cents = round(usd, 2)
    return dollars(usd) if abs(usd - cents) < 5e-5 else f"${usd:,.4g}"


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them; there is one at least."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def some(names: Sequence[str], most: int = 3) -> str:
    """Return names as a sentence has them, the first ones of many."""
    left = len(names) - most
    return listed(names) if left <= 0 else f"{', '.join(names[:most])} and {left:,} more"


def images(n: int) -> str:
    """Return so many images as a sentence has them."""
    return "this one image" if n == 1 else f"these {counted(n, 'image')}"


def told_share(share: Share) -> str:
    """Return a share with its counts and its interval."""
    return f"{share.k:,} of {share.n:,} ({share.value:.1%}; 95% interval {share.low:.1%} to {share.high:.1%})"
