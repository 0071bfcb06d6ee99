"""Lanes in which jobs are run to be killed or disturbed: an emulator and a server of workers each."""

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from engine.jobs import scheduler, service
from engine.jobs.importing import add_dataset
from engine.jobs.paths import Home
from engine.store import Store
from tests.conftest import ROOT, Emulator
from tests.pictures import class_folders

COUNTS = {"train": 3, "val": 1, "test": 4}
CLASSES = ("pug", "beagle", "boxer", "collie")


STARTED = defaultdict(list)
"""Arguments of the workers that the scheduler has started in this process, by home: they are run in a lane."""


def _detach(module, arguments, *_, **__):
    STARTED[arguments[1]].append(arguments)
    return SimpleNamespace(pid=os.getpid())


class Silent(Emulator):
    """An emulator that looks at no pictures, and is as fast as can be."""

    def __init__(self, folder):
        self.command = [sys.executable, "-P", "-m", "engine.emulator", "--state", str(folder / "state")]
        self.command += ["--cache", str(folder / "cache"), "--speed", "instant", "--no-brain"]
        self.start()


class Lane:
    """An emulator and a server of workers: one run at a time."""

    def __init__(self, folder, template):
        self.folder, self.template = folder, template
        self.emulator = Silent(folder)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AZURE_", "DOGCLS_", "XDG_"))}
        environment |= self.emulator.environment() | {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        environment["PYTHONPATH"] = str(ROOT)
        self.environment = environment
        self.server = self._server()
        self.shell = None
        self.count = 0
        self.model = None

    def _server(self):
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.process.killed_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=self.environment,
        )  # fmt: skip
        assert server.stdout.readline() == "ready\n"
        return server

    def close(self):
        for server in filter(None, (self.server, self.shell)):
            server.stdin.close()
            server.wait(20)
            server.stdout.close()
        self.emulator.stop()

    def api(self, method, path, body=None):
        headers = {"api-key": self.emulator.api_key, "authorization": f"Bearer {self.emulator.api_key}"}
        data = None if body is None else json.dumps(body).encode()
        call = urllib.request.Request(
            self.emulator.endpoint + path, data, headers | {"content-type": "application/json"}, method=method
        )
        with urllib.request.urlopen(call, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def settings(self, speed, faults=None):
        self.api("PATCH", "/emulator/settings", {"speed": speed, "faults": None})
        if faults:
            self.api("PATCH", "/emulator/settings", {"faults": faults})

    def listed(self, what):
        return self.api("GET", f"/openai/v1/{what}?limit=100")["data"]

    def deployments(self):
        e = self.emulator
        path = (
            f"/subscriptions/{e.subscription}/resourceGroups/{e.resource_group}/providers/Microsoft.CognitiveServices"
        )
        return f"{path}/accounts/{e.account}/deployments"

    def capacity(self, units):
        self.api(
            "PATCH",
            f"{self.deployments()}/{self.emulator.batch_deployment}?api-version=2024-10-01",
            {"sku": {"name": "GlobalBatch", "capacity": units}},
        )

    def second_deployment(self):
        """Return a batch deployment beside the configured one, made when it is needed first."""
        name = f"{self.emulator.batch_deployment}-2"
        model = {"format": "OpenAI", "name": "gpt-4o", "version": "2024-08-06"}
        wanted = {"sku": {"name": "GlobalBatch", "capacity": 5_000_000}, "properties": {"model": model}}
        self.api("PUT", f"{self.deployments()}/{name}?api-version=2024-10-01", wanted)
        return name

    def work(self, order, held=None):
        """Run a worker; `held` is called while it waits at a point (see `hold` in `killed_worker`)."""
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        while held and not select.select([self.server.stdout], [], [], 0.01)[0]:
            if (file := Path(order["hold"])).exists():
                held()
                file.unlink()
        return json.loads(self.server.stdout.readline())

    def command(self, home, *arguments):
        """Run a command of `dogcls-tui`, also while a worker waits; return its exit status."""
        self.shell = self.shell or self._server()
        order = {"command": ["--home", str(home.root), *arguments], "log": str(home.root / "commands.log")}
        self.shell.stdin.write(json.dumps(order) + "\n")
        self.shell.stdin.flush()
        return json.loads(self.shell.stdout.readline())

    def clean(self):
        """Forget what the last run has left: a resource takes no hundreds of fine-tuning files."""
        self.settings("instant")
        for deployment in self.api("GET", f"{self.deployments()}?api-version=2024-10-01")["value"]:
            if deployment["name"].startswith("dogcls-"):
                self._forget(f"{self.deployments()}/{deployment['name']}?api-version=2024-10-01")
        for job in self.listed("fine_tuning/jobs"):
            if job["status"] not in ("succeeded", "failed", "cancelled"):
                self.api("POST", f"/openai/v1/fine_tuning/jobs/{job['id']}/cancel")
            self._forget(f"/openai/v1/fine_tuning/jobs/{job['id']}")
        for file in self.listed("files"):
            self._forget(f"/openai/v1/files/{file['id']}")

    def _forget(self, path):
        with contextlib.suppress(urllib.error.HTTPError):  # gone, or still in use: the next run's clean-up has it
            self.api("DELETE", path)

    def tuned(self):
        """Return a tuned model, made once a lane."""
        if self.model is None:
            from tests.process.kill_matrix import SCENARIOS, run

            outcome = run(self, SCENARIOS[[s.kind for s in SCENARIOS].index("fine_tune")], keep=True)
            assert not outcome.wrong, outcome
            self.model = outcome.model
        return self.model


def template(folder):
    """Make a home with a dataset; runs begin with a copy of it."""
    class_folders(folder / "pictures", CLASSES, sum(COUNTS.values()))
    home = Home(folder / "template")
    home.root.mkdir()
    store = Store(home.store)
    add_dataset(store, home, str(folder / "pictures"), "set", None, dict(COUNTS))
    store.close()
    return home.root


class Lanes:
    """Several lanes, and the runs that are shared among them."""

    def __init__(self, folder, count):
        home = template(folder)
        self.all = []
        for number in range(count):
            place = folder / f"lane-{number}"
            place.mkdir()
            self.all.append(Lane(place, home))

    def close(self):
        for lane in self.all:
            lane.close()

    def map(self, work, items, told=lambda outcome: None):
        """Return `work(lane, item)` of each, in order."""
        left = queue.SimpleQueue()
        items = list(items)
        for number, item in enumerate(items):
            left.put((number, item))
        found = [None] * len(items)
        errors = []

        def drain(lane):
            while not errors:
                try:
                    number, item = left.get_nowait()
                except queue.Empty:
                    return
                try:
                    found[number] = work(lane, item)
                    told(found[number])
                except BaseException as error:
                    errors.append(error)
                    raise

        threads = [threading.Thread(target=drain, args=(lane,)) for lane in self.all]
        with (
            mock.patch.object(scheduler, "detach", _detach),
            mock.patch.object(scheduler, "RESTART_SECONDS", 0.0),
            mock.patch.object(service, "unreachable", lambda *_: None),  # the settings are in the lanes
        ):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if errors:
            raise errors[0]
        return found
