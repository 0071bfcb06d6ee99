"""A batch job that is stopped, killed or cancelled, and what is left then."""

import asyncio
import json
import os
from dataclasses import replace

import pytest

from engine.azure import batches, files
from engine.azure.connection import Azure, Endpoint
from engine.errors import ConfigurationError
from engine.jobs.context import Context, Stopped
from engine.jobs.kinds import batch, collecting, rounds
from engine.jobs.plan import make_plan
from engine.jobs.process import start_time
from engine.jobs.spec import Spec
from engine.states import JobState, Outcome, Request, Split
from tests.integration.batches.world import eventually, limited, whole


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
        ("jobs.made", True), ("files.download", True), ("Collector.store", True), ("files.delete", False),
        ("files.delete", True), ("Round._end", False), ("Round._end", True),
    ],
)  # fmt: skip
async def test_a_crash_anywhere_is_made_good_and_nothing_is_paid_twice(world, place, monkeypatch, point, after):
    place_of = {
        "files": files,
        "batches": batches,
        "jobs": type(world.store.jobs),
        "Round": rounds.Round,
        "Collector": collecting.Collector,
    }
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
    world.store.jobs.change(world.job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    assert world.store.jobs.claim(world.job, 1, os.getpid(), start_time(os.getpid()))
    context = Context(world.home, world.store, world.store.jobs.get(world.job))
    asking = batch.Asking.of(context)
    async with Azure(Endpoint("http://127.0.0.1:1", "key")) as azure:
        collecting.Collector(asking, azure, world.folder, 1.0).store([first, second])
    assert world.outcomes() == {Outcome.ANSWERED: 1, Outcome.FAILED: 2}
    assert asking.left() == 3 and [image.id for image in asking.remaining()] == list(ids[1:])
