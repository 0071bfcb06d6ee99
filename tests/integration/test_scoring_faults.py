"""Scoring while the service has a bad day: every kind of fault alone and every pair of them, on a real emulator."""

import itertools
import json
import time
import urllib.request
from collections import Counter

import pytest

from engine.azure import chat, patience
from engine.azure.connection import Azure, Endpoint
from engine.errors import SignInError
from tests.conftest import Emulator

FAILURES = ("408", "429", "500", "502", "503", "refuse", "drop", "hang")
FILTERS = ("content_filter", "filtered_answer")
KINDS = (*FAILURES, *FILTERS)
COUNT = 10
TIMES = 2
GIVE_UP = 0.4  # seconds; only where something hangs, as a busy machine may take as long to answer


class Blind(Emulator):
    """Without a brain: nothing here depends on what it sees."""

    def start(self):
        self.command = [*(word for word in self.command if word != "--no-brain"), "--no-brain"]
        super().start()

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"api-key": self.api_key, "content-type": "application/json"}
        request = urllib.request.Request(self.endpoint + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def faults(self, *kinds, times=TIMES, **more):
        calls = [{"operation": "chat", "kind": kind, "rate": 1, "times": count(kind, times)} for kind in kinds]
        self.call("PATCH", "/emulator/settings", {"faults": None})
        self.call("PATCH", "/emulator/settings", {"faults": {**more, **({"calls": calls} if calls else {})}})

    def left(self):
        return self.call("GET", "/emulator/settings")["faults"]["calls"]


def count(kind, times):
    return 1 if kind == "429" else times  # each 429 says to wait for a second


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blind")
    emulator = Blind(folder / "state", folder / "cache")
    yield emulator
    emulator.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(chat, "FIRST_SECONDS", 0.01)


async def score(place, names=range(COUNT), kept=None, **more):
    """Score; the answers are in `kept`, too, where it ends badly."""
    answers = [] if kept is None else kept
    body = {"messages": [{"role": "user", "content": "Say yes."}]}
    options = {"concurrency": 4, "stop": lambda: False, **more}
    async with Azure(place) as azure:
        requests = ((str(n), lambda: body) for n in names)
        await chat.score(azure, "gpt-4o", requests, on_answer=lambda answer, _: answers.append(answer), **options)
    return answers


@pytest.mark.parametrize("kinds", [*((k,) for k in KINDS), *itertools.combinations(KINDS, 2)], ids="+".join)
async def test_every_image_is_accounted_for(blind, kinds):
    blind.faults(*kinds)
    before = blind.ledger()["chat_requests"]["total"]
    hangs = "hang" in kinds
    answers = await score(Endpoint(blind.endpoint, blind.api_key), give_up=GIVE_UP if hangs else 30)
    assert blind.left() == []
    assert sorted(int(a.custom_id) for a in answers) == list(range(COUNT))
    made = Counter({kind: count(kind, TIMES) for kind in kinds})
    assert sum(a.filtered for a in answers) == sum(made[kind] for kind in FILTERS)
    assert all(a.filtered or (a.text and a.error is None) for a in answers)
    attempts, least = sum(a.attempts for a in answers), COUNT + sum(made[kind] for kind in FAILURES)
    assert attempts >= least if hangs else attempts == least
    for a in answers:
        assert (a.first_ms is None) == (a.attempts > 1 or a.latency_ms is None)
        assert a.total_ms >= (a.latency_ms or 0)
    paid = blind.ledger()["chat_requests"]["total"] - before
    worked_on = COUNT - made["content_filter"] + made["drop"] + made["hang"]
    assert paid >= worked_on if hangs else paid == worked_on


async def test_times_are_of_what_they_say(blind):
    blind.faults("hang", times=1, latency=100)
    answers = await score(Endpoint(blind.endpoint, blind.api_key), range(3), concurrency=1, give_up=1)
    first, *rest = answers
    assert (first.attempts, first.first_ms) == (2, None)
    assert 100 <= first.latency_ms < 1000 <= first.total_ms - first.latency_ms  # of the attempt that hung
    for answer in rest:
        assert answer.attempts == 1
        assert answer.first_ms == answer.latency_ms >= 100
        assert answer.total_ms >= answer.latency_ms


@pytest.mark.parametrize("other", [None, *KINDS])
async def test_a_refused_key_ends_it_and_what_was_answered_is_kept(blind, other, monkeypatch):
    monkeypatch.setattr(patience, "DENIED_SECONDS", 0.0)
    blind.faults("401", *([other] if other else []), times=1)
    kept = []
    place = Endpoint(blind.endpoint, blind.api_key)
    with pytest.raises(SignInError):
        await score(place, kept=kept, give_up=GIVE_UP if other == "hang" else 30)
    rest = [n for n in range(COUNT) if str(n) not in {a.custom_id for a in kept}]
    blind.faults()
    kept += await score(place, rest)
    assert sorted(int(a.custom_id) for a in kept) == list(range(COUNT))


@pytest.mark.parametrize("version", ["dated", "v1"])
async def test_an_expired_token_is_replaced(blind, monkeypatch, version):
    import azure.identity.aio
    from azure.core.credentials import AccessToken

    lives = iter([0.001, *[3600] * 50])

    class Credential:
        def __init__(self, *_, **__):
            pass

        async def get_token(self, *_, **__):
            made = blind.call("POST", "/emulator/token", {"seconds": next(lives)})
            return AccessToken(made.get("access_token") or made["token"], int(time.time()) + 1)

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            pass

    monkeypatch.setattr(azure.identity.aio, "DefaultAzureCredential", Credential)
    blind.faults("401", times=1)
    answers = await score(Endpoint(blind.endpoint + ("/openai/v1" if version == "v1" else "")), concurrency=1)
    assert len(answers) == COUNT
    assert sum(a.attempts for a in answers) >= COUNT + 1
    monkeypatch.setattr(patience, "DENIED_SECONDS", 0.0)
    blind.faults("401", times=50)
    with pytest.raises(SignInError):
        await score(Endpoint(blind.endpoint + ("/openai/v1" if version == "v1" else "")))
    blind.faults()
