"""Kills a training worker at random steps, and compares what comes out: `python -m tests.process.kill_training`.

One home, one set of pictures, one run that nobody disturbs; then runs of the same recipe and seed whose worker is
killed (SIGKILL) as soon as it has told of a step drawn at random, again and again, and resumed each time. In the end
all weights must be equal, bit by bit, and all predictions too. Works on drawn dogs, or on SOURCE.
"""

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch

from engine.jobs.paths import Home
from engine.training import checkpoint
from tests.pictures import KENNEL, kennel

FINAL = ("succeeded", "failed", "cancelled")


class House:
    """A home and its command line."""

    def __init__(self, root):
        self.root = root

    def run(self, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "tui", "--home", str(self.root), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, sql, *parameters):
        with sqlite3.connect(self.root / "store.db", timeout=30) as db:
            return db.execute(sql, parameters).fetchall()

    def train(self, recipe, options):
        self.run("launch", "train", "--dataset", "pictures", "--recipe", recipe, *options, "--yes", "--detach")
        return self.rows("SELECT MAX(id) FROM jobs")[0][0]

    def state(self, job):
        return self.rows("SELECT state FROM jobs WHERE id = ?", job)[0][0]

    def step(self, job):
        return self.rows("SELECT COALESCE(MAX(step), 0) FROM job_metrics WHERE job_id = ?", job)[0][0]

    def wait(self, job, until=None):
        """Wait for a job's end, or until it has told of a step; return whether it is still going."""
        while True:
            if self.state(job) in FINAL:
                return False
            if until is not None and self.step(job) >= until:
                return True
            time.sleep(0.02)

    def kill(self, job):
        ((pid, attempt),) = self.rows("SELECT pid, attempt FROM jobs WHERE id = ?", job)
        children = psutil.Process(pid).children(recursive=True)
        os.kill(pid, signal.SIGKILL)
        _, orphans = psutil.wait_procs(children, timeout=30)
        assert not orphans, f"they outlive the worker: {orphans}"
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]:
            time.sleep(0.02)
        self.run("resume", job)
        while self.rows("SELECT attempt FROM jobs WHERE id = ?", job)[0][0] == attempt:
            time.sleep(0.02)

    def weights(self, job):
        folder = Home(self.root).job(job) / "checkpoints"
        files = sorted(file for file in folder.glob("best-*.pt") if "before" not in file.name)
        return {
            f"{file.name}: {name}": value for file in files for name, value in checkpoint.load(file)["model"].items()
        }

    def answers(self, job):
        return self.rows(
            "SELECT p.image_id, p.ranking FROM predictions p JOIN jobs j ON j.contestant_id = p.contestant_id"
            " WHERE j.id = ? ORDER BY 1",
            job,
        )


def disturbed(house, recipe, options, steps):
    """Train, and kill the worker when it has told of each of `steps`; return the job and how often it was killed."""
    job, killed = house.train(recipe, options), []
    for step in steps:
        if not house.wait(job, step):
            break
        killed.append(house.step(job))
        house.kill(job)
    house.wait(job)
    assert house.state(job) == "succeeded", house.rows("SELECT error FROM jobs WHERE id = ?", job)
    return job, killed


def same(house, one, other):
    a, b = house.weights(one), house.weights(other)
    return bool(a) and a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def mobilenet(path):
    """Write random weights of the article's network: torchvision's own may not be at hand."""
    from engine.backbones import whole_module

    torch.manual_seed(0)
    network = whole_module("mobilenet_v3_small", 1000, pretrained=False).module
    torch.save({name.removeprefix("network."): value for name, value in network.state_dict().items()}, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", help="a folder, tar or zip of class folders; drawn dogs unless given")
    parser.add_argument("--split", help="as data add takes it")
    parser.add_argument("--recipe", default="article")
    parser.add_argument("--epochs", default=4, type=int)
    parser.add_argument("--runs", default=3, type=int)
    parser.add_argument("--kills", default=1, type=int, help="in each run")
    parser.add_argument("--seed", default=0, type=int, help="of the steps at which it is killed")
    chosen = parser.parse_args()
    draw = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as folder:
        house, options = House(Path(folder) / "home"), ["--epochs", chosen.epochs]
        source = chosen.source or kennel(Path(folder) / "dogs", 40, KENNEL)
        house.run("data", "add", source, "--name", "pictures", *(["--split", chosen.split] if chosen.split else []))
        if chosen.recipe == "article":
            mobilenet(Path(folder) / "weights.pth")
            options += ["--weights", Path(folder) / "weights.pth"]
        began = time.monotonic()
        whole, _ = disturbed(house, chosen.recipe, options, [])
        steps = house.step(whole)
        print(f"undisturbed: {steps} steps, {len(house.weights(whole))} tensors, {time.monotonic() - began:.0f} s")
        wrong = 0
        for number in range(chosen.runs):
            at = sorted(draw.randrange(1, steps) for _ in range(chosen.kills))
            job, killed = disturbed(house, chosen.recipe, options, at)
            equal = same(house, whole, job) and house.answers(whole) == house.answers(job)
            wrong += not equal
            print(
                f"run {number + 1}: killed at steps {killed or 'none'}: weights and answers",
                "equal" if equal else "DIFFER",
            )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
