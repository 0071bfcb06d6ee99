"""Text from outside (files, models, services) is shown as it is, and can steer nothing."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def literal(text: str) -> str:
    """Return text without control characters (tab and newline stay)."""
    return _CONTROL.sub("", text)


def span(seconds: float) -> str:
    """Return a length of time as `0:07`, `12:34` or `1:02:03`."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def dollars(usd: float) -> str:
    """Return a sum; small ones with their cents' parts, so that nothing that costs looks free."""
    return f"${usd:,.4f}" if 0 < usd < 0.1 else f"${usd:,.2f}"
