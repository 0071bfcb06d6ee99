"""Real workers, really killed, against the embedded emulator."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys

import psutil
import pytest

from engine.jobs import embedded
from engine.store import Store
from tests.conftest import ROOT, ledger_of, wait_for

JOBS = ("batch", "probe", "fine-tune", "deploy", "score", "train")


class Cli:
    """The command, as a user of one home has it."""

    def __init__(self, home):
        self.home = home
        self.command = [sys.executable, "-m", "tui", "--home", str(home.root)]

    def __call__(self, *arguments, code=0):
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=240)
        assert done.returncode == code, done.stderr
        return done.stdout

    def start(self, *arguments):
        return subprocess.Popen([*self.command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)

    def jobs(self):
        return {job["kind"]: job for job in json.loads(self("jobs", "--json"))}


@pytest.fixture
def cli(warm_home):
    yield Cli(warm_home)
    for process in psutil.process_iter(["cmdline"]):
        if str(warm_home.root) in (process.info["cmdline"] or []) or any(
            str(warm_home.root) in part for part in process.info["cmdline"] or []
        ):
            process.kill()


@pytest.fixture
def dataset(cli, dogs):
    cli("data", "add", str(dogs), "--name", "dogs", "--train", "9", "--val", "2", "--test", "5")
    return cli


def ledger(home):
    service = embedded.ensure(home)
    return ledger_of(service.endpoint, service.api_key)


def whole(cli, value):
    """Check a comparison that nothing is missing from."""
    assert [c["kind"] for c in value["contestants"]] == ["zero-shot", "fine-tuned", "cnn"]
    for c in value["contestants"]:
        assert c["n"] == sum(c["outcomes"].values()) == 20
        assert c["outcomes"]["missing"] == c["outcomes"]["failed"] == 0
        assert c["latency_ms"]["p50"] > 0
    assert {job["state"] for job in cli.jobs().values()} == {"succeeded"}


def paid_once(home, chats=20, probe=20, batches=1):
    """Check that nothing was paid twice; return how many chats there were more than were needed."""
    book = ledger(home)
    assert len(book["batches"]) == batches
    assert len(book["fine_tuning_jobs"]) == 1
    assert len(book["deployments"]) == 1
    return book["chat_requests"]["total"] - chats - probe


def test_a_run_from_data_to_comparison(dataset):
    value = json.loads(dataset("run", "--dataset", "dogs", "--yes", "--json"))
    whole(dataset, value)
    assert value["split"] == {"train": 36, "val": 8, "test": 20}
    zero_shot, tuned, cnn = value["contestants"]
    assert (zero_shot["name"], cnn["name"]) == ("zero-shot (emulated)", "cnn")
    assert zero_shot["correct"] >= 8  # of 20, where chance is 5
    assert max(tuned["correct"], cnn["correct"]) >= 12
    assert zero_shot["cost_usd"]["inference"] > 0
    assert tuned["cost_usd"]["training"] > 0
    assert cnn["cost_usd"]["total"] == 0
    assert paid_once(dataset.home) == 0
    again = json.loads(dataset("results", "--format", "json"))
    del value["provenance"]["made_at"], again["provenance"]["made_at"]
    assert again == value
    assert "zero-shot (emulated)" in dataset("results")
    for path in dataset.home.root.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    key = embedded.running(dataset.home).api_key
    for path in (dataset.home.store, *dataset.home.logs.iterdir(), *dataset.home.experiments.iterdir()):
        assert key.encode() not in path.read_bytes()


def workers(home):
    store = Store(home.store)
    try:
        found = []
        for view in store.jobs.views():
            job = store.jobs.get(view.id)
            if view.state in ("queued", "running") and job.pid:
                found.append(job.pid)
        return found
    finally:
        store.close()


def lines(home, kind):
    store = Store(home.store)
    try:
        return [line.message for view in store.jobs.views() if view.kind == kind for line in store.jobs.lines(view.id)]
    finally:
        store.close()


MIDDLE = {
    "batch": lambda home: any("batch batch_" in line for line in lines(home, "batch")),
    "fine-tune": lambda home: any("fine-tuning job ftjob" in line for line in lines(home, "fine-tune")),
    "score": lambda home: any("deployment" in line for line in lines(home, "score")),
    "train": lambda home: any("epoch 2/" in line for line in lines(home, "train")),
}


def kill(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "also_the_emulator",
    [pytest.param(False, id="workers", marks=pytest.mark.full), pytest.param(True, id="workers-and-emulator")],
)
def test_killed_in_the_middle_of_each_contestant_it_goes_on_and_pays_once(dataset, also_the_emulator):
    home = dataset.home
    dataset("run", "--dataset", "dogs", "--yes", "--detach")
    for kind, reached in MIDDLE.items():
        wait_for(lambda reached=reached: reached(home), what=f"the middle of {kind}")
        kill(workers(home))
        if also_the_emulator and (service := embedded.running(home)):
            kill([service.pid])
        states = {k: job["state"] for k, job in dataset.jobs().items()}
        for number in [job["id"] for job in dataset.jobs().values() if job["state"] == "interrupted"]:
            assert "resumed" not in dataset("resume", str(number))  # stdout is data; it returns at once
        assert "failed" not in states.values()
    wait_for(lambda: all(j["state"] == "succeeded" for j in dataset.jobs().values()), 120, "the end")
    whole(dataset, json.loads(dataset("results", "--format", "json")))
    # A request that was answered while its asker was killed is paid for, and asked again.
    assert 0 <= paid_once(home) <= 8 * len(MIDDLE)


def test_a_terminal_that_is_closed_takes_nothing_along(dataset):
    process = dataset.start("run", "--dataset", "dogs", "--yes", "--json", "--contestants", "zero-shot,cnn")
    wait_for(lambda: workers(dataset.home), what="workers")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    wait_for(lambda: all(j["state"] == "succeeded" for j in dataset.jobs().values()), 120, "the end")


def test_ctrl_c_leaves_the_jobs_running_and_ends_with_130(dataset):
    process = dataset.start("run", "--dataset", "dogs", "--yes", "--json", "--contestants", "cnn")
    wait_for(dataset.jobs, what="jobs")
    with held(dataset.home, "train"):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == b""
    assert b"the jobs go on without this terminal" in err
    assert b"Traceback" not in err
    wait_for(lambda: all(j["state"] == "succeeded" for j in dataset.jobs().values()), 120, "the end")


@contextlib.contextmanager
def held(home, kind):
    """Stop a job's worker as soon as it runs, so that it cannot finish before it is asked for something."""

    def stopped():
        view = next(view for view in store.jobs.views() if view.kind == kind)
        assert view.state not in ("failed", "cancelled"), view.error
        if view.state != "running":
            return None
        job = store.jobs.get(view.id)
        os.kill(job.pid, signal.SIGSTOP)
        wait_for(lambda: psutil.Process(job.pid).status() == psutil.STATUS_STOPPED)
        with contextlib.closing(sqlite3.connect(home.store, timeout=0, isolation_level=None)) as connection:
            try:
                connection.executescript("BEGIN IMMEDIATE; ROLLBACK")
            except sqlite3.OperationalError:  # it was just writing
                os.kill(job.pid, signal.SIGCONT)
                return None
        return job

    store = Store(home.store)
    try:
        job = wait_for(stopped, 120, f"{kind} running")
        assert store.jobs.view(job.id).state == "running"
        yield job.id
    finally:
        os.kill(job.pid, signal.SIGCONT)
        store.close()


def test_pause_resume_and_cancel(dataset):
    dataset("run", "--dataset", "dogs", "--yes", "--detach", "--contestants", "fine-tuned")
    with held(dataset.home, "fine-tune") as number:
        dataset("pause", str(number))
    wait_for(lambda: dataset.jobs()["fine-tune"]["state"] == "paused", what="the pause")
    dataset("resume", str(number))
    with held(dataset.home, "score") as number:
        dataset("cancel", str(number))
    wait_for(lambda: dataset.jobs()["score"]["state"] == "cancelled", what="the cancellation")
    dataset("resume", str(number), code=2)  # the deployment costs again, and nobody accepted it
    dataset("resume", str(number), "--yes")
    wait_for(lambda: all(j["state"] == "succeeded" for j in dataset.jobs().values()), 120, "the end")
    # Cancelling deleted the deployment; going on made it again. Training was paid for once.
    book = ledger(dataset.home)
    assert len(book["fine_tuning_jobs"]) == 1
    assert 1 <= len(book["deployments"]) <= 2
    assert all(d["deleted_at"] for d in book["deployments"])
    assert 20 <= book["chat_requests"]["total"] <= 28


def test_an_experiment_can_be_shown_saved_and_run_again(dataset, tmp_path):
    dataset("run", "--dataset", "dogs", "--name", "first", "--yes", "--json", "--contestants", "cnn", "--seed", "7")
    text = dataset("experiment", "first")
    assert "seed = 7" in text
    path = tmp_path / "again.toml"
    path.write_text(text)
    value = json.loads(dataset("run", "--file", str(path), "--name", "second", "--yes", "--json"))
    assert value["experiment"] == "second"
    assert (
        value["contestants"][0]["correct"]
        == json.loads(dataset("results", "first", "--format", "json"))["contestants"][0]["correct"]
    )
