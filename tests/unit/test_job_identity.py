"""A job works with its own files only, whatever happened to the store and whatever lies in the home."""

import sqlite3

import pytest

from engine.jobs.standing import standing_costs
from engine.store import Store
from engine.store.experiments import NewContestant, NewJob
from engine.store.migrations import MIGRATIONS

ZERO_SHOT = NewContestant("zero-shot", "zero-shot", "gpt-4o", True, "Which?", "json")


def add(store, *jobs, name="e"):
    return store.experiments.add(name, dataset=None, profile="demo", spec="", contestants=[ZERO_SHOT], jobs=list(jobs))


def lose(home):
    for end in ("", "-wal", "-shm"):
        home.store.with_name(home.store.name + end).unlink(missing_ok=True)


def test_after_a_lost_store_a_job_of_the_same_number_has_another_folder_and_log(home):
    found = []
    for _ in range(2):
        store = Store(home.store)
        (number,) = add(store, NewJob("train", {}, 0))
        job = store.jobs.get(number)
        found.append((number, home.job(job), home.job_log(job)))
        store.close()
        lose(home)
    (first, folder, log), (second, other, other_log) = found
    assert first == second == 1
    assert folder != other and log != other_log
    assert folder.name.startswith("1-") and other.name.startswith("1-")


def test_a_job_of_a_deleted_experiment_leaves_its_folder_to_no_other(store, home):
    (number,) = add(store, NewJob("train", {}, 0))
    folder = home.job(store.jobs.get(number))
    store.experiments.delete("e")
    (again,) = add(store, NewJob("train", {}, 0))
    assert home.job(store.jobs.get(again)) != folder


def test_looking_makes_no_folder(store, home):
    add(store, NewJob("deploy", {"model": "gpt-4o"}, 0))
    assert standing_costs(store, home) == []
    assert not (home.root / "jobs").exists()


@pytest.fixture
def older(home):
    """A store as the version before wrote it: job 1 had begun, job 2 had not."""
    home.root.mkdir(mode=0o700)
    with sqlite3.connect(home.store) as db:
        for script in MIGRATIONS[:5]:
            db.executescript(script)
        db.execute("PRAGMA user_version = 5")
        db.execute("INSERT INTO experiments (name, profile, spec, created_at) VALUES ('e', 'demo', '', 0)")
        for nonce, started in (("aaaa", 5.0), ("bbbb", None)):
            db.execute(
                "INSERT INTO jobs (experiment_id, kind, nonce, parameters, state, created_at, started_at)"
                " VALUES (1, 'train', ?, '{}', 'paused', 0, ?)",
                (nonce, started),
            )
    db.close()
    store = Store(home.store)
    yield store
    store.close()


def test_jobs_of_an_older_version_keep_the_folders_that_they_wrote_to(older, home):
    began, waiting = older.jobs.get(1), older.jobs.get(2)
    assert (began.legacy, home.job(began)) == (True, home.root / "jobs" / "1")
    assert (waiting.legacy, home.job(waiting)) == (False, home.root / "jobs" / "2-bbbb")
    ids = add(older, NewJob("train", {}), name="new")
    assert not older.jobs.get(ids[0]).legacy
