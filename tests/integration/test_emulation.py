"""What the engine asks of a running emulator, on a real socket."""

import asyncio
import os
import time

import pytest

from engine import Engine, InputError, NotFoundError, ReadOnlyError
from engine import emulation as emulation_module
from engine.emulation import Emulation
from engine.errors import ServiceError, ServiceUnavailable
from engine.events import CallFault
from engine.jobs import embedded
from tests import stub_emulator


@pytest.fixture
def stub(home):
    home.root.mkdir()
    with stub_emulator.running(home) as stub:
        yield stub


@pytest.fixture
def unstarted(monkeypatch):
    """Nothing starts an emulator."""

    def ensure(home):
        raise AssertionError("it was started")

    monkeypatch.setattr(embedded, "ensure", ensure)


async def test_settings_are_read_and_set(home, stub):
    emulation = Emulation(home, "demo")
    settings = await emulation.settings()
    assert (settings.speed, settings.brain, settings.quota_minute, settings.active) == ("fast", True, None, ())
    calls = [{"operation": "chat", "kind": "429", "rate": 0.1, "times": None}]
    settings = await emulation.set({"speed": 20, "faults": {"latency": "article", "calls": calls}})
    assert stub.asked[-1][:2] == ("PATCH", "/emulator/settings")
    assert settings.speed == 20.0 and settings.faults.latency == "article"
    assert settings.faults.calls == (CallFault("chat", "429", 0.1, None),)
    assert settings.active == ("latency", "calls")
    view = await emulation.view()
    assert (view.running, view.under_way, view.active) == (True, 2, ("latency", "calls"))
    assert (await emulation.set({"faults": None})).active == ()


async def test_the_ledger_is_put_in_order(home, stub):
    stub.ledger = {
        "batches": [{"id": "batch_1", "at": 20.0, "client": "dogcls-tui/0.1.0 (job 1)", "requests": 9,
                     "prompt_tokens": 100, "completion_tokens": 10}],
        "fine_tuning_jobs": [{"id": "ftjob-1", "at": 30.0, "client": "c", "suffix": "dogs", "billed_tokens": 500}],
        "deployments": [{"id": "d@1", "at": 40.0, "name": "dogs", "model": "gpt", "client": "arm", "deleted_at": 50.0}],
        "chat_requests": {"total": 3, "by_deployment": {}, "by_client": {}},
        "chats": [{"deployment": "gpt-4o", "client": "curl/8", "requests": 3, "first_at": 10.0, "last_at": 60.0,
                   "prompt_tokens": 30, "completion_tokens": 3}],
        "something_new": 1,
    }  # fmt: skip
    chat, batch, tuning, deployment = await Emulation(home, "demo").ledger()
    assert (chat.kind, chat.name, chat.at, chat.until, chat.requests) == ("chat", "gpt-4o", 10.0, 60.0, 3)
    assert (batch.id, batch.requests, batch.prompt_tokens, batch.completion_tokens) == ("batch_1", 9, 100, 10)
    assert (tuning.name, tuning.training_tokens) == ("dogs", 500)
    assert (deployment.name, deployment.model, deployment.until) == ("dogs", "gpt", 50.0)


async def test_a_ledger_of_another_version_is_read_as_far_as_it_goes(home, stub):
    stub.ledger = {"batches": "none", "chats": [None, {"client": 7, "requests": "many", "first_at": None}]}
    (only,) = await Emulation(home, "demo").ledger()
    assert (only.client, only.requests, only.at) == ("7", 0, 0.0)


async def test_what_it_refuses_is_told_in_its_own_words(home, stub):
    stub.refusal = "faults.lost_lines: Input should be less than or equal to 1"
    with pytest.raises(InputError, match=r"refuses this: faults\.lost_lines: Input should be less"):
        await Emulation(home, "demo").set({"faults": {"lost_lines": 3}})


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_other_answers_are_errors_without_the_key(home, stub, status):
    stub.status = status
    with pytest.raises(ServiceError) as caught:
        await Emulation(home, "demo").settings()
    assert caught.value.status == status
    assert (await Emulation(home, "demo").view()).running
    told = f"{caught.value!r} {caught.value} {vars(caught.value)} {caught.value.__context__}"
    assert stub_emulator.KEY not in told


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[1]", b"\xff\xfe"])
async def test_an_answer_that_is_none_is_an_error(home, stub, raw):
    stub.raw = raw
    with pytest.raises(ServiceError):
        await Emulation(home, "demo").ledger()
    assert (await Emulation(home, "demo").view()).active == ()


async def test_one_that_never_answers_is_given_up_and_the_loop_goes_on(home, stub, monkeypatch):
    monkeypatch.setattr(emulation_module, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(emulation_module, "LOOK_SECONDS", 0.5)
    stub.wait.clear()
    emulation, turns = Emulation(home, "demo"), 0

    async def turn():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    turning = asyncio.create_task(turn())
    for call in (emulation.settings(), emulation.ledger(), emulation.set({"speed": "real"})):
        with pytest.raises(ServiceUnavailable, match="gives no answer") as caught:
            await asyncio.wait_for(call, 10)
        assert "emulator.log" in caught.value.cure
    assert (await emulation.view()).active == ()
    turning.cancel()
    assert turns > 60


async def test_looking_at_none_starts_none(home, unstarted):
    home.root.mkdir()
    emulation = Emulation(home, "demo")
    assert not (await emulation.view()).running
    assert await emulation.settings() is None
    assert await emulation.ledger() is None


async def test_one_that_is_just_ending_is_none(home, unstarted):
    home.root.mkdir()
    with stub_emulator.running(home):
        pass  # its process is alive, and listens no more
    emulation = Emulation(home, "demo")
    assert await emulation.settings() is None
    assert await emulation.ledger() is None
    assert (await emulation.view()).active == ()


async def test_setting_waits_for_the_one_that_takes_over_from_it(home, monkeypatch):
    home.root.mkdir()
    with stub_emulator.running(home):
        old = embedded.running(home)
    with stub_emulator.running(home) as stub:
        found = iter([old, old, embedded.running(home)])
        monkeypatch.setattr(embedded, "ensure", lambda home: next(found))
        assert (await Emulation(home, "demo").set({"speed": "real"})).speed == "real"
        assert stub.changes == {"speed": "real"}


async def test_setting_gives_up_on_one_that_stays_away(home, monkeypatch):
    home.root.mkdir()
    with stub_emulator.running(home):
        old = embedded.running(home)
    monkeypatch.setattr(embedded, "ensure", lambda home: old)
    monkeypatch.setattr(emulation_module, "LEAVING_SECONDS", 0.3)
    with pytest.raises(ServiceUnavailable):
        await Emulation(home, "demo").set({"speed": "real"})


async def test_an_empty_change_only_starts_it(home, stub):
    await Emulation(home, "demo").set({})
    assert stub.asked[-1][:2] == ("GET", "/emulator/settings")


async def test_other_profiles_have_none(home, stub):
    emulation = Emulation(home, "azure")
    assert not (await emulation.view()).running
    for call in (emulation.settings(), emulation.ledger(), emulation.set({})):
        with pytest.raises(NotFoundError, match="'azure' does not talk to the embedded emulator"):
            await call
    assert stub.asked == []


async def test_only_looking_sets_nothing(home, stub):
    engine = Engine(home.root, "demo", readonly=True)
    try:
        with pytest.raises(ReadOnlyError):
            await engine.emulation.set({"speed": "real"})
        assert (await engine.emulation.settings()).speed == "fast"
        assert [method for method, _, _ in stub.asked] == ["GET"]
    finally:
        engine.close()


async def test_no_proxy_of_the_environment_sees_the_key(home, stub, monkeypatch, unused_tcp_port):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_tcp_port}")
    assert (await Emulation(home, "demo").settings()).speed == "fast"


async def test_a_sign_of_life_costs_next_to_nothing(home, stub):
    emulation = Emulation(home, "demo")
    await emulation.view()
    began, used = time.perf_counter(), time.process_time()
    for _ in range(50):
        assert (await emulation.view()).running
    assert (time.process_time() - used) / 50 < 0.02  # the stand-in's own work included
    assert (time.perf_counter() - began) / 50 < 0.1


async def test_views_hold_no_key(home, stub):
    emulation = Emulation(home, "demo")
    found = [await emulation.view(), await emulation.settings(), await emulation.ledger(), embedded.running(home)]
    assert stub_emulator.KEY not in repr(found)
    assert os.getpid() == found[-1].pid
