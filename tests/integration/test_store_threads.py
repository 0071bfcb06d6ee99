"""Commands that watch call the store in threads: a store that is held stops no event loop."""

import asyncio

import pytest

from engine import Engine
from engine.jobs import scheduler
from engine.store import Store
from tests.loops import no_store_on_the_loop
from tests.outcomes import experiment


@pytest.mark.parametrize(
    "command", ["--once", "--plain", "jobs", "logs 1 --follow", "cancel 1", "results", "data list"]
)
def test_no_command_calls_the_store_on_its_event_loop(dogcls, home, tmp_path, monkeypatch, command):
    store = Store(home.store)
    experiment(store, tmp_path / "pets")
    store.close()
    monkeypatch.setattr(scheduler, "detach", None)
    with no_store_on_the_loop(monkeypatch) as found:
        code, _, err = dogcls(home.root, *command.split())
    assert code in (0, 2), err  # 2: there is nothing to cancel
    assert found == []


def test_the_guard_finds_a_call_on_the_event_loop(home, monkeypatch):
    engine, place = Engine(home.root), {}
    exec(compile("async def here(work, *given): return work(*given)", "elsewhere.py", "exec"), place)  # not of a test
    monkeypatch.setattr(asyncio, "to_thread", place["here"])
    with no_store_on_the_loop(monkeypatch) as found:
        asyncio.run(engine.jobs())
    engine.close()
    assert found[0].endswith("Engine.jobs calls Database._read")
