"""How fast the screens are, measured on a real pseudo-terminal: `python -m tests.benchmarks.screens`.

Four figures: from the start to the first paint with the footer's keys on it and a key answered, against a bare
Textual app; from a key to its paint while a CNN trains on all cores; bytes and CPU a second while a job is
watched; a log of 100,000 lines opened.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.terminal import Terminal

ROOT = Path(__file__).parents[2]
PYTHON = [sys.executable, "-P"]


APP = [*PYTHON, "-m", "tui"]
BARE = [*PYTHON, "-m", "tests.benchmarks.bare_app"]


def environment(home):
    return {"PYTHONPATH": str(ROOT), "DOGCLS_HOME": str(home)}


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def start(command, home, word):
    """Return seconds to the paint that has the footer's keys, and to the answer to a key pressed then."""
    terminal = Terminal(command, environment(home))
    try:
        painted = terminal.until("quit") - terminal.begun
        terminal.forget()
        terminal.press("?")
        return painted, terminal.until(word) - terminal.begun
    finally:
        terminal.close()


def first_paint(home, rounds):
    ours, bare = [], []
    for number in range(rounds + 1):
        pair = start(APP, home, "Keys"), start(BARE, home, "Keys of")
        if number:  # the first finds its files on the disk, the others in its cache
            ours.append(pair[0])
            bare.append(pair[1])
    figures = {}
    for number, name in enumerate(("first_paint", "first_answer")):
        mine = statistics.median(pair[number] for pair in ours)
        theirs = statistics.median(pair[number] for pair in bare)
        figures[name] = {"seconds": mine, "bare_seconds": theirs, "times": mine / theirs}
    return figures


def cli(home, *arguments):
    env = {**os.environ, **environment(home)}
    done = subprocess.run([*APP, *arguments], capture_output=True, text=True, env=env, check=True)
    return done.stdout


def training(home):
    """Start a CNN that trains on all cores for longer than we look; wait until it does."""
    cli(home, "data", "add", "demo", "--name", "demo")
    cli(home, "launch", "train", "--dataset", "demo", "--epochs", "200000", "--yes", "--detach")
    while "/200000: loss" not in cli(home, "logs", "1"):
        time.sleep(0.5)


def stop(home):
    """Cancel what runs, and wait until its files are still."""
    while moving := [j for j in json.loads(cli(home, "jobs", "--json")) if j["state"] in ("running", "queued")]:
        for job in moving:
            cli(home, "cancel", str(job["id"]))
        time.sleep(0.5)


def keys_while_training(home, presses):
    """Return milliseconds from a key to its paint while a CNN trains, and the same for a bare app beside it.

    Ours: from `j` or `k` in the log until its border tells the line that is chosen then. The bare app paints
    nothing by itself, so its first byte is the answer.
    """
    load = os.getloadavg()[0]
    found = {"ours": _walk_in_the_log(home, presses), "bare": _walk_in_the_bare_app(home, presses)}
    told = {
        name: {"p50_ms": quantile(w, 0.5), "p95_ms": quantile(w, 0.95), "presses": len(w)} for name, w in found.items()
    }
    return {**told, "load_before": load}


def _walk_in_the_log(home, presses):
    terminal = Terminal(APP, environment(home), 120, 40)
    try:
        terminal.shows("Experiments")
        terminal.press("4")
        terminal.shows("Log of")
        terminal.press("\tkkkk")
        terminal.sees(lambda text: re.search(r"line [\d,]+ ", text), "the chosen line")
        terminal.rest(most=2.0)
        line = int(re.search(r"line ([\d,]+) ", terminal.text())[1].replace(",", ""))
        waits = []
        for number in range(presses):
            time.sleep(0.05)
            up = number % 20 < 10
            line += -1 if up else 1
            pressed = terminal.press("k" if up else "j")
            waits.append(1000 * (terminal.shows(f"line {line:,} ") - pressed))
        return waits
    finally:
        terminal.close()


def _walk_in_the_bare_app(home, presses):
    terminal = Terminal(BARE, environment(home), 120, 40)
    try:
        terminal.shows("quit")
        terminal.rest(most=2.0)
        waits = []
        for number in range(presses):
            time.sleep(0.05)
            pressed = terminal.press("\x1b[A" if number % 20 < 10 else "\x1b[B")
            if terminal.read(2.0):
                waits.append(1000 * (terminal.read_at - pressed))
            terminal.rest(quiet=0.02, most=0.2)
        return waits
    finally:
        terminal.close()


def watching(home, seconds):
    """Return bytes a second to the terminal and CPU share while a job is watched in the monitor."""
    terminal = Terminal(APP, environment(home), 120, 40)
    try:
        terminal.shows("Experiments")
        terminal.press("4")
        terminal.shows("Log of")
        terminal.rest(most=3.0)
        times, begun, count = terminal.process.cpu_times(), time.perf_counter(), terminal.bytes
        while time.perf_counter() - begun < seconds:
            terminal.read(0.2)
        now, took = terminal.process.cpu_times(), time.perf_counter() - begun
        cpu = (now.user + now.system - times.user - times.system) / took
        return {"bytes_per_second": (terminal.bytes - count) / took, "cpu_share": cpu, "seconds": took}
    finally:
        terminal.close()


def long_log(home, lines):
    """Return seconds from the key that opens a log to its last line, and how the memory grew on a walk through it."""
    from engine.store import Store
    from engine.store.experiments import NewJob

    store = Store(home / "store.db")
    (job,) = store.experiments.add(
        "long", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("batch", {})]
    )
    store.jobs.change(job, "cancelled", expected=("waiting",), message="cancelled")
    with store.db.transaction() as db:
        db.executemany(
            "INSERT INTO job_events (job_id, attempt, at, level, message) VALUES (?, 0, ?, 'info', ?)",
            ((job, float(n), f"line {n} of a long log, as a service writes it when it is asked often") for n in range(lines)),
        )  # fmt: skip
    store.close()
    terminal = Terminal(APP, environment(home), 120, 40)
    try:
        terminal.shows("Experiments")
        terminal.rest(most=2.0)
        terminal.press("4")
        terminal.shows("Log of")
        terminal.rest(most=2.0)
        pressed = terminal.press("g")  # the newest experiment stands on top; its log is opened at its end
        opened = terminal.shows(f"line {lines - 1} of") - pressed
        terminal.rest(most=2.0)
        before = terminal.process.memory_info().rss
        terminal.press("\t")
        terminal.rest(most=2.0)
        for _ in range(60):
            terminal.press("\x1b[5~")
            terminal.rest(quiet=0.05, most=0.5)
        pressed = terminal.press("g")
        top = terminal.shows("line 0 of") - pressed
        after = terminal.process.memory_info().rss
        return {"opened_seconds": opened, "to_the_top_seconds": top, "grown_mb": (after - before) / 1e6, "lines": lines}
    finally:
        terminal.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--presses", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--only", nargs="*", choices=("paint", "keys", "watching", "log"))
    given = parser.parse_args()
    wanted = given.only or ("paint", "keys", "watching", "log")
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        if "paint" in wanted:
            figures |= first_paint(home, given.rounds)
        try:
            if {"keys", "watching"} & set(wanted):
                training(home)
            if "keys" in wanted:
                figures["key_to_paint_while_a_cnn_trains"] = keys_while_training(home, given.presses)
            if "watching" in wanted:
                figures["watching_a_job"] = watching(home, given.seconds)
        finally:
            stop(home)
        if "log" in wanted:
            figures["log"] = long_log(home, given.lines)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
