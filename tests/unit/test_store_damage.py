"""A store that cannot be used is named, with what to do; a store that is only read is not touched."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.errors import InputError, ReadOnlyError, StoreBusy, StoreDamaged, StoreError
from engine.store import Store, backup, db, files
from engine.store.backup import back_up_now_and_then, backups, newest_backup
from engine.store.experiments import NewJob
from engine.store.migrations import MIGRATIONS
from engine.store.staging import Staging


def fill(store, count=1, name="e"):
    jobs = [NewJob("train", {"text": "x" * 500}) for _ in range(count)]
    return store.experiments.add(name, dataset=None, profile="demo", spec="", contestants=[], jobs=jobs)


def damage(path, start=1):
    """Overwrite all pages from one on."""
    with path.open("r+b") as file:
        file.seek(start * 4096)
        file.write(os.urandom(path.stat().st_size - start * 4096))


@pytest.fixture
def path(home):
    """A closed store with 200 jobs."""
    store = Store(home.store)
    fill(store, 200)
    store.close()
    return home.store


# -- damage

READS = {
    "rows": lambda s: s.jobs.views(),
    "row": lambda s: s.jobs.get(150),
    "stream": lambda s: list(s.db.stream("SELECT * FROM jobs")),
    "tuples": lambda s: s.db.tuples("SELECT * FROM jobs"),
    "write": lambda s: s.jobs.log(1, "x"),
    "back_up": lambda s: s.db.back_up(),
}


@pytest.mark.parametrize("what", READS)
def test_damaged_pages_are_named_with_the_newest_backup(path, what):
    store = Store(path)
    store.close()
    copy = path.with_name("store.db.before-version-5")
    copy.write_bytes(path.read_bytes())
    older = path.with_name("store.db.before-version-4")
    older.write_bytes(path.read_bytes())
    os.utime(older, (1, 1))
    os.utime(copy, (2, 2))
    store = Store(path)
    damage(path, 3)
    with pytest.raises(StoreDamaged, match="malformed") as raised:
        READS[what](store)
    assert str(path) in raised.value.message
    assert raised.value.cure.endswith(f"then copy the newest backup {copy} to it.")
    store.close()
    assert copy.exists() and older.exists()


@pytest.mark.parametrize("content", [b"not a database, and long enough" * 100, b"SQLite format 3\0" + b"\0" * 84, b"x"])
@pytest.mark.parametrize("readonly", [False, True])
def test_a_file_that_is_no_store_is_named_and_kept(home, content, readonly):
    home.root.mkdir()
    home.store.write_bytes(content)
    with pytest.raises((StoreDamaged, InputError)) as raised:
        Store(home.store, readonly=readonly)
    assert str(home.store) in raised.value.message
    assert raised.value.cure
    assert home.store.read_bytes() == content


@pytest.mark.parametrize("length", [4096, 10 * 4096, 10 * 4096 + 100])
def test_a_store_that_was_cut_short_is_named(path, length):
    with path.open("r+b") as file:
        file.truncate(length)
    with pytest.raises(StoreError) as raised:
        store = Store(path)
        store.jobs.views()
    assert "There is no backup of it" in raised.value.cure


@pytest.mark.parametrize("remains", ["jobs/1-abc", "experiments/e.toml", "datasets/d", "store.db-wal"])
def test_an_emptied_store_is_not_silently_a_new_one(home, monkeypatch, remains):
    monkeypatch.setattr(db, "EMPTY_SECONDS", 0.0)
    place = home.root / remains
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x")
    home.store.touch()
    with pytest.raises(StoreDamaged, match=r"the file is empty, but .* shows that a store was there") as raised:
        Store(home.store)
    assert "delete the empty file" in raised.value.cure
    assert home.store.stat().st_size == 0
    home.store.unlink()
    Store(home.store).close()  # as the hint has it


def test_an_empty_file_in_a_home_of_nothing_else_becomes_a_store(home):
    home.root.mkdir()
    home.store.touch()
    store = Store(home.store)
    assert fill(store) == [1]
    store.close()


def test_an_empty_store_that_another_process_is_just_making_is_waited_for(home, monkeypatch):
    (home.root / "jobs" / "1-abc").mkdir(parents=True)
    home.store.touch()
    made = home.root / "made.db"
    Store(made).close()
    timer = threading.Timer(0.2, lambda: made.replace(home.store))
    timer.start()
    Store(home.store).close()
    timer.join()


# -- what else goes wrong


class Failing(sqlite3.Connection):
    """A connection whose statements fail with a code of SQLite's, once there is one."""

    code, text = 0, ""

    def execute(self, *arguments):
        if self.code and not arguments[0].startswith("PRAGMA synch"):
            error = sqlite3.OperationalError(self.text)
            error.sqlite_errorcode = self.code
            raise error
        return super().execute(*arguments)


@pytest.fixture
def failing(store, monkeypatch):
    """A store whose connection fails on demand."""
    monkeypatch.setattr(Failing, "code", 0)
    store.db.close()
    real = sqlite3.connect
    monkeypatch.setattr(db.sqlite3, "connect", lambda *a, **k: real(*a, factory=Failing, **k))
    monkeypatch.setattr(store.db, "_patience", 0.0)
    assert store.jobs.views() == []
    return store


@pytest.mark.parametrize(
    ("code", "text", "hint"),
    [
        (sqlite3.SQLITE_FULL, "database or disk is full", "Free some space"),
        (sqlite3.SQLITE_IOERR | 3 << 8, "disk I/O error", "Check its disk"),
        (sqlite3.SQLITE_READONLY, "attempt to write a readonly database", "writable"),
        (sqlite3.SQLITE_CANTOPEN, "unable to open database file", "exist"),
        (sqlite3.SQLITE_BUSY, "database is locked", "Another dogcls-tui process holds it"),
        (sqlite3.SQLITE_LOCKED, "database table is locked", "Another dogcls-tui process holds it"),
        (sqlite3.SQLITE_CORRUPT, "database disk image is malformed", "There is no backup of it: move"),
        (sqlite3.SQLITE_NOTADB, "file is not a database", "There is no backup of it: move"),
        (sqlite3.SQLITE_PROTOCOL, "locking protocol", "local"),
        (sqlite3.SQLITE_ERROR, "something else", ""),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.jobs.views(),
        lambda s: s.jobs.get(1),
        lambda s: s.jobs.log(1, "x"),
        lambda s: s.db.version(),
        lambda s: list(s.db.stream("SELECT 1")),
    ],
    ids=["rows", "row", "write", "version", "stream"],
)
def test_each_failure_of_each_use_is_the_stores_own_with_a_hint_that_fits(failing, monkeypatch, code, text, hint, use):
    monkeypatch.setattr(Failing, "code", code)
    monkeypatch.setattr(Failing, "text", text)
    with pytest.raises(StoreError) as raised:
        use(failing)
    assert text in raised.value.message and str(failing.db.path) in raised.value.message
    assert hint in raised.value.cure
    assert isinstance(raised.value, StoreBusy) == ("locked" in text)
    assert isinstance(raised.value, StoreDamaged) == ("backup" in hint)


def test_a_query_that_fails_is_the_stores_error(store):
    for read in (store.db.rows, store.db.row, store.db.tuples, lambda sql: list(store.db.stream(sql))):
        with pytest.raises(StoreError, match="no such table: nowhere"):
            read("SELECT * FROM nowhere")


def test_a_broken_constraint_is_the_callers_to_explain(store):
    with pytest.raises(sqlite3.IntegrityError), store.db.transaction() as connection:
        connection.execute("INSERT INTO needs VALUES (1, 2)")
    store.jobs.views()


def test_a_transaction_that_cannot_be_committed_leaves_the_connection_usable(store):
    with pytest.raises(StoreError), store.db.transaction() as connection:
        connection.execute("INSERT INTO nowhere VALUES (1)")
    assert fill(store) == [1]


# -- durable


def test_intents_ids_charges_and_answers_are_on_disk_when_their_method_returns(store, monkeypatch):
    (job,) = fill(store)
    in_force = []
    connection = store.db.connection
    connection.set_trace_callback(
        lambda sql: (
            sql.startswith(("INSERT", "UPDATE"))
            and in_force.append((sql.split()[0], connection.execute("PRAGMA synchronous").fetchone()[0]))
        )
    )
    store.jobs.intend(job, "batch", "1")
    store.jobs.made(job, "batch", "1", "batch_x")
    store.jobs.charge(job, None, "inference", 1.0)
    assert in_force == [("INSERT", 2), ("UPDATE", 2), ("INSERT", 2)]  # 2 is FULL
    in_force.clear()
    store.jobs.progress(job, 0, 1, 2, "")
    store.jobs.add_metrics(job, [("loss", 1, None, 0.5)])
    assert in_force == [("UPDATE", 1), ("INSERT", 1)]  # written often, and no loss
    connection.set_trace_callback(None)
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_an_atomic_file_and_its_name_are_synced(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        files.os, "fsync", lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), real(fd))
    )
    files.write_atomic(tmp_path / "hosted.json", "[]")
    assert len(synced) == 2
    assert synced[0].startswith(str(tmp_path / ".hosted.json."))
    assert synced[1] == str(tmp_path)


# -- backups


def test_a_store_is_copied_once_an_hour_and_two_copies_are_kept(path, monkeypatch):
    store = Store(path)
    copies = []
    for hour in range(4):
        monkeypatch.setattr(backup.time, "time", lambda hour=hour: 1e9 + hour * 3600)
        copies.append(store.db.back_up())
        assert copies[-1] is not None
        os.utime(copies[-1], (backup.time.time(), backup.time.time()))
        assert store.db.back_up() is None
    store.close()
    assert backups(path) == copies[:1:-1]
    assert newest_backup(path) == copies[-1]
    kept = sqlite3.connect(copies[-1])
    assert kept.execute("SELECT COUNT(*) FROM jobs").fetchone()[0] == 200
    kept.close()
    copies[-1].replace(path)  # as the hint has it
    store = Store(path)
    assert len(store.jobs.views()) == 200
    store.close()


def test_a_large_store_is_copied_only_before_its_schema_changes(path, monkeypatch):
    monkeypatch.setattr(backup, "MOST_BYTES", 1000)
    connection = sqlite3.connect(path)
    assert back_up_now_and_then(connection, path) is None
    connection.close()


# -- only read


def state(folder):
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.stat().st_size, p.read_bytes() if p.is_file() else b"")
        for p in sorted(folder.rglob("*"))
    } | {".": folder.stat().st_mtime_ns}


def test_a_store_that_is_only_read_is_not_touched(path, home):
    before = state(home.root)
    store = Store(path, readonly=True)
    assert len(store.jobs.views()) == 200
    assert store.db.version() == store.db.version()
    with pytest.raises(ReadOnlyError):
        store.jobs.log(1, "x")
    assert state(home.root) == before
    store.close()
    assert state(home.root) == before


WRITER = """
import sys
from pathlib import Path
from engine.store import Store
from engine.store.experiments import NewJob
store = Store(Path(sys.argv[1]))
for name in sys.stdin:
    store.experiments.add(name, dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("train", {})])
    print("added", flush=True)
store.close()
"""


class Writer:
    """Another process that has the store open and adds jobs to it."""

    def __init__(self, path):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], **pipes)

    def add(self, name):
        self.process.stdin.write(f"{name}\n")
        assert self.process.stdout.readline() == "added\n"

    def close(self):
        self.process.communicate(timeout=20)


def test_a_reader_sees_what_a_writer_does_and_touches_nothing(path, home):
    reader = Store(path, readonly=True)
    seen = [reader.db.version()]
    assert len(reader.jobs.views()) == 200
    for count, names in ((201, ["one", "two"]), (203, ["three"])):  # twice: it comes, writes, and goes
        writer = Writer(path)
        for number, name in enumerate(names):
            writer.add(name)
            before = state(home.root)
            assert len(reader.jobs.views()) == count + number
            seen.append(reader.db.version())
            assert state(home.root) == before
        writer.close()
        assert len(reader.jobs.views()) == count + len(names) - 1
    assert len(set(seen)) == 4
    reader.close()


def test_a_reader_reads_the_log_that_a_killed_writer_left(path, home, tmp_path):
    writer = Store(path)
    fill(writer, name="second")
    copy = tmp_path / "killed"
    copy.mkdir()
    for file in home.root.glob("store.db*"):
        (copy / file.name).write_bytes(file.read_bytes())
    writer.close()
    before = state(copy)
    reader = Store(copy / "store.db", readonly=True)
    assert len(reader.jobs.views()) == 201
    reader.close()
    assert state(copy) == before


def test_a_reader_of_nothing_makes_nothing(tmp_path):
    store = Store(tmp_path / "nowhere" / "store.db", readonly=True)
    assert store.jobs.views() == []
    assert not (tmp_path / "nowhere").exists()
    store.close()


def test_a_reader_migrates_nothing(path, home):
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    before = state(home.root)
    with pytest.raises(InputError, match=r"older dogcls-tui.*once without --readonly"):
        Store(path, readonly=True)
    assert state(home.root) == before


def test_what_is_staged_fails_as_the_store_s_too():
    staging = Staging()
    staging.put([("a.png", "a.png", "", "a", None, None)])
    staging._db.execute("DROP TABLE staged")
    for use in (staging.labels, staging.count, lambda: list(staging.rows()), lambda: staging.put([("b",) * 6])):
        with pytest.raises(StoreError, match=r"Temporary files: no such table: staged. Free some space"):
            use()
    staging.close()
