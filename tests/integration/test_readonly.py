"""`--readonly` writes nothing: no file of the home is made, changed or touched, by a command or by the app."""

import os
import shutil
import subprocess

import pytest

from engine import Engine
from engine.errors import InputError
from engine.jobs import scheduler
from engine.store import Store
from tests.outcomes import experiment
from tests.tui.looking import until
from tui.app import DogclsApp
from tui.keys import ROOMS

READS = [
    "jobs",
    "jobs --json",
    "logs 1",
    "--once",
    "--plain",
    "results",
    "results pets --verify",
    "results pets --format html",
    "results pets --format csv-images",
    "experiment pets",
    "data list",
    "data show pets",
    "data jsonl pets --kind batch --split test --preview",
    "info",
    "recipes",
    "emulator settings",
    "emulator ledger",
]
REFUSED = [
    "emulator",
    "emulator settings speed=3",
    "doctor",
    "remote list",
    "clean --yes",
    "demo --plain",
    "run --dataset pets --yes --detach",
    "train --dataset pets --detach",
    "pilot --dataset pets --yes",
    "cancel 1",
    "cancel 1 --give-up --yes",
    "pause 1",
    "resume 1",
    "data add demo --name other",
    "data check pets",
]


def listing(root):
    """Return everything below a folder: name → kind and rights, size, time, inode."""
    found = {}
    for path in [root, *root.rglob("*")]:
        stat = path.lstat()
        found[str(path)] = (oct(stat.st_mode), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return found


@pytest.fixture
def pets(home, tmp_path, monkeypatch):
    """A home with an experiment that has ended, and what runs leave: no worker is ever started."""
    store = Store(home.store)
    experiment(store, tmp_path / "pets")
    store.jobs.log(1, "a line")
    store.close()
    monkeypatch.setattr(scheduler, "detach", None)
    return home


@pytest.fixture(params=["at rest", "in use"])
def used(request, pets):
    """Such a home, as the last process has left it; or while another one has it open."""
    if request.param == "at rest":
        yield pets
        return
    store = Store(pets.store)
    store.jobs.log(1, "another line")
    yield pets
    store.close()


def test_commands_that_read_write_nothing(dogcls, used):
    before = listing(used.root)
    for command in READS:
        code, out, err = dogcls(used.root, "--readonly", *command.split())
        assert code == 0, (command, code, err)
        assert out or err
        assert listing(used.root) == before, command


def test_commands_that_would_write_are_refused(dogcls, used):
    """One line that names --readonly, exit code 2, and nothing is written before it is refused."""
    before = listing(used.root)
    for command in REFUSED:
        code, _, err = dogcls(used.root, "--readonly", *command.split())
        assert (code, err.count("\n")) == (2, 1), (command, code, err)
        assert "--readonly" in err, (command, err)
        assert listing(used.root) == before, command


def test_a_report_is_written_where_the_reader_wants_it(dogcls, pets, tmp_path):
    """The home is not changed; the file that was asked for is the reader's own."""
    before = listing(pets.root)
    code, _, _ = dogcls(pets.root, "--readonly", "results", "pets", "--format", "csv", "--output", tmp_path / "a.csv")
    assert code == 0 and (tmp_path / "a.csv").stat().st_size
    assert listing(pets.root) == before


def test_a_home_that_is_not_there_is_not_made(dogcls, tmp_path):
    code, _, err = dogcls(tmp_path / "none", "--readonly", "jobs")
    assert (code, err) == (2, f"error: {tmp_path / 'none'}: there is no home, and --readonly makes none."
                              " Choose another --home (or DOGCLS_HOME).\n")  # fmt: skip
    assert not (tmp_path / "none").exists()


def test_an_empty_home_has_no_jobs(dogcls, tmp_path):
    (tmp_path / "empty").mkdir()
    assert dogcls(tmp_path / "empty", "--readonly", "jobs")[0] == 0
    assert list((tmp_path / "empty").iterdir()) == []


async def test_the_app_writes_nothing(pets, monkeypatch):
    """Every room and page, the clipboard and the themes; and it starts nothing."""
    before = listing(pets.root)
    engine = Engine(pets.root, readonly=True)
    app = DogclsApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, app.opened.is_set, "an engine")
        for room in [*ROOMS, "doctor", "clean", "emulator"]:
            app.switch_mode(room)
            await until(pilot, lambda room=room: app.current_mode == room and app.screen.is_mounted, room)
            app.bridge.look_now()
            await pilot.pause(0.05)
            assert listing(pets.root) == before, room
        app.next_look()
        app.send("a line")
        await pilot.pause()
    engine.close()
    assert listing(pets.root) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_read_only_disk_is_enough(dogcls, pets, tmp_path):
    """Commands that read work on it."""
    place = tmp_path / "mounted"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=False, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("no mounts here")
    try:
        shutil.copytree(pets.root, place / "home")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        for command in ("jobs", "--once", "results"):
            code, _, err = dogcls(place / "home", "--readonly", *command.split())
            assert code == 0, (command, err)
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_store_of_an_older_version_is_not_migrated(pets):
    """It is refused by name; see tests of the store."""
    import sqlite3

    with sqlite3.connect(pets.store) as old:
        old.execute("PRAGMA user_version = 3")
    old.close()
    before = listing(pets.root)
    with pytest.raises(InputError, match="older dogcls-tui"):
        Engine(pets.root, readonly=True)
    assert listing(pets.root) == before
