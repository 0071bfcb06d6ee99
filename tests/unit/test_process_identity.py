"""A living process is alive whatever the clock shows, and a dead one is dead."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from engine import clock
from engine.engine import Engine
from engine.jobs import embedded, outline, process, scheduler, worker
from engine.jobs.paths import worker_lock
from engine.jobs.process import alive, is_locked, locked, start_time
from engine.states import JobState
from engine.store.experiments import NewJob
from tests.conftest import wait_for
from tui.pace import Pace


@pytest.fixture
def proc(tmp_path, monkeypatch):
    """A `/proc` of our own; returns a function that writes it."""
    root = tmp_path / "proc"

    def write(pid=4711, boot="b5c0", ticks=123456, state="S", name="python (odd) name"):
        (root / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
        (root / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
        (root / str(pid)).mkdir(exist_ok=True)
        (root / str(pid) / "stat").write_text(f"{pid} ({name}) {state} {'1 ' * 18}{ticks} {'2 ' * 30}")
        process.boot_number.cache_clear()

    monkeypatch.setattr(process, "PROC", root)
    process.boot_number.cache_clear()
    yield write
    process.boot_number.cache_clear()


def test_a_process_is_known_by_its_boot_and_its_ticks(proc):
    proc()
    started = start_time(4711)
    assert started % process.BOOT_TICKS == 123456
    assert float(repr(started)) == started  # whole in a column of reals
    assert alive(4711, started)
    for other in ({"ticks": 123457 + 100}, {"boot": "another boot"}, {"state": "Z"}, {"state": "X"}):
        proc(**other)
        assert not alive(4711, started), other
    proc(state="T")  # stopped with Ctrl-Z: it lives
    assert alive(4711, started)
    assert start_time(9999) is None
    assert not alive(9999, started)


@pytest.mark.parametrize("step", [5, 37, 3600, -3600])
def test_a_step_of_the_clock_kills_nobody(monkeypatch, step):
    started = start_time(os.getpid())
    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + step)  # it moves with the clock
    monkeypatch.setattr(clock, "now", lambda: time.time() + step)
    assert start_time(os.getpid()) == started
    assert alive(os.getpid(), started)


def test_where_there_is_no_boot_id_the_time_of_the_start_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "PROC", tmp_path)
    process.boot_number.cache_clear()
    started = start_time(os.getpid())
    assert started == psutil.Process().create_time()
    assert alive(os.getpid(), started)
    assert not alive(os.getpid(), started - 60)
    process.boot_number.cache_clear()


def test_a_process_that_an_earlier_version_noted_is_compared_by_its_time():
    assert alive(os.getpid(), psutil.Process().create_time())
    assert not alive(os.getpid(), psutil.Process().create_time() - 60)


HOLDER = """
import sys, time
from pathlib import Path
from engine.jobs.process import locked
with locked(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def holder(path):
    """Another process that holds a lock."""
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"True\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_the_kernel_frees_a_lock_when_its_process_ends_however_it_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "LOCK_SECONDS", 0.0)
    path = tmp_path / "jobs" / "1" / "worker.lock"
    assert not is_locked(path)
    with holder(path) as child:
        assert is_locked(path)
        child.send_signal(signal.SIGSTOP)
        assert is_locked(path)
        with locked(path) as mine:
            assert not mine
        child.kill()
        child.wait()
    assert not is_locked(path)
    with locked(path) as mine:
        assert mine
        assert is_locked(path)
    assert not is_locked(path)


def test_a_worker_whose_process_id_means_nothing_here_is_alive_by_its_lock(store, home):
    (job,) = store.experiments.add(
        "e", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("train", {})]
    )
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    store.jobs.claim(job, 1, 999_999_999, 1.0)  # of another container
    with holder(worker_lock(home.root, store.jobs.get(job))):
        assert scheduler.recover(store) == []
    assert scheduler.recover(store) == [job]
    assert store.jobs.get(job).state == JobState.INTERRUPTED


def test_a_second_worker_never_works_beside_a_living_one(store, home, monkeypatch):
    monkeypatch.setattr(process, "LOCK_SECONDS", 0.0)
    (job,) = store.experiments.add(
        "e", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("train", {})]
    )
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    with holder(worker_lock(home.root, store.jobs.get(job))):
        assert worker._claimed(home, store, job, 1) == 0
    view = store.jobs.view(job)
    assert (view.state, view.error) == ("interrupted", "an earlier worker process of this job still runs")


def test_a_worker_that_cannot_be_started_leaves_its_job_interrupted_with_the_reason(store, home, monkeypatch):
    (job,) = store.experiments.add(
        "e", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("train", {})]
    )

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scheduler, "detach", full)
    scheduler.start(store, home, job)
    view = store.jobs.view(job)
    assert view.state == "interrupted"
    assert view.error == "the worker process could not be started: No space left on device"


def test_the_embedded_emulator_is_found_after_a_step_of_the_clock(home, monkeypatch):
    place = embedded.Embedded("http://127.0.0.1:1", "a", "k", "d", "b", "s", "g", "acc", os.getpid())
    file = home.emulator / "service.json"
    text = {**vars(place), "started": start_time(os.getpid())}
    file.write_text(json.dumps(text))
    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) - 3600)
    assert embedded.running(home) == place
    file.write_text(json.dumps({**text, "started": text["started"] + 100}))
    assert embedded.running(home) is None


# -- time worked


@pytest.fixture
def paused(store, monkeypatch):
    """A job that worked a minute, was paused overnight, and worked another."""
    now = [1000.0]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    (job,) = store.experiments.add(
        "e", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("deploy", {})]
    )
    for attempt, (end, pause) in enumerate(((JobState.PAUSED, 14 * 3600), (JobState.SUCCEEDED, 0)), start=1):
        store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
        store.jobs.claim(job, attempt, 1, 1.0)
        now[0] += 60
        assert store.jobs.view(job).seconds(now[0]) == 60 * attempt
        store.jobs.change(job, end, expected=(JobState.RUNNING,), message="end")
        now[0] += pause
        store.jobs.change(job, JobState.WAITING, expected=(JobState.PAUSED,), message="resumed")
    return job


def test_the_time_that_a_job_worked_has_no_pauses_in_it(store, paused):
    view = store.jobs.view(paused)
    assert view.worked_seconds == 120
    assert view.seconds(9e9) == 120
    assert view.finished_at - view.started_at == 14 * 3600 + 120


def test_an_estimate_is_made_of_the_time_worked(store, paused):
    plan = type("Plan", (), {"jobs": [NewJob("deploy", {})]})
    assert outline._seconds(store, None, plan, None) == 120


def test_a_worker_s_own_measure_counts_and_not_the_clock(store, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    (job,) = store.experiments.add(
        "e", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("deploy", {})]
    )
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    store.jobs.claim(job, 1, 1, 1.0)
    now[0] += 8 * 3600  # the machine was suspended, or its clock set
    store.jobs.heartbeat(job, 1, 12.5)
    assert store.jobs.view(job).seconds(now[0] + 1) == 13.5
    now[0] += 3600
    assert scheduler.recover(store) == [job]  # it died then: the hour until this was noticed is not work
    assert store.jobs.view(job).worked_seconds == 12.5


def test_the_pace_of_a_job_starts_anew_after_a_suspend_or_a_step_of_the_clock(store, paused):
    view = replace(store.jobs.view(paused), state="running", total=1000)
    for step in (3600.0, -3600.0):
        pace = Pace()
        for second in range(10):
            pace.watch([replace(view, done=10 * second)], 100.0 + second)
        assert pace.left(replace(view, done=90)) == pytest.approx(91)
        for second in range(10, 15):
            pace.watch([replace(view, done=10 * second)], 100.0 + step + second)
        assert pace.left(replace(view, done=140)) == pytest.approx(86)


def test_a_living_worker_is_running_in_every_list_after_a_step_of_the_clock(home, monkeypatch):
    engine = Engine(home.root, profile="demo")
    store = engine.store
    (job,) = store.experiments.add(
        "e", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("deploy", {})]
    )
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        store.jobs.claim(job, 1, child.pid, start_time(child.pid))
        for step in (31, -31, 1e6):
            monkeypatch.setattr(clock, "now", lambda step=step: time.time() + step)
            scheduler.advance(store, home)
            assert store.jobs.view(job).state == "running"
        child.send_signal(signal.SIGSTOP)
        wait_for(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED)
        assert scheduler.recover(store) == []
        child.kill()
        wait_for(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
        assert scheduler.recover(store) == [job]
    engine.close()
