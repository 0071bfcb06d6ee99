"""What a worker may still do once its job is another's: nothing."""

import asyncio
import os
import sqlite3
import threading
import time
from types import SimpleNamespace

import pytest

from engine.datasets.shard_file import ShardFile
from engine.errors import JobError, LostClaim, StoreError
from engine.jobs import context as contexts
from engine.jobs import scheduler
from engine.jobs.context import Context, Stopped
from engine.jobs.kinds.deploy import _write_hosted
from engine.jobs.process import start_time
from engine.states import JobState, Outcome
from engine.store import Store, db
from engine.store.experiments import NewContestant, NewJob
from engine.store.files import write_atomic
from engine.store.predictions import Prediction
from engine.store.validations import Validation
from engine.training import checkpoint
from engine.training.loop import Trainer
from tests.conftest import wait_for

CONTESTANT = NewContestant("zero-shot", "zero-shot", "gpt-4o", True, "Which?", "json")


def take(store, job):
    """Queue a job and claim it for this process; return the attempt."""
    assert store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    attempt = store.jobs.get(job).attempt
    assert store.jobs.claim(job, attempt, os.getpid(), start_time(os.getpid()))
    return attempt


def take_away(store, job):
    """Give a running job to another attempt."""
    assert store.jobs.change(job, JobState.INTERRUPTED, expected=(JobState.RUNNING,), message="gone")
    assert store.jobs.change(job, JobState.WAITING, expected=(JobState.INTERRUPTED,), message="resumed")
    return take(store, job)


@pytest.fixture
def job(store):
    images = [("1.png", 0, "test", 10, 4, 4, "1"), ("2.png", 0, "val", 10, 4, 4, "2")]
    store.datasets.add("pets", source="", root="/p", split="", seed=1, digest="d", labels=["Cat"], images=images)
    (job,) = store.experiments.add(
        "e", dataset="pets", profile="demo", spec="", contestants=[CONTESTANT], jobs=[NewJob("batch", {}, 0)]
    )
    take(store, job)
    return job


@pytest.fixture
def context(home, store, job):
    return Context(home, store, store.jobs.get(job))


WRITES = {
    "intent": lambda c: c.store.jobs.intend(c.job.id, "batch", "2"),
    "id": lambda c: c.store.jobs.made(c.job.id, "batch", "1", "batch_late"),
    "charge": lambda c: c.store.jobs.charge(c.job.id, 1, "inference", 9.0),
    "log": lambda c: c.say("late"),
    "metric": lambda c: (c.metric("loss", 1.0, 1), c.flush()),
    "progress": lambda c: c.progress(9, 9, "late"),
    "prediction": lambda c: c.store.predictions.add(1, [Prediction(1, "Cat", 0, Outcome.ANSWERED)]),
    "missing": lambda c: c.store.predictions.add_missing(1, "pets", "test", "late"),
    "latency": lambda c: c.store.predictions.add_latency(1, 1, 9.0),
    "validation": lambda c: c.store.validations.replace(c.job.id, [Validation(2, 0, 1.0, 1.0)]),
    "contestant": lambda c: c.store.experiments.describe_contestant(1, model="late", train_seconds=9.0),
    "parameters": lambda c: c.store.jobs.replan(c.job.id, {"late": 1}, states=tuple(JobState)),
    "state": lambda c: c.store.jobs.change(c.job.id, JobState.FAILED, expected=tuple(JobState), message="late"),
}


def written(store):
    """Return all that a worker may write, row for row."""
    tables = ("jobs", "job_events", "job_metrics", "remote_calls", "costs", "predictions", "latencies", "validations")
    return [tuple(r) for table in (*tables, "contestants") for r in store.db.rows(f"SELECT * FROM {table}")]


@pytest.mark.parametrize("what", WRITES)
def test_each_write_is_made_while_the_lease_holds_and_none_after_it(store, context, what):
    context.store.jobs.intend(context.job.id, "batch", "1")
    before = written(store)
    WRITES[what](context)
    assert written(store) != before
    store.db.connection.execute("UPDATE jobs SET state = 'running'")
    take_away(store, context.job.id)
    before = written(store)
    with pytest.raises(LostClaim):
        WRITES[what](context)
    assert written(store) == before
    with pytest.raises(LostClaim):
        context.check()


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.CANCELLED, JobState.FAILED, JobState.SUCCEEDED])
def test_a_job_that_ended_takes_nothing_more_from_its_worker(store, context, state):
    assert store.jobs.change(context.job.id, state, expected=(JobState.RUNNING,), message="ended")
    with pytest.raises(LostClaim):
        context.store.jobs.charge(context.job.id, None, "inference", 1.0)
    assert store.db.rows("SELECT * FROM costs") == []


def test_a_job_that_is_cancelling_still_belongs_to_its_worker(store, context):
    assert store.jobs.change(context.job.id, JobState.CANCELLING, expected=(JobState.RUNNING,), message="cancelling")
    context.store.jobs.charge(context.job.id, None, "inference", 1.0)
    assert [tuple(r) for r in store.db.rows("SELECT usd FROM costs")] == [(1.0,)]
    assert store.jobs.heartbeat(context.job.id, context.job.attempt) is None


def test_a_process_that_was_started_for_an_earlier_attempt_is_not_recorded(store, job):
    old = store.jobs.get(job).attempt
    store.jobs.change(job, JobState.INTERRUPTED, expected=(JobState.RUNNING,), message="gone")
    store.jobs.change(job, JobState.WAITING, expected=(JobState.INTERRUPTED,), message="resumed")
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    store.jobs.spawned(job, old, 1, 1.0)
    assert store.jobs.get(job).pid is None
    store.jobs.spawned(job, old + 1, 2, 2.0)
    assert (store.jobs.get(job).pid, store.jobs.get(job).pid_started) == (2, 2.0)


def test_a_store_that_was_removed_or_replaced_proves_no_lease(home, store, context):
    context.prove_lease()
    home.store.rename(home.root / "old.db")
    with pytest.raises(LostClaim, match="removed or replaced"):
        context.say("late")
    new = Store(home.store)
    new.close()
    with pytest.raises(LostClaim, match="removed or replaced"):
        context.prove_lease()


@pytest.mark.parametrize("error", [StoreError("full"), sqlite3.OperationalError("busy"), OSError(28, "No space left")])
def test_the_heart_goes_on_beating_after_any_error(store, context, monkeypatch, error):
    monkeypatch.setattr(contexts, "HEARTBEAT_SECONDS", 0.01)
    real, beats = store.jobs.heartbeat, []

    def flaky(*arguments):
        beats.append(arguments)
        if 2 <= len(beats) <= 4:
            raise error
        return real(*arguments)

    monkeypatch.setattr(store.jobs, "heartbeat", flaky)
    with context:
        wait_for(lambda: len(beats) > 6, 10)
        assert context._beat.is_alive()
        scheduler.pause(store, context.job.id)
        wait_for(context.asked, 10)


def test_a_heart_whose_job_was_taken_away_stops_and_so_does_the_worker(store, context, monkeypatch):
    monkeypatch.setattr(contexts, "HEARTBEAT_SECONDS", 0.01)
    with pytest.raises(LostClaim), context:
        take_away(store, context.job.id)
        wait_for(lambda: not context._beat.is_alive(), 10)
        assert context.asked()
        context.check()


def test_no_file_is_written_once_the_job_is_another_s(store, context):
    def shard():
        file = ShardFile(context.folder / "late.jsonl")
        try:
            file.add([b"{}"], 2)
            file.close()
        finally:
            file.abandon()

    writers = {
        "hosted.json": lambda: _write_hosted(context.folder, [(1.0, None)]),
        "plain": lambda: write_atomic(context.folder / "plain", "late"),
        "checkpoint": lambda: checkpoint.save(context.folder / "last.pt", {"step": 2}),
        "late.jsonl": shard,
    }
    before = set(context.folder.iterdir())
    with pytest.raises(LostClaim), context:
        for write in writers.values():
            write()
        made = sorted(set(context.folder.iterdir()) - before)
        assert [path.name for path in made] == ["hosted.json", "last.pt", "late.jsonl", "plain"]
        for path in made:
            path.unlink()
        take_away(store, context.job.id)
        for name, write in writers.items():
            with pytest.raises(LostClaim):
                write()
            assert set(context.folder.iterdir()) == before, name
        context.check()
    write_atomic(context.folder / "plain", "of a process that is no worker")


def test_a_training_loop_saves_nothing_into_the_files_of_another_attempt():
    loop, saved = object.__new__(Trainer), []
    loop._saved_at = 0.0
    loop._save = saved.append
    for stop, count in ((LostClaim("gone"), 0), (JobError("broken"), 0), (Stopped(None), 1)):

        def check(stop=stop):
            raise stop

        loop._run = SimpleNamespace(watch=SimpleNamespace(check=check))
        with pytest.raises(type(stop)):
            loop._check({})
        assert len(saved) == count


def hold(path):
    """Hold the store's write lock, as another process does; return what frees it."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def free():
        other.execute("ROLLBACK")
        other.close()

    return free


def test_a_busy_store_is_waited_for_by_a_worker_and_kills_no_job(store, home, context, monkeypatch):
    monkeypatch.setattr(db, "TRY_SECONDS", 0.01)
    monkeypatch.setattr(store.db, "_patience", 0.05)
    store.db.close()  # so that the connection has the short wait
    free = hold(home.store)
    context.check()  # needs no lock
    with pytest.raises(StoreError, match="locked"):
        store.jobs.log(context.job.id, "of the app, which waits for a while only")
    timer = threading.Timer(0.3, free)
    timer.start()
    began = time.monotonic()
    context.store.jobs.intend(context.job.id, "batch", "1")
    assert time.monotonic() - began >= 0.2
    timer.join()


def test_a_wait_for_a_busy_store_ends_when_the_process_is_to_end(store, home, context, monkeypatch):
    monkeypatch.setattr(db, "TRY_SECONDS", 0.01)
    store.db.close()
    free = hold(home.store)
    context.terminate()
    with pytest.raises(StoreError, match="locked"):
        context.say("late")
    free()


async def test_a_lease_that_cannot_be_read_holds_a_remote_call_back_until_it_can(store, context, monkeypatch):
    broken = True

    def prove():
        if broken:
            raise StoreError("unreadable")

    monkeypatch.setattr(context.store.db, "prove", prove)
    context.prove_lease()  # for a while it is taken to hold
    monkeypatch.setattr(contexts, "LEASE_SECONDS", -1.0)
    with pytest.raises(StoreError):
        context.prove_lease()
    waiting = asyncio.create_task(context.await_lease())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    broken = False
    await asyncio.wait_for(waiting, 10)
    broken = True
    context.terminate()
    with pytest.raises(Stopped):
        await context.await_lease()
