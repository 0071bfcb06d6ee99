"""A full disk: reading, cancelling and cleaning up work, jobs that fail name it, and they end well when there is room."""

import errno
import os
import shutil
import subprocess

import pytest

from engine.jobs import scheduler
from engine.jobs.paths import Home
from engine.states import JobState
from engine.store import Store, reserve
from engine.store.experiments import NewContestant, NewJob
from tests.conftest import wait_for
from tests.outcomes import experiment
from tests.pictures import class_folders

SIZE = 6 * 2**20
TRAIN = {
    "recipe": "quick",
    "dataset": "pets",
    "seed": 1,
    "profile": "demo",
    "device": "cpu",
    "weights": "",
    "probe": 30,
}


@pytest.fixture
def disk(tmp_path):
    """A disk of some megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root mounts, and not everywhere")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    """Leave no byte free."""
    with (place / "ballast").open("ab", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return place / "ballast"


@pytest.fixture
def home(disk, tmp_path):
    """A home on it, with an ended experiment and a job that waits."""
    home = Home(disk / "home")
    store = Store(home.store)
    experiment(store, tmp_path / "pets")
    store.experiments.add(
        "other",
        dataset="pets",
        profile="demo",
        spec="",
        contestants=[NewContestant("cnn", "cnn", "quick", False, "", "class")],
        jobs=[NewJob("train", TRAIN, 0)],
    )
    store.close()
    return home


READS = ("jobs", "logs 1", "--once", "results", "data list", "data show pets", "info", "emulator settings")


@pytest.mark.parametrize("reserved", [True, False])
def test_everything_can_be_read_on_a_full_disk(dogcls, home, disk, reserved):
    """With the reserve, and when that is used up too."""
    if reserved:
        (home.root / reserve.NAME).write_bytes(b"x" * reserve.SIZE)
    fill(disk)
    for command in READS:
        code, out, err = dogcls(home.root, *command.split())
        assert code == 0, (command, code, err)
        assert out or err
        if not reserved:
            fill(disk)


def test_a_waiting_job_is_cancelled_on_a_full_disk(dogcls, home, disk):
    (home.root / reserve.NAME).write_bytes(b"x" * reserve.SIZE)
    fill(disk)
    code, _, err = dogcls(home.root, "cancel", 3)
    assert code == 0, err
    store = Store(home.store)
    assert store.jobs.get(3).state == JobState.CANCELLED
    store.close()


def test_what_cannot_be_written_is_one_line_that_names_the_disk(dogcls, home, disk, tmp_path):
    """No reserve: nothing can be started, and no command ends with a traceback."""
    class_folders(tmp_path / "new", ["cat", "dog"], 4)
    fill(disk)
    for command in (
        "cancel 3",
        "resume 3",
        "data check pets",
        "demo --plain",
        f"data add {tmp_path / 'new'} --name z",
    ):
        code, _, err = dogcls(home.root, *command.split())
        assert code in (1, 2), (command, code, err)
        assert "No space left on device" in err or "full" in err, (command, err)
        fill(disk)


def test_a_job_that_fills_the_disk_names_it(home, disk):
    """Its record of the end finds room: the job does not stay `running`, and its reason is in words."""
    ballast = fill(disk)
    shutil.rmtree(home.root / "jobs", ignore_errors=True)
    with ballast.open("r+b") as file:
        file.truncate(ballast.stat().st_size - 700_000)  # room for the store and its logs, none for a checkpoint
    store = Store(home.store)
    scheduler.advance(store, home)
    ended = (JobState.FAILED, JobState.INTERRUPTED, JobState.SUCCEEDED)
    wait_for(lambda: store.jobs.get(3).state in ended, 60, "an end")
    error = store.jobs.view(3).error or ""
    assert "No space left on device" in error or "full" in error
    assert "Error" not in error and "unexpected" not in error
    store.close()


def test_the_reserve_is_made_where_there_is_room_and_given_up_where_there_is_none(tmp_path, monkeypatch):
    sizes = iter([reserve.PLENTY - 1, reserve.PLENTY, reserve.LOW, reserve.LOW - 1])
    monkeypatch.setattr(reserve, "free", lambda folder: next(sizes))
    path = tmp_path / reserve.NAME
    reserve.keep(tmp_path)
    assert not path.exists()
    reserve.keep(tmp_path)
    assert path.stat().st_size == reserve.SIZE
    reserve.release(tmp_path)
    assert path.exists()
    reserve.release(tmp_path)
    assert not path.exists()


def test_a_checkpoint_on_a_full_disk_leaves_the_last_one_and_nothing_else(disk):
    """Torch hides the system's error behind one of its own; its path and reason are shown all the same."""
    import torch

    from engine.training import checkpoint

    checkpoint.save(disk / "last.pt", {"epoch": 1})
    with pytest.raises(OSError, match="No space left on device") as caught:
        checkpoint.save(disk / "last.pt", {"epoch": 2, "weights": torch.zeros(SIZE)})
    assert caught.value.filename == str(disk / "last.pt")
    assert checkpoint.load(disk / "last.pt")["epoch"] == 1
    assert [path.name for path in disk.iterdir()] == ["last.pt"]


def test_a_drawn_set_on_a_full_disk_names_it(disk):
    from engine.datasets.demo.writing import write_demo_set

    fill(disk)
    with pytest.raises(OSError, match="No space left on device"):
        write_demo_set(disk / "demo", 20)
