"""A batch job in this process, and an emulator that has bad days."""

import asyncio
import itertools
import json
import os
import urllib.request
from collections import Counter

from engine.jobs.context import Context, Stopped
from engine.jobs.kinds import batch
from engine.jobs.process import start_time
from engine.states import JobKind, JobState, Outcome, Request
from engine.store.experiments import NewContestant, NewJob
from tests.conftest import Emulator
from tests.pictures import catalogued, plain

LABELS = ("beagle", "pug")
ENDED = (JobState.FAILED, JobState.INTERRUPTED, JobState.CANCELLED, JobState.SUCCEEDED)


async def eventually(condition):
    async with asyncio.timeout(30):
        for _ in itertools.count():
            if condition():
                return
            await asyncio.sleep(0.01)


class Place(Emulator):
    """An emulator that answers at random, and is changed by the test."""

    def start(self):
        self.command.append("--no-brain")
        super().start()

    def send(self, method, path, value=None):
        headers = {
            "api-key": self.api_key,
            "authorization": f"Bearer {self.api_key}",
            "content-type": "application/json",
        }
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.endpoint + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def set(self, **patch):
        self.send("PATCH", "/emulator/settings", patch)

    def capacity(self, thousands):
        account = f"{self.subscription}/resourceGroups/{self.resource_group}/providers/Microsoft.CognitiveServices"
        path = f"/subscriptions/{account}/accounts/{self.account}/deployments/{self.batch_deployment}"
        there = self.send("GET", f"{path}?api-version=2024-10-01")
        model = there["properties"]["model"]
        sku = {"name": "GlobalBatch", "capacity": thousands}
        self.send("PUT", f"{path}?api-version=2024-10-01", {"sku": sku, "properties": {"model": model}})

    def batches(self):
        """Return all batches, oldest first."""
        return self.send("GET", "/openai/v1/batches?limit=100")["data"][::-1]

    def files(self):
        return self.send("GET", "/openai/v1/files")["data"]


class World:
    """A dataset, and the job that asks about it."""

    def __init__(self, home, store, folder, place):
        self.home, self.store, self.folder, self.place = home, store, folder, place
        self.job = self.contestant = 0

    def make(self, count, *, retry="batch", prompt="Which of {labels}?", realtime="gpt-4o"):
        rows = []
        for number in range(count):
            path = self.folder / f"{number}.jpg"
            path.write_bytes(plain(number))
            image = catalogued(path, label=number % 2)
            rows.append((path.name, image.label, "test", image.bytes, image.width, image.height, image.sha256))
        self.store.datasets.add(
            "dogs", source="x", root=self.folder, split="given", seed=None, digest="d", labels=LABELS, images=rows
        )
        parameters = {
            "dataset": "dogs", "profile": "azure", "model": "gpt-4o-2024-08-06", "prompt": prompt, "answer": "json",
            "detail": "low", "deployment": "gpt-4o-batch", "retry": retry, "realtime": realtime, "concurrency": 4,
        }  # fmt: skip
        who = NewContestant("z", "zero-shot", "gpt-4o-2024-08-06", True, prompt, "json")
        (self.job,) = self.store.experiments.add(
            "e",
            dataset="dogs",
            profile="azure",
            spec="",
            contestants=[who],
            jobs=[NewJob(JobKind.BATCH, parameters, 0)],
        )
        self.contestant = self.store.jobs.get(self.job).contestant_id
        return self

    async def run(self, until=None, request=None):
        """Do one attempt; with `until`, stop it when the log has said that (asking for `request`, or by a signal)."""
        jobs = self.store.jobs
        jobs.change(self.job, JobState.QUEUED, expected=(JobState.WAITING, *ENDED), message="queued")
        attempt = jobs.get(self.job).attempt
        assert jobs.claim(self.job, attempt, os.getpid(), start_time(os.getpid()))
        context = Context(self.home, self.store, jobs.get(self.job))
        try:
            with context:
                task = asyncio.create_task(batch.run(context))
                if until:
                    await eventually(lambda: self.said(until))
                if until and request:
                    jobs.ask(self.job, request)
                elif until:
                    context.terminate()
                try:
                    return await task
                except Stopped as stopped:
                    if stopped.request == Request.CANCEL:  # as the worker does next
                        await batch.cancel(context)
                    raise
        finally:
            jobs.change(self.job, JobState.INTERRUPTED, expected=(JobState.RUNNING,), message="over")

    def said(self, text):
        return [line.message for line in self.store.jobs.lines(self.job) if text in line.message]

    def outcomes(self):
        return self.store.predictions.counts(self.contestant)

    def ended(self):
        """Return how this job's batches ended."""
        return Counter(b["status"] for b in self.place.batches()[self.place.before :])


def whole(world, count):
    assert sum(n for o, n in world.outcomes().items() if o in (Outcome.ANSWERED, Outcome.UNKNOWN_LABEL)) == count
    return True


def limited(write, **more):
    return lambda *arguments, **options: write(*arguments, **{**options, **more})
