"""Cancel, pause and the end of the process are noticed while the service is away, by every kind of job."""

import asyncio
import os
import time

import pytest

from engine.jobs import kinds
from engine.jobs.context import Context, Stopped
from engine.jobs.process import start_time
from engine.states import JobKind, JobState, Request
from engine.store.experiments import NewContestant, NewJob
from tests.pictures import catalogued, plain
from tests.proxy import Proxy

MODEL = "gpt-4o-2024-08-06"
COMMON = {
    "dataset": "dogs", "profile": "azure", "model": MODEL, "prompt": "Which of {labels}?", "answer": "json",
    "detail": "low", "deployment": "gpt-4o", "concurrency": 4, "probe": 2, "epochs": 1, "batch_size": 1,
    "lr_multiplier": 0.1, "seed": 1,
}  # fmt: skip
JOBS = {
    "batch": (JobKind.BATCH, {"retry": "batch"}),
    "probe": (JobKind.PROBE, {}),
    "fine-tune": (JobKind.FINE_TUNE, {}),
    "deploy": (JobKind.DEPLOY, {"tuned_model": f"{MODEL}.ft-1"}),
    "score": (JobKind.SCORE, {}),
}
OUTAGES = {
    "500": lambda *_: (500, b'{"error": {"code": "500", "message": "down"}}', {"content-type": "application/json"}),
    "portal": lambda *_: (200, b"<html>Sign in</html>", {"content-type": "text/html"}),
    "reset": lambda *_: "reset",
    "hang": lambda *_: "hang",
}
SECONDS = 2.0


@pytest.fixture
def service(monkeypatch):
    proxy = Proxy("http://127.0.0.1:9")
    for name, value in {
        "AZURE_OPENAI_ENDPOINT": proxy.url,
        "AZURE_ARM_ENDPOINT": proxy.url,
        "AZURE_OPENAI_API_KEY": "key-of-the-test",
        "AZURE_OPENAI_DEPLOYMENT_NAME": "gpt-4o",
        "AZURE_OPENAI_BATCH_DEPLOYMENT_NAME": "gpt-4o",
        "AZURE_SUBSCRIPTION_ID": "s",
        "AZURE_RESOURCE_GROUP": "g",
        "AZURE_OPENAI_ACCOUNT": "a",
    }.items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.close()


@pytest.fixture
def make(home, store, tmp_path):
    rows = []
    for number in range(24):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(plain(number))
        image = catalogued(path, label=number % 2)
        split = "train" if number < 20 else "test"
        rows.append((path.name, image.label, split, image.bytes, image.width, image.height, image.sha256))
    store.datasets.add(
        "dogs", source="x", root=tmp_path, split="given", seed=None, digest="d", labels=("beagle", "pug"), images=rows
    )

    def made(kind):
        name, parameters = JOBS[kind]
        who = NewContestant("c", "zero-shot", MODEL, True, "Which of {labels}?", "json")
        (job,) = store.experiments.add(
            "e",
            dataset="dogs",
            profile="azure",
            spec="",
            contestants=[who],
            jobs=[NewJob(name, {**COMMON, **parameters}, 0)],
        )
        store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
        assert store.jobs.claim(job, 1, os.getpid(), start_time(os.getpid()))
        return Context(home, store, store.jobs.get(job))

    return made


@pytest.mark.parametrize("request_", [Request.CANCEL, Request.PAUSE, None], ids=["cancel", "pause", "SIGTERM"])
@pytest.mark.parametrize(
    ("kind", "outage"), [*((kind, "500") for kind in JOBS), ("batch", "portal"), ("deploy", "reset"), ("score", "hang")]
)
async def test_a_stop_is_noticed_while_the_service_is_away(service, make, store, kind, outage, request_):
    service.rule = OUTAGES[outage]
    context = make(kind)
    with context:
        running = asyncio.create_task(kinds.run(context))
        await asyncio.to_thread(service.wait_for, 1)
        await asyncio.sleep(0.3)
        assert not running.done()  # it waits
        asked = time.monotonic()
        if request_ is None:
            context.terminate()
        else:
            assert store.jobs.ask(context.job.id, request_)
        with pytest.raises(Stopped) as stopped:
            async with asyncio.timeout(30):
                await running
        took = time.monotonic() - asked
    assert stopped.value.request == request_
    assert took < SECONDS + (request_ is not None)  # a request is read from the store, once a second
