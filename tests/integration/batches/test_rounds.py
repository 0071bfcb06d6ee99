"""A batch job against an emulator that has bad days: quota, losses, refusals."""

import asyncio
import json

import pytest

from engine.azure import batches, files
from engine.azure.connection import Azure, Endpoint
from engine.errors import JobError
from engine.jobs.context import Stopped
from engine.jobs.kinds import rounds
from engine.states import Outcome, Request
from engine.store.jobs import Jobs
from tests.integration.batches.world import eventually, limited, whole


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
    assert world.said("in 3 files")


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
    # The lost lines were paid for too: their tokens are estimated from the others'.
    (batch,) = place.batches()[place.before :]
    (paid,) = [row for row in place.ledger()["batches"] if row["id"] == batch["id"]]
    assert paid["prompt_tokens"] > cheap.prompt_tokens
    charges = {c.key: c for c in world.store.jobs.charges(world.job)}
    assert list(charges) == [f"batch:{batch['id']}", "requests:1"]
    estimated, exact = charges.values()
    assert (estimated.estimated, exact.estimated) == (True, False)
    assert (estimated.prompt_tokens, exact.prompt_tokens) == (paid["prompt_tokens"], extra)
    out = whole_use.completion_tokens - cheap.completion_tokens
    assert exact.completion_tokens == out
    assert estimated.completion_tokens == pytest.approx(paid["completion_tokens"], rel=0.1)
    usd = world.store.predictions.costs(world.contestant)["inference"]
    batched = estimated.prompt_tokens * 1.25 + estimated.completion_tokens * 5
    assert usd == pytest.approx((batched + extra * 2.5 + out * 10) / 1e6)


async def test_a_pause_in_real_time_goes_on_in_real_time(world, place):
    place.set(faults={"lost_lines": 0.5, "latency": 100})
    world.make(30, retry="realtime")
    with pytest.raises(Stopped):
        await world.run(until="queried in real time", request=Request.PAUSE)
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


async def test_progress_is_the_share_of_images_with_an_answer_and_never_gets_smaller(world, place, monkeypatch):
    shares, real = [], Jobs.progress

    def told(jobs, job_id, *what):
        found = real(jobs, job_id, *what)
        shares.append(jobs.view(job_id).progress)
        return found

    monkeypatch.setattr(Jobs, "progress", told)
    place.set(faults={"calls": [{"operation": "batches.line", "kind": "500", "rate": 1.0, "times": 12}]})
    world.make(30, retry="none")
    left = (await world.run())["unanswered"]
    assert left == 12 and shares == sorted(shares) and shares[-1] == pytest.approx(18 / 30)
    place.set(faults=None)
    assert (await world.run())["unanswered"] == 0
    assert shares == sorted(shares) and shares[-1] == 1.0
