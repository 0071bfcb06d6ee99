"""How a worker ends: its end is written, and nothing that follows takes it back."""

import os

import pytest

from engine.errors import LostClaim, StoreError
from engine.jobs import worker
from engine.states import JobState
from engine.store.experiments import NewJob


@pytest.fixture
def job(store, monkeypatch):
    """A queued job; its worker may be run in this process."""
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker.time, "sleep", lambda _: None)
    monkeypatch.setattr(worker, "advance", lambda *_: None)
    (job,) = store.experiments.add(
        "e", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("train", {})]
    )
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    return job


async def succeed(context):
    context.progress(1, 1, "done")
    return {"answer": 42}


def work(monkeypatch, home, store, job, run=succeed):
    monkeypatch.setattr(worker, "run", run)
    return worker._claimed(home, store, job, 1)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), StoreError("locked"), ValueError("x")])
def test_what_fails_after_the_end_of_a_job_takes_nothing_from_it(home, store, job, monkeypatch, capsys, error):
    def advance(*_):
        raise error

    monkeypatch.setattr(worker, "advance", advance)
    assert work(monkeypatch, home, store, job) == 0
    view = store.jobs.view(job)
    assert (view.state, view.error) == ("succeeded", None)
    assert store.jobs.get(job).result == {"answer": 42}
    assert type(error).__name__ in capsys.readouterr().err


def test_an_end_that_cannot_be_written_is_tried_again(home, store, job, monkeypatch):
    real, tries = store.jobs.change, []

    def full(*arguments, **options):
        tries.append(options["message"])
        if len(tries) < 4:
            raise StoreError("store.db: database or disk is full.")
        return real(*arguments, **options)

    monkeypatch.setattr(store.jobs, "change", full)
    assert work(monkeypatch, home, store, job) == 0
    assert tries == ["succeeded"] * 4
    assert store.jobs.view(job).state == "succeeded"


def test_a_worker_that_can_never_write_its_end_ends_all_the_same(home, store, job, monkeypatch):
    monkeypatch.setattr(worker, "END_SECONDS", 0.0)

    def full(*_, **__):
        raise StoreError("store.db: database or disk is full.")

    monkeypatch.setattr(store.jobs, "change", full)
    with pytest.raises(StoreError):
        work(monkeypatch, home, store, job)
    assert store.jobs.view(job).state == "running"  # until whoever reads it next finds the process gone


def test_a_worker_that_lost_its_job_ends_quietly_and_changes_nothing(home, store, job, monkeypatch, capsys):
    async def lose(context):
        store.jobs.change(job, JobState.CANCELLED, expected=(JobState.RUNNING,), message="cancelled")
        context.store.jobs.charge(job, None, "inference", 1.0)

    assert work(monkeypatch, home, store, job, lose) == 0
    assert store.jobs.view(job).state == "cancelled"
    assert store.db.rows("SELECT * FROM costs") == []
    assert "no longer attempt 1's" in capsys.readouterr().err


def test_a_lost_lease_is_no_error_of_the_job_s(home, store, job, monkeypatch):
    async def swallow(context):
        store.jobs.change(job, JobState.CANCELLED, expected=(JobState.RUNNING,), message="cancelled")
        try:
            context.say("late")
        except Exception:  # as a handler of errors would
            pytest.fail("a lost lease was taken for an error")

    assert work(monkeypatch, home, store, job, swallow) == 0
    assert not issubclass(LostClaim, Exception)


def test_a_job_knows_its_process_and_the_time_it_worked(home, store, job, monkeypatch):
    async def look(context):
        stored = store.jobs.get(job)
        return {"pid": stored.pid, "started": stored.pid_started}

    assert work(monkeypatch, home, store, job, look) == 0
    assert store.jobs.get(job).result == {"pid": os.getpid(), "started": worker.start_time(os.getpid())}
    assert 0 < store.jobs.view(job).worked_seconds < 60
