"""Limits: quotas by the minute, queued tokens, and how much of everything a resource holds. On an emulator of its own."""

import re
import time

import openai
import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract import steps
from tests.contract.conftest import teach
from tests.contract.places import Place
from tests.contract.steps import (
    deploy,
    deployment_body,
    ended_batch,
    example,
    line,
    pictures,
    refused,
    upload,
)

pytestmark = pytest.mark.emulator_only("it fills a resource to its limits")

HELLO = [{"role": "user", "content": "Say yes."}]


@pytest.fixture(scope="module")
def place(own):
    return Place.of(own)


@pytest.fixture
async def small(arm, place):
    """A deployment that may take a thousand tokens, and six questions, a minute."""
    await deploy(arm, place, "small", deployment_body("gpt-4o", version="2024-08-06", capacity=1))
    return "small"


MESSAGE = (
    r"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version .* "
    r"have exceeded {} rate limit.* Please retry after (\d+) seconds?"
)


def too_much(client, model, **more):
    """Ask until it is too much; return how often it was not, and the refusal."""
    for n in range(20):
        try:
            client.chat.completions.create(model=model, messages=HELLO, **more)
        except openai.RateLimitError as error:
            return n, error
    raise AssertionError("twenty questions are not too many")


def test_tokens_a_minute(client, settings, small):
    """The estimate is the prompt and the most that may be answered, whatever the answer is."""
    settings(quota_minute=60)
    _, error = too_much(client, small, max_tokens=2000)
    body = steps.error_of(error.response)
    assert body["code"] == "429"
    told = re.search(MESSAGE.format("token"), body["message"])
    assert told
    wait = int(error.response.headers["retry-after"])
    assert 0 < wait <= 60 and int(told[1]) == wait


def test_questions_a_minute(client, settings, small):
    settings(quota_minute=60)
    answered, error = too_much(client, small, max_tokens=1)
    assert 1 <= answered <= 6
    assert re.search(MESSAGE.format("(?:call|request|token)"), steps.error_of(error.response)["message"])
    assert int(error.response.headers["retry-after"]) > 0


def test_what_remains_is_told(client, settings, arm, place):
    settings(quota_minute=60)
    arm.deployments.begin_create_or_update(
        place.resource_group,
        place.account,
        "told",
        deployment_body("gpt-4o", version="2024-08-06", capacity=10),
        **place.arm_options,
    ).result(60)
    steps.LEFT_DEPLOYMENTS.append("told")
    ask = client.chat.completions.with_raw_response.create
    first, second = (ask(model="told", messages=HELLO, max_tokens=100).headers for _ in range(2))
    left = [int(headers["x-ratelimit-remaining-tokens"]) for headers in (first, second)]
    assert 0 <= left[1] < left[0] < 10_000
    requests = [int(headers["x-ratelimit-remaining-requests"]) for headers in (first, second)]
    assert 0 <= requests[1] <= requests[0] < 60


def test_the_plain_client_waits_and_is_answered(client, settings, small):
    settings(quota_minute=2)
    too_much(client, small, max_tokens=300)
    began = time.monotonic()
    patient = client.with_options(max_retries=openai.DEFAULT_MAX_RETRIES)
    assert patient.chat.completions.create(model=small, messages=HELLO, max_tokens=300).choices
    assert time.monotonic() - began < 20


def test_a_quota_is_of_one_deployment(client, settings, small, place):
    settings(quota_minute=60)
    too_much(client, small, max_tokens=300)
    assert client.chat.completions.create(model=place.deployment, messages=HELLO).choices


async def test_queued_tokens_count_over_all_unfinished_batches(client, settings, arm, place):
    """Two that fit alone do not fit together, until one has ended."""
    body = deployment_body("gpt-4o", sku="GlobalBatch", version="2024-08-06", capacity=1)
    await deploy(arm, place, "queue", body)
    rows = [line("a", "queue", [{"role": "user", "content": "All work and no play. " * 100}])]
    files = [await upload(client, place, rows, "batch") for _ in range(3)]
    settings(speed="real")

    def create(file):
        return client.batches.create(input_file_id=file.id, endpoint="/chat/completions", completion_window="24h")

    both = [create(file) for file in files[:2]]
    settings(speed=20)  # some regions would have refused the second at once; this one lets it fail
    ends = [await ended_batch(client, place, batch) for batch in both]
    settings(speed="instant")
    assert sorted(end.status for end in ends) == ["completed", "failed"]
    (failed,) = [end for end in ends if end.status == "failed"]
    assert failed.errors.data[0].code == "token_limit_exceeded"
    assert (await ended_batch(client, place, create(files[2]))).status == "completed"


def test_fifty_files_for_fine_tuning(client):
    def put(n):
        steps.LEFT_FILES.append(client.files.create(file=(f"{n}.jsonl", b"{}\n"), purpose="fine-tune").id)

    there = len([file for file in client.files.list(limit=100) if file.purpose == "fine-tune"])
    for n in range(there, 50):
        put(n)
    with refused((400, 403, 409, 429), "quotaExceeded"):
        put(50)
    client.files.delete(steps.LEFT_FILES.pop())
    put(50)


async def test_five_tuned_deployments(arm, place, dogs):
    job = teach(place, dogs, range(3))
    with place.client("dated") as client:
        points = [point.fine_tuned_model_checkpoint for point in client.fine_tuning.jobs.checkpoints.list(job.id)]
    for n, model in enumerate([job.fine_tuned_model] * 4 + points[:1]):
        await deploy(arm, place, f"tuned-{n}", deployment_body(model, capacity=1))
    await deploy(arm, place, "base", deployment_body("gpt-4o", version="2024-08-06", capacity=1))
    with pytest.raises(HttpResponseError) as caught:
        await deploy(arm, place, "tuned-5", deployment_body(job.fine_tuned_model, capacity=1))
    assert caught.value.status_code in (400, 403, 409, 429)
    assert steps.error_of(caught.value.response)["message"]
    await steps.remove(arm, place, "tuned-0")
    await deploy(arm, place, "tuned-5", deployment_body(job.fine_tuned_model, capacity=1))


async def test_twenty_queued_jobs_and_a_hundred_in_all(settings, place, dogs):
    with place.client("dated", max_retries=0) as client:
        data = [example(path, breed) for breed, path in pictures(dogs, range(3))]
        training = await upload(client, place, data, "fine-tune")
        settings(speed="real")
        there = len(list(client.fine_tuning.jobs.list(limit=100)))

        def create():
            return client.fine_tuning.jobs.create(model=steps.BASE, training_file=training.id)

        jobs = [create() for _ in range(21)]  # one that runs, twenty that wait
        with refused((400, 403, 409, 429), ("quotaExceeded", "tooManyRequests")):
            create()
        for job in jobs[::-1]:
            client.fine_tuning.jobs.cancel(job.id)
        settings(speed="instant")
        for job in jobs:
            await steps.ended_job(client, place, job)
        settings(speed="real")
        for _ in range(100 - there - len(jobs)):
            client.fine_tuning.jobs.cancel(create().id)
        with refused((400, 403, 409, 429), ("quotaExceeded", "tooManyRequests")):
            create()
        client.delete(f"/fine_tuning/jobs/{jobs[0].id}", cast_to=object)
        client.fine_tuning.jobs.cancel(create().id)


def test_five_hundred_batch_files_unless_they_expire(place):
    """The last test here, as its files stay until the emulator goes."""
    with place.client("v1", max_retries=0) as client:

        def put(**more):
            client.files.create(file=("many.jsonl", b"{}\n"), purpose="batch", **more)

        for _ in range(500):
            put(extra_body=steps.EXPIRY)
        put(extra_body=steps.EXPIRY)
        with refused((400, 403, 409, 429), "quotaExceeded"):
            put()
