"""Real-time requests: one, or many at a pace that the deployment keeps up with. Nothing is lost.

The SDK's own retries are off, so that a latency is of the one attempt that was answered, and so that a
rate limit is known to all: while the service says "wait", nobody asks.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from engine.azure import patience
from engine.azure.answers import Answer, from_completion, from_error
from engine.azure.connection import empty_chat
from engine.azure.errors import Limited, translated
from engine.azure.pace import POLL_SECONDS, Pace, Ticket
from engine.azure.patience import FIRST_SECONDS, LIMIT_SECONDS, LONGEST_SECONDS, Say, patiently, stoppable
from engine.errors import DogclsError, InputError, ServiceError, ServiceUnavailable, SignInError

if TYPE_CHECKING:
    from engine.azure.connection import Azure

Body = Callable[[], dict[str, Any]]
OnAnswer = Callable[[Answer, int], None]
ATTEMPT_SECONDS = 60.0
"""After so long an attempt is given up: the slowest of 600 published calls took 4.7 s."""
MOST_FAILURES = 8
"""How often one request may fail while the service answers other calls, before it is its own fault."""
CHECK_FROM = 3
"""After so many failures in a row without any answer, a call that costs nothing shows whether the service answers."""
LIVING_SECONDS = 8.0
"""The longest rest between two tries of a request that fails although the service answers."""
STOP_SECONDS = 5.0
"""How long an attempt may take once a stop is wanted: its answer is paid for. In an outage it is cut off at once."""
MOST_DENIALS = 3
"""How often an Entra ID token may be refused; each attempt has a fresh one where the last has expired."""
LONG_SECONDS = 120.0
"""A wait that is longer is told with its length: at times the service says a day."""
ASSUMED_ANSWER = 16
"""Tokens that an answer is taken to be charged for where no `max_tokens` says."""


class _Denied(ServiceUnavailable):
    """Sign-in was refused: a token may just have expired, a role or a firewall just have changed."""

    def __init__(self, error: SignInError) -> None:
        super().__init__(error.message, error.cure, status=error.status)
        self.error = error


class _Cut(Exception):
    """The scoring was stopped while a call waited for its answer."""


async def warm_up(azure: Azure, deployment: str) -> None:
    """Open the connection with a request that costs nothing, so that no measured one has to."""
    await patiently(lambda: empty_chat(azure, deployment), place=azure.endpoint.endpoint)


async def ask(
    azure: Azure, deployment: str, body: dict[str, Any], custom_id: str, *, give_up: float = ATTEMPT_SECONDS
) -> Answer:
    """Make one request, once.

    Args:
        azure: the connection.
        deployment: whom to ask.
        body: the request.
        custom_id: its name.
        give_up: seconds after which no answer is expected any more.

    Returns:
        an Answer; a request that was refused for good (400, filtered) is one with `error`.

    Raises:
        ServiceUnavailable: it may be tried again (with `retry_after` where the service said when).
        SignInError: sign-in refused. No request will succeed.
        ServiceError: no such deployment, likewise.

    """
    try:
        return (await _ask(azure, deployment, body, custom_id, give_up))[0]
    except _Denied as denied:
        raise denied.error from None


async def _ask(
    azure: Azure, deployment: str, body: dict[str, Any], custom_id: str, give_up: float
) -> tuple[Answer, Mapping[str, str]]:
    """Make one request; return the answer and its headers."""
    place = azure.endpoint.endpoint
    client = azure.client.with_options(max_retries=0, timeout=give_up)
    started = time.perf_counter()
    try:
        async with asyncio.timeout(give_up):  # the SDK's own is of each piece of an answer
            with translated(place):
                raw = await client.chat.completions.with_raw_response.create(**{**body, "model": deployment})
        milliseconds = (time.perf_counter() - started) * 1000
        completion = raw.parse().model_dump()
    except TimeoutError:
        raise ServiceUnavailable(f"{place}: no answer within {give_up:g} s.", "It is tried again.") from None
    except (ValueError, AttributeError):  # no JSON, or none that is a completion: some proxy's page
        raise ServiceUnavailable(f"{place}: an answer that is no completion.", "It is tried again.") from None
    except ServiceUnavailable:
        raise
    except SignInError as error:
        raise _Denied(error) from None
    except ServiceError as error:
        if error.status is None or error.status == 404 or error.code == "BadRequestForDependentService":
            raise
        return from_error(custom_id, error.status, {"code": error.code, "message": error.message}), {}
    return from_completion(custom_id, completion, milliseconds, raw.headers.get("apim-request-id")), raw.headers


async def score(
    azure: Azure,
    deployment: str,
    requests: Iterable[tuple[str, Body]],
    *,
    concurrency: int,
    on_answer: OnAnswer,
    stop: Callable[[], bool],
    say: Say | None = None,
    pace: Pace | None = None,
    give_up: float = ATTEMPT_SECONDS,
) -> None:
    """Make many requests, and hand over each answer as it comes.

    Args:
        azure: the connection.
        deployment: whom to ask.
        requests: (custom_id, function that makes the body); a body lives only while it is asked.
        concurrency: requests under way at most. 1 is strictly one after another.
        on_answer: called with the answer and how many requests may be under way now.
        stop: asked before each request; once true, what is under way is finished and the rest left.
        say: told of each different outage once.
        pace: what an earlier call has learnt of the deployment's limits; this one goes on learning.
        give_up: seconds after which an attempt is given up and made again.

    Raises:
        ServiceError: no request can succeed (no such deployment). What was under way was finished.
        SignInError: sign-in was refused; likewise.

    """
    pace = pace or Pace(concurrency)
    pace.most = concurrency
    scoring = _Scoring(azure, deployment, pace, give_up, on_answer, stop, say, set())
    todo: Iterator[tuple[str, Body]] = iter(requests)

    async def worker() -> None:
        for custom_id, make in todo:  # shared: each request goes to exactly one worker
            await scoring.one(custom_id, make)
            if scoring.stopped():
                return

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    if scoring.fatal is not None:
        raise scoring.fatal


@dataclass
class _Scoring:
    """What all requests of one scoring share."""

    azure: Azure
    deployment: str
    pace: Pace
    give_up: float
    on_answer: OnAnswer
    stop: Callable[[], bool]
    say: Say | None
    told: set[str]
    fatal: DogclsError | None = None
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)
    checked_at: float = -math.inf
    living: bool = True
    denied_since: float | None = None

    def stopped(self) -> bool:
        return self.fatal is not None or self.stop()

    async def one(self, custom_id: str, make: Body) -> None:
        """Ask until there is an answer, good or bad, or the scoring is stopped."""
        request = _Request(custom_id, make, self.pace.answered)
        while (ticket := await self.pace.enter(self.stopped)) is not None:
            try:
                answer = await self._attempt(request, ticket)
                if answer is not None:
                    self.on_answer(request.timed(answer), self.pace.limit)
            except _Cut:
                return
            except DogclsError as error:  # the others under way are paid for: they end, and then it is raised
                self.fatal = self.fatal or error
                return
            finally:
                self.pace.leave()
            if answer is not None:
                return
            await self._rest(request.rest)

    async def _attempt(self, request: _Request, ticket: Ticket) -> Answer | None:
        """Ask once; return the answer, or None to ask again after `request.rest` seconds."""
        body = request.body
        if body is None:
            try:
                body = await asyncio.to_thread(request.make)
            except (OSError, InputError) as error:
                return from_error(request.custom_id, None, f"the image cannot be read: {error}")
        request.start(body)
        started = time.monotonic()

        def check() -> None:
            outage = request.in_a_row > 0 and self.pace.answered == request.others
            if self.stopped() and (outage or time.monotonic() - started > STOP_SECONDS):
                raise _Cut

        try:
            answer, headers = await stoppable(
                _ask(self.azure, self.deployment, body, request.custom_id, self.give_up), check
            )
        except ServiceUnavailable as error:
            return await self._failed(request, ticket, error)
        self.denied_since = None
        self.pace.went_well(ticket, headers, tokens=_charged(body, answer), latency_ms=answer.latency_ms)
        return answer

    async def _failed(self, request: _Request, ticket: Ticket, error: ServiceUnavailable) -> Answer | None:
        told = error.retry_after if isinstance(error, Limited) else None
        wait = 0.0
        request.rest = 0.0
        if error.status == 429:
            wait = self.pace.went_badly(ticket, told)
        elif told:
            wait = self.pace.close(told)
        else:
            request.back_off()
        self._tell(error.message, wait)
        if error.status == 429:
            return None  # of the pace, not of this request
        if isinstance(error, _Denied):
            request.denials += 1
            if not self._may_end(request.denials):
                raise error.error
            return None
        self.denied_since = None
        # An outage is waited out; a request that fails while the service answers other calls is given up.
        request.in_a_row = 1 if self.pace.answered > request.others else request.in_a_row + 1
        if self.pace.answered > request.others or (request.in_a_row > CHECK_FROM and await self._lives()):
            request.failures += 1
            request.rest = min(request.rest, LIVING_SECONDS)
        request.others = self.pace.answered
        if request.failures >= MOST_FAILURES or request.seconds > LIMIT_SECONDS:
            return from_error(request.custom_id, error.status, {"code": error.code, "message": error.message})
        return None

    def _may_end(self, denials: int) -> bool:
        """Return whether a refusal of sign-in may still end: for a while, where the service let us in before."""
        now = time.monotonic()
        self.denied_since = self.denied_since or now
        if self.azure.endpoint.api_key is None and denials <= MOST_DENIALS:
            return True
        return bool(self.pace.answered) and now - self.denied_since < patience.DENIED_SECONDS

    async def _lives(self) -> bool:
        """Whether the deployment answers a call that costs nothing; requests that fail together share one call."""
        failed_at = time.monotonic()

        def check() -> None:
            if self.stopped():
                raise _Cut

        async with self.checking:
            if self.checked_at < failed_at:
                try:
                    await stoppable(empty_chat(self.azure, self.deployment), check)
                    self.living = True
                except ServiceUnavailable as error:
                    self.living = error.status == 429
                except _Cut:
                    raise
                except Exception:  # any other answer is not an outage: the request's own tries show what it is
                    self.living = True
                self.checked_at = time.monotonic()
            return self.living

    def _tell(self, message: str, wait: float) -> None:
        if self.say is not None and message not in self.told:
            self.told.add(message)
            long = f" (for {wait:,.0f} s, as the service asks)" if wait > LONG_SECONDS else ""
            self.say(f"waiting{long}: {message}")

    async def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            if left <= 0 or self.stopped():
                return
            await asyncio.sleep(min(left, POLL_SECONDS))


class _Request:
    """One request over all its attempts."""

    def __init__(self, custom_id: str, make: Body, others: int) -> None:
        self.custom_id = custom_id
        self.make = make
        self.body: dict[str, Any] | None = None
        self.attempts = 0
        self.rest = 0.0
        self.failures = 0
        self.in_a_row = 0
        self.denials = 0
        self.others = others
        self._delay = FIRST_SECONDS
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """How long ago it was asked first."""
        return 0.0 if self._since is None else time.perf_counter() - self._since

    def start(self, body: dict[str, Any]) -> None:
        self.body = body  # kept for the next attempt
        self.attempts += 1
        if self._since is None:
            self._since = time.perf_counter()

    def back_off(self) -> None:
        self.rest = self._delay * random.uniform(1.0, 1.25)
        self._delay = min(self._delay * 2, LONGEST_SECONDS)

    def timed(self, answer: Answer) -> Answer:
        """Return the answer with the times of all attempts in it."""
        first = answer.latency_ms if self.attempts == 1 else None
        total = self.seconds * 1000 if self.attempts else None
        return replace(answer, first_ms=first, total_ms=total, attempts=self.attempts)


def _charged(body: Mapping[str, Any], answer: Answer) -> int:
    """Return what the quota is taken to have been charged: prompt and the most that might have been answered."""
    if not answer.prompt_tokens:
        return 0
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    return answer.prompt_tokens + (int(most) if most else max(ASSUMED_ANSWER, answer.completion_tokens))
