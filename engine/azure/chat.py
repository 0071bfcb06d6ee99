"""Real-time requests: one, or many with bounded concurrency. Nothing is lost, nothing is asked twice.

The SDK's own retries are off, so that a latency is of the one attempt that was answered, and so that a
rate limit is known to all: while the service says "wait", nobody asks.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from engine.azure.answers import Answer, from_completion, from_error
from engine.azure.connection import empty_chat
from engine.azure.errors import Limited, translated
from engine.azure.patience import LONGEST_SECONDS, Say, patiently
from engine.errors import ServiceError, ServiceUnavailable

if TYPE_CHECKING:
    from engine.azure.connection import Azure

Body = Callable[[], dict[str, Any]]
OnAnswer = Callable[[Answer, int], None]
FIRST_SECONDS = 0.5


async def warm_up(azure: Azure, deployment: str) -> None:
    """Open the connection with a request that costs nothing, so that no measured one has to."""
    await patiently(lambda: empty_chat(azure, deployment), place=azure.endpoint.endpoint)


async def ask(azure: Azure, deployment: str, body: dict[str, Any], custom_id: str) -> Answer:
    """Make one request.

    Returns:
        an Answer; a request that was refused for good (400, filtered) is one with `error`.

    Raises:
        ServiceUnavailable: it may be tried again (with `retry_after` where the service said when).
        ServiceError: sign-in refused, or no such deployment: no request will succeed.

    """
    client = azure.client.with_options(max_retries=0)
    started = time.perf_counter()
    try:
        with translated(azure.endpoint.endpoint):
            raw = await client.chat.completions.with_raw_response.create(**{**body, "model": deployment})
            milliseconds = (time.perf_counter() - started) * 1000
            completion = raw.parse().model_dump()
    except ServiceUnavailable:
        raise
    except ServiceError as error:
        if error.status is None or error.status == 404 or error.code == "BadRequestForDependentService":
            raise
        return from_error(custom_id, error.status, {"code": error.code, "message": error.message})
    return from_completion(custom_id, completion, milliseconds, raw.headers.get("apim-request-id"))


class _Gate:
    """What all requests share: how many may be under way, and until when nobody may ask."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.allowed = float(most)
        self._under_way = 0
        self._closed_until = 0.0
        self._delay = FIRST_SECONDS
        self._changed = asyncio.Condition()

    @property
    def limit(self) -> int:
        return max(1, int(self.allowed))

    async def enter(self, stop: Callable[[], bool]) -> bool:
        """Wait for a place; return whether there is one (or the scoring was stopped)."""
        async with self._changed:
            while not stop():
                wait = self._closed_until - time.monotonic()
                if wait <= 0 and self._under_way < self.limit:
                    self._under_way += 1
                    return True
                try:
                    async with asyncio.timeout(min(wait, 0.5) if wait > 0 else 0.5):
                        await self._changed.wait()
                except TimeoutError:
                    continue
            return False

    async def leave(self) -> None:
        async with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def went_well(self) -> None:
        self._delay = FIRST_SECONDS
        self.allowed = min(self._most, self.allowed + 1 / self.limit)

    def close(self, error: ServiceUnavailable) -> None:
        """Let nobody ask for as long as the service says, or for a doubling wait."""
        told = error.retry_after if isinstance(error, Limited) else None
        wait = (told if told is not None else self._delay) * random.uniform(1.0, 1.25)
        if error.status == 429:
            self.allowed = max(1.0, self.allowed / 2)
        self._delay = min(self._delay * 2, LONGEST_SECONDS)
        self._closed_until = max(self._closed_until, time.monotonic() + wait)


async def score(
    azure: Azure,
    deployment: str,
    requests: Iterable[tuple[str, Body]],
    *,
    concurrency: int,
    on_answer: OnAnswer,
    stop: Callable[[], bool],
    say: Say | None = None,
) -> None:
    """Make many requests, and hand over each answer as it comes.

    Args:
        azure: the connection.
        deployment: whom to ask.
        requests: (custom_id, function that makes the body); a body lives only while it is asked.
        concurrency: requests under way at most. 1 is strictly one after another.
        on_answer: called with the answer and the most requests that were allowed under way.
        stop: asked before each request; once true, what is under way is finished and the rest left.
        say: told of each different outage once.

    Raises:
        ServiceError: no request can succeed (sign-in, deployment).

    """
    gate = _Gate(concurrency)
    todo: Iterator[tuple[str, Body]] = iter(requests)
    told: set[str] = set()

    async def one(custom_id: str, make: Body) -> None:
        body = await asyncio.to_thread(make)
        while await gate.enter(stop):
            try:
                answer = await ask(azure, deployment, body, custom_id)
            except ServiceUnavailable as error:
                gate.close(error)
                if say is not None and error.message not in told:
                    told.add(error.message)
                    say(f"waiting: {error.message}")
                continue
            finally:
                await gate.leave()
            gate.went_well()
            on_answer(answer, concurrency)
            return

    async def worker() -> None:
        for custom_id, make in todo:  # shared: each request goes to exactly one worker
            if stop():
                return
            await one(custom_id, make)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())
    except* ServiceError as errors:
        raise errors.exceptions[0] from None
