import contextlib
import os
from pathlib import Path

import pytest

from engine import clock
from engine.errors import InputError, LostClaim, NotFoundError, StoreError
from engine.jobs import scheduler
from engine.jobs.process import start_time
from engine.states import ACTIVE, JobState, Outcome, Request
from engine.store import Store, db
from engine.store.experiments import NewContestant, NewJob
from engine.store.predictions import Prediction

ZERO_SHOT = NewContestant("zero-shot", "zero-shot", "gpt-4o", True, "Which?", "json")


def add_jobs(store, *jobs, name="e"):
    return store.experiments.add(name, dataset=None, profile="demo", spec="", contestants=[ZERO_SHOT], jobs=list(jobs))


def run_to(store, job_id, state):
    """Take a job to a state the way a worker does."""
    assert store.jobs.change(job_id, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    attempt = store.jobs.get(job_id).attempt
    assert store.jobs.claim(job_id, attempt, os.getpid(), start_time(os.getpid()))
    if state != JobState.RUNNING:
        assert store.jobs.change(job_id, state, expected=(JobState.RUNNING,), attempt=attempt, message=state)
    return attempt


@pytest.fixture
def no_spawn(monkeypatch):
    """Queue jobs without starting processes; what would have been started is returned."""
    started = []

    class Process:
        pid = os.getpid()

    monkeypatch.setattr(scheduler, "detach", lambda module, arguments, log: started.append(arguments) or Process)
    return started


def test_a_new_store_and_its_files_are_private(store, home):
    assert home.store.stat().st_mode & 0o777 == 0o600
    assert home.root.stat().st_mode & 0o777 == 0o700


def test_a_store_of_a_newer_version_is_refused(store, home):
    store.db.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="newer dogcls-tui"):
        Store(home.store)


def test_a_file_that_is_no_store_is_refused(tmp_path):
    path = tmp_path / "store.db"
    path.write_text("this is not a database, and it is long enough to be read as one" * 20)
    with pytest.raises(InputError, match="no store"):
        Store(path)


def test_every_change_of_state_is_guarded_and_leaves_an_event(store):
    (job,) = add_jobs(store, NewJob("batch", {}))
    assert not store.jobs.change(job, JobState.SUCCEEDED, expected=(JobState.RUNNING,), message="no")
    assert store.jobs.lines(job) == []
    run_to(store, job, JobState.SUCCEEDED)
    assert [line.message for line in store.jobs.lines(job)] == ["queued", "started (attempt 1)", "succeeded"]


def test_only_one_worker_can_claim(store):
    (job,) = add_jobs(store, NewJob("batch", {}))
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    assert store.jobs.claim(job, 1, 1, 1.0)
    assert not store.jobs.claim(job, 1, 2, 1.0)


def test_a_worker_that_was_replaced_changes_nothing(store):
    (job,) = add_jobs(store, NewJob("batch", {}))
    old = run_to(store, job, JobState.RUNNING)
    store.jobs.change(job, JobState.INTERRUPTED, expected=(JobState.RUNNING,), message="gone")
    store.jobs.change(job, JobState.WAITING, expected=(JobState.INTERRUPTED,), message="resumed")
    new = run_to(store, job, JobState.RUNNING)
    assert new == old + 1
    with pytest.raises(LostClaim):
        store.jobs.heartbeat(job, old)
    assert not store.jobs.change(job, JobState.FAILED, expected=(JobState.RUNNING,), attempt=old, message="late")
    assert store.jobs.get(job).state == JobState.RUNNING


def test_a_request_reaches_the_worker_by_whatever_it_writes_and_ends_with_the_attempt(store):
    (job,) = add_jobs(store, NewJob("batch", {}))
    attempt = run_to(store, job, JobState.RUNNING)
    assert store.jobs.heartbeat(job, attempt) is None
    assert scheduler.pause(store, job)
    assert store.jobs.heartbeat(job, attempt) == Request.PAUSE
    assert store.jobs.progress(job, attempt, 1, 2, "") == Request.PAUSE
    store.jobs.change(job, JobState.PAUSED, expected=(JobState.RUNNING,), attempt=attempt, message="paused")
    assert store.jobs.view(job).request is None


def test_a_waiting_job_is_cancelled_at_once_and_so_is_what_needs_it(store, home, no_spawn):
    first, second = add_jobs(store, NewJob("fine-tune", {}), NewJob("deploy", {}, needs=(0,)))
    assert scheduler.cancel(store, first)
    scheduler.advance(store, home)
    assert store.jobs.get(second).state == JobState.CANCELLED
    assert store.jobs.view(second).error == f"needs job {first}, which is cancelled"
    assert no_spawn == []


def test_jobs_start_when_what_they_need_has_succeeded(store, home, no_spawn):
    first, second = add_jobs(store, NewJob("fine-tune", {}), NewJob("deploy", {}, needs=(0,)))
    scheduler.advance(store, home)
    assert [a[-2] for a in no_spawn] == [str(first)]
    assert store.jobs.claim(first, 1, os.getpid(), start_time(os.getpid()))
    store.jobs.change(first, JobState.SUCCEEDED, expected=(JobState.RUNNING,), message="done", result={"model": "m"})
    scheduler.advance(store, home)
    assert [a[-2] for a in no_spawn] == [str(first), str(second)]
    assert store.jobs.needed(second)[0].result == {"model": "m"}


def test_a_dead_worker_is_noticed_by_its_process(store):
    (job,) = add_jobs(store, NewJob("batch", {}))
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    assert store.jobs.claim(job, 1, os.getpid(), 1.0)  # the process id lives, but started at another time
    assert scheduler.recover(store) == [job]
    assert store.jobs.get(job).state == JobState.INTERRUPTED


@pytest.mark.parametrize("step", [31, 3600, 14 * 3600, -3600])
def test_a_living_worker_is_alive_whatever_the_clock_shows(store, monkeypatch, step):
    (job,) = add_jobs(store, NewJob("batch", {}))
    run_to(store, job, JobState.RUNNING)
    later = clock.now() + step
    monkeypatch.setattr(clock, "now", lambda: later)
    assert scheduler.recover(store) == []
    assert store.jobs.get(job).state == JobState.RUNNING


def test_a_job_whose_starter_lives_stays_queued_and_one_whose_starter_died_does_not(store, home, monkeypatch):
    mine, dead = add_jobs(store, NewJob("batch", {}), NewJob("batch", {}))
    for job, process in ((mine, (os.getpid(), start_time(os.getpid()))), (dead, (os.getpid(), 1.0))):
        store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued", process=process)
    monkeypatch.setattr(clock, "now", lambda: 9e9)
    assert scheduler.recover(store) == [dead]
    assert store.jobs.get(mine).state == JobState.QUEUED


def test_resume_starts_the_job_and_what_was_cancelled_because_of_it_and_no_other(store, home, no_spawn):
    mine = add_jobs(store, NewJob("batch", {}), NewJob("fine-tune", {}), NewJob("deploy", {}, needs=(1,)))
    (other,) = add_jobs(store, NewJob("batch", {}), name="other")
    for job in (*mine[:2], other):
        run_to(store, job, JobState.FAILED)
    scheduler.advance(store, home)
    assert store.jobs.get(mine[2]).state == JobState.CANCELLED
    taken = scheduler.resume(store, home, mine[1])
    assert taken == mine[1:]
    assert [store.jobs.get(j).state in ACTIVE for j in mine] == [False, True, False]
    assert store.jobs.get(mine[2]).state == JobState.WAITING
    assert store.jobs.get(other).state == JobState.FAILED


def test_an_unknown_job_is_named(store):
    with pytest.raises(NotFoundError, match="no job 7"):
        scheduler.cancel(store, 7)


def test_an_intent_is_written_once_and_remembered(store):
    (job,) = add_jobs(store, NewJob("batch", {}))
    assert store.jobs.intend(job, "batch", "1") == (False, None)
    assert store.jobs.intend(job, "batch", "1") == (True, None)
    store.jobs.made(job, "batch", "1", "batch_x")
    assert store.jobs.intend(job, "batch", "1") == (True, "batch_x")


def test_the_services_own_events_are_logged_once(store):
    (job,) = add_jobs(store, NewJob("fine-tune", {}))
    for _ in range(2):
        store.jobs.log(job, "Step 1: training loss=1.0", remote_id="ftevent-1")
    assert len(store.jobs.lines(job)) == 1
    assert store.jobs.remote_event_ids(job) == {"ftevent-1"}


def test_log_lines_are_paged_from_either_end(store):
    (job,) = add_jobs(store, NewJob("batch", {}))
    for number in range(10):
        store.jobs.log(job, f"line {number}")
    first = store.jobs.lines(job, limit=4)
    assert [line.message for line in first] == ["line 0", "line 1", "line 2", "line 3"]
    assert [line.message for line in store.jobs.lines(job, after=first[-1].id, limit=2)] == [
        "line 4",
        "line 5",
    ]
    assert [line.message for line in store.jobs.lines(job, after=-1, limit=2)] == ["line 8", "line 9"]


@pytest.fixture
def dataset(store):
    store.datasets.add(
        "pets",
        source="here",
        root=Path("/pictures"),
        split="stratified",
        seed=42,
        digest="d",
        labels=["Cat", "Dog"],
        images=[(f"{n}.png", n % 2, "test" if n > 3 else "train", 10, 4, 4, str(n)) for n in range(6)],
    )
    return store.datasets.get("pets")


def test_a_dataset_comes_back_as_it_went_in(store, dataset):
    assert (dataset.train, dataset.val, dataset.test, dataset.labels) == (4, 0, 2, ("Cat", "Dog"))
    assert [str(i.path) for i in store.datasets.images("pets", "test")] == [
        "/pictures/4.png",
        "/pictures/5.png",
    ]
    assert store.datasets.class_counts("pets") == [("Cat", 2, 0, 1), ("Dog", 2, 0, 1)]
    with pytest.raises(InputError, match="already"):
        store.datasets.add("pets", source="", root=Path(), split="", seed=None, digest="", labels=[], images=[])


def test_an_answer_replaces_a_failure_but_nothing_replaces_an_answer(store, dataset):
    store.experiments.add("e", dataset="pets", profile="demo", spec="", contestants=[ZERO_SHOT], jobs=[])
    (contestant,) = store.experiments.contestants("e")
    one, two = (i.id for i in store.datasets.images("pets", "test"))
    add = store.predictions.add
    add(
        contestant.id,
        [Prediction(one, None, None, Outcome.FAILED), Prediction(two, "Cat", 0, Outcome.ANSWERED)],
    )
    assert store.predictions.settled(contestant.id) == {two}
    add(
        contestant.id,
        [Prediction(one, "Dog", 1, Outcome.ANSWERED), Prediction(two, "Dog", 1, Outcome.ANSWERED)],
    )
    found = store.predictions.of(contestant.id)
    assert (found[one].raw, found[two].raw) == ("Dog", "Cat")


def test_a_store_that_somebody_holds_says_so_in_one_line(store, monkeypatch):
    monkeypatch.setattr(db, "BUSY_SECONDS", 0.01)
    with store.db.transaction(), contextlib.closing(db.Database(store.db.path)) as other:
        with pytest.raises(StoreError, match=r"store.db: database is locked\. Another dogcls-tui process") as told:
            other.transaction().__enter__()
        assert told.value.exit_code == 1
