"""By hand, at full size: kill -9 of the workers (and the emulator) in the middle of each contestant, then resume.

    python -m tests.process.kill_everything SOURCE [--split article] [--emulator-too]

Runs the whole comparison on SOURCE in a temporary home, kills at a third of each job, resumes, and prints what
was killed where, the comparison, and what the emulator's ledger says was paid.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.jobs import embedded
from engine.jobs.paths import Home
from engine.store import Store
from tests.conftest import ledger_of, wait_for

KINDS = ("batch", "fine-tune", "score", "train")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--split", default="stratified")
    parser.add_argument("--emulator-too", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show(Home(Path(folder) / "home"), options)


def show(home, options):
    def cli(*arguments):
        command = [sys.executable, "-m", "tui", "--home", str(home.root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    cli("data", "add", options.source, "--name", "set", "--split", options.split)
    store = Store(home.store)
    started = time.monotonic()
    cli("run", "--dataset", "set", "--yes", "--detach")
    left = list(KINDS)
    while left:
        views = wait_for(lambda: ripe(store, left), 600, "the middle of a job")
        kind = views.kind
        left.remove(kind)
        pids = [store.jobs.get(j.id).pid for j in store.jobs.views() if j.state in ("queued", "running")]
        killed = [pid for pid in pids if pid and kill(pid)]
        if options.emulator_too and (service := embedded.running(home)) and kill(service.pid):
            killed.append(f"emulator {service.pid}")
        print(f"{kind} at {views.done} of {views.total} ({views.note}): killed {killed}", flush=True)
        stuck = wait_for(lambda: [j["id"] for j in json.loads(cli("jobs", "--json")) if j["state"] == "interrupted"])
        cli("resume", str(stuck[0]))
    wait_for(lambda: all(j["state"] == "succeeded" for j in json.loads(cli("jobs", "--json"))), 900, "the end")
    print(f"all jobs succeeded after {time.monotonic() - started:.0f} s; attempts:")
    print({j["kind"]: j["attempt"] for j in json.loads(cli("jobs", "--json"))})
    for c in json.loads(cli("results", "--format", "json"))["contestants"]:
        print(c["name"], c["correct"], "of", c["n"], c["outcomes"])
    service = embedded.ensure(home)
    book = ledger_of(service.endpoint, service.api_key)
    print({name: len(book[name]) for name in ("batches", "fine_tuning_jobs", "deployments")}, book["chat_requests"])
    store.close()
    embedded.stop(home)
    wait_for(lambda: embedded.running(home) is None)


def ripe(store, kinds):
    """Return a running job of one of these kinds that is in its middle."""
    for job in store.jobs.views():
        if job.kind in kinds and job.state == "running" and job.total and 0.3 <= job.done / job.total < 0.9:
            return job
        # A fine-tuning job reads its pictures for most of its time, and only then counts steps.
        if job.kind in kinds and job.kind == "fine-tune" and job.state == "running" and age(store, job) > 8:
            return job
    return None


def age(store, job):
    begun = [line.at for line in store.jobs.lines(job.id) if "Preprocessing started" in line.message]
    return time.time() - begun[0] if begun else 0.0


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
