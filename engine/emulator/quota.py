"""A deployment's quota in tokens and requests a minute."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from engine.emulator.clock import Clock
from engine.emulator.errors import ApiError
from engine.emulator.faults import Control
from engine.emulator.state import Object

WINDOWS = 6
"""Requests are counted in sixths of a minute, so that a burst is refused though its minute has room."""


@dataclass
class _Window:
    since: float = -math.inf
    used: int = 0


@dataclass
class _Counters:
    tokens: _Window = field(default_factory=_Window)
    requests: _Window = field(default_factory=_Window)


class Quota:
    """Counts what each deployment is asked; one unit of capacity is 1,000 tokens and 6 requests a minute."""

    def __init__(self, clock: Clock, control: Control) -> None:
        self._clock = clock
        self._control = control
        self._counters: dict[str, _Counters] = {}

    def reset(self) -> None:
        """Count anew, as by another measure."""
        self._counters.clear()

    def take(self, deployment: Object, tokens: int, version: str) -> dict[str, str]:
        """Count one request.

        Args:
            deployment: which is asked.
            tokens: the estimate: prompt and max_tokens.
            version: the API's, for the refusal's words.

        Returns:
            the rate-limit headers of its answer.

        Raises:
            ApiError: 429, when the minute's tokens or the moment's requests are used up.

        """
        minute = self._control.settings.minute
        most_tokens = deployment["sku"]["capacity"] * 1000
        most_requests = max(1, deployment["sku"]["capacity"] * 6 // WINDOWS)
        counters = self._counters.setdefault(deployment["name"], _Counters())
        now = self._clock.now()
        if minute > 0:
            for window, length, most, wanted, unit in (
                (counters.tokens, minute, most_tokens, tokens, "token"),
                (counters.requests, minute / WINDOWS, most_requests, 1, "call"),
            ):
                if not window.since <= now < window.since + length:
                    window.since, window.used = now, 0
                if window.used + wanted > most:
                    raise _refusal(unit, version, window.since + length - now, most_tokens)
            counters.tokens.used += tokens
            counters.requests.used += 1
        return {
            "x-ratelimit-limit-tokens": str(most_tokens),
            "x-ratelimit-limit-requests": str(most_requests * WINDOWS),
            "x-ratelimit-remaining-tokens": str(most_tokens - counters.tokens.used),
            "x-ratelimit-remaining-requests": str(most_requests - counters.requests.used),
        }


def _refusal(unit: str, version: str, left: float, limit: int) -> ApiError:
    seconds = max(1, math.ceil(left))
    return ApiError(
        429,
        "429",
        f"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version {version} have exceeded"
        f" {unit} rate limit of your current OpenAI S0 pricing tier. Please retry after {seconds} seconds.",
        headers={
            "Retry-After": str(seconds),
            "retry-after-ms": str(math.ceil(left * 1000)),
            "x-ratelimit-limit-tokens": str(limit),
            "x-ratelimit-remaining-tokens": "0",
        },
    )
