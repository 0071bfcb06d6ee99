"""An experiment is started whole, also when the one who starts it leaves in the middle."""

import asyncio
import os
import threading

import pytest

from engine import Engine, Spec
from engine.jobs import scheduler


class Process:
    pid = os.getpid()


async def test_leaving_in_the_middle_of_starting_leaves_no_job_behind(home, dogs, monkeypatch):
    reached, go_on, started = threading.Event(), threading.Event(), []

    def detach(module, arguments, log):
        reached.set()
        assert go_on.wait(30)
        started.append(arguments)
        return Process

    monkeypatch.setattr(scheduler, "detach", detach)
    engine = Engine(home.root)
    try:
        await engine.add_dataset(str(dogs), "dogs", train=9, val=2, test=5)
        spec = Spec(dataset="dogs", contestants=("cnn",))
        plan, _ = await engine.plan(spec)
        task = asyncio.create_task(engine.start(spec, plan))
        assert await asyncio.to_thread(reached.wait, 30)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        go_on.set()
        engine.close()
    assert len(started) == 1
    engine = Engine(home.root)
    try:
        assert [(job.state, engine.store.jobs.get(job.id).pid) for job in await engine.jobs()] == [
            ("queued", os.getpid())
        ]
    finally:
        engine.close()
