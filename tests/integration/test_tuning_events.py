"""A fine-tuning job that is cancelled while it tells: its events and metrics are kept without gap, repeat or disorder."""

import asyncio
import itertools
import json
import os
import urllib.request

import pytest

from engine.azure import patience
from engine.jobs import kinds
from engine.jobs.context import Context, Stopped
from engine.jobs.kinds import fine_tune
from engine.jobs.process import start_time
from engine.states import JobKind, JobState, Request
from engine.store.experiments import NewContestant, NewJob
from tests.conftest import Emulator
from tests.pictures import catalogued, plain

IMAGES, EPOCHS = 500, 50
STEPS = IMAGES * EPOCHS
ENDED = (JobState.WAITING, JobState.INTERRUPTED, JobState.CANCELLED)


class Place(Emulator):
    """An emulator that learns nothing, so that it tells much in a short time."""

    def start(self):
        self.command.append("--no-brain")
        super().start()

    def send(self, method, path, value=None):
        headers = {"api-key": self.api_key, "content-type": "application/json"}
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.endpoint + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def events(self, tuning_id):
        """Return all that the service has told of a job, oldest first."""
        found, after = [], ""
        while True:
            page = self.send("GET", f"/openai/v1/fine_tuning/jobs/{tuning_id}/events?limit=100{after}")
            found += page["data"]
            if not page["has_more"]:
                return found[::-1]
            after = f"&after={found[-1]['id']}"


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("events"), tmp_path_factory.mktemp("no-cache"), "instant")
    yield place
    place.stop()


@pytest.fixture
def place(emulated, monkeypatch):
    for name, value in emulated.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(fine_tune, "EMULATED_POLL_SECONDS", 0.02)
    monkeypatch.setattr(patience, "FIRST_SECONDS", 0.02)
    yield emulated
    emulated.send("PATCH", "/emulator/settings", {"faults": None})


@pytest.fixture
def job(home, store, tmp_path, place):
    """A fine-tuning job that takes long, and says so often."""
    (tmp_path / "pictures").mkdir()
    rows = []
    for number in range(IMAGES):
        path = tmp_path / "pictures" / f"{number}.jpg"
        path.write_bytes(plain(number))
        image = catalogued(path, label=number % 2)
        rows.append((path.name, image.label, "train", image.bytes, image.width, image.height, image.sha256))
    store.datasets.add(
        "dogs", source="x", root=tmp_path / "pictures", split="given", seed=None, digest="d",
        labels=("beagle", "pug"), images=rows,
    )  # fmt: skip
    parameters = {
        "dataset": "dogs", "profile": "azure", "model": "gpt-4o-2024-08-06", "prompt": "Which of {labels}?",
        "answer": "text", "detail": "low", "epochs": EPOCHS, "batch_size": 1, "lr_multiplier": 0.1, "seed": 1,
    }  # fmt: skip
    who = NewContestant("f", "fine-tuned", "gpt-4o-2024-08-06", True, "Which of {labels}?", "text")
    (made,) = store.experiments.add(
        "e", dataset="dogs", profile="azure", spec="", contestants=[who],
        jobs=[NewJob(JobKind.FINE_TUNE, parameters, 0)],
    )  # fmt: skip
    return made


@pytest.fixture
def attempt(home, store, job):
    """Run one attempt, and stop it when so many steps were measured."""

    def measured():
        return max((m.step for m in store.jobs.metrics(job)), default=0)

    async def run(steps, request):
        store.jobs.change(job, JobState.QUEUED, expected=ENDED, message="queued")
        number = store.jobs.get(job).attempt
        assert store.jobs.claim(job, number, os.getpid(), start_time(os.getpid()))
        context = Context(home, store, store.jobs.get(job))
        with context, pytest.raises(Stopped) as stopped:
            task = asyncio.create_task(fine_tune.run(context))
            async with asyncio.timeout(60):
                for _ in itertools.count():
                    if measured() >= steps or task.done():
                        break
                    await asyncio.sleep(0.005)
            if request is None:
                context.terminate()
            else:
                store.jobs.ask(job, request)
            await task
        assert stopped.value.request == request
        if request is None:
            store.jobs.change(job, JobState.INTERRUPTED, expected=(JobState.RUNNING,), message="over")
        else:
            store.jobs.change(job, JobState.CANCELLING, expected=(JobState.RUNNING,), message="cancelling")
            with Context(home, store, store.jobs.get(job)) as context:
                await kinds.cancel(context)
            store.jobs.change(job, JobState.CANCELLED, expected=(JobState.CANCELLING,), message="cancelled")
        return measured()

    return run


def kept(store, job):
    rows = store.db.rows(
        "SELECT remote_id, message FROM job_events WHERE job_id = ? AND remote_id IS NOT NULL ORDER BY id", job
    )
    return [(row["remote_id"], row["message"]) for row in rows]


def check(store, place, job):
    """Compare what was kept with what the service has told."""
    ((_, tuning_id, _),) = store.jobs.remote_calls(job)
    told = place.events(tuning_id)
    assert kept(store, job) == [(event["id"], event["message"]) for event in told]
    assert len(told) > 100  # more than one page
    arrived = [m.step for m in store.jobs.last_metrics(job) if m.name == "train_loss"]
    last = arrived[-1]
    assert arrived == [1, *range(10, last + 1, 10)]
    assert 10 < last <= STEPS  # all of them where a busy machine lets the service finish before it hears the cancel
    assert arrived == [event["data"]["step"] for event in told if event["type"] == "metrics"]
    values = {m.step: m.value for m in store.jobs.metrics(job) if m.name == "train_loss"}
    for event in told:
        if event["type"] == "metrics":
            assert values[event["data"]["step"]] == event["data"]["train_loss"]
    at = [m.at for m in store.jobs.last_metrics(job) if m.name == "train_loss"]
    assert at == sorted(at)
    return last


async def test_a_cancel_while_events_come_keeps_them_all_in_order(store, place, job, attempt):
    seen = await attempt(1_200, Request.CANCEL)
    assert check(store, place, job) == seen >= 1_200
    paid = place.ledger()["fine_tuning_jobs"][-1]
    assert paid["billed_tokens"] > 0
    assert store.jobs.view(job).cost_usd > 0


async def test_so_does_one_after_a_worker_was_ended_and_calls_were_lost(store, place, job, attempt):
    calls = [{"operation": "fine_tuning.events", "kind": kind, "times": 1} for kind in ("drop", "500", "503")]
    place.send("PATCH", "/emulator/settings", {"faults": {"calls": calls}})
    first = await attempt(300, None)
    seen = await attempt(first + 900, Request.CANCEL)
    assert check(store, place, job) == seen > first
