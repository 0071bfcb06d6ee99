"""How fast a deployment may be asked: learnt from what it says of its limits and from what it refuses.

Three things hold a request back. The service has said to wait: nobody asks until then. So many are under way
already: that number grows while answers come as fast as before, and shrinks when one is refused. And the
deployment's quota: requests are spread evenly, as the service counts them over windows of 1 to 10 seconds and
refuses a burst though its minute has room; tokens are spent as long as the service says that some are left.

No part of it needs the headers. Often the service tells only what remains: the most that it was seen to be stands
for the limit. Without any the rate is what was answered between two refusals. And they may be wrong: bursts of six
were refused of which fifty remained (learn.microsoft.com, answers, question 2156987), so room alone is no leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MINUTE = 60.0
FIRST_AT_ONCE = 8
"""Requests under way at most, before anything is known."""
POLL_SECONDS = 0.25
"""How soon a stop is noticed."""
UNDER = 0.98
"""The share of the told rate that is used: what is at the limit is over it as soon as a clock is off."""
SLACK_SECONDS = 0.02
"""How much of a missed turn may be caught up with: timers are late, but a burst is refused."""
REQUESTS_A_TOKEN = 6 / 1000
"""Requests that a deployment's quota has for each token of it, where no header says."""
WINDOW = 10.0
"""Seconds that what remains of requests is told of."""
SHORT_SECONDS = 20.0
"""A quota that is full again sooner than this is not of a minute: what is told by the minute tells no rate."""
SEARCH = 0.05
"""By which share a second the rate grows after the first cut, which has found it only roughly."""
GROWTH, ACCELERATION = 0.002, 0.0005
"""Likewise after later ones, and how much faster each second: it stays near what it has found, then looks further."""
SLOWEST = 0.5
"""Requests a second below which the rate is never cut: a service that wants less says how long to wait."""
ENOUGH = 5
"""Requests that must have been taken before a refusal, to tell a rate."""
DEGRADED = 1.5
"""Answers that take so many times as long as they did: more at once would only wait longer."""
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0


@dataclass(frozen=True)
class Ticket:
    """Leave to ask once: when it was given, and the how manieth it was."""

    at: float
    serial: int


class Pace:
    """The pace of all requests to one deployment. Keep it from one scoring to the next, and it stays learnt.

    Attributes:
        most: requests under way at most, whatever else is learnt.
        answered: how many requests were answered.
        refused: how many were refused by 429.

    """

    def __init__(self, most: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.answered = 0
        self.refused = 0
        self._now = now
        self._queue = asyncio.Lock()  # first come, first served; and one looks where else all would
        self._changed = asyncio.Event()
        self._sent = 0
        self._under_way = 0
        self._allowed = float(FIRST_AT_ONCE)
        self._peak = 0  # most under way in a round: from a request's going to its answer
        self._round_ends = 0
        self._starting = True  # the first refusal, or slower answers, end the steep growth
        self._closed_until = 0.0
        self._delay = FIRST_DELAY
        self._next = 0.0  # no request before this moment
        # What the service has told, as of the latest request that it told it of
        self._told = 0
        self._told_rate = math.inf
        self._tokens_limit = math.inf
        self._tokens_left = math.inf
        self._tokens = math.inf  # the same, less what was sent since, as of `_tokens_at`
        self._tokens_at = 0.0
        self._tokens_most = 0.0
        self._requests_left: int | None = None
        self._requests_most = 0
        self._window_at: float | None = None
        self._window_serial = 0
        self._short = False
        self._even_until = 0.0
        self._even_seconds = 10.0
        # What refusals have taught
        self._rate = math.inf
        self._rate_at = 0.0
        self._cuts = 0
        self._cut_at = -math.inf
        self._cycle_at: float | None = None
        self._cycle_serial = 0
        self._cycle_refused = 0
        self._cycle: tuple[float, int, float] | None = None
        # What requests take
        self._cost = 0.0
        self._latency: float | None = None
        self._best = math.inf

    # -- asking

    @property
    def limit(self) -> int:
        """How many requests may be under way; one, while the service has refused twice and answered none since."""
        if self._delay > 2 * FIRST_DELAY:
            return 1
        return max(1, min(self.most, int(self._allowed)))

    @property
    def rate(self) -> float:
        """Requests a second at present, as far as requests are limited; infinite where they are not."""
        return min(self._cut_rate(), math.inf if self._is_loose() else self._told_rate)

    async def enter(self, stop: Callable[[], bool]) -> Ticket | None:
        """Wait for one's turn; return the leave to ask, or None once `stop` says so. Then `leave`."""
        async with self._queue:
            while not stop():
                wait = self.wait()
                if wait is not None and wait <= 0:
                    return self.take()
                changed = self._changed
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS if wait is None else min(wait, POLL_SECONDS)):
                        await changed.wait()
        return None

    def wait(self) -> float | None:
        """Return the seconds until the next request may go, or None: when one that is under way has ended."""
        if self._under_way >= self.limit:
            return None
        now = self._now()
        wait = max(self._closed_until, self._next) - now
        if (short_of := min(self._cost, self._tokens_limit) - self._tokens_now(now)) > 0:
            wait = max(wait, short_of / (self._tokens_limit / MINUTE))
        return wait

    def take(self) -> Ticket:
        """Let one request go."""
        now = self._now()
        rate = self.rate
        self._next = max(self._next, now - SLACK_SECONDS) + (0.0 if math.isinf(rate) else 1 / rate)
        self._tokens, self._tokens_at = self._tokens_now(now) - self._cost, now
        self._sent += 1
        self._under_way += 1
        self._peak = max(self._peak, self._under_way)
        if self._cycle_at is None:
            self._cycle_at = now
        if self._window_at is None:
            self._window_at = now
        return Ticket(now, self._sent)

    def leave(self) -> None:
        """A request is under way no longer, however it went."""
        self._under_way -= 1
        self._changed.set()
        self._changed = asyncio.Event()

    # -- learning

    def went_well(
        self, ticket: Ticket, headers: Mapping[str, str], *, tokens: int = 0, latency_ms: float | None = None
    ) -> None:
        """Learn from an answer; call it before `leave`.

        Args:
            ticket: the request's.
            headers: the answer's; any of the `x-ratelimit-` ones may be missing.
            tokens: that the quota was charged; 0 where it is not known.
            latency_ms: how long the answer took.

        """
        self.answered += 1
        self._delay = FIRST_DELAY
        if tokens:
            self._cost = tokens if not self._cost else self._cost + (tokens - self._cost) / 8
        self._read(ticket, headers)
        if ticket.serial > self._round_ends:
            self._peak, self._round_ends = self._under_way, self._sent
        if latency_ms is not None:
            self._grow(latency_ms)

    def went_badly(self, ticket: Ticket, retry_after: float | None) -> float:
        """Learn from a 429: nobody asks for a while, and then more slowly.

        Args:
            ticket: the request's.
            retry_after: seconds, where the service said so; else a delay that doubles each time.

        Returns:
            the seconds for which nobody asks.

        """
        self.refused += 1
        now = self._now()
        retry_after = retry_after or None  # to wait for no time would be to ask without end
        if ticket.at < self._cut_at:  # sent before the last refusal was known: the same event
            self._cycle_refused += ticket.serial > self._cycle_serial
            return self.close(retry_after) if retry_after is not None else max(0.0, self._closed_until - now)
        if retry_after is not None and self._delay > FIRST_DELAY:  # the last wait was kept, and nothing was answered
            retry_after = max(retry_after, self._delay / 2)
        wait = self.close(self._delay if retry_after is None else retry_after)
        self._delay = min(self._delay * 2, LONGEST_DELAY)
        self._cut_at = now
        accepted = ticket.serial - 1 - self._cycle_serial - self._cycle_refused
        self._even_until, self._even_seconds = now + wait + self._even_seconds, self._even_seconds * 2
        if self._has_room():  # it may have been for something else, or for a limit that is not told: go gently
            self._rate = max(self.rate * 0.95, min(self._rate, self._told_rate / 4))
            self._rate_at, self._cuts = now + wait, max(self._cuts, 2)
        elif self._tokens_now(now) >= 2 * self._cost:  # else the minute's tokens are spent, at whatever pace
            if accepted > 0:
                self._starting = False
                self._allowed = max(1.0, min(self._allowed, self._under_way + 1) * 0.7)
            if accepted >= ENOUGH:
                self._cycle = (self._cycle_at or now, accepted, min(self._cut_rate(), self._told_rate))
                self._cuts += 1
            elif accepted > 0:  # too few to tell a rate: those to come are counted with them
                self._cycle_refused += 1
                return wait
            if self._cycle is not None:  # with none accepted the last wait was too short: it goes on
                self._cut(now + wait, *self._cycle)
        self._cycle_at, self._cycle_serial, self._cycle_refused = now + wait, self._sent, 0
        return wait

    def _cut(self, reopens: float, began: float, accepted: int, before: float) -> None:
        """Set the rate to what was taken from one refusal to the end of the next one's wait."""
        reached = UNDER * accepted / max(reopens - began, 0.001)
        # Where the limit is told it is right but for others who share it; else only this tells it.
        least = 0.0 if math.isinf(before) else before * (0.5 if math.isinf(self._told_rate) else 0.9)
        self._rate, self._rate_at = max(min(reached, before * 0.95), least, SLOWEST), reopens

    def close(self, seconds: float) -> float:
        """Let nobody ask for so long, and a little longer; return how long."""
        # The little is for other processes that were told the same; a quarter of a long wait would be wasted.
        wait = seconds + random.uniform(0.0, min(0.25 * seconds, 0.5))
        self._closed_until = max(self._closed_until, self._now() + wait)
        return wait

    # -- within

    def _tokens_now(self, now: float) -> float:
        if math.isinf(self._tokens_limit):
            return math.inf
        return min(self._tokens_limit, self._tokens + (now - self._tokens_at) * self._tokens_limit / MINUTE)

    def _cut_rate(self) -> float:
        past = max(0.0, self._now() - self._rate_at)
        return self._rate * (1 + (SEARCH if self._cuts < 2 else GROWTH + ACCELERATION * past) * past)

    def _has_room(self) -> bool:
        """Tell whether the service says that much of the quota is left: then that is not why it refused."""
        left = self._requests_left
        if left is None or math.isinf(self._tokens_limit):
            return False
        unseen = self._sent - self._told
        return left - unseen > self._requests_most / 2 and self._tokens_now(self._now()) > self._tokens_limit / 4

    def _is_loose(self) -> bool:
        """Tell whether the told rate can be ignored: the quota refills faster than by the minute, and has room."""
        return self._short and self._now() > self._even_until and self._has_room()

    def _read(self, ticket: Ticket, headers: Mapping[str, str]) -> None:
        if ticket.serial <= self._told:
            return  # a later request's answer was sooner, and tells more
        tokens_limit, tokens_left, requests_limit, requests_left = (
            _number(headers, f"x-ratelimit-{name}")
            for name in ("limit-tokens", "remaining-tokens", "limit-requests", "remaining-requests")
        )
        if requests_left is not None:
            self._requests_left = int(requests_left)
            self._requests_most = max(self._requests_most, self._requests_left)
        if not tokens_limit and tokens_left:
            self._tokens_most = tokens_limit = max(self._tokens_most, tokens_left)
        if requests_limit:
            self._told_rate = UNDER * requests_limit / MINUTE
        else:
            by_tokens = tokens_limit * REQUESTS_A_TOKEN / MINUTE if tokens_limit else math.inf
            self._told_rate = UNDER * min(by_tokens, self._requests_most / WINDOW or math.inf)
        if tokens_limit and tokens_left is not None:
            if not math.isinf(self._tokens_limit):
                self._compare(ticket, tokens_limit, tokens_left)
            self._tokens_left = tokens_left
            self._tokens_limit = tokens_limit
            # Those sent since are not in it yet. Nor is what has come back since: where the quota is of a
            # fixed minute nothing has, and where it trickles the next answer says so.
            self._tokens = tokens_left - self._cost * (self._sent - ticket.serial)
            self._tokens_at = self._now()
        self._told = ticket.serial

    def _compare(self, ticket: Ticket, limit: float, left: float) -> None:
        """Find out whether the quota's minute is one, from whether it is used up as it is spent."""
        spent, age = self._cost * (ticket.serial - self._window_serial), ticket.at - (self._window_at or 0.0)
        if left > self._tokens_left + self._cost / 2:  # it is full again
            self._short = age < SHORT_SECONDS
            self._window_at, self._window_serial = ticket.at, ticket.serial
        elif age > SHORT_SECONDS:
            self._short = limit - left < spent / 2
        elif ticket.serial - self._window_serial >= 5:  # if it is used up, it may still be full again soon
            self._short = self._short or limit - left < spent / 2

    def _grow(self, latency_ms: float) -> None:
        self._latency = latency_ms if self._latency is None else self._latency + (latency_ms - self._latency) / 16
        if self.answered >= FIRST_AT_ONCE:
            self._best = min(self._best * 1.001, self._latency)  # it may become slower for other reasons
            if self._latency > self._best * DEGRADED:
                self._starting = False
                return
        if self.limit >= self.most:
            return
        if self._starting and self.limit < 2 * self._peak:
            self._allowed += 2
        elif not self._starting and self._peak >= self.limit:  # else it is not what holds them back
            self._allowed += 1 / self.limit


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(headers[name])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) and value >= 0 else None
