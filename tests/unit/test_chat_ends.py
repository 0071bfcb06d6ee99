"""A request that always fails ends after its tries; an outage is waited out; a stop is noticed in both."""

import asyncio
import time
from collections import Counter

import pytest

from engine.azure import chat, patience
from engine.azure.answers import from_completion
from engine.azure.connection import Endpoint
from engine.errors import ServiceUnavailable

COMPLETION = {"choices": [{"message": {"content": "pug"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}
TRIES = chat.CHECK_FROM + chat.MOST_FAILURES
FAILURES = {
    "500": lambda: ServiceUnavailable("500 InternalServerError", status=500),
    "timeout": lambda: ServiceUnavailable("no answer within 60 s"),
    "reset": lambda: ServiceUnavailable("no answer (connection reset)"),
}


class Deployment:
    """Answers all but the poison; `outage` is how many calls, of any kind, get no answer first."""

    def __init__(self, monkeypatch, failure="500", outage=0, hang=False):
        self.calls = Counter()
        self.checks = 0
        self.outage = outage
        self.failure = FAILURES[failure]
        self.hang = hang
        self.endpoint = Endpoint("https://resource.example", "key")
        monkeypatch.setattr(chat, "FIRST_SECONDS", 0.001)
        monkeypatch.setattr(chat, "LONGEST_SECONDS", 0.002)
        monkeypatch.setattr(chat, "_ask", self.ask)
        monkeypatch.setattr(chat, "empty_chat", self.empty)

    async def down(self):
        if self.outage:
            self.outage -= 1
            raise ServiceUnavailable("no answer")

    async def ask(self, azure, deployment, body, custom_id, give_up):
        self.calls[custom_id] += 1
        if self.hang:
            await asyncio.sleep(3600)
        await self.down()
        await asyncio.sleep(0)
        if custom_id.startswith("poison"):
            raise self.failure()
        return from_completion(custom_id, COMPLETION, 1.0), {}

    async def empty(self, azure, deployment):
        self.checks += 1
        await self.down()

    async def score(self, names, concurrency, stop=lambda: False):
        answers = []
        requests = ((name, lambda: {}) for name in names)
        async with asyncio.timeout(20):
            await chat.score(
                self, "d", requests, concurrency=concurrency, on_answer=lambda a, _: answers.append(a), stop=stop
            )
        return {a.custom_id: a for a in answers}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(
    ("names", "concurrency"),
    [
        (["poison"], 1),
        (["poison"], 8),
        (["1", "poison", "2"], 1),
        ([*map(str, range(30)), "poison"], 8),
        ([f"poison{n}" for n in range(5)], 2),
    ],
    ids=["alone", "alone-of-8", "one-by-one", "last", "all"],
)
async def test_a_request_that_always_fails_ends_after_its_tries(monkeypatch, failure, names, concurrency):
    deployment = Deployment(monkeypatch, failure)
    answers = await deployment.score(names, concurrency)
    assert sorted(answers) == sorted(names)
    for name, answer in answers.items():
        assert (answer.error is not None) == name.startswith("poison")
        assert chat.MOST_FAILURES <= answer.attempts <= TRIES if name.startswith("poison") else answer.attempts == 1
    assert sum(deployment.calls.values()) == sum(a.attempts for a in answers.values())


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_an_outage_is_waited_out_however_long(monkeypatch, concurrency):
    deployment = Deployment(monkeypatch, outage=200)
    answers = await deployment.score(["1", "2", "3", "4"], concurrency)
    assert len(answers) == 4
    assert not any(a.error for a in answers.values())
    assert deployment.checks > 0


async def test_requests_that_fail_together_share_one_check(monkeypatch):
    deployment = Deployment(monkeypatch, outage=10**9)
    until = time.monotonic() + 0.5
    await deployment.score([str(n) for n in range(8)], 8, stop=lambda: time.monotonic() > until)
    assert 0 < deployment.checks < sum(deployment.calls.values()) / 2


@pytest.mark.parametrize("hang", [False, True])
async def test_a_stop_in_an_outage_is_noticed(monkeypatch, hang):
    deployment = Deployment(monkeypatch, outage=10**9, hang=hang)
    monkeypatch.setattr(chat, "STOP_SECONDS", 0.2)
    stopped = asyncio.Event()
    scoring = asyncio.create_task(deployment.score(["1", "2"], 2, stop=stopped.is_set))
    await asyncio.sleep(0.1)
    stopped.set()
    started = time.monotonic()
    assert await scoring == {}
    assert time.monotonic() - started < 1


async def test_an_answer_under_way_is_kept_when_a_stop_is_wanted(monkeypatch):
    """It is paid for."""
    deployment = Deployment(monkeypatch)
    ask = deployment.ask

    async def slowly(*arguments):
        await asyncio.sleep(3 * patience.LOOK_SECONDS)
        return await ask(*arguments)

    monkeypatch.setattr(chat, "_ask", slowly)
    stopped = asyncio.Event()
    scoring = asyncio.create_task(deployment.score(["1", "2"], 1, stop=stopped.is_set))
    await asyncio.sleep(0.05)
    stopped.set()
    assert list(await scoring) == ["1"]
