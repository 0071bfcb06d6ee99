"""An output that is not what the service promises is fetched again: it is paid for. Nothing is queried twice."""

import json

import pytest

from engine.errors import JobError
from engine.jobs.kinds import outputs
from engine.states import Outcome
from tests.integration.batches.world import whole
from tests.proxy import Proxy

COUNT = 12
PAGE = (200, b"<html>Sign in to Hotel WiFi</html>", {"content-type": "text/html"})
JSONL = {"content-type": "application/octet-stream"}


def half(forward):
    _, body, headers = forward()
    lines = body.splitlines(True)
    return 200, b"".join(lines[: len(lines) // 2]), headers


def torn(forward):
    _, body, headers = forward()
    return 200, body[:-20], headers


def strangers(forward):
    """Another batch's file: of the same size, and with none of our requests."""
    _, body, headers = forward()
    return 200, body.replace(b'"image-', b'"other-'), headers


WRONG = {
    "html": lambda forward: PAGE,
    "html as a file": lambda forward: (200, PAGE[1], JSONL),
    "empty": lambda forward: (200, b"", JSONL),
    "204": lambda forward: (204, b"", {}),
    "404": lambda forward: (404, b'{"error": {"code": "404", "message": "not found"}}', JSONL),
    "half of the lines": half,
    "truncated last line": torn,
    "gzip rubbish": lambda forward: (200, b"\x1f\x8b rubbish", {**JSONL, "content-encoding": "gzip"}),
    "another batch's file": strangers,
}


@pytest.fixture
def proxy(place, monkeypatch):
    proxy = Proxy(place.endpoint)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", proxy.url)
    yield proxy
    proxy.close()


def misbehave(proxy, answer, times):
    left = [times]

    def rule(method, path, forward):
        if method == "GET" and path.endswith("/content") and left[0]:
            left[0] -= 1
            return answer(forward)
        return None

    proxy.rule = rule


def paid(place):
    """Return what the emulator was paid for this test's batches: batches, requests, tokens in and out."""
    mine = {b["id"] for b in place.batches()[place.before :]}
    rows = [row for row in place.ledger()["batches"] if row["id"] in mine]
    return len(rows), *(sum(row[k] for row in rows) for k in ("requests", "prompt_tokens", "completion_tokens"))


def charged(world):
    charges = world.store.jobs.charges(world.job)
    return sum(c.prompt_tokens for c in charges), sum(c.completion_tokens for c in charges)


@pytest.mark.parametrize(
    ("wrong", "times"), [*((name, 1) for name in WRONG), ("empty", 3), ("404", 3), ("half of the lines", 3)]
)
async def test_what_was_paid_is_fetched_until_it_is_whole(world, place, proxy, wrong, times):
    misbehave(proxy, WRONG[wrong], times)
    assert (await world.make(COUNT).run())["unanswered"] == 0
    assert whole(world, COUNT)
    batches, requests, *tokens = paid(place)
    assert (batches, requests) == (1, COUNT)
    assert proxy.count("GET", "/content") == times + 1
    assert [c.estimated for c in world.store.jobs.charges(world.job)] == [False]
    assert charged(world) == tuple(tokens)


async def test_an_output_that_is_never_whole_fails_the_job_and_is_fetched_by_a_resume(world, place, proxy, monkeypatch):
    monkeypatch.setattr(outputs, "EMULATED_PATIENCE_SECONDS", 0.3)
    misbehave(proxy, half, 10**6)
    world.make(COUNT)
    with pytest.raises(JobError, match=rf"{COUNT // 2} of {COUNT} answers can be read.*paid for") as failed:
        await world.run()
    assert "costs nothing" in failed.value.cure and "paid again" in failed.value.cure
    assert world.outcomes() == {Outcome.ANSWERED: COUNT // 2}  # what can be read is kept
    (estimate,) = world.store.jobs.charges(world.job)
    assert estimate.estimated and estimate.prompt_tokens == paid(place)[2]
    proxy.rule = lambda *_: None
    assert (await world.run())["unanswered"] == 0
    assert whole(world, COUNT) and paid(place)[:2] == (1, COUNT)
    assert charged(world) == paid(place)[2:]


async def test_answers_that_no_longer_exist_are_not_queried_again_unasked(world, place, proxy):
    misbehave(proxy, WRONG["404"], 10**6)
    real = proxy.rule

    def gone(method, path, forward):
        if method == "GET" and "/files/" in path and not path.endswith("/content"):
            status, body, headers = forward()
            if json.loads(body).get("purpose") == "batch_output":
                return WRONG["404"](forward)
            return status, body, headers
        return real(method, path, forward)

    proxy.rule = gone
    world.make(COUNT)
    with pytest.raises(JobError, match=f"{COUNT} answers that were paid for no longer exist") as failed:
        await world.run()
    assert "paid again" in failed.value.cure
    assert paid(place)[:2] == (1, COUNT)
    proxy.rule = lambda *_: None
    assert (await world.run())["unanswered"] == 0  # the user has resumed it
    assert paid(place)[:2] == (2, 2 * COUNT)
    charges = world.store.jobs.charges(world.job)
    assert [c.estimated for c in charges] == [True, False]
    assert charges[1].prompt_tokens * 2 == paid(place)[2]


async def test_a_page_instead_of_the_created_batch_makes_no_second_one(world, place, proxy):
    left = [1]

    def rule(method, path, forward):
        if method == "POST" and path.endswith("/batches") and left[0]:
            left[0] -= 1
            forward()
            return PAGE
        return None

    proxy.rule = rule
    assert (await world.make(COUNT).run())["unanswered"] == 0
    assert paid(place)[:2] == (1, COUNT)


async def test_a_second_round_is_charged_beside_the_first(world, place, proxy):
    """A batch of which each request failed at first costs what the service charges, and so does the next one."""
    place.set(faults={"calls": [{"operation": "batches.line", "kind": "500", "rate": 1.0, "times": COUNT // 2}]})
    assert (await world.make(COUNT).run())["unanswered"] == 0
    assert paid(place)[:2] == (2, COUNT)
    assert charged(world) == paid(place)[2:]
    assert len(world.store.jobs.charges(world.job)) == 2
