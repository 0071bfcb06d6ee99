"""By hand: kills, stops, outages, cancels, pauses, resumes, cleans and deletions at random.

    python -m tests.process.random_chaos --minutes 60 --seed 1 [--lanes 2] [--keep FOLDER] [--only ROUND]

Each round starts a small experiment in a home that several rounds share, disturbs it, lets it come to rest, and checks
what must hold (see `check`). The plan of a round depends on the seed and its number only; its timing does not repeat.
A round that fails prints its actions and leaves its home as it is; the lane continues in a new one.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

from engine import DogclsError, Engine
from engine.jobs.importing import add_dataset
from engine.jobs.paths import Home
from engine.store import Store
from tests.pictures import class_folders
from tests.process.chaos_home import ACTIVE, CLASSES, COUNTS, ENDED, ChaosHome, Violation

ROUNDS_A_HOME = 8
REST_SECONDS = 150.0
"""So long a home may take to come to rest once nothing disturbs it; the machine may be loaded."""
RESUMES = 6

EXPERIMENTS = {
    "zero-shot": (5, ("run", "--dataset", "set", "--contestants", "zero-shot", "--yes", "--detach")),
    "fine-tuned": (5, ("run", "--dataset", "set", "--contestants", "fine-tuned", "--yes", "--detach")),
    "both": (3, ("run", "--dataset", "set", "--contestants", "zero-shot,fine-tuned", "--yes", "--detach")),
    "batch": (4, ("launch", "batch", "--dataset", "set", "--yes", "--detach")),
    "batch, then real time": (2, ("launch", "batch", "--dataset", "set", "--retry", "realtime", "--yes", "--detach")),
    "fine-tune": (3, ("launch", "fine-tune", "--dataset", "set", "--yes", "--detach")),
    "score": (2, ("launch", "score", "--dataset", "set", "--deployment", "gpt-4o", "--yes", "--detach")),
    "deploy": (2, ("launch", "deploy", "--tuned-model", "?", "--yes", "--detach")),
    "train": (1, ("train", "--dataset", "set", "--epochs", "1", "--detach")),
}
SPEEDS = ("instant", "fast", 60, 20, 5, 1)
"""Slow ones leave jobs unfinished on the service until the round comes to rest."""
OUTAGES = {
    "down": [{"operation": "*", "kind": "503", "rate": 1.0}],
    "flaky": [{"operation": "*", "kind": "503", "rate": 0.3}, {"operation": "*", "kind": "refuse", "rate": 0.2}],
    "answers lost": [
        {"operation": f"{what}.*", "kind": "drop", "rate": 0.3} for what in ("batches", "files", "fine_tuning")
    ],
    "deployments lost": [{"operation": "deployments.*", "kind": "drop", "rate": 0.4}],
    "too many requests": [{"operation": "chat", "kind": "429", "rate": 0.5}],
    "not authorized": [{"operation": "*", "kind": "401", "rate": 0.2, "times": 2}],
    "timeouts": [{"operation": "*", "kind": "408", "rate": 0.3}],
}
ACTIONS = {
    "kill worker": 10,
    "terminate worker": 4,
    "freeze worker": 4,
    "freeze, resume elsewhere": 3,
    "kill emulator": 4,
    "freeze emulator": 3,
    "outage": 6,
    "outage over": 3,
    "cancel": 8,
    "pause": 6,
    "resume": 8,
    "clean": 6,
    "delete experiment": 3,
    "kill command": 5,
    "two shells": 5,
    "app cancel": 3,
    "app resume": 3,
    "list": 2,
}


# -- the plan


def plan(seed, number):
    """Return a round: the experiment, the emulator's speed, the actions with their pauses, and the ending."""
    rng = random.Random(f"{seed}/{number}")

    def one_of(weights):
        return rng.choices(list(weights), list(weights.values()))[0]

    experiment = one_of({name: weight for name, (weight, _) in EXPERIMENTS.items()})
    actions = []
    for _ in range(rng.randint(2, 6)):
        action = one_of(ACTIONS)
        detail = ""
        if action == "outage":
            detail = rng.choice(sorted(OUTAGES))
        elif action == "kill command":
            detail = rng.choice(("cancel", "pause", "resume", "clean", "jobs", "run"))
        elif action == "two shells":
            detail = rng.choice(
                ("resume resume", "cancel resume", "pause resume", "cancel cancel", "clean resume", "jobs jobs")
            )
        actions.append(
            (round(rng.choice((0.0, 0.3, 1.0, 2.0)) * rng.uniform(0.5, 1.5), 2), action, detail, rng.random())
        )
    return {
        "experiment": experiment,
        "speed": rng.choice(SPEEDS),
        "actions": actions,
        "ending": rng.choice(("resume", "resume", "cancel", "cancel and resume")),
    }


# -- the round


class Round:
    """One round in a home."""

    def __init__(self, home, seed, number):
        self.home, self.plan = home, plan(seed, number)
        self.done = []
        """What was done, as text: the actions with the jobs that they met."""
        self.shells = []
        self.before = set(home.jobs())
        self.number = number
        self.verified = number % 2 == 0
        """Whether its results are verified: that takes as long as the rest of the round."""

    def note(self, text):
        self.done.append(text)

    def pick(self, chance, states=None):
        """Return a job by chance, of this round's and the unfinished ones before it; None if there is none."""
        jobs = self.home.jobs()
        some = [j for j in jobs.values() if j.id not in self.before or j.state not in ENDED]
        some = [j for j in some if states is None or j.state in states]
        return some[int(chance * len(some))] if some else None

    def run(self):
        home = self.home
        home.settings(speed=self.plan["speed"], brain=False, faults=None)
        self.start()
        for pause, action, detail, chance in self.plan["actions"]:
            time.sleep(pause)
            self.act(action, detail, chance)
        self.calm()
        home.check_cancelled(home.jobs(), home.payments())
        if self.plan["ending"].startswith("cancel"):
            self.cancel_all()
        home.settings(speed="instant")
        self.rest()
        self.check()
        if self.plan["ending"] != "cancel":
            self.resume_all()
            self.check_results()
        home.check_texts()

    def start(self):
        """Start the experiment, and wait for its first worker."""
        home, arguments = self.home, EXPERIMENTS[self.plan["experiment"]][1]
        if "?" in arguments:
            models = [
                model
                for (model,) in home.rows("SELECT json_extract(result, '$.model') FROM jobs WHERE kind = 'fine-tune'"
                                          " AND state = 'succeeded' ORDER BY id DESC")
            ]  # fmt: skip
            there = {item["id"] for item in home.api("GET", "/openai/v1/models")["data"]}
            model = next((model for model in models if model in there), None)
            arguments = [model if a == "?" else a for a in arguments] if model else EXPERIMENTS["fine-tune"][1]
        code, out, err = home.run(*arguments)
        if code:
            raise Violation(f"the experiment did not start: {code}: {(out + err).strip().splitlines()[-2:]}")
        self.mine = sorted(set(home.jobs()) - self.before)

    # -- actions

    def act(self, action, detail, chance):
        home = self.home
        worker = next(iter(sorted(home.workers(), key=lambda w: hash((w.job, chance)))), None)
        if action in ("kill worker", "terminate worker", "freeze worker", "freeze, resume elsewhere"):
            if worker is None:
                return self.note(f"{action}: none")
            home.disturbed[worker.job] += 1
            self.note(f"{action} of job {worker.job}")
            if action == "kill worker":
                home.send(worker, signal.SIGKILL)
            elif action == "terminate worker":
                home.send(worker, signal.SIGTERM)
            else:
                home.send(worker, signal.SIGSTOP)
                if action == "freeze, resume elsewhere":
                    home.run("jobs")
                    home.run("resume", worker.job, "--yes")
                else:
                    time.sleep(0.5 + 2 * chance)
                home.send(worker, signal.SIGCONT)
        elif action in ("kill emulator", "freeze emulator"):
            emulator = next((process for process in home.processes() if process.emulator), None)
            if emulator is None:
                return self.note(f"{action}: none")
            self.note(action)
            self.disturb_all()
            if action == "kill emulator":
                home.send(emulator, signal.SIGKILL)
            else:
                home.send(emulator, signal.SIGSTOP)
                time.sleep(0.5 + 2 * chance)
                home.send(emulator, signal.SIGCONT)
        elif action == "outage":
            self.note(f"outage: {detail}")
            self.disturb_all()
            home.settings(faults={"calls": OUTAGES[detail]})
        elif action == "outage over":
            self.note(action)
            home.settings(faults=None)
        elif action == "delete experiment":
            self.delete(chance)
        elif action == "list":
            self.note("jobs")
            home.run("jobs")
        elif action in ("cancel", "pause", "resume", "app cancel", "app resume"):
            job = self.pick(chance)
            if job is None:
                return self.note(f"{action}: no job")
            self.note(f"{action} {job.kind} job {job.id} ({job.state})")
            if action.startswith("app "):
                self.app(action.removeprefix("app "), job.id)
            else:
                home.run(*self.command(action, job.id))
        elif action == "clean":
            self.note("clean --yes")
            self.clean()
        elif action == "kill command":
            job = self.pick(chance)
            if detail == "run":
                arguments = EXPERIMENTS["zero-shot"][1]
            elif job is None and detail not in ("clean", "jobs"):
                return self.note(f"{action} {detail}: no job")
            else:
                arguments = self.command(detail, job and job.id)
            self.note(f"kill command {' '.join(map(str, arguments[:2]))}")
            if detail == "clean":
                self.excuse()
            shell = home.shell(*arguments)
            time.sleep(0.2 + 3 * chance)
            shell.kill()
            shell.wait()
        elif action == "two shells":
            job = self.pick(chance)
            if job is None:
                return self.note(f"{action}: no job")
            self.note(f"two shells: {detail} of {job.kind} job {job.id} ({job.state})")
            if "clean" in detail:
                self.excuse()
            self.shells += [home.shell(*self.command(word, job.id)) for word in detail.split()]
        else:
            raise AssertionError(action)

    @staticmethod
    def command(word, job):
        if word == "clean":
            return ("clean", "--yes")
        if word == "jobs":
            return ("jobs",)
        return (word, job, "--yes") if word == "resume" else (word, job)

    def disturb_all(self):
        for job in self.home.jobs().values():
            if job.state in ACTIVE:
                self.home.disturbed[job.id] += 1

    def excuse(self):
        """Remember the jobs of which `clean` may delete something: the ones that have failed or are cancelled."""
        jobs = self.home.jobs()
        lost = {job.id for job in jobs.values() if job.state in ("failed", "cancelled")}
        for job in jobs.values():  # in the order of their numbers: what needs them comes later
            if lost.intersection(job.needs):
                lost.add(job.id)
        # What a succeeded job has left is needed by those that wait for it, unless these are cancelled.
        self.home.excused |= lost

    def clean(self):
        self.excuse()
        self.home.run("clean", "--yes")

    def app(self, action, *arguments):
        """Do what the app does, in this process."""

        async def work():
            engine = Engine(self.home.root)
            try:
                await getattr(engine, action)(*arguments)
                await engine.tick()
            finally:
                engine.close()

        try:
            asyncio.run(work())
        except DogclsError as error:
            self.note(f"  {action} refused: {error}")

    def delete(self, chance):
        jobs = self.home.jobs()
        names = sorted({job.experiment for job in jobs.values()})
        idle = [name for name in names if all(j.state not in ACTIVE for j in jobs.values() if j.experiment == name)]
        if not idle:
            return self.note("delete experiment: none is idle")
        name = idle[int(chance * len(idle))]

        async def work():
            engine = Engine(self.home.root)
            try:
                await engine.delete_experiment(name)
            finally:
                engine.close()

        states = ", ".join(f"{j.kind} {j.state}" for j in jobs.values() if j.experiment == name)
        try:
            asyncio.run(work())
            self.note(f"delete experiment {name} ({states})")
        except DogclsError as error:
            self.note(f"delete experiment {name} ({states}): refused: {error}")

    # -- rest, and what must hold then

    def calm(self):
        """End what disturbs, and wait for the commands."""
        home = self.home
        home.wake()
        home.settings(faults=None)
        until = time.monotonic() + REST_SECONDS
        for shell in self.shells:
            try:
                shell.wait(max(1.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise Violation(f"a command does not end: {' '.join(map(str, shell.args[4:]))}") from None
        self.shells.clear()

    def rest(self):
        """Wait until no job is active."""
        home, until = self.home, time.monotonic() + REST_SECONDS
        while True:
            self.app("tick")
            active = [job for job in home.jobs().values() if job.state in ACTIVE]
            if not active:
                return
            if time.monotonic() > until:
                said = home.rows(
                    "SELECT message FROM job_events WHERE job_id = ? ORDER BY id DESC LIMIT 3", active[0].id
                )
                raise Violation(
                    f"{active[0].kind} job {active[0].id} stays {active[0].state} for {REST_SECONDS:.0f} s: {said}"
                )
            time.sleep(0.5)

    def check(self):
        home = self.home
        home.check_processes()
        home.check_store()
        home.check_costs_grow()
        jobs, paid = home.jobs(), home.payments()
        home.check_cancelled(jobs, paid)
        home.check_payments(jobs, paid)

    def cancel_all(self):
        """Cancel every job at the round's own speed, while it may still run on the service."""
        home = self.home
        for job in home.jobs().values():
            if job.state not in ENDED:
                self.command_or_app("cancel", job.id)
        self.rest()
        self.check()
        jobs, before = home.jobs(), home.payments()
        if left := [f"{j.kind} job {j.id} is {j.state}" for j in jobs.values() if j.state not in ENDED]:
            raise Violation(f"not ended after cancel: {left}")
        time.sleep(1.0)
        after = home.payments()
        for job in jobs.values():
            if before.of(job) != after.of(job):
                raise Violation(f"job {job.id} is {job.state}, and is paid on: {before.of(job)} → {after.of(job)}")

    def check_results(self):
        home = self.home
        jobs = home.jobs()
        home.check_predictions(jobs)
        for name in sorted({job.experiment for job in jobs.values() if job.id in self.mine}):
            of_it = [job for job in jobs.values() if job.experiment == name]
            kinds = {job.kind for job in of_it}
            if all(job.state == "succeeded" for job in of_it) and kinds & {"batch", "score", "train"} and self.verified:
                home.check_results(name)

    def resume_all(self):
        """Resume until every job has succeeded."""
        home = self.home
        for _ in range(RESUMES):
            left = self.unsucceeded()
            if not left:
                break
            for job in left:
                if home.jobs()[job.id].state not in ("waiting", *ACTIVE):
                    self.command_or_app("resume", job.id)
            self.rest()
            self.check()
        for job in self.unsucceeded():
            if job.state not in ENDED:
                raise Violation(f"{job.kind} job {job.id} is {job.state} after {RESUMES} times resume: {job.error}")
            if job.id not in home.excused:
                raise Violation(f"{job.kind} job {job.id} has {job.state} after {RESUMES} times resume: {job.error}")
            self.note(f"{job.kind} job {job.id} has {job.state}, excused by clean: {job.error[:80]}")

    def command_or_app(self, word, job):
        """End a third of the rounds from a shell, the others from within the app."""
        if self.number % 3 == 0:
            self.home.run(*self.command(word, job))
        else:
            self.app(word, job)

    def unsucceeded(self):
        """Return the jobs that have not succeeded, or have and left images without an answer."""
        home = self.home
        unanswered = {
            job
            for (job,) in home.rows(
                "SELECT id FROM jobs WHERE state = 'succeeded' AND COALESCE(json_extract(result, '$.unanswered'), 0) > 0"
            )
        }
        return [job for job in home.jobs().values() if job.state != "succeeded" or job.id in unanswered]


# -- lanes


class Chaos:
    """All rounds of a run, in several lanes."""

    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.lock = threading.Lock()
        self.next = 0
        self.actions = Counter()
        self.experiments = Counter()
        self.faults = []
        self.rounds = 0
        self.begun = time.monotonic()
        self.template = template(folder)

    def take(self):
        """Return the number of the next round, or None when the time is over."""
        with self.lock:
            if self.options.only:
                self.next += 1
                return self.options.only[self.next - 1] if self.next <= len(self.options.only) else None
            if time.monotonic() - self.begun > self.options.minutes * 60:
                return None
            self.next += 1
            return self.next

    def lane(self, number):
        home, left, count = None, 0, 0
        while (round_ := self.take()) is not None:
            if not left:
                self.leave(home)
                home = ChaosHome(self.folder / f"home-{number}-{count}", self.template)
                left, count = ROUNDS_A_HOME, count + 1
            left -= 1
            if not self.round(number, home, round_):
                home.end()
                home, left = None, 0  # its files stay
        self.leave(home)

    def leave(self, home):
        """End a home whose rounds were all well."""
        if home is not None:
            home.end()
            shutil.rmtree(home.root)
            home.outputs.unlink(missing_ok=True)

    def round(self, lane, home, number):
        begun = time.monotonic()
        fault, what = "", None
        try:
            what = Round(home, self.options.seed, number)
            what.run()
        except Violation as violation:
            fault = str(violation)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        with self.lock:
            self.rounds += 1
            planned = plan(self.options.seed, number)
            self.experiments[planned["experiment"]] += 1
            done = what.done if what else []
            self.actions.update(action for _, action, *_ in planned["actions"][: len(done)])
            states = Counter(j.state for j in home.jobs().values() if what and j.id not in what.before) if what else {}
            print(
                f"#{number:<4} lane {lane} {time.monotonic() - begun:6.1f} s  {planned['experiment']}, speed"
                f" {planned['speed']}, {planned['ending']}: {'; '.join(done)} → {dict(states)} {'FAULT' if fault else 'ok'}",
                flush=True,
            )
            if fault:
                self.faults.append((number, fault))
                print(f"    FAULT seed {self.options.seed} round {number}: {fault}\n    home: {home.root}", flush=True)
                for line in done:
                    print(f"      - {line}", flush=True)
        return not fault

    def summary(self):
        print(
            f"\n{self.rounds} rounds in {(time.monotonic() - self.begun) / 60:.1f} minutes, seed {self.options.seed},"
            f" {self.options.lanes} lanes; load {os.getloadavg()[0]:.1f}; {len(self.faults)} with faults"
        )
        print("experiments: " + ", ".join(f"{n} {name}" for name, n in self.experiments.most_common()))
        print("actions: " + ", ".join(f"{n} {name}" for name, n in self.actions.most_common()))
        for number, fault in self.faults:
            print(f"FAULT round {number}: {fault}")


def template(folder):
    """Make a home with a dataset, and with the backbone that the emulator and the CNN need."""
    class_folders(folder / "pictures", CLASSES, sum(COUNTS.values()))
    root = folder / "template"
    root.mkdir(mode=0o700)
    home = Home(root)
    store = Store(home.store)
    add_dataset(store, home, str(folder / "pictures"), "set", None, dict(COUNTS))
    store.close()
    from engine.backbones import load_backbone

    load_backbone(home.cache / "backbones")
    return root


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for everything; homes of failed rounds stay there")
    parser.add_argument("--only", type=int, nargs="+", metavar="ROUND", help="these rounds of the seed only")
    parser.add_argument("--plan", action="store_true", help="print the plans of the rounds in --only, run nothing")
    options = parser.parse_args()
    if options.plan:
        for number in options.only or range(1, 11):
            print(number, json.dumps(plan(options.seed, number)))
        return 0
    folder = options.keep or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    for name in [name for name in os.environ if name.startswith(("AZURE_", "DOGCLS_"))]:
        del os.environ[name]
    os.environ |= {"XDG_CONFIG_HOME": str(folder / "xdg"), "XDG_DATA_HOME": str(folder / "xdg")}
    chaos = Chaos(folder, options)
    threads = [threading.Thread(target=chaos.lane, args=(n,)) for n in range(options.lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chaos.summary()
    with contextlib.suppress(OSError):
        if not chaos.faults and not options.keep:
            shutil.rmtree(folder)
    return 1 if chaos.faults else 0


if __name__ == "__main__":
    sys.exit(main())
