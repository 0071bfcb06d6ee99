"""What a service may say of waiting: every value has a floor and a ceiling, and a stop is noticed meanwhile."""

import asyncio
import json
import time
from email.utils import formatdate

import pytest

from engine.azure import batches, chat, errors
from engine.azure.connection import Azure, Endpoint
from engine.azure.errors import retry_after
from engine.azure.pace import Pace
from engine.azure.patience import patiently
from tests.answering import answering

NOW = 1_800_000_000
BUSY = json.dumps({"error": {"code": "429", "message": "slow down"}})
VALUES = [None, "5", "0", "-1", "nan", "inf", "-inf", "1e9", "date", "garbage", "0.0", "-0", "1e-9", "", "٣", "0x10"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5.0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "0", "retry-after": "9"}, 9.0),
        ({"retry-after": "0.001"}, errors.SHORTEST_WAIT),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "0", "x-ratelimit-reset-tokens": "7"}, 7.0),
        ({"retry-after": formatdate(NOW + 30, usegmt=True), "date": formatdate(NOW, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True), "date": formatdate(NOW, usegmt=True)}, None),
        ({"retry-after": formatdate(NOW + 10**7, usegmt=True), "date": formatdate(NOW, usegmt=True)}, None),
        ({"retry-after": "Thu, 99 Foo 2026 99:99:99 GMT"}, None),
    ],
)
def test_the_wait_that_is_read(headers, seconds):
    assert retry_after(headers) == seconds


def test_a_date_is_by_this_machines_clock_where_the_service_shows_none():
    assert retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)}) == pytest.approx(30, abs=2)


def limited(server, value):
    value = formatdate(time.time() + 3, usegmt=True) if value == "date" else value
    headers = [] if value is None else [("retry-after", value.encode().decode("latin-1"))]
    server.answer = (429, "application/json", BUSY, *headers)


async def first_request(server):
    async with asyncio.timeout(60):
        while not server.requests:  # noqa: ASYNC110 - the server has threads of its own
            await asyncio.sleep(0.01)


async def rate(server, call, seconds=1.0):
    """Return the requests in a second from a call's first one, and how long it takes to end once it is cancelled."""
    task = asyncio.create_task(call)
    await first_request(server)
    await asyncio.sleep(seconds)
    sent = len(server.requests)
    cancelled = time.monotonic()
    task.cancel()
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()
    return sent / seconds, time.monotonic() - cancelled


async def test_no_value_makes_a_flood_and_every_wait_can_be_left():
    """All values at once, each with a service and a connection of its own."""

    async def one(value):
        with answering() as server:
            limited(server, value)
            async with Azure(Endpoint(server.url, "sesame-0123456789", emulated=True)) as azure:
                return await rate(server, patiently(lambda: batches.get(azure, "b"), say=lambda _: None))

    found = await asyncio.gather(*(one(value) for value in VALUES))
    for value, (sent, left) in zip(VALUES, found, strict=True):
        assert 1 <= sent <= 10, value
        assert left < 5, value


async def test_no_value_makes_a_flood_of_single_requests():
    """Eight at once, as when nothing is known of a deployment: the first are refused together, and then few follow."""

    async def one(value):
        stop = []
        with answering() as server:
            limited(server, value)
            async with Azure(Endpoint(server.url, "sesame-0123456789", emulated=True)) as azure:
                questions = [(str(n), lambda: {"messages": []}) for n in range(50)]
                scoring = asyncio.create_task(
                    chat.score(
                        azure,
                        "d",
                        questions,
                        concurrency=8,
                        on_answer=lambda *_: None,
                        stop=lambda: bool(stop),
                        pace=Pace(8),
                    )
                )
                await first_request(server)
                await asyncio.sleep(2.0)
                sent, asked_at = len(server.requests), time.monotonic()
                stop.append(True)
                await asyncio.wait_for(scoring, 10)
                return sent, time.monotonic() - asked_at

    found = await asyncio.gather(*(one(value) for value in VALUES))
    for value, (sent, left) in zip(VALUES, found, strict=True):
        assert 1 <= sent <= 8 + 8 + 6, value
        assert left < 5, value
