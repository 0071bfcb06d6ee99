"""Scoring against a scripted server: single requests that go wrong, waits, and what is learnt without headers."""

import asyncio
import json
import threading
import time

import pytest

from engine.azure import chat, patience
from engine.azure.pace import Pace
from engine.errors import SignInError
from tests.integration.test_azure_service import ASK, azure, completion, service  # noqa: F401

BUSY = {"error": {"code": "500", "message": "busy"}}


@pytest.fixture
def ask(azure):  # noqa: F811
    async def score(names, concurrency=4, kept=None, **more):
        answers = [] if kept is None else kept

        def make(name):
            if name == "unreadable":
                raise FileNotFoundError(2, "No such file", "dog.jpg")
            return {"messages": [{"role": "user", "content": name}]}

        options = {"stop": lambda: False, **more}
        requests = ((name, lambda name=name: make(name)) for name in names)
        async with asyncio.timeout(20):
            await chat.score(
                azure, "d", requests, concurrency=concurrency, on_answer=lambda a, _: answers.append(a), **options
            )
        return answers

    return score


def said(body):
    return json.loads(body)["messages"][0]["content"]


async def test_a_request_that_fails_while_others_are_answered_is_given_up(service, ask, monkeypatch):  # noqa: F811
    """Else one poisoned picture would keep a scoring from ever ending; in an outage nobody is answered."""
    monkeypatch.setattr(chat, "FIRST_SECONDS", 0.005)
    monkeypatch.setattr(chat, "LONGEST_SECONDS", 0.005)

    def route(count, body):
        time.sleep(0.002)
        return (500, BUSY) if said(body) == "poison" else (200, completion())

    service.routes = {ASK: route}
    answers = await ask(["poison", *map(str, range(60))], concurrency=2)
    assert len(answers) == 61
    (bad,) = [a for a in answers if a.error]
    assert (bad.custom_id, bad.first_ms, bad.latency_ms) == ("poison", None, None)
    assert chat.MOST_FAILURES <= bad.attempts <= chat.MOST_FAILURES + 2  # some before anybody was answered
    assert "500" in bad.error and bad.total_ms > 0


async def test_in_an_outage_nothing_is_given_up(service, ask, monkeypatch):  # noqa: F811
    monkeypatch.setattr(chat, "FIRST_SECONDS", 0.005)
    monkeypatch.setattr(chat, "LONGEST_SECONDS", 0.005)
    service.routes = {ASK: lambda count, body: (500, BUSY) if count < 100 else (200, completion())}
    answers = await ask(map(str, range(8)))
    assert len(answers) == 8
    assert not any(a.error for a in answers)
    assert max(a.attempts for a in answers) > chat.MOST_FAILURES


async def test_an_image_that_cannot_be_read_is_that_images_failure(service, ask):  # noqa: F811
    service.routes = {ASK: lambda count, body: (200, completion())}
    one, two, three = await ask(["1", "unreadable", "3"], concurrency=1)
    assert (one.error, three.error) == (None, None)
    assert "dog.jpg" in two.error
    assert (two.attempts, two.total_ms) == (0, None)


async def test_what_is_under_way_is_kept_when_sign_in_is_refused(service, ask, monkeypatch):  # noqa: F811
    """It is paid for."""
    monkeypatch.setattr(patience, "DENIED_SECONDS", 0.0)
    refused = threading.Event()

    def route(count, body):
        if said(body) == "bad":
            refused.set()
            return 401, {"error": {"code": "401", "message": "no"}}
        refused.wait(5)
        time.sleep(0.1)
        return 200, completion()

    service.routes = {ASK: route}
    answers = []
    with pytest.raises(SignInError):
        await ask(["1", "2", "bad", *map(str, range(3, 50))], kept=answers)
    assert len(answers) == service.asked[ASK] - 1
    assert {"1", "2"} <= {a.custom_id for a in answers}
    assert len(answers) < 10


async def test_a_page_instead_of_an_answer_is_tried_again(service, ask, monkeypatch):  # noqa: F811
    monkeypatch.setattr(chat, "FIRST_SECONDS", 0.005)
    service.routes = {
        ASK: lambda count, body: (200, "<html>sign in to the hotel's network") if count == 1 else (200, completion())
    }
    (answer,) = await ask(["1"])
    assert (answer.text, answer.attempts) == ("Pug", 2)


async def test_a_wait_of_a_day_is_honoured_and_said(service, ask):  # noqa: F811
    heard = []
    limited = {"error": {"code": "429", "message": "slow down"}}
    service.routes = {ASK: lambda count, body: (429, limited, ("retry-after", "86400"))}
    assert await ask(["1", "2"], concurrency=1, say=heard.append, stop=lambda: bool(heard)) == []
    assert service.asked[ASK] == 1
    assert "for 86,4" in heard[0] and "slow down" in heard[0]


async def test_a_limit_without_headers_is_found(service, ask):  # noqa: F811
    """Ten requests in each half of a second, and not a word about it."""
    window = [0.0, 0]
    limited = {"error": {"code": "429", "message": "slow down"}}

    def route(count, body):
        with service.lock:
            now = time.monotonic()
            if now >= window[0] + 0.5:
                window[:] = now, 0
            if window[1] >= 10:
                left = window[0] + 0.5 - now
                return 429, limited, ("retry-after-ms", str(int(left * 1000) + 1))
            window[1] += 1
        time.sleep(0.02)
        return 200, completion()

    service.routes = {ASK: route}
    pace, began = Pace(16), time.monotonic()
    answers = await ask(map(str, range(60)), concurrency=16, pace=pace)
    assert len(answers) == 60
    assert service.asked[ASK] == 60 + pace.refused
    assert pace.refused < 30
    assert time.monotonic() - began < 7  # even: 3 s
