"""Batches that fail before they begin: every code of the page, with its line."""

import re

import openai
import pytest

from tests.contract import steps
from tests.contract.steps import ended_batch, line, start_batch

HELLO = [{"role": "user", "content": "Say yes."}]


async def failure(client, place, rows, **options):
    """Return the (code, line) pairs of a batch that fails, and its errors; a refusal at once has no line."""
    try:
        batch = await start_batch(client, place, rows, **options)
    except openai.BadRequestError as error:
        return [(error.code, None)], [error]
    done = await ended_batch(client, place, batch)
    assert done.status == "failed", done
    assert done.errors.object == "list" and done.failed_at and not done.output_file_id
    assert all(error.message for error in done.errors.data)
    return [(error.code, error.line) for error in done.errors.data], done.errors.data


def three(place, **third):
    """Return three good lines, the last of them spoiled."""
    rows = [line(f"q{n}", place.batch_deployment, HELLO) for n in range(3)]
    rows[2].update(third)
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


@pytest.mark.parametrize("text", [b'{"custom_id": "q2", ', b"hello", b"\xff\xfe{}"], ids=["half", "text", "bytes"])
async def test_invalid_json_line(client, place, text):
    found, _ = await failure(client, place, [*three(place)[:2], text])
    assert ("invalid_json_line", 3) in found


async def test_a_byte_order_mark_breaks_the_first_line(client, place):
    found, _ = await failure(client, place, b"\xef\xbb\xbf" + steps.jsonl(three(place)))
    assert found[0] in (("invalid_json_line", 1), ("invalid_request", 1))


async def test_too_many_tasks(client, place):
    one = '{{"custom_id":"{}","method":"POST","url":"/chat/completions","body":{{"model":"%s","messages":[]}}}}\n'
    one %= place.batch_deployment
    content = "".join(one.format(n) for n in range(100_001)).encode()
    found, _ = await failure(client, place, content)
    assert "too_many_tasks" in [code for code, _ in found]


async def test_url_mismatch(client, place):
    found, _ = await failure(client, place, three(place, url="/embeddings"))
    assert ("url_mismatch", 3) in found


async def test_model_not_found(client, place):
    found, _ = await failure(client, place, [line("a", "nobody-deployed-this", HELLO)])
    assert ("model_not_found", 1) in found


async def test_duplicate_custom_id(client, place):
    found, _ = await failure(client, place, three(place, custom_id="q0"))
    assert ("duplicate_custom_id", 3) in found


async def test_model_mismatch(client, place):
    found, _ = await failure(client, place, three(place, body={"model": place.deployment, "messages": HELLO}))
    assert ("model_mismatch", 3) in found


@pytest.mark.parametrize(
    "third", [{"custom_id": None}, {"custom_id": 7}, {"method": "GET"}, {"method": None}, {"body": None}, {"body": []}]
)
async def test_invalid_request(client, place, third):
    found, _ = await failure(client, place, three(place, **third))
    assert ("invalid_request", 3) in found


async def test_a_line_that_is_no_object(client, place):
    found, _ = await failure(client, place, [*three(place)[:2], b"[1, 2]"])
    assert found[0] in (("invalid_json_line", 3), ("invalid_request", 3))


async def test_empty_file(client, place):
    found, _ = await failure(client, place, b"")
    assert [code for code, _ in found] == ["empty_file"]


async def test_empty_batch(client, place):
    found, _ = await failure(client, place, b"\n \n\n")
    assert [code for code, _ in found] == ["empty_batch"]


async def test_a_deployment_for_real_time_calls_takes_no_batch(client, place):
    found, errors = await failure(client, place, [line("a", place.deployment, HELLO)])
    assert found[0][0] in ("invalid_request", "model_not_found")
    assert place.deployment in errors[0].message or "SKU" in errors[0].message


@pytest.mark.emulator_only("a tuned deployment costs $1.70 an hour")
async def test_a_tuned_model_takes_no_batch(client, place, arm, taught):
    await steps.deploy(arm, place, "tuned-no-batch", steps.deployment_body(taught.fine_tuned_model))
    found, _ = await failure(client, place, [line("a", "tuned-no-batch", HELLO)])
    assert found[0][0] in ("invalid_request", "model_not_found")


@pytest.mark.emulator_only("it makes a deployment")
async def test_a_tuned_model_cannot_be_deployed_for_batches(place, arm, taught):
    from azure.core.exceptions import HttpResponseError

    body = steps.deployment_body(taught.fine_tuned_model, sku="GlobalBatch")
    with pytest.raises(HttpResponseError) as caught:
        await steps.deploy(arm, place, "tuned-for-batches", body)
    assert caught.value.status_code == 400


@pytest.mark.emulator_only("it makes a deployment with a very small quota")
class TestEnqueuedTokens:
    """A batch deployment of capacity 1 has room for a thousand tokens."""

    @pytest.fixture
    async def small(self, place, arm):
        body = steps.deployment_body("gpt-4o", sku="GlobalBatch", capacity=1, version="2024-08-06")
        await steps.deploy(arm, place, "small-batches", body)
        return "small-batches"

    async def test_more_than_its_room_is_refused(self, client, place, small):
        long = [{"role": "user", "content": "All work and no play makes Jack a dull boy. " * 400}]
        found, errors = await failure(client, place, [line("a", small, long)])
        assert found == [("token_limit_exceeded", None)]
        assert re.search(
            r"The number of enqueued tokens has surpassed the configured limit of 1K for the deployment 'small-batches'\. "
            r"Please either increase the limit or try again once the current jobs have finished\.",
            errors[0].message,
        )

    async def test_what_fits_is_answered(self, client, place, small):
        answer = await start_batch(client, place, [line("a", small, HELLO)])
        assert (await ended_batch(client, place, answer)).status == "completed"

    async def test_the_headers_tell_its_room(self, client, place, small):
        file = await steps.upload(client, place, [line("a", small, HELLO)], "batch")
        raw = client.batches.with_raw_response.create(
            input_file_id=file.id, endpoint="/chat/completions", completion_window="24h"
        )
        assert raw.headers["deployment-maximum-enqueued-tokens"] == "1000"
        await ended_batch(client, place, raw.parse())
