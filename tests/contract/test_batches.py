"""Batches: what a job says of itself, what it answers, how it is listed and cancelled."""

import json
import time
import uuid

import pytest

from tests.contract import steps
from tests.contract.steps import (
    BATCH_ENDS,
    EXPIRY,
    SCHEMA,
    ended_batch,
    items,
    line,
    lines_of,
    pictures,
    question,
    refused,
    settle,
    start_batch,
    until,
    upload,
)
from tests.pictures import KENNEL

ORDER = ["validating", "in_progress", "finalizing", "completed"]
HELLO = [{"role": "user", "content": "Say yes."}]


def asked(place, dogs, numbers, **more):
    """Return lines that ask about these numbers of every breed, and the right answers."""
    chosen = pictures(dogs, numbers)
    rows = [line(f"q{n}", place.batch_deployment, question(path), **more) for n, (_, path) in enumerate(chosen)]
    return rows, {f"q{n}": breed for n, (breed, _) in enumerate(chosen)}


async def create(client, place, rows, **more):
    """Create a batch; return the raw answer."""
    file = await upload(client, place, rows, "batch")
    options = {"endpoint": "/chat/completions", "completion_window": "24h", **more}
    return await settle(client.batches.with_raw_response.create(input_file_id=file.id, **options))


async def test_a_batch_answers_every_line(any_client, place, dogs):
    client = any_client
    rows, right = asked(place, dogs, range(5), response_format=SCHEMA)
    batch = await start_batch(client, place, rows, metadata={"mine": "1"})
    done = await ended_batch(client, place, batch)
    assert done.status == "completed", done.errors
    assert done.metadata == {"mine": "1"}
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (20, 20, 0)
    assert await lines_of(client, done.error_file_id) == []  # no file, or an empty one
    answers = await lines_of(client, done.output_file_id)
    assert sorted(answer["custom_id"] for answer in answers) == sorted(right)
    said = {a["custom_id"]: json.loads(a["response"]["body"]["choices"][0]["message"]["content"]) for a in answers}
    assert all(set(answer) == {"breed"} for answer in said.values())
    if place.emulated:
        assert {answer["breed"] for answer in said.values()} <= set(KENNEL)
        assert sum(said[name]["breed"] == breed for name, breed in right.items()) >= 10  # chance is 5
        assert [answer["custom_id"] for answer in answers] != list(right)  # in any order
    assert batch.id in [listed.id for listed in await items(client.batches.list(limit=100))]


async def test_each_answer_is_a_chat_completion_with_its_filters(client, place, dogs):
    rows, _ = asked(place, dogs, [0])
    done = await ended_batch(client, place, await start_batch(client, place, rows))
    for answer in await lines_of(client, done.output_file_id):
        assert set(answer) >= {"custom_id", "response", "error"} and answer["error"] is None
        response = answer["response"]
        assert response["status_code"] == 200 and response["request_id"]
        body = response["body"]
        assert body["object"] == "chat.completion" and body["id"].startswith("chatcmpl-")
        assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
        (choice,) = body["choices"]
        assert choice["finish_reason"] == "stop"
        assert choice["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
        (prompt,) = body["prompt_filter_results"]
        assert prompt["prompt_index"] == 0 and prompt["content_filter_results"]


async def test_creating_answers_201_with_its_place_and_its_tokens(client, place):
    answer = await create(client, place, [line("a", place.batch_deployment, HELLO)])
    assert answer.http_response.status_code == 201
    batch = answer.parse()
    assert answer.headers["location"].split("?")[0].endswith(f"/batches/{batch.id}")
    enqueued = int(answer.headers["deployment-enqueued-tokens"])
    assert 0 <= enqueued <= int(answer.headers["deployment-maximum-enqueued-tokens"])
    await ended_batch(client, place, batch)


async def test_a_batch_object(client, place):
    answer = await create(client, place, [line("a", place.batch_deployment, HELLO)], metadata={"k": "v"})
    body = answer.http_response.json()
    assert uuid.UUID(body["id"].removeprefix("batch_")) and body["id"] == f"batch_{uuid.UUID(body['id'][6:])}"
    assert (body["object"], body["completion_window"]) == ("batch", "24h")
    assert body["endpoint"] == "/v1/chat/completions"  # whatever was asked for
    assert body["status"].lower() == "validating"
    assert body["metadata"] == {"k": "v"}
    assert body["errors"] is None
    for name in ("output_file_id", "error_file_id"):
        assert body[name] == "" if place.emulated else body[name] in ("", None)
    assert abs(body["created_at"] - time.time()) < 120
    assert body["expires_at"] == body["created_at"] + 86400
    for name in ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"):
        assert body[f"{name}_at"] is None
    done = await ended_batch(client, place, answer.parse())
    assert done.input_file_id == body["input_file_id"]


async def test_the_states_come_in_their_order(client, place, dogs):
    rows, _ = asked(place, dogs, range(5))
    batch = await start_batch(client, place, rows)
    seen = [batch]
    while seen[-1].status not in BATCH_ENDS:
        seen.append(await until(lambda: client.batches.retrieve(batch.id), bool, every=place.look_at_batch))
        assert seen[-1].request_counts is None or seen[-1].request_counts.completed <= 20
    states = list(dict.fromkeys(now.status for now in seen))
    assert states == [state for state in ORDER if state in states] and states[-1] == "completed"
    last = seen[-1]
    steps.LEFT_FILES.append(last.output_file_id)
    times = [last.created_at, last.in_progress_at, last.finalizing_at, last.completed_at]
    assert times == sorted(times)
    assert last.failed_at is last.expired_at is last.cancelling_at is last.cancelled_at is None


async def test_a_request_that_fails_is_a_line_of_its_own(client, place):
    model = place.batch_deployment
    rows = [
        line("good", model, HELLO),
        line("none", model, []),
        line("odd", model, [{"role": "nobody", "content": "x"}]),
    ]
    done = await ended_batch(client, place, await start_batch(client, place, rows))
    assert done.status == "completed"
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (3, 1, 2)
    found = await lines_of(client, done.output_file_id) + await lines_of(client, done.error_file_id)
    by_id = {answer["custom_id"]: answer for answer in found}
    assert set(by_id) == {"good", "none", "odd"} and len(found) == 3
    assert by_id["good"]["response"]["status_code"] == 200
    for name in ("none", "odd"):
        if by_id[name]["error"]:
            assert by_id[name]["error"]["message"]
        else:
            assert by_id[name]["response"]["status_code"] == 400
            assert by_id[name]["response"]["body"]["error"]["message"]


async def test_a_batch_whose_requests_all_fail_is_completed_without_output(client, place):
    rows = [line(f"q{n}", place.batch_deployment, []) for n in range(3)]
    done = await ended_batch(client, place, await start_batch(client, place, rows))
    assert (done.status, done.output_file_id or "") == ("completed", "")
    assert (done.request_counts.completed, done.request_counts.failed) == (0, 3)
    assert {answer["custom_id"] for answer in await lines_of(client, done.error_file_id)} == {"q0", "q1", "q2"}


async def test_the_newer_spelling_of_the_endpoint(client, place):
    row = {**line("a", place.batch_deployment, HELLO), "url": "/v1/chat/completions"}
    done = await ended_batch(client, place, await start_batch(client, place, [row], endpoint="/v1/chat/completions"))
    assert (done.status, done.endpoint) == ("completed", "/v1/chat/completions")


async def test_the_output_expires_when_it_is_asked_to(client, place):
    rows = [line("a", place.batch_deployment, HELLO)]
    expiry = EXPIRY["expires_after"]
    done = await ended_batch(client, place, await start_batch(client, place, rows, output_expires_after=expiry))
    output = client.files.retrieve(done.output_file_id)
    assert output.purpose == "batch_output"
    assert output.expires_at == output.created_at + 1209600


async def test_a_list_finds_a_lost_batch(client, place):
    rows = [line("a", place.batch_deployment, HELLO)]
    ours = [await start_batch(client, place, rows, metadata={"lost": f"{n}"}) for n in range(3)]
    mine = [batch.id for batch in ours]
    for batch in ours:
        await ended_batch(client, place, batch)
    answer = client.batches.with_raw_response.list(limit=2)
    body = answer.http_response.json()
    assert body["object"] == "list" and len(body["data"]) == 2 and body["has_more"] is True
    assert (body["first_id"], body["last_id"]) == (body["data"][0]["id"], body["data"][1]["id"])
    newest = [batch.id for batch in client.batches.list(limit=2)]  # over all pages
    assert len(newest) == len(set(newest))
    assert [batch for batch in newest if batch in mine] == mine[::-1]
    following = client.batches.list(after=newest[0], limit=1)
    assert [batch.id for batch in following.data] == newest[1:2]
    last = client.batches.list(after=newest[-1])
    assert last.data == [] and not last.has_more
    (found,) = [batch for batch in client.batches.list() if batch.id in mine and batch.metadata == {"lost": "1"}]
    assert found.id == mine[1]


async def test_a_list_filters_and_sorts(client, place):
    rows = [line("a", place.batch_deployment, HELLO)]
    since = (await ended_batch(client, place, await start_batch(client, place, rows))).created_at - 1
    bad = await ended_batch(client, place, await start_batch(client, place, [b"{"]))
    good = await ended_batch(client, place, await start_batch(client, place, rows))

    def listed(**query):
        return [batch.id for batch in client.batches.list(extra_query={f"${name}": q for name, q in query.items()})]

    failed = listed(filter=f"created_at gt {since} and status eq 'Failed'")
    assert bad.id in failed and good.id not in failed
    completed = listed(filter=f"created_at gt {since} and status eq 'Completed'")
    assert good.id in completed and bad.id not in completed
    assert listed(filter=f"created_at gt {good.created_at + 3600}") == []
    rising = listed(filter=f"created_at gt {since}", orderby="created_at asc")
    falling = listed(filter=f"created_at gt {since}", orderby="created_at desc")
    assert rising.index(bad.id) < rising.index(good.id) and falling.index(good.id) < falling.index(bad.id)
    for query in ({"filter": "colour eq 'red'"}, {"filter": "status"}, {"orderby": "colour"}):
        with refused(400):
            listed(**query)


async def test_cancelling_at_once(any_client, place, dogs):
    client = any_client
    rows, right = asked(place, dogs, range(16))
    batch = await start_batch(client, place, rows)
    cancelling = await settle(client.batches.cancel(batch.id))
    assert cancelling.status in ("cancelling", "cancelled")
    done = await ended_batch(client, place, batch)
    assert (done.status, done.cancelled_at is None) == ("cancelled", False)
    answers = await lines_of(client, done.output_file_id)
    assert len(answers) == (done.request_counts.completed if done.request_counts else 0)
    assert {answer["custom_id"] for answer in answers} <= set(right)


async def test_cancelling_keeps_what_is_finished(client, place, dogs):
    rows, right = asked(place, dogs, range(16))
    batch = await start_batch(client, place, rows)
    await until(
        lambda: client.batches.retrieve(batch.id),
        lambda now: now.status in BATCH_ENDS or (now.request_counts and now.request_counts.completed),
        every=min(place.look_at_batch, 1),
        patience=place.patience,
    )
    client.batches.cancel(batch.id)
    done = await ended_batch(client, place, batch)
    assert done.status == "cancelled"
    answers = await lines_of(client, done.output_file_id)
    assert 0 < len(answers) == done.request_counts.completed < len(right)
    assert all(answer["response"]["status_code"] == 200 for answer in answers)
    assert done.cancelling_at <= done.cancelled_at and done.completed_at is None


async def test_what_has_ended_cannot_be_cancelled(client, place):
    done = await ended_batch(client, place, await start_batch(client, place, [b"{"]))
    with refused((400, 409)):
        client.batches.cancel(done.id)
    assert client.batches.retrieve(done.id).status == "failed"


@pytest.mark.parametrize("name", [f"batch_{uuid.UUID(int=7)}", "batch_nothing", "nothing"])
def test_an_unknown_batch_is_not_found(client, name):
    with refused(404):
        client.batches.retrieve(name)
    with refused(404):
        client.batches.cancel(name)


async def test_what_cannot_be_a_batch_is_refused_at_once(client, place):
    file = await upload(client, place, [line("a", place.batch_deployment, HELLO)], "batch")
    good = {"input_file_id": file.id, "endpoint": "/chat/completions", "completion_window": "24h"}
    for wrong in (
        {"input_file_id": "file-0123456789abcdef0123456789abcdef"},
        {"endpoint": "/poetry"},
        {"endpoint": "/embeddings"},
        {"completion_window": "1h"},
        {"output_expires_after": {"anchor": "created_at", "seconds": 1}},
    ):
        with refused((400, 404, 501)):
            client.batches.create(**{**good, **wrong})
    for left_out in good:
        asked = {name: value for name, value in good.items() if name != left_out}
        with refused(400):
            client.post("/batches", cast_to=object, body=asked)
    training = await upload(client, place, b'{"a": 1}\n', "fine-tune")
    with refused(400):
        client.batches.create(**{**good, "input_file_id": training.id})
