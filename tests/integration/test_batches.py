"""The batch job in this process, against an emulator that has bad days: quota, losses, ends, stops."""

import asyncio
import itertools
import json
import os
import urllib.request
from collections import Counter
from dataclasses import replace

import pytest

from engine.azure import batches, files, patience
from engine.azure.connection import Azure, Endpoint
from engine.errors import ConfigurationError, JobError
from engine.jobs.context import Context, Stopped
from engine.jobs.kinds import batch, rounds
from engine.jobs.plan import make_plan
from engine.jobs.process import start_time
from engine.jobs.spec import Spec
from engine.states import JobKind, JobState, Outcome, Request, Split
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


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("place"), tmp_path_factory.mktemp("no-cache"))
    yield place
    place.stop()


@pytest.fixture
def place(emulated, monkeypatch):
    """That emulator, with nobody's batches on it, and this test's environment set to it."""
    for name, value in emulated.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rounds, "EMULATED_POLL_SECONDS", 0.05)
    monkeypatch.setattr(patience, "FIRST_SECONDS", 0.05)
    emulated.before = len(emulated.batches())
    yield emulated
    emulated.set(speed="instant", faults=None)
    emulated.capacity(5_000_000)


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
                return await task
        finally:
            jobs.change(self.job, JobState.INTERRUPTED, expected=(JobState.RUNNING,), message="over")

    def said(self, text):
        return [line.message for line in self.store.jobs.lines(self.job) if text in line.message]

    def outcomes(self):
        return self.store.predictions.counts(self.contestant)

    def ended(self):
        """Return how this job's batches ended."""
        return Counter(b["status"] for b in self.place.batches()[self.place.before :])


@pytest.fixture
def world(home, store, tmp_path, place):
    (tmp_path / "pictures").mkdir()
    return World(home, store, tmp_path / "pictures", place)


def whole(world, count):
    assert sum(n for o, n in world.outcomes().items() if o in (Outcome.ANSWERED, Outcome.UNKNOWN_LABEL)) == count
    return True


async def test_a_file_over_the_quota_is_split_and_its_parts_are_submitted_as_there_is_room(world, place, monkeypatch):
    monkeypatch.delenv("AZURE_SUBSCRIPTION_ID")  # nobody tells the quota before the first batch has failed
    place.capacity(1)
    world.make(30)
    assert (await world.run())["unanswered"] == 0
    assert whole(world, 30)
    ended = world.ended()
    assert ended["failed"] >= 1 and ended["completed"] == 3
    paid = [b for b in place.batches()[place.before :] if b["status"] == "completed"]
    assert sum(b["request_counts"]["completed"] for b in paid) == 30
    assert world.said("split in 3")


async def test_a_quota_that_arm_tells_sizes_the_files_before_any_is_sent(world, place, monkeypatch):
    monkeypatch.setattr(rounds, "ASK_QUOTA_FROM", 0)
    place.capacity(1)
    world.make(30)
    await world.run()
    assert world.ended() == {"completed": 3}
    assert world.said("in 3 file(s)")


async def test_a_quota_that_others_fill_is_waited_for(world, place):
    place.capacity(3)
    body = {"model": "gpt-4o-batch", "messages": [{"role": "user", "content": "y" * 8000}]}
    path = world.folder / "other.jsonl"
    path.write_text(json.dumps({"custom_id": "x", "method": "POST", "url": "/chat/completions", "body": body}) + "\n")
    async with Azure(Endpoint(place.endpoint, place.api_key)) as azure:
        file = await files.ensure_uploaded(azure, path, "batch", path.name)
        await files.wait_processed(azure, file)
        place.set(speed=15)  # theirs takes four seconds, and ours is looked at after two
        assert (await batches.create(azure, file, "theirs")).limit == 3000
    task = asyncio.create_task(world.make(20).run())  # has 1,820 tokens
    await eventually(lambda: world.said("the quota of enqueued tokens is full; next try"))
    place.set(speed="instant")
    await task
    assert whole(world, 20)
    assert world.ended()["completed"] == 2 and world.ended()["failed"] >= 1  # theirs and ours
    assert not world.said("split")


@pytest.fixture
def refusing(monkeypatch):
    """Let creates be refused for want of quota while a function of (how many so far) says so."""
    made = []

    def set_up(refused):
        asked = []

        async def create(azure, file_id, intent, real=batches.create):
            asked.append(intent)
            if refused(len(asked), made):
                raise batches.QuotaFull("full", None)
            made.append(await real(azure, file_id, intent))
            return made[-1]

        monkeypatch.setattr(batches, "create", create)
        return asked

    return set_up


async def test_a_create_that_is_refused_for_quota_is_made_again(world, refusing):
    asked = refusing(lambda count, made: count <= 3)
    await world.make(5).run()
    assert whole(world, 5) and world.ended() == {"completed": 1}
    assert len(asked) == 4 and len(set(asked)) == 1


async def test_when_tries_are_used_up_one_waits_for_a_batch_of_ours(world, place, refusing, monkeypatch):
    monkeypatch.setattr(rounds, "write_batch_shards", limited(rounds.write_batch_shards, max_requests=2))
    monkeypatch.setattr(rounds, "QUOTA_TRIES", 1)
    place.set(speed=60)
    asked = refusing(lambda count, made: made and place.batches()[-1]["status"] != "completed")
    await world.make(4).run()
    assert whole(world, 4) and world.ended() == {"completed": 2}
    assert len(asked) == 4 and world.said("waiting for a batch to end")


async def test_a_file_for_which_there_is_never_room_is_halved(world, refusing, monkeypatch):
    monkeypatch.setattr(rounds, "QUOTA_TRIES", 1)
    refusing(lambda count, made: count <= 4)
    await world.make(6).run()
    assert whole(world, 6) and len(world.said("split in 2")) >= 1
    assert sum(world.ended().values()) == world.ended()["completed"] >= 2


async def test_a_request_that_never_fits_says_so(world, place):
    place.capacity(1)
    world.make(2, prompt="Which of {labels}? " + "Look closely. " * 600)
    with pytest.raises(JobError, match=r"One request takes about 2,.* has no room for it \(1,000\)\. Raise the batch"):
        await world.run()
    assert "completed" not in world.ended()


async def test_lost_lines_are_asked_again_in_smaller_batches(world, place):
    place.set(faults={"lost_lines": 0.5})
    world.make(40)
    result = await world.run()
    counts = [b["request_counts"]["total"] for b in place.batches()[place.before :]]
    assert counts[0] == 40 and counts == sorted(counts, reverse=True) and 2 <= len(counts) <= 3
    assert world.outcomes().get(Outcome.MISSING, 0) == result["unanswered"] < 20
    found = world.store.predictions.of(world.contestant).values()
    assert all("returned no line" in p.error for p in found if p.outcome == Outcome.MISSING)


async def test_lost_lines_are_asked_again_in_real_time(world, place):
    place.set(faults={"lost_lines": 0.5})
    asked = place.ledger()["chat_requests"]["total"]
    world.make(30, retry="realtime")
    assert (await world.run())["unanswered"] == 0
    assert whole(world, 30) and world.ended() == {"completed": 1}
    now = [p for p in world.store.predictions.of(world.contestant).values() if p.latency_ms is not None]
    assert 0 < len(now) < 30
    assert place.ledger()["chat_requests"]["total"] - asked == len(now)
    whole_use, cheap = (
        world.store.predictions.usage(world.contestant),
        world.store.predictions.batch_usage(world.contestant),
    )
    extra = whole_use.prompt_tokens - cheap.prompt_tokens
    assert extra > 0
    usd = world.store.predictions.costs(world.contestant)["inference"]
    out = whole_use.completion_tokens - cheap.completion_tokens
    assert usd == pytest.approx(
        (cheap.prompt_tokens * 1.25 + cheap.completion_tokens * 5 + extra * 2.5 + out * 10) / 1e6
    )


async def test_a_pause_in_real_time_goes_on_in_real_time(world, place):
    place.set(faults={"lost_lines": 0.5, "latency": 100})
    world.make(30, retry="realtime")
    with pytest.raises(Stopped):
        await world.run(until="asked about in real time", request=Request.PAUSE)
    assert world.outcomes()[Outcome.MISSING] > 0
    place.set(faults=None)
    assert (await world.run())["unanswered"] == 0
    assert whole(world, 30) and world.ended() == {"completed": 1}


async def test_after_a_cancel_batches_come_first_again(world, place):
    place.set(speed=20)
    world.make(5, retry="realtime")
    with pytest.raises(Stopped):
        await world.run(until="created batch", request=Request.CANCEL)
    place.set(speed="instant")
    assert (await world.run())["unanswered"] == 0
    assert world.ended() == {"cancelled": 1, "completed": 1} and not world.said("in real time")


async def test_nothing_is_asked_again_unless_wanted_and_a_resume_wants_it(world, place):
    place.set(faults={"lost_lines": 0.5})
    world.make(40, retry="none")
    assert (await world.run())["unanswered"] > 0
    assert world.ended() == {"completed": 1}
    place.set(faults=None)
    assert (await world.run())["unanswered"] == 0
    assert world.ended() == {"completed": 2} and whole(world, 40)


async def test_a_batch_whose_requests_all_failed_is_not_repeated(world, place):
    place.set(faults={"all_failed": True})
    world.make(5)
    with pytest.raises(JobError, match="No request of the batch was answered: 500"):
        await world.run()
    assert world.ended() == {"completed": 1} and world.outcomes() == {Outcome.FAILED: 5}
    place.set(faults=None)
    assert (await world.run())["unanswered"] == 0


async def test_a_batch_that_fails_in_validation_says_why(world, place):
    place.set(faults={"fail_batch": "model_mismatch"})
    world.make(3)
    with pytest.raises(JobError, match="a batch ended failed model_mismatch"):
        await world.run()
    assert world.ended() == {"failed": 1}


async def test_an_error_file_of_no_bytes_is_no_error(world, place):
    place.set(faults={"empty_error_file": True})
    await world.make(5).run()
    assert whole(world, 5)


async def test_filtered_images_are_final(world, place):
    place.set(faults={"calls": [{"operation": "batches.line", "kind": "content_filter", "times": 2}]})
    assert (await world.make(5).run())["unanswered"] == 0
    assert world.outcomes()[Outcome.FILTERED] == 2 and world.ended() == {"completed": 1}
    assert world.said("the content filter stopped 2 images; that is final")


async def test_a_create_whose_answer_is_lost_makes_one_batch(world, place):
    place.set(faults={"calls": [{"operation": "batches.create", "kind": "drop", "times": 1}]})
    await world.make(5).run()
    assert whole(world, 5) and world.ended() == {"completed": 1}


async def test_uploads_and_downloads_survive_broken_connections(world, place):
    calls = [{"operation": f"files.{what}", "kind": "drop", "times": 2} for what in ("create", "content")]
    place.set(faults={"calls": calls})
    await world.make(5).run()
    assert whole(world, 5) and world.ended() == {"completed": 1}


async def test_an_expired_batch_is_followed_by_another(world, place):
    place.set(speed=20)
    world.make(5)
    task = asyncio.create_task(world.run())
    await eventually(lambda: world.said("is validating"))
    place.set(speed="instant", faults={"clock_offset": 90_000})
    assert (await task)["unanswered"] == 0
    assert world.ended()["completed"] == 1
    assert whole(world, 5)


async def test_an_attempt_that_ends_is_taken_up_where_it_was(world, place):
    world.make(5)
    place.set(speed=20)
    with pytest.raises(Stopped):
        await world.run(until="created batch")
    place.set(speed="instant")
    await world.run()
    assert whole(world, 5) and world.ended() == {"completed": 1}
    assert not world.said("found batch")  # its id was known


def test_to_ask_again_in_real_time_needs_a_deployment_for_it():
    place = Endpoint("http://127.0.0.1:1", "key", batch_deployment="b")
    spec = Spec(dataset="d", contestants=("zero-shot",), retry="realtime")
    with pytest.raises(ConfigurationError, match=r"No deployment for real-time requests.*AZURE_OPENAI_DEPLOYMENT_NAME"):
        make_plan(spec, place, "azure")
    batch_job, _ = make_plan(spec, replace(place, deployment="r"), "azure").jobs
    assert [batch_job.parameters[name] for name in ("retry", "realtime")] == ["realtime", "r"]


class Crash(BaseException):
    """The process died, as far as this test is concerned."""


@pytest.mark.parametrize(
    ("point", "after"),
    [
        ("files.ensure_uploaded", True), ("batches.create", False), ("batches.create", True), ("jobs.made", False),
        ("jobs.made", True), ("files.download", True), ("Round._store", True), ("files.delete", False),
        ("files.delete", True), ("Round._end", False), ("Round._end", True),
    ],
)  # fmt: skip
async def test_a_crash_anywhere_is_made_good_and_nothing_is_paid_twice(world, place, monkeypatch, point, after):
    place_of = {"files": files, "batches": batches, "jobs": world.store.jobs, "Round": rounds.Round}
    owner, name = point.split(".")
    real = getattr(place_of[owner], name)

    if asyncio.iscoroutinefunction(real):

        async def crashing(*arguments, **options):
            if after:
                await real(*arguments, **options)
            raise Crash
    else:

        def crashing(*arguments, **options):
            if after:
                real(*arguments, **options)
            raise Crash

    world.make(3)
    with monkeypatch.context() as patch:
        patch.setattr(place_of[owner], name, crashing)
        with pytest.raises(Crash):
            await world.run()
    assert (await world.run())["unanswered"] == 0
    assert whole(world, 3) and world.ended() == {"completed": 1}
    nonce = world.store.jobs.get(world.job).nonce
    assert sum(nonce in file["filename"] for file in place.files()) <= 1
    assert world.store.predictions.usage(world.contestant).completion_tokens > 0


async def test_a_cancelled_job_leaves_no_batch_running(world, place, monkeypatch):
    monkeypatch.setattr(rounds, "write_batch_shards", limited(rounds.write_batch_shards, max_requests=2))
    world.make(6)
    place.set(faults={"calls": [{"operation": "batches.create", "kind": "hang", "rate": 1.0}]})
    task = asyncio.create_task(world.run(until="wrote 6", request=Request.CANCEL))
    await eventually(lambda: place.batches()[place.before :])  # created, and never answered: its id is not known
    place.set(faults=None)
    with pytest.raises(Stopped):
        await task
    assert set(world.ended()) <= {"cancelled", "completed"} and len(world.store.jobs.intents(world.job, "batch")) == 1
    assert (await world.run())["unanswered"] == 0


def limited(write, **more):
    return lambda *arguments, **options: write(*arguments, **{**options, **more})


async def test_several_files_are_tidied_away_and_what_stays_expires(world, place, monkeypatch):
    monkeypatch.setattr(rounds, "write_batch_shards", limited(rounds.write_batch_shards, max_requests=2))
    await world.make(12).run()
    assert whole(world, 12) and world.ended() == {"completed": 6}
    mine = {b["input_file_id"] for b in place.batches()[place.before :]}
    assert not mine & {file["id"] for file in place.files()}
    outputs = {b["output_file_id"] for b in place.batches()[place.before :]}
    assert all(file.get("expires_at") for file in place.files() if file["id"] in outputs)
    assert not list(world.home.job(world.job).glob("round-1/requests-*"))


async def test_the_store_decides_which_line_counts(world):
    def line(custom_id, status=200):
        message = {"role": "assistant", "content": "pug"}
        body = {"choices": [{"message": message}], "usage": {"prompt_tokens": 1}} if status == 200 else {"code": "x"}
        return json.dumps({"custom_id": custom_id, "response": {"status_code": status, "body": body}})

    world.make(4)
    ids = world.store.datasets.ids("dogs", Split.TEST)
    names = [f"image-{number}" for number in ids]
    first, second = world.folder / "errors", world.folder / "output"
    strangers = [line(name) for name in ("image-999", "stranger", "image- 1", f"image-0{ids[0]}", "image-", "image-²")]
    first.write_text("\n".join([line(names[0], 500), line(names[1], 500), "{torn", *strangers, "[]", "3"]))
    broken = json.dumps({"custom_id": names[2], "response": {"status_code": 200, "body": {"choices": [3], "usage": 7}}})
    second.write_text("\n".join([line(names[0]), line(names[0]), broken, ""]))
    context = Context(world.home, world.store, world.store.jobs.get(world.job))
    asking = batch.Asking.of(context)
    async with Azure(Endpoint("http://127.0.0.1:1", "key")) as azure:
        rounds.Round(asking, azure, world.folder)._store([first, second])
    assert world.outcomes() == {Outcome.ANSWERED: 1, Outcome.FAILED: 2}
    assert asking.left() == 3 and [image.id for image in asking.remaining()] == list(ids[1:])
