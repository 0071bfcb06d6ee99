"""A home that is disturbed at random: its commands, processes, jobs and resource, and what must hold of them."""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from engine.azure.prices import load_prices
from engine.jobs import embedded
from engine.jobs.paths import Home
from tests.conftest import ROOT

CLASSES = ("pug", "beagle", "boxer", "collie")
COUNTS = {"train": 3, "val": 1, "test": 4}
TESTS = len(CLASSES) * COUNTS["test"]
MODEL = "gpt-4o-2024-08-06"
ACTIVE = ("queued", "running", "cancelling")
ENDED = ("succeeded", "failed", "cancelled")
UNFINISHED = ("validating", "in_progress", "finalizing", "cancelling", "pending", "queued", "running", "created",
              "pausing", "paused", "resuming", "validating_files")  # fmt: skip
IN_FLIGHT = 40
"""Chat requests that one kill, stop or outage can leave paid for and not answered: launch score sends 32 at a time."""
WORKER = re.compile(r"engine\.jobs\.worker --home (\S+) (\d+) (\d+)")
TRACEBACK = "Traceback (most recent call last)"


class Violation(AssertionError):
    """Something that must hold does not."""


@dataclass(frozen=True)
class Job:
    id: int
    kind: str
    state: str
    attempt: int
    experiment: str
    nonce: str
    error: str
    needs: tuple[int, ...]


@dataclass(frozen=True)
class Process:
    """A process of the home: a worker (`job`), the emulator (`emulator`) or another one."""

    pid: int
    command: str
    state: str
    job: int | None
    emulator: bool


@dataclass
class Payments:
    """What the emulator was paid for, by our jobs' nonces; chats by the number of the job."""

    requests: Counter = field(default_factory=Counter)
    prompt: Counter = field(default_factory=Counter)
    completion: Counter = field(default_factory=Counter)
    trained: Counter = field(default_factory=Counter)
    chats: Counter = field(default_factory=Counter)
    chat_tokens: dict = field(default_factory=dict)
    tunings: Counter = field(default_factory=Counter)
    whole: Counter = field(default_factory=Counter)
    """Tokens of fine-tuning jobs that have succeeded. Of a cancelled one no event reports the tokens: ours estimates."""
    alive: set = field(default_factory=set)
    """Nonces of the deployments that cost money now."""
    unfinished: dict = field(default_factory=lambda: defaultdict(list))
    """Per nonce: batches, fine-tuning jobs and deployments that run or cost on the resource."""

    def of(self, job):
        """Return all that one job was paid for, to be compared."""
        n = job.nonce
        return (self.requests[n], self.trained[n], self.tunings[n], self.chats[job.id], n in self.alive)


class ChaosHome:
    """One home with the embedded emulator, driven from shells."""

    def __init__(self, root, template):
        self.root = root
        shutil.copytree(template, root)
        self.home = Home(root)
        self.key = ""
        self.outputs = root.parent / f"{root.name}-outputs.txt"
        self.prices = load_prices(self.home.prices)
        self.paid_here = {}  # job → the most that our ledger has shown for it
        self.disturbed = Counter()  # job → kills, stops and outages, which may lose answers in flight
        self.excused = set()  # jobs of which something may have been deleted by `clean`
        self.known = {}  # job → its row, also of deleted ones
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AZURE_", "DOGCLS_", "XDG_"))}
        environment |= {
            "XDG_CONFIG_HOME": str(root / "xdg"),
            "XDG_DATA_HOME": str(root / "xdg"),
            "PYTHONPATH": str(ROOT),
        }
        self.environment = environment | {"COLUMNS": "200", "NO_COLOR": "1"}

    # -- commands

    def shell(self, *arguments):
        """Start a command and return its process; its output goes to the file of all outputs."""
        with self.outputs.open("ab") as output:
            output.write(f"\n$ dogcls-tui {' '.join(map(str, arguments))}\n".encode())
        with self.outputs.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tui", "--home", str(self.root), *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment, cwd=ROOT,
                start_new_session=True,
            )  # fmt: skip

    def run(self, *arguments, seconds=120):
        """Run a command to its end; return (exit code, stdout, stderr)."""
        done = subprocess.run(
            [sys.executable, "-m", "tui", "--home", str(self.root), *map(str, arguments)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment, cwd=ROOT, timeout=seconds,
            check=False,
        )  # fmt: skip
        with self.outputs.open("a", encoding="utf-8") as output:
            print(f"\n$ dogcls-tui {' '.join(map(str, arguments))}", file=output)
            print(done.stdout + done.stderr + f"[{done.returncode}]", file=output)
        return done.returncode, done.stdout, done.stderr

    # -- the store

    def rows(self, sql, *values):
        db = sqlite3.connect(f"file:{self.home.store}?mode=ro", uri=True, timeout=20)
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()

    def jobs(self):
        """Return the jobs by number."""
        needs = defaultdict(list)
        for job, need in self.rows("SELECT job_id, needs_id FROM needs"):
            needs[job].append(need)
        rows = self.rows(
            "SELECT j.id, j.kind, j.state, j.attempt, e.name, j.nonce, COALESCE(j.error, '')"
            " FROM jobs j JOIN experiments e ON e.id = j.experiment_id ORDER BY j.id"
        )
        found = {row[0]: Job(*row, tuple(needs[row[0]])) for row in rows}
        self.known |= found
        return found

    def usd(self):
        return {(job, item): usd for job, item, usd in self.rows("SELECT job_id, item, usd FROM costs")}

    # -- processes

    def processes(self):
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if f"{self.root} " not in command + " " and f"{self.root}/" not in command:
                    continue
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except (OSError, IndexError):
                continue
            if state == "Z":
                continue
            worker = WORKER.search(command)
            job = int(worker[2]) if worker and worker[1] == str(self.root) else None
            found.append(Process(int(folder.name), command, state, job, "engine.emulator" in command))
        return found

    def workers(self):
        return [process for process in self.processes() if process.job is not None]

    def send(self, process, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)

    def wake(self):
        for process in self.processes():
            if process.state == "T":
                self.send(process, signal.SIGCONT)

    def end(self):
        """End every process of the home."""
        for _ in range(50):
            left = self.processes()
            for process in left:
                self.send(process, signal.SIGKILL)
            if not left:
                return
            time.sleep(0.1)

    # -- the resource

    def service(self):
        """Return the running emulator, started if need be."""
        found = embedded.ensure(self.home)
        self.key = found.api_key
        return found

    def api(self, method, path, body=None):
        """Call the emulator as an observer does; it is started anew when it is dead."""
        data = None if body is None else json.dumps(body).encode()
        for left in range(8, -1, -1):
            try:
                at = self.service()
                headers = {"api-key": at.api_key, "authorization": f"Bearer {at.api_key}"}
                call = urllib.request.Request(
                    at.endpoint + path, data, headers | {"content-type": "application/json"}, method=method
                )
                with urllib.request.urlopen(call, timeout=30) as answer:
                    return json.loads(answer.read() or "null")
            except urllib.error.HTTPError as error:
                if error.code < 500 or not left:
                    raise Violation(f"{method} {path}: {error.code} {error.read()[:300]!r}") from None
            except (OSError, ValueError):
                if not left:
                    raise
            time.sleep(0.3)
        return None

    def settings(self, **values):
        return self.api("PATCH", "/emulator/settings", values)

    def payments(self):
        """Return what was paid for and what runs, as the resource has it. No fault may be on."""
        book, found = self.api("GET", "/emulator/ledger"), Payments()
        owner = {}
        for batch in self.api("GET", "/openai/v1/batches?limit=100")["data"]:
            nonce = (batch["metadata"] or {}).get("dogcls_intent", "-").split("-")[0]
            owner[batch["id"]] = nonce
            if batch["status"] in UNFINISHED:
                found.unfinished[nonce].append(f"batch {batch['id']} {batch['status']}")
        for row in book["batches"]:
            nonce = owner.get(row["id"], "?")
            found.requests[nonce] += row.get("requests", 0)
            found.prompt[nonce] += row.get("prompt_tokens", 0)
            found.completion[nonce] += row.get("completion_tokens", 0)
        status = {}
        for job in self.api("GET", "/openai/v1/fine_tuning/jobs?limit=100")["data"]:
            status[job["id"]] = job["status"]
            if job["status"] in UNFINISHED:
                nonce = (job["suffix"] or "").removeprefix("dogcls-")
                found.unfinished[nonce].append(f"fine-tuning job {job['id']} {job['status']}")
        for row in book["fine_tuning_jobs"]:
            nonce = (row["suffix"] or "").removeprefix("dogcls-")
            found.trained[nonce] += row.get("billed_tokens") or 0
            found.tunings[nonce] += 1
            if status.get(row["id"]) == "succeeded":
                found.whole[nonce] += row["billed_tokens"]
        for row in book["deployments"]:
            nonce = row["name"].removeprefix("dogcls-")
            if not row["deleted_at"]:
                found.alive.add(nonce)
                found.unfinished[nonce].append(f"deployment {row['name']} costs")
        for row in book["chats"]:
            number = re.search(r"\(job (\d+)\)", row["client"])
            if number:
                job = int(number[1])
                found.chats[job] += row["requests"]
                prompt, completion = found.chat_tokens.get(job, (0, 0))
                found.chat_tokens[job] = (prompt + row["prompt_tokens"], completion + row["completion_tokens"])
        return found

    # -- what must hold

    def check_processes(self, seconds=20.0):
        """At most one living worker per job, and none of a job that is not active."""
        until = time.monotonic() + seconds
        while True:
            states = {job.id: job.state for job in self.jobs().values()}
            count = Counter(worker.job for worker in self.workers())
            wrong = [f"{n} workers of job {job}" for job, n in count.items() if n > 1]
            wrong += [
                f"a worker of {states.get(job, 'deleted')} job {job}" for job in count if states.get(job) not in ACTIVE
            ]
            if not wrong:
                return
            if time.monotonic() > until:
                raise Violation("; ".join(wrong))
            time.sleep(0.3)

    def check_store(self):
        if self.rows("PRAGMA integrity_check") != [("ok",)] or self.rows("PRAGMA foreign_key_check"):
            raise Violation("the store fails integrity_check or foreign_key_check")

    def check_texts(self):
        """No secret anywhere but in the emulator's own folder, and no traceback in any output or log."""
        files = [self.outputs, *self.root.glob("store.db*"), *self.root.glob("logs/*")]
        files += [path for part in ("jobs", "experiments") for path in (self.root / part).rglob("*") if path.is_file()]
        for path in files:
            try:
                data = path.read_bytes()
            except OSError:
                continue
            if self.key and self.key.encode() in data:
                raise Violation(f"the emulator's key is in {path.name}")
            if TRACEBACK.encode() in data and (path == self.outputs or path.parent.name == "logs"):
                lines = data.decode(errors="replace").splitlines()
                ends = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Lost\w*|Stopped)\b", line)]
                raise Violation(f"a traceback in {path.name}: {ends[-1][:200] if ends else ''}")

    def check_costs_grow(self):
        """What our ledger has once shown it goes on showing."""
        now = self.usd()
        living = self.jobs()
        for (job, item), usd in self.paid_here.items():
            if job in living and now.get((job, item), 0.0) < usd - 1e-9:
                raise Violation(f"job {job}, {item}: ${usd:.6f} was shown before, now ${now.get((job, item), 0.0):.6f}")
        self.paid_here |= now

    def check_cancelled(self, jobs, paid):
        """Nothing of a cancelled or deleted job runs or costs."""
        wrong = []
        alive = {job.id for job in jobs.values()}
        for job in self.known.values():
            left = paid.unfinished.get(job.nonce)
            if not left:
                continue
            now = jobs.get(job.id)
            if job.id not in alive:
                wrong.append(f"{'; '.join(left)}, and its {job.kind} job {job.id} is deleted")
            elif now.state == "cancelled":
                wrong.append(f"{'; '.join(left)}, and its {job.kind} job {job.id} is cancelled")
            elif now.kind == "deploy" and now.state == "succeeded":
                users = [other for other in jobs.values() if job.id in other.needs]
                if users and all(other.state == "cancelled" for other in users):
                    wrong.append(f"{'; '.join(left)}, and job {users[0].id}, which it was made for, is cancelled")
        if wrong:
            raise Violation(" | ".join(wrong))

    def check_payments(self, jobs, paid):
        """Nothing is paid twice, and our ledger shows what the service was paid."""
        usd = self.usd()
        for job in jobs.values():
            where = f"{job.kind} job {job.id} ({job.state}, attempt {job.attempt})"
            spare = IN_FLIGHT * (self.disturbed[job.id] + max(0, job.attempt - 1))
            if job.kind == "batch":
                asked = paid.requests[job.nonce]
                if asked > TESTS:
                    raise Violation(f"{where}: {asked} batch requests were paid, of {TESTS} images")
                ours = usd.get((job.id, "inference"), 0.0)
                theirs = self.prices.inference_cost(
                    MODEL, paid.prompt[job.nonce], paid.completion[job.nonce], batch=True
                )
                if job.state in ENDED and abs(ours - theirs) > 1e-6:
                    raise Violation(f"{where}: the service was paid ${theirs:.6f}, our ledger shows ${ours:.6f}")
            elif job.kind in ("score", "probe"):
                if paid.chats[job.id] > TESTS + spare:
                    raise Violation(f"{where}: {paid.chats[job.id]} requests were paid, of {TESTS} images")
                if job.state == "succeeded":
                    ours = usd.get((job.id, "inference"), 0.0)
                    theirs = self.prices.inference_cost(MODEL, *paid.chat_tokens.get(job.id, (0, 0)))
                    each = theirs / max(1, paid.chats[job.id])
                    if not theirs - spare * each - 1e-6 <= ours <= theirs + 1e-6:
                        raise Violation(f"{where}: the service was paid ${theirs:.6f}, our ledger shows ${ours:.6f}")
            elif job.kind == "fine-tune":
                ours = usd.get((job.id, "training"), 0.0)
                theirs = self.prices.training_cost(MODEL, paid.whole[job.nonce])
                if job.state in ENDED and ours < theirs - 1e-6:
                    raise Violation(f"{where}: the service was paid ${theirs:.6f}, our ledger shows ${ours:.6f}")

    def check_predictions(self, jobs):
        """A contestant whose jobs have succeeded has one outcome for each test image."""
        for job, contestant in self.rows(
            "SELECT id, contestant_id FROM jobs WHERE state = 'succeeded' AND kind IN ('batch', 'score', 'train')"
        ):
            counts = dict(
                self.rows("SELECT outcome, COUNT(*) FROM predictions WHERE contestant_id = ? GROUP BY 1", contestant)
            )
            if sum(counts.values()) != TESTS:
                raise Violation(f"job {job} has succeeded with {counts} of {TESTS} images")
            if jobs[job].kind != "train" and counts.get("failed", 0) + counts.get("missing", 0):
                raise Violation(f"job {job} has succeeded, and has no answer for some: {counts}")

    def check_results(self, experiment):
        """The experiment's results hold when they are computed again, and name every test image."""
        code, out, err = self.run("results", experiment, "--verify")
        if code:
            raise Violation(f"results {experiment} --verify: {code}: {(out + err).strip().splitlines()[-3:]}")
        code, out, err = self.run("results", experiment, "--format", "json")
        found = json.loads(out)["contestants"] if not code else [{"n": f"exit code {code}: {err}"}]
        if [c["n"] for c in found if c["n"] != TESTS]:
            raise Violation(f"results {experiment}: {[(c.get('name'), c['n']) for c in found]}")
