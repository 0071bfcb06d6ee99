"""Stores of earlier versions: every row stays, nothing dangles, and a number is never given twice."""

import gzip
import sqlite3
from pathlib import Path

import pytest

from engine.errors import StoreDamaged, StoreError
from engine.states import JobState
from engine.store import Store, db
from engine.store.experiments import NewContestant, NewJob
from engine.store.migrations import MIGRATIONS, statements
from tests.tui.make_store import KEPT

OLD = (
    ("datasets", "1, 'pets', 's', '/p', 'given', 7, 'd', 1.0"),
    ("labels", "1, 0, 'Cat'"),
    ("labels", "1, 1, 'Dog'"),
    ("images", "4, 1, 'a.png', 1, 'test', 10, 4, 4, 'x'"),
    ("images", "9, 1, 'b.png', 0, 'train', 10, 4, 4, 'y'"),
    ("experiments", "3, 'pets', 1, 'demo', 'toml', 2.0"),
    ("contestants", "5, 3, 'zero-shot', 'zero-shot', 'gpt-4o', 1, 'Which?', 'json', NULL"),
    ("jobs", "6, 3, 5, 'batch', 'n1', '{}', 'succeeded', 2, NULL, 1, 1.0, 1.0, 1, 1, '', NULL, '{}', 90, 100, 50000"),
    ("jobs", "8, 3, 5, 'train', 'n2', '{}', 'running', 1, NULL, 1, 1.0, 205.0, 1, 1, '', NULL, NULL, 90, 200, NULL"),
    ("needs", "8, 6"),
    ("remote_calls", "1, 6, 'batch', '1', 'batch_x', 101.0, 102.0"),
    ("predictions", "5, 4, 'Dog', 1, 'answered', NULL, 3, 4, NULL, 9.0, NULL, NULL, 0, NULL"),
    ("costs", "6, 5, 'inference', 0.5"),
    ("checks", "1, 1.0, 2, 0.1"),
    ("findings", "2, 1, 'blurred', 'note', 'w', 'c', 1"),
    ("finding_files", "2, 0, 'a.png', 'n'"),
)
EVENTS = (
    (6, 1, 99, "queued"),
    (6, 1, 100, "started (attempt 1)"),
    (6, 1, 160, "paused"),
    (6, 1, 49900, "resumed"),
    (6, 2, 49910, "queued"),
    (6, 2, 49940, "started (attempt 2)"),
    (6, 2, 50000, "succeeded"),
    (8, 1, 200, "started (attempt 1)"),
)
NEW_COLUMNS = 5  # of jobs


@pytest.fixture
def old(tmp_path):
    """A store of version 5."""
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements(MIGRATIONS[:5]):
        connection.execute(statement)
    connection.execute("PRAGMA foreign_keys = OFF")
    for table, values in sorted(OLD, key=lambda row: row[0] == "experiments"):  # which freezes its images
        connection.execute(f"INSERT INTO {table} VALUES ({values})")
    for number, (job, attempt, at, message) in enumerate(EVENTS, start=1):
        connection.execute(
            "INSERT INTO job_events VALUES (?, ?, ?, ?, 'info', ?, NULL)", (number, job, attempt, at, message)
        )
    connection.execute("PRAGMA user_version = 5")
    connection.close()
    return path


@pytest.fixture
def kept(tmp_path):
    """The store of a whole run of the demo, as an earlier version wrote it."""
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.executescript(gzip.decompress(KEPT.read_bytes()).decode())
    connection.close()
    return path


def rows_of(path):
    with sqlite3.connect(path) as connection:
        tables = [
            r[0]
            for r in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
        ]
        return {t: sorted(connection.execute(f"SELECT * FROM {t}"), key=repr) for t in tables if "sqlite" not in t}


def schema_of(path):
    with sqlite3.connect(path) as connection:
        return {r[0] for r in connection.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL")}


@pytest.mark.parametrize("name", ["old", "kept"])
def test_every_row_index_and_trigger_of_an_old_store_is_still_there(request, name):
    path = request.getfixturevalue(name)
    before, schema = rows_of(path), schema_of(path)
    store = Store(path)
    assert store.db.rows("PRAGMA foreign_key_check") == []
    assert store.db.rows("PRAGMA integrity_check")[0][0] == "ok"
    assert store.db.connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    store.close()
    after = rows_of(path)
    assert sum(map(len, before.values())) > 20
    assert [row[:-NEW_COLUMNS] for row in after.pop("jobs")] == before.pop("jobs")
    width = {table: len(rows[0]) for table, rows in before.items() if rows}
    assert {t: sorted((r[: width[t]] for r in after[t]), key=repr) if before[t] else after[t] for t in before} == before
    assert schema <= schema_of(path)


def test_a_fresh_store_and_a_migrated_one_have_the_same_schema(old, tmp_path):
    Store(old).close()
    Store(tmp_path / "new" / "store.db").close()
    sql = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    found = []
    for path in (old, tmp_path / "new" / "store.db"):
        with sqlite3.connect(path) as connection:
            found.append(connection.execute(sql).fetchall())
    assert found[0] == found[1]


def test_the_time_that_old_jobs_worked_leaves_their_pauses_out(old):
    store = Store(old)
    assert store.jobs.view(6).worked_seconds == 60 + 60  # and not the night between
    assert store.jobs.view(8).worked_seconds == 0
    assert store.jobs.view(8).seconds(230) == 30
    store.close()


def test_foreign_keys_and_triggers_still_act(old):
    store = Store(old)
    for sql, what in (
        ("INSERT INTO needs VALUES (8, 77)", "FOREIGN KEY"),
        ("UPDATE images SET bytes = 1", "never changes"),
        ("DELETE FROM images", "looks at these images"),
        ("INSERT INTO images VALUES (NULL, 1, 'c.png', 0, 'test', 1, 1, 1, 'z')", "looks at these images"),
    ):
        with pytest.raises(sqlite3.IntegrityError, match=what), store.db.transaction() as connection:
            connection.execute(sql)
    store.experiments.delete("pets")
    assert [len(store.db.rows(f"SELECT * FROM {t}")) for t in ("jobs", "needs", "predictions", "costs")] == [0] * 4
    store.close()


def test_no_number_is_given_twice_not_even_after_a_delete(store):
    def add(name):
        images = [("a.png", 0, "test", 1, 1, 1, name)]
        dataset = store.datasets.add(
            name, source="", root="/", split="", seed=1, digest=name, labels=["a"], images=images
        )
        contestants = [NewContestant("cnn", "cnn", "m", False, "", "")]
        (job,) = store.experiments.add(
            name, dataset=name, profile="demo", spec="", contestants=contestants, jobs=[NewJob("train", {}, 0)]
        )
        experiment, contestant = store.experiments.get(name).id, store.experiments.contestants(name)[0].id
        return dataset, store.datasets.images(name, "test")[0].id, experiment, contestant, job

    given = [add("one"), add("two")]
    for name in ("two", "one"):
        store.experiments.delete(name)
        store.db.connection.execute("DELETE FROM datasets WHERE name = ?", (name,))
    given.append(add("three"))
    assert given == [(1,) * 5, (2,) * 5, (3,) * 5]


def test_a_new_store_gives_no_job_the_number_of_a_folder_that_a_lost_one_left(home):
    for name in ("7", "12-0badcafe", "notes"):
        (home.root / "jobs" / name).mkdir(parents=True)
    store = Store(home.store)
    assert store.experiments.add(
        "e", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("train", {})]
    ) == [13]
    store.close()


def test_a_copy_is_kept_before_a_store_is_migrated(old):
    before = rows_of(old)
    Store(old).close()
    copy = old.with_name(f"store.db.before-version-{len(MIGRATIONS)}")
    assert rows_of(copy) == before
    assert copy.stat().st_mode & 0o777 == 0o600
    assert not list(old.parent.glob("*.partial"))
    Store(old).close()  # a second time there is nothing to keep
    assert sorted(p.name for p in old.parent.iterdir()) == ["store.db", f"store.db.before-version-{len(MIGRATIONS)}"]


def test_a_migration_that_fails_changes_nothing(old, monkeypatch):
    before = rows_of(old)
    monkeypatch.setattr(db, "MIGRATIONS", (*MIGRATIONS, "DROP TABLE needs;\nDROP TABLE nowhere;\n"))
    with pytest.raises(StoreError, match="no such table: nowhere"):
        Store(old)
    assert rows_of(old) == before
    monkeypatch.setattr(db, "MIGRATIONS", (*MIGRATIONS, "DELETE FROM contestants;\n"))
    with pytest.raises(StoreDamaged, match="cannot be migrated"):
        Store(old)
    assert rows_of(old) == before


def test_the_states_of_a_job_are_those_of_the_schema(store):
    (job,) = store.experiments.add(
        "e", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("train", {})]
    )
    for state in JobState:
        store.db.connection.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, job))
    with pytest.raises(sqlite3.IntegrityError):
        store.db.connection.execute("UPDATE jobs SET state = 'lost'")
    assert Path(store.db.path).exists()
