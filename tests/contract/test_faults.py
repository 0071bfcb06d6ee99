"""Faults that the emulator makes when it is told to, as the plain clients see them. On an emulator of its own."""

import json
import re
import time

import openai
import pytest

from tests.contract import steps
from tests.contract.places import FLAVOURS, Place
from tests.contract.steps import (
    SCHEMA,
    ended_batch,
    ended_job,
    example,
    items,
    line,
    lines_of,
    pictures,
    question,
    refused,
    settle,
    start_batch,
    start_job,
    until,
    upload,
)

pytestmark = pytest.mark.emulator_only("needs the emulator's own routes")

HELLO = [{"role": "user", "content": "Say yes."}]
HEADER = "x-emulator-faults"


@pytest.fixture(scope="module")
def place(own):
    return Place.of(own)


@pytest.fixture
def faults(settings):
    """Switch faults on; they are off when the test ends."""

    def switch(*calls, **more):
        return settings(faults={**more, **({"calls": list(calls)} if calls else {})})

    return switch


def call(kind, operation="chat", rate=1, times=None):
    """Return the setting of one kind of bad call."""
    return {"operation": operation, "kind": kind, "rate": rate, "times": times}


def answered(client, place, **more):
    """Ask one small question."""
    return client.chat.completions.create(model=place.deployment, messages=HELLO, **more)


def asked_total(own):
    """Return how many questions it has worked on."""
    return own.ledger()["chat_requests"]["total"]


# --- the settings ----------------------------------------------------------------------------------------------------


def test_faults_are_off_and_their_header_away(client, place, ask):
    settings = ask("GET", "/emulator/settings")
    assert settings.status_code == 200 and settings.json()["speed"] == "instant"
    raw = client.chat.completions.with_raw_response.create(model=place.deployment, messages=HELLO)
    assert HEADER not in raw.headers and HEADER not in settings.headers


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_answer_names_what_is_on(place, faults, flavour, arm):
    faults(call("500", "batches.create"), lost_lines=0.5)
    with place.client(flavour) as client:
        for raw in (
            client.chat.completions.with_raw_response.create(model=place.deployment, messages=HELLO),
            client.files.with_raw_response.list(),
            client.models.with_raw_response.list(),
        ):
            assert raw.headers[HEADER].split(", ") == ["calls", "lost_lines"]
        with refused(404) as caught:
            client.files.retrieve("file-nothing")
        assert HEADER in caught.value.response.headers
    seen = []
    list(arm.deployments.list(place.resource_group, place.account, **place.arm_options, raw_response_hook=seen.append))
    assert "lost_lines" in seen[0].http_response.headers[HEADER]


def test_null_switches_all_off(client, place, settings, faults):
    faults(call("500"), lost_lines=0.5, all_failed=True)
    settings(faults=None)
    raw = client.chat.completions.with_raw_response.create(model=place.deployment, messages=HELLO)
    assert HEADER not in raw.headers


@pytest.mark.parametrize(
    "patch",
    [
        {"speed": "warp"},
        {"speed": -1},
        {"quota_minute": "long"},
        {"faults": {"lost_lines": 2}},
        {"faults": {"poetry": True}},
        {"faults": {"calls": [{"operation": "chat", "kind": "999"}]}},
        {"faults": {"calls": [{"operation": "poetry", "kind": "500"}]}},
        {"faults": {"calls": [{"operation": "chat", "kind": "500", "rate": 7}]}},
        {"colour": "red"},
        [],
    ],
    ids=str,
)
def test_settings_that_are_none_are_refused(ask, patch):
    before = ask("GET", "/emulator/settings").json()
    answer = ask("PATCH", "/emulator/settings", json=patch)
    assert answer.status_code == 400
    steps.error_of(answer)
    assert ask("GET", "/emulator/settings").json() == before


def test_a_patch_changes_what_it_names(ask, settings):
    settings(quota_minute=7)
    changed = settings(faults={"lost_lines": 0.25})
    assert (changed["quota_minute"], changed["faults"]["lost_lines"]) == (7, 0.25)
    changed = settings(faults={"all_failed": True})
    assert changed["faults"]["lost_lines"] == 0.25  # a merge
    assert ask("GET", "/emulator/settings").json() == changed
    assert ask("PATCH", "/emulator/settings", json={"brain": True}, key="wrong").status_code == 401


# --- calls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("401", openai.AuthenticationError),
        ("408", openai.APIStatusError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("502", openai.InternalServerError),
        ("503", openai.InternalServerError),
    ],
)
async def test_a_call_that_is_refused(any_client, own, place, faults, kind, raised):
    faults(call(kind))
    before = asked_total(own)
    with pytest.raises(raised) as caught:
        await settle(answered(any_client, place))
    assert caught.value.status_code == int(kind)
    assert asked_total(own) == before  # nothing was done
    if kind == "502":  # a gateway's own page, which may be no JSON
        return
    error = steps.error_of(caught.value.response)
    if kind == "429":
        assert re.search(r"Please retry after \d+ second", error["message"])
        assert int(caught.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize("kind", ["408", "500", "502", "503", "refuse", "drop"])
async def test_the_plain_client_tries_again(any_client, place, faults, kind):
    faults(call(kind, times=1))
    assert (await settle(answered(any_client.with_options(max_retries=openai.DEFAULT_MAX_RETRIES), place))).choices


def test_the_plain_client_does_not_try_a_wrong_key_again(client, place, faults):
    faults(call("401", times=1))
    with pytest.raises(openai.AuthenticationError):
        answered(client.with_options(max_retries=openai.DEFAULT_MAX_RETRIES), place)
    assert answered(client, place).choices


def test_a_rate_is_a_rate(client, place, faults):
    faults(call("500", rate=0.5))
    bad = 0
    for _ in range(40):
        try:
            answered(client, place)
        except openai.InternalServerError:
            bad += 1
    assert 6 <= bad <= 34
    faults(call("500", rate=0))
    assert answered(client, place).choices


async def test_a_connection_refused_does_nothing(any_client, own, place, faults):
    faults(call("refuse"))
    before = asked_total(own)
    with pytest.raises(openai.APIConnectionError):
        await settle(answered(any_client, place))
    assert asked_total(own) == before


async def test_a_connection_dropped_has_done_the_work(any_client, own, place, faults):
    faults(call("drop"))
    before = asked_total(own)
    with pytest.raises(openai.APIConnectionError):
        await settle(answered(any_client, place))
    assert asked_total(own) == before + 1


async def test_a_batch_whose_answer_is_dropped_is_there(any_client, place, faults, settings):
    client = any_client
    file = await upload(client, place, [line("a", place.batch_deployment, HELLO)], "batch")
    faults(call("drop", "batches.create"))
    mark = {"lost": file.id}
    with pytest.raises(openai.APIConnectionError):
        await settle(
            client.batches.create(
                input_file_id=file.id, endpoint="/chat/completions", completion_window="24h", metadata=mark
            )
        )
    (found,) = [batch for batch in await items(client.batches.list(limit=100)) if batch.metadata == mark]
    settings(faults=None)
    assert (await ended_batch(client, place, found)).status == "completed"


def test_a_batch_whose_connection_is_refused_is_not(client, place, faults):
    faults(call("refuse", "batches.create"))
    mark = {"never": "1"}
    with pytest.raises(openai.APIConnectionError):
        client.batches.create(
            input_file_id="file-1", endpoint="/chat/completions", completion_window="24h", metadata=mark
        )
    assert not [batch for batch in client.batches.list(limit=100) if batch.metadata == mark]


async def test_a_call_that_hangs_has_done_the_work(any_client, own, place, faults):
    faults(call("hang"))
    before = asked_total(own)
    with pytest.raises(openai.APITimeoutError):
        await settle(answered(any_client.with_options(timeout=0.5), place))
    await until(lambda: asked_total(own) == before + 1, bool)


async def test_one_operation_or_a_family(client, place, faults):
    file = await upload(client, place, [line("a", place.batch_deployment, HELLO)], "batch")
    create = {"input_file_id": file.id, "endpoint": "/chat/completions", "completion_window": "24h"}
    faults(call("503", "batches.create"))
    with refused(503):
        client.batches.create(**create)
    assert client.batches.list() and answered(client, place).choices
    faults(call("503", "batches.*"))
    for bad in (
        lambda: client.batches.create(**create),
        client.batches.list,
        lambda: client.batches.cancel("x"),
    ):
        with refused(503):
            bad()
    assert client.files.list() and answered(client, place).choices


def test_a_filtered_question(client, place, faults):
    faults(call("content_filter"))
    with refused(400, "content_filter") as caught:
        answered(client, place)
    inner = caught.value.response.json()["error"]["innererror"]
    assert inner["code"] == "ResponsibleAIPolicyViolation"
    result = inner["content_filter_result"]
    assert {"hate", "violence", "sexual", "self_harm"} <= set(result)
    assert any(found["filtered"] and found["severity"] != "safe" for found in result.values() if "severity" in found)


def test_a_filtered_answer(client, place, faults):
    faults(call("filtered_answer"))
    (choice,) = answered(client, place).choices
    assert choice.finish_reason == "content_filter" and not choice.message.content


def test_latency(client, place, faults):
    answered(client, place)
    faults(latency=400)
    began = time.monotonic()
    answered(client, place)
    assert time.monotonic() - began >= 0.4


def test_the_articles_latency(place, faults):
    """Its middle was 1.6 s, its 99th percentile 2.7 s."""
    faults(latency="article")
    began = time.monotonic()
    with place.client("dated") as client:
        answered(client, place)
    assert 0.5 <= time.monotonic() - began <= 8


# --- batches ---------------------------------------------------------------------------------------------------------


async def run_batch(client, place, count=20, **more):
    """Run a batch of small questions; return it, and what stands in its two files."""
    rows = [line(f"q{n}", place.batch_deployment, HELLO, **more) for n in range(count)]
    done = await ended_batch(client, place, await start_batch(client, place, rows))
    return done, await lines_of(client, done.output_file_id), await lines_of(client, done.error_file_id)


async def test_lost_lines_are_in_neither_file(any_client, place, faults):
    faults(lost_lines=0.5)
    done, good, bad = await run_batch(any_client, place, 40)
    assert done.status == "completed" and done.request_counts.total == 40
    assert 4 <= len({row["custom_id"] for row in [*good, *bad]}) <= 36


async def test_all_fail(any_client, place, faults):
    faults(all_failed=True)
    done, good, bad = await run_batch(any_client, place)
    assert (done.status, done.output_file_id or "", good) == ("completed", "", [])
    assert len(bad) == 20 == done.request_counts.failed
    assert all(row["error"] or row["response"]["status_code"] != 200 for row in bad)


async def test_an_empty_error_file(any_client, place, faults):
    client = any_client
    faults(empty_error_file=True)
    done, good, _ = await run_batch(client, place)
    assert len(good) == 20 and done.error_file_id.startswith("file-")
    assert (await settle(client.files.content(done.error_file_id))).content == b""
    assert (await settle(client.files.retrieve(done.error_file_id))).bytes == 0


async def test_a_batch_fails_by_its_code(any_client, place, faults):
    faults(fail_batch="token_limit_exceeded")
    done, _, _ = await run_batch(any_client, place, 2)
    assert (done.status, done.errors.data[0].code) == ("failed", "token_limit_exceeded")
    assert done.errors.data[0].line is None and "enqueued tokens" in done.errors.data[0].message


async def test_bad_answers_within_a_batch(client, place, faults, dogs):
    faults(call("filtered_answer", rate=0.5))
    rows = [
        line(f"q{n}", place.batch_deployment, question(path), response_format=SCHEMA)
        for n, (_, path) in enumerate(pictures(dogs, range(5)))
    ]
    done = await ended_batch(client, place, await start_batch(client, place, rows))
    reasons = [
        row["response"]["body"]["choices"][0]["finish_reason"] for row in await lines_of(client, done.output_file_id)
    ]
    assert len(reasons) == 20 and set(reasons) <= {"stop", "content_filter"}


# --- training --------------------------------------------------------------------------------------------------------


def billed(client, job):
    """Return what a job's events say is paid for."""
    events = client.fine_tuning.jobs.list_events(job.id, limit=100)
    (text,) = [event.message for event in events if event.message.startswith("Training tokens billed")]
    return int(re.sub(r"\D", "", text))


async def test_images_that_are_skipped_are_not_billed(client, place, faults, dogs):
    data = [example(path, breed) for breed, path in pictures(dogs, range(10))]
    training = await upload(client, place, data, "fine-tune")
    whole = await ended_job(client, place, await start_job(client, training))
    faults(skipped_images=0.5)
    part = await ended_job(client, place, await start_job(client, training))
    assert (whole.status, part.status) == ("succeeded", "succeeded")
    assert 0 < billed(client, part) < billed(client, whole)


async def test_training_fails(any_client, place, faults, dogs):
    client = any_client
    faults(fail_training=True)
    training = await upload(
        client, place, [example(path, breed) for breed, path in pictures(dogs, range(3))], "fine-tune"
    )
    done = await ended_job(client, place, await start_job(client, training))
    assert (done.status, done.fine_tuned_model) == ("failed", None)
    assert done.error.code and done.error.message


# --- the clock -------------------------------------------------------------------------------------------------------


async def test_a_batch_expires(client, place, settings, faults):
    rows = [line(f"q{n}", place.batch_deployment, HELLO) for n in range(3)]
    file = await upload(client, place, rows, "batch")
    settings(speed="real")
    batch = client.batches.create(input_file_id=file.id, endpoint="/chat/completions", completion_window="24h")
    faults(clock_offset=25 * 3600)
    done = await ended_batch(client, place, batch)
    assert done.status == "expired" and done.expired_at >= done.expires_at
    assert done.completed_at is None
    kept = await lines_of(client, done.output_file_id)
    assert len(kept) == (done.request_counts.completed if done.request_counts else 0)


async def test_files_go_when_their_time_has_come(client, place, faults):
    expiring = await upload(client, place, b"{}\n", "batch")
    staying = await upload(client, place, b"{}\n", "fine-tune")
    faults(clock_offset=1209600 - 600)
    assert client.files.retrieve(expiring.id).id == expiring.id
    faults(clock_offset=1209600 + 60)
    with refused(404):
        client.files.retrieve(expiring.id)
    with refused(404):
        client.files.content(expiring.id)
    listed = [file.id for file in client.files.list()]
    assert expiring.id not in listed and staying.id in listed


def test_an_upload_goes_after_two_hours(client, faults):
    made = client.uploads.create(filename="a", bytes=1, mime_type="text/plain", purpose="fine-tune")
    faults(clock_offset=2 * 3600 + 60)
    with refused((400, 404, 409)):
        client.uploads.parts.create(made.id, data=b"x")


def test_times_follow_the_clock(client, faults):
    faults(clock_offset=86400)
    made = client.files.create(file=("a.jsonl", b"{}\n"), purpose="fine-tune")
    steps.LEFT_FILES.append(made.id)
    assert made.created_at > time.time() + 80000
    assert json.loads(made.to_json())["object"] == "file"
