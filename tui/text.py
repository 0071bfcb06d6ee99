"""Text from outside (files, models, services) is shown as it is, and can steer nothing."""

from __future__ import annotations

import re
import time

# C0 and C1 controls, and the marks that turn the direction of what follows.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def literal(text: str) -> str:
    """Return text without control characters (tab and newline stay)."""
    return _CONTROL.sub("", text)


def escaped(json: str) -> str:
    """Return JSON whose strings say the same, with what could steer a terminal written as escapes."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def one_line(text: str, most: int = 2_000) -> str:
    """Return text as one line without control characters, cut where it is longer than anybody reads."""
    cut = text if len(text) <= most else f"{text[:most]}…"
    return literal(cut).replace("\n", "⏎").replace("\t", " ")


def span(seconds: float) -> str:
    """Return a length of time as `0:07`, `12:34` or `1:02:03`."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def dollars(usd: float | None) -> str:
    """Return a sum; small ones with their cents' parts, so that nothing that costs looks free. None is not known."""
    if usd is None:
        return "unknown"
    return f"${usd:,.4f}" if 0 < usd < 0.1 else f"${usd:,.2f}"


def cost(usd: float, is_known: bool = True) -> str:
    """Return what something has cost; a part without a price is shown as unknown."""
    if is_known:
        return dollars(usd)
    return f"{dollars(usd)} + unknown" if usd else "unknown"


def size(count: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def moment(at: float | None) -> str:
    """Return a moment as a local date and time; nothing for none."""
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
