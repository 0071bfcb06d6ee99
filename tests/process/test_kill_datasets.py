"""`data add` and `data check` are killed in the middle: nothing half-written is believed, and the next run is whole."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import wait_for
from tests.pictures import class_folders, tar_of

COUNT = 700
"""More than are checked without other processes."""


@pytest.fixture
def source(tmp_path):
    return tar_of(class_folders(tmp_path / "pictures", ["a", "b"], COUNT // 2), tmp_path / "set.tar")


def command(home, *arguments):
    return [sys.executable, "-c", "from tui.main import main; main()", "--home", str(home.root), "data", *arguments]


def done(home, *arguments):
    """Run a command to its end; return what it printed as JSON, or as it is."""
    found = subprocess.run(command(home, *map(str, arguments)), capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    with contextlib.suppress(ValueError):
        return json.loads(found.stdout)
    return found.stdout


def killed(home, condition, *arguments):
    """Kill a command once a condition holds; tell whether it was not over by then."""
    process = subprocess.Popen(
        command(home, *map(str, arguments)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    condition(process)
    process.send_signal(signal.SIGKILL)
    process.stderr.close()
    return process.wait() == -signal.SIGKILL


def told_a_step(process):
    assert any(line.startswith("checking images") for line in iter(process.stderr.readline, ""))


def test_a_killed_import_is_no_dataset_and_what_it_left_goes(home, source):
    def has_written(process):
        wait_for(lambda: any(files for _, _, files in os.walk(home.datasets / ".birds.partial")))

    assert killed(home, has_written, "add", source, "--name", "birds")
    assert done(home, "list", "--json") == []
    assert (home.datasets / ".birds.partial").exists()
    done(home, "add", source, "--name", "others")
    assert [path.name for path in home.datasets.iterdir()] == ["others"]
    done(home, "add", source, "--name", "birds")
    first, second = done(home, "list", "--json")
    assert first["digest"] == second["digest"]
    assert first["train"] + first["val"] + first["test"] == COUNT


def test_a_killed_check_leaves_what_the_one_before_found(home, source, store):
    done(home, "add", source, "--name", "birds")
    before = store.findings.counts("birds")
    assert any(killed(home, told_a_step, "check", "birds") for _ in range(5))
    assert store.findings.counts("birds") == before
    again = done(home, "check", "birds", "--json")
    assert again["images"] == COUNT
    assert [(k["kind"], k["files"]) for k in again["kinds"]] == [(kind, files) for kind, _, _, files in before]
