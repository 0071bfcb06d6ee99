"""A home with something to see in it: an experiment in the middle, nothing that moves by itself."""

import os

import pytest

from engine import Engine, clock
from engine.azure.connection import Endpoint
from engine.azure.quota import Quota
from engine.jobs import outlook, provenance, scheduler, service
from engine.jobs.process import start_time
from engine.states import JobState, Outcome
from engine.store.experiments import NewContestant, NewJob
from engine.store.predictions import Prediction
from tests.loops import no_store_on_the_loop
from tests.tui.make_store import restore
from tui import bridge
from tui.styles import theme

PLACE = Endpoint("http://127.0.0.1:8000", deployment="gpt-4o", batch_deployment="gpt-4o-batch", emulated=True)
AT = 1_790_000_000.0
QUOTAS = {
    "gpt-4o": Quota("GlobalStandard", 450, tokens_a_minute=450_000, requests_a_minute=2_700),
    "gpt-4o-batch": Quota("GlobalBatch", 5_000, enqueued_tokens=5_000_000),
}
CONTESTANTS = [
    NewContestant("zero-shot", "zero-shot", "gpt-4o-2024-08-06", True, "Which?", "json"),
    NewContestant("fine-tuned", "fine-tuned", "gpt-4o-2024-08-06", True, "Which?", "text"),
    NewContestant("cnn", "cnn", "quick", False, "", "class"),
]
JOBS = [
    NewJob("batch", {}, 0),
    NewJob("probe", {}, 0),
    NewJob("fine-tune", {}, 1),
    NewJob("deploy", {}, 1, needs=(2,)),
    NewJob("score", {}, 1, needs=(3,)),
    NewJob("train", {}, 2),
]


@pytest.fixture
def stopped_clock(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: AT)
    monkeypatch.setattr(bridge, "now", lambda: AT + 42)


@pytest.fixture
def spawned(monkeypatch):
    """Start no processes; return what would have been started."""
    started = []

    class Process:
        pid = os.getpid()

    monkeypatch.setattr(scheduler, "detach", lambda module, arguments, log: started.append(arguments) or Process)
    return started


@pytest.fixture
def done(home, stopped_clock, spawned, monkeypatch):
    """A home whose store a real run of the demo wrote (see `make_store`); the pictures are not there."""
    versions = {"dogcls-tui": "0.1.0", "python": "3.11.0", "torch": "2.6.0"}  # alike on every machine
    monkeypatch.setattr(provenance, "software", lambda: versions)
    home.root.mkdir(mode=0o700)
    restore(home.store)
    home.store.chmod(0o600)
    engine = Engine(home.root)
    yield engine
    engine.close()


@pytest.fixture
def priced(done, monkeypatch):
    """Such a home, whose prices are known without its emulator being started."""
    monkeypatch.setattr(service, "endpoint", lambda home, profile: PLACE)

    async def look_up(place, names):
        return {name: QUOTAS[name] for name in names}

    monkeypatch.setattr(outlook, "look_up", look_up)
    return done


@pytest.fixture(autouse=True)
def no_transaction_on_the_event_loop(monkeypatch):
    """The app's keys wait for no store: none of its coroutines begins a transaction, or a query, on its own thread."""
    with no_store_on_the_loop(monkeypatch) as found:
        yield
    assert found == []


@pytest.fixture(autouse=True)
def first_look():
    """Every test begins with the same colours."""
    yield
    theme.use(theme.DEFAULT)


@pytest.fixture
def engine(home, stopped_clock, spawned):
    engine = Engine(home.root)
    yield engine
    engine.close()


def run_to(store, job_id, state, message="", error=None):
    store.jobs.change(job_id, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    attempt = store.jobs.get(job_id).attempt
    store.jobs.claim(job_id, attempt, os.getpid(), start_time(os.getpid()))
    if state != JobState.RUNNING:
        store.jobs.change(
            job_id, state, expected=(JobState.RUNNING,), attempt=attempt, message=message or state, error=error
        )
    return attempt


@pytest.fixture
def busy(engine):
    """Zero-shot is done, fine-tuning runs, the CNN was interrupted."""
    store = engine.store
    labels = ["beagle", "pug"]
    images = [(f"{n}.jpg", n % 2, split, 1, 1, 1, str(n)) for split in ("train", "val", "test") for n in range(20)]
    images = [(f"{i[2]}-{i[0]}", *i[1:]) for i in images]
    store.datasets.add(
        "dogs", source="/dogs", root="/dogs", split="stratified", seed=42, digest="0" * 64, labels=labels, images=images
    )
    store.experiments.add("dogs", dataset="dogs", profile="demo", spec="", contestants=CONTESTANTS, jobs=JOBS)
    zero_shot = store.experiments.contestants("dogs")[0].id
    for number in (1, 2):
        run_to(store, number, JobState.SUCCEEDED)
    attempt = run_to(store, 3, JobState.RUNNING)
    store.jobs.log(3, "created fine-tuning job ftjob-0123")
    for step in range(10, 130, 10):
        store.jobs.log(3, f"Step {step}: training loss={1 / step:.4f}")
    store.jobs.log(3, "waiting: 503 the service is busy", "warning")
    store.jobs.progress(3, attempt, 120, 214, "running")
    run_to(store, 6, JobState.INTERRUPTED, "the worker is gone; resume goes on from here", "the worker process is gone")
    store.jobs.charge(1, zero_shot, "inference", 0.096)
    test = store.datasets.images("dogs", "test")
    store.predictions.add(
        zero_shot,
        [Prediction(i.id, "x", i.label if n < 13 else 1 - i.label, Outcome.ANSWERED) for n, i in enumerate(test)],
    )
    for n, image in enumerate(test):
        store.predictions.add_latency(zero_shot, image.id, 100.0 + n)
    return engine
