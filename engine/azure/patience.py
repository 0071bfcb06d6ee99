"""Waiting out an outage. For calls that may safely be made twice; paid ones look first (see `batches`)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from engine.azure.errors import Limited, translated
from engine.errors import ServiceUnavailable, SignInError

T = TypeVar("T")
FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
LIMIT_SECONDS = 6 * 3600.0
DENIED_SECONDS = 15 * 60.0
"""How long a refusal of sign-in is waited out: roles, tokens and firewalls are at times wrong for some minutes."""
LOOK_SECONDS = 0.2
"""How soon a stop cuts off a call or a wait."""

Say = Callable[[str], None]


async def patiently(
    call: Callable[[], Awaitable[T]],
    *,
    say: Say | None = None,
    limit: float = LIMIT_SECONDS,
    denied: float | None = None,
    place: str = "service",
) -> T:
    """Make a call until it succeeds or fails for good.

    Waits half a second, doubling to 30, each with jitter, or as long as the service says. The wait ends
    at once when the task is cancelled.

    Args:
        call: may be made any number of times.
        say: told of each different outage once, and of its end.
        limit: seconds after which the outage is raised.
        denied: seconds after which a 401 or 403 is raised; None for `DENIED_SECONDS` where `say` shows the wait, and
            for at once where nothing does.
        place: the endpoint, for messages.

    Raises:
        DogclsError: see `engine.azure.errors.translate`.

    """
    delay = FIRST_SECONDS
    started = time.monotonic()
    told = ""
    refused_since: float | None = None
    patience = denied if denied is not None else DENIED_SECONDS if say is not None else 0.0
    while True:
        try:
            with translated(place):
                result = await call()
        except (ServiceUnavailable, SignInError) as error:
            now = time.monotonic()
            if isinstance(error, SignInError):
                refused_since = refused_since or now
                if now - refused_since >= patience:
                    raise
            else:
                refused_since = None
                if now - started > limit:
                    raise
            if say is not None and error.message != told:
                told = error.message
                say(f"waiting: {error.message}")
            wait = error.retry_after if isinstance(error, Limited) and error.retry_after is not None else delay
            await asyncio.sleep(wait * random.uniform(1.0, 1.25))
            delay = min(delay * 2, LONGEST_SECONDS)
        else:
            if told and say is not None:
                say("the service answers again")
            return result


async def admitted(call: Callable[[], Awaitable[T]], *, say: Say | None = None, place: str = "service") -> T:
    """Make a call that must not be made twice: only refusals of sign-in are waited out, since they did nothing.

    Raises:
        DogclsError: see `patiently`; an outage at once.

    """

    async def once() -> T | ServiceUnavailable:
        try:
            with translated(place):
                return await call()
        except ServiceUnavailable as error:
            return error

    found = await patiently(once, say=say, place=place)
    if isinstance(found, ServiceUnavailable):
        raise found
    return found


async def stoppable(work: Coroutine[Any, Any, T], check: Callable[[], None]) -> T:
    """Run work that may be cut off anywhere, and cut it off as soon as `check` raises.

    Outages are waited out for hours, and a call may hang for minutes: a stop waits for neither.

    Args:
        work: runs as a task of its own.
        check: is called every fifth of a second; it raises where the work is no longer wanted.

    """
    task = asyncio.create_task(work)
    try:
        check()
        while not (await asyncio.wait({task}, timeout=LOOK_SECONDS))[0]:
            check()
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # it is retrieved, so that it is not reported as lost
