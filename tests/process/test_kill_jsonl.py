"""`data jsonl` is killed at any moment, again and again: what stands is whole, and the end is the same bytes."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from engine.store import Store
from tests.pictures import plain

COUNT = 3000
COMMAND = """
import sys
import engine.jobs.exporting as exporting, engine.datasets.export as export, engine.datasets.shard_file as shard_file
from engine.datasets.export import Limits
exporting.LIMITS["batch"] = Limits(700_000, 100_000)
export.CHECKPOINT_SECONDS = 0.05
shard_file.CHUNK = 50_000
from tui.main import main
main()
"""


@pytest.fixture
def many(tmp_path, home):
    """A dataset of a few pictures under many names."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    originals = [plain(number, size=(40, 30)) for number in range(8)]
    for number, data in enumerate(originals):
        (folder / f"original-{number}.jpg").write_bytes(data)
    for number in range(COUNT):
        os.link(folder / f"original-{number % 8}.jpg", folder / f"{number:05d}.jpg")
    store = Store(home.store)
    store.datasets.add(
        "many",
        source="test",
        root=folder,
        split="given",
        seed=None,
        digest="0",
        labels=["a", "b"],
        images=(
            (f"{n:05d}.jpg", n % 2, "test", len(originals[n % 8]), 40, 30, hashlib.sha256(originals[n % 8]).hexdigest())
            for n in range(COUNT)
        ),
    )
    store.close()
    return home


def command(home, folder, *more):
    arguments = ["--home", str(home.root), "data", "jsonl", "many", "--kind", "batch", "--split", "test"]
    return [sys.executable, "-c", COMMAND, *arguments, "--deployment", "d", "--output", str(folder), *more]


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.jsonl"))}


@pytest.mark.parametrize("more", [(), ("--format", "webp", "--max-side", "30")], ids=["as-is", "webp"])
def test_a_kill_at_any_moment_leaves_whole_files_and_the_next_run_the_same_bytes(many, tmp_path, more):
    started = time.monotonic()
    subprocess.run(command(many, tmp_path / "whole", *more), check=True, capture_output=True)
    took = time.monotonic() - started
    whole = content(tmp_path / "whole")
    assert len(whole) >= 3
    folder, cut, chance = tmp_path / "out", 0, random.Random(4)
    for _ in range(8):
        process = subprocess.Popen(command(many, folder, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(took * chance.uniform(0.3, 1.0))
        process.send_signal(signal.SIGKILL)
        cut += process.wait() == -signal.SIGKILL
        if folder.exists():
            for name, data in content(folder).items():
                assert data == whole[name]
    done = subprocess.run(command(many, folder, *more), check=True, capture_output=True, text=True)
    assert content(folder) == whole
    assert cut >= 1
    told = json.loads(done.stdout)
    assert [shard["sha256"] for shard in told] == [hashlib.sha256(data).hexdigest() for data in whole.values()]
    assert not list(folder.glob(".*"))


def test_ctrl_c_keeps_what_there_is(many, tmp_path):
    folder = tmp_path / "out"
    process = subprocess.Popen(command(many, folder, "--format", "png"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not list(folder.glob("*-00001.jsonl")) and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode in (0, 130), told
    assert b"Traceback" not in told
    done = subprocess.run(command(many, folder, "--format", "png"), check=True, capture_output=True, text=True)
    assert sum(shard["lines"] for shard in json.loads(done.stdout)) == COUNT
    assert "there already" in done.stderr
