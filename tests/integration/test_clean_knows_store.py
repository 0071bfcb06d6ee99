"""`clean --yes` in each state of each kind of job: the job still ends well, and nothing is paid twice."""

import asyncio
import os

import pytest

from engine.azure import deployments, patience
from engine.jobs import kinds
from engine.jobs.context import Context
from engine.jobs.importing import add_dataset
from engine.jobs.kinds import fine_tune, rounds
from engine.jobs.process import start_time
from engine.states import JobKind, JobState, Request
from engine.store.experiments import NewContestant, NewJob
from tests.conftest import wait_for
from tests.integration.batches.world import Place, eventually
from tests.pictures import class_folders

MODEL = "gpt-4o-2024-08-06"
COMMON = {
    "dataset": "set", "profile": "azure", "model": MODEL, "prompt": "Which of {labels}?", "answer": "json",
    "detail": "low", "retry": "batch", "realtime": "gpt-4o", "concurrency": 2, "probe": 0,
}  # fmt: skip
TUNING = {"epochs": 1, "batch_size": 6, "lr_multiplier": 0.5, "seed": 1, "convert": False}


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("place"), tmp_path_factory.mktemp("no-cache"))
    yield place
    place.stop()


@pytest.fixture
def place(emulated, monkeypatch):
    for name, value in emulated.environment().items():
        monkeypatch.setenv(name, value)
    for module in (rounds, fine_tune, deployments):
        monkeypatch.setattr(module, "EMULATED_POLL_SECONDS", 0.05)
    monkeypatch.setattr(patience, "FIRST_SECONDS", 0.05)
    yield emulated
    emulated.set(speed="instant", faults=None)


class Chain:
    """Jobs of this home, each done in this process until it is stopped somewhere."""

    def __init__(self, home, store, folder, place, *jobs):
        self.home, self.store, self.place = home, store, place
        class_folders(folder, ("pug", "beagle"), 10)
        add_dataset(store, home, str(folder), "set", None, {"train": 6, "val": 1, "test": 3})
        whom = NewContestant("z", "zero-shot", MODEL, True, "Which?", "json")
        self.jobs = store.experiments.add(
            "e", dataset="set", profile="azure", spec="", contestants=[whom], jobs=list(jobs)
        )
        self.before = self.paid()

    def paid(self):
        """Return how many batches, fine-tuning jobs and deployments of ours the emulator has been paid for."""
        book = self.place.ledger()
        return [len(book[kind]) for kind in ("batches", "fine_tuning_jobs", "deployments")]

    def bought(self):
        return [now - then for now, then in zip(self.paid(), self.before, strict=True)]

    def run(self, number, until=None, request=None):
        return asyncio.run(self._run(number, until, request))

    async def _run(self, number, until, request):
        """Do an attempt; once `until` is in the log, pause it, or interrupt it without a request."""
        job_id, jobs = self.jobs[number], self.store.jobs
        begun = len(jobs.lines(job_id))
        states = set(JobState) - {JobState.QUEUED, JobState.RUNNING}
        assert jobs.change(job_id, JobState.QUEUED, expected=states, message="queued")
        attempt = jobs.get(job_id).attempt
        assert jobs.claim(job_id, attempt, os.getpid(), start_time(os.getpid()))
        context, result = Context(self.home, self.store, jobs.get(job_id)), None
        try:
            with context:
                task = asyncio.create_task(kinds.run(context))
                if until:
                    await eventually(lambda: any(until in line.message for line in jobs.lines(job_id)[begun:]))
                    if request is None:
                        context.terminate()
                    else:
                        jobs.ask(job_id, request)
                result = await task
        except BaseException as stopped:
            if type(stopped).__name__ != "Stopped":
                raise
        finally:
            to = JobState.SUCCEEDED if result else JobState.PAUSED if request else JobState.INTERRUPTED
            jobs.change(job_id, to, expected=(JobState.RUNNING,), attempt=attempt, message=to, result=result)
        return result


def clean(dogcls, chain):
    """Run `clean --yes`; return the kinds that it deleted, and for whom it kept something."""
    code, out, err = dogcls(chain.home.root, "clean", "--yes")
    assert code == 0, err
    deleted = sorted(line.split()[0] for line in err.splitlines() if line.endswith(": deleted"))
    return deleted, {line.partition("kept: ")[2] for line in out.splitlines() if "kept: " in line}


def put(chain, number, state):
    with chain.store.db.transaction() as db:
        db.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, chain.jobs[number]))


@pytest.mark.parametrize("state", ["paused", "interrupted", "failed"])
def test_a_paid_batch_is_fetched_after_a_clean(home, store, tmp_path, place, dogcls, state):
    batch = NewJob(JobKind.BATCH, COMMON | {"deployment": "gpt-4o-batch"}, 0)
    chain = Chain(home, store, tmp_path / "pictures", place, batch)
    place.set(speed=200)
    chain.run(0, "created batch", Request.PAUSE if state == "paused" else None)
    put(chain, 0, state)
    place.set(speed="instant")
    wait_for(lambda: {b["status"] for b in place.batches()} == {"completed"})
    assert clean(dogcls, chain) == ([], {f"needed by job 1 ({state})"})
    assert chain.run(0) == {"images": 6, "unanswered": 0}
    assert chain.bought() == [1, 0, 0]
    deleted, kept = clean(dogcls, chain)
    assert set(deleted) == {"file"} and not kept  # its job is done: what it left is offered, and goes


def test_a_fine_tuning_job_is_followed_after_a_clean(home, store, tmp_path, place, dogcls):
    chain = Chain(home, store, tmp_path / "pictures", place, NewJob(JobKind.FINE_TUNE, COMMON | TUNING))
    place.set(faults={"calls": [{"operation": "fine_tuning.create", "kind": "503", "times": 1000}]})
    chain.run(0, "waiting")  # its files are uploaded, and no fine-tuning job has them yet
    deleted, kept = clean(dogcls, chain)
    assert deleted == [] and kept == {"needed by job 1 (interrupted)"}
    place.set(faults=None, speed=200)
    chain.run(0, "fine-tuning job ftjob")
    place.set(speed="instant")
    wait_for(lambda: place.send("GET", "/openai/v1/fine_tuning/jobs")["data"][0]["status"] == "succeeded")
    deleted, kept = clean(dogcls, chain)
    assert deleted == [] and kept == {"needed by job 1 (interrupted)"}  # files, and the model that is not fetched yet
    found = chain.run(0)
    assert found["model"].endswith(f"dogcls-{store.jobs.get(1).nonce}")
    assert chain.bought() == [0, 1, 0]


def test_a_chain_ends_well_whatever_is_cleaned_in_between(home, store, tmp_path, place, dogcls):
    chain = Chain(
        home,
        store,
        tmp_path / "pictures",
        place,
        NewJob(JobKind.FINE_TUNE, COMMON | TUNING, 0),
        NewJob(JobKind.DEPLOY, COMMON, 0, needs=(0,)),
        NewJob(JobKind.SCORE, COMMON | {"keep_deployment": False}, 0, needs=(1,)),
    )
    chain.run(0)
    deleted, kept = clean(dogcls, chain)
    assert set(deleted) == {"file"} and kept == {"needed by job 2 (waiting)"}  # the tuned model, before its deployment
    chain.run(1)
    assert clean(dogcls, chain) == ([], {"needed by job 3 (waiting)"})
    place.set(speed=20)
    chain.run(2, "deployment", Request.PAUSE)
    place.set(speed="instant")
    put(chain, 2, "paused")
    assert clean(dogcls, chain) == ([], {"needed by job 3 (paused)"})
    assert chain.run(2) == {"images": 6, "unanswered": 0}
    assert chain.bought() == [0, 1, 1]
    put(chain, 2, "cancelled")
    assert clean(dogcls, chain) == ([], {"needed by job 3 (cancelled) if it is resumed"})
    put(chain, 2, "succeeded")
    assert clean(dogcls, chain) == (["model"], set())
