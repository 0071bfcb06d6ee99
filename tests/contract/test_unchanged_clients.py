"""The unchanged openai client and Azure's management client against the emulator."""

import base64
import io
import json
import time
import urllib.error

import openai
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient

from tests.conftest import ledger_of, wait_for
from tests.pictures import KENNEL

SYSTEM = f"Classify the following input image into one of the following categories: [{', '.join(KENNEL)}]."


def message(path):
    url = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]},
    ]


def pictures(dogs, numbers):
    return [(breed, dogs / breed / f"{n:03d}.jpg") for breed in KENNEL for n in numbers]


def jsonl(rows):
    return io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())


@pytest.fixture(params=["dated", "v1"])
def client(request, emulator):
    if request.param == "dated":
        made = openai.AzureOpenAI(
            azure_endpoint=emulator.endpoint, api_key=emulator.api_key, api_version="2025-04-01-preview"
        )
    else:
        made = openai.OpenAI(base_url=f"{emulator.endpoint}/openai/v1/", api_key=emulator.api_key)
    with made:
        yield made


class Token:
    """A credential that gives the emulator's key."""

    def __init__(self, key):
        self._key = key

    def get_token(self, *_, **__):
        return AccessToken(self._key, int(time.time()) + 3600)


def management(emulator, key=None):
    return CognitiveServicesManagementClient(
        Token(key or emulator.api_key),
        emulator.subscription,
        base_url=emulator.arm_endpoint,
        credential_scopes=[f"{emulator.arm_endpoint}/.default"],
        enforce_https=False,
    )


@pytest.fixture
def arm(emulator):
    with management(emulator) as made:
        yield made


def test_one_question(client, emulator, dogs):
    (_, path), *_ = pictures(dogs, [0])
    answer = client.chat.completions.create(model=emulator.deployment, messages=message(path))
    assert answer.choices[0].message.content in KENNEL
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.prompt_tokens > 85


def test_a_structured_answer(client, emulator, dogs):
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string"}},
        "required": ["label"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "c", "strict": True, "schema": schema}}
    (_, path), *_ = pictures(dogs, [1])
    answer = client.chat.completions.create(model=emulator.deployment, messages=message(path), response_format=form)
    assert json.loads(answer.choices[0].message.content)["label"] in KENNEL


def test_files(client):
    uploaded = client.files.create(file=("train.jsonl", jsonl([{"a": 1}])), purpose="fine-tune")
    assert (uploaded.filename, uploaded.purpose) == ("train.jsonl", "fine-tune")
    assert client.files.retrieve(uploaded.id).bytes == uploaded.bytes
    assert client.files.content(uploaded.id).text == '{"a": 1}\n'
    assert uploaded.id in [f.id for f in client.files.list(purpose="fine-tune")]
    assert client.files.delete(uploaded.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(uploaded.id)


def test_a_batch_looks_at_pictures(client, emulator, dogs):
    chosen = pictures(dogs, range(5))
    rows = [
        {
            "custom_id": f"q{n}",
            "method": "POST",
            "url": "/chat/completions",
            "body": {"model": emulator.batch_deployment, "messages": message(path)},
        }
        for n, (_, path) in enumerate(chosen)
    ]
    rows.append({**rows[0], "custom_id": "bad", "body": {**rows[0]["body"], "messages": []}})
    file = client.files.create(file=("in.jsonl", jsonl(rows)), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/chat/completions", completion_window="24h", metadata={"mine": "1"}
    )
    assert batch.status == "validating"
    done = wait_for(
        lambda: b if (b := client.batches.retrieve(batch.id)).status in ("completed", "failed", "expired") else None
    )
    assert done.status == "completed", done
    assert done.metadata == {"mine": "1"}
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (21, 20, 1)
    answers = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
    assert {a["custom_id"] for a in answers} == {f"q{n}" for n in range(20)}
    said = {a["custom_id"]: a["response"]["body"]["choices"][0]["message"]["content"] for a in answers}
    right = sum(said[f"q{n}"] == breed for n, (breed, _) in enumerate(chosen))
    assert right >= 10  # of 20, where chance is 5: it has looked
    (error,) = (json.loads(line) for line in client.files.content(done.error_file_id).text.splitlines())
    assert (error["custom_id"], error["response"]["status_code"]) == ("bad", 400)
    assert batch.id in [b.id for b in client.batches.list()]


def test_a_batch_that_cannot_be_is_refused_or_fails_by_name(client, emulator):
    with pytest.raises(openai.NotFoundError):
        client.batches.create(input_file_id="file-nothing", endpoint="/chat/completions", completion_window="24h")
    file = client.files.create(file=("in.jsonl", jsonl([{"custom_id": "a"}])), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/chat/completions", completion_window="24h")
    failed = wait_for(lambda: b if (b := client.batches.retrieve(batch.id)).status == "failed" else None)
    assert failed.errors.data[0].line == 1


def test_fine_tune_deploy_and_ask(client, arm, emulator, dogs):
    rows = [
        {"messages": [*message(path), {"role": "assistant", "content": breed}]}
        for breed, path in pictures(dogs, range(10))
    ]
    training = client.files.create(file=("train.jsonl", jsonl(rows)), purpose="fine-tune")
    validation = client.files.create(file=("val.jsonl", jsonl(rows[::5])), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model="gpt-4o-2024-08-06",
        training_file=training.id,
        validation_file=validation.id,
        suffix="kennel",
        seed=42,
        hyperparameters={"n_epochs": 3, "batch_size": 4, "learning_rate_multiplier": 1.0},
    )
    assert job.status == "pending"
    done = wait_for(
        lambda: j if (j := client.fine_tuning.jobs.retrieve(job.id)).status in ("succeeded", "failed") else None
    )
    assert done.status == "succeeded", done.error
    assert done.fine_tuned_model.startswith("gpt-4o-2024-08-06.ft-")
    assert done.fine_tuned_model.endswith("-kennel")
    assert done.hyperparameters.n_epochs == 3
    messages = [e.message for e in client.fine_tuning.jobs.list_events(job.id, limit=100)]
    assert messages[-1].startswith("Job enqueued")  # the newest comes first
    assert any(m.startswith("Training tokens billed") for m in messages)
    points = list(client.fine_tuning.jobs.checkpoints.list(job.id))
    assert sorted(p.step_number for p in points) == [10, 20, 30]
    assert all(p.metrics.train_loss > 0 for p in points)
    table = client.files.content(done.result_files[0]).text.splitlines()
    assert table[0].startswith("step,train_loss")
    assert len(table) == 31

    name = f"kennel-{job.id[-6:]}"
    poller = arm.deployments.begin_create_or_update(
        emulator.resource_group,
        emulator.account,
        name,
        {
            "sku": {"name": "GlobalStandard", "capacity": 50},
            "properties": {"model": {"format": "OpenAI", "name": done.fine_tuned_model, "version": "1"}},
        },
        enforce_https=False,
        polling_interval=0.05,
    )
    assert poller.result(60).properties.provisioning_state == "Succeeded"
    listed = arm.deployments.list(emulator.resource_group, emulator.account, enforce_https=False)
    assert name in [d.name for d in listed]

    test = pictures(dogs, range(10, 16))
    said = [client.chat.completions.create(model=name, messages=message(p)).choices[0].message.content for _, p in test]
    assert set(said) <= set(KENNEL)
    assert sum(s == breed for s, (breed, _) in zip(said, test, strict=True)) >= 14  # of 24

    arm.deployments.begin_delete(
        emulator.resource_group, emulator.account, name, enforce_https=False, polling_interval=0.05
    ).result(60)
    with pytest.raises(openai.NotFoundError) as caught:
        client.with_options(max_retries=0).chat.completions.create(model=name, messages=message(test[0][1]))
    assert caught.value.code == "DeploymentNotFound"
    with pytest.raises(ResourceNotFoundError):
        arm.deployments.get(emulator.resource_group, emulator.account, name, enforce_https=False)


def test_bad_training_data_fails_with_its_line(client, dogs):
    rows = [{"messages": [*message(p), {"role": "assistant", "content": b}]} for b, p in pictures(dogs, range(3))]
    rows[6] = {"messages": []}
    file = client.files.create(file=("train.jsonl", jsonl(rows)), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="gpt-4o-2024-08-06", training_file=file.id)
    failed = wait_for(lambda: j if (j := client.fine_tuning.jobs.retrieve(job.id)).status == "failed" else None)
    assert "line 7" in failed.error.message


def test_a_wrong_key_is_refused_everywhere(emulator):
    with (
        openai.AzureOpenAI(
            azure_endpoint=emulator.endpoint, api_key="wrong", api_version="2025-04-01-preview", max_retries=0
        ) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.files.list()
    with management(emulator, "wrong") as arm, pytest.raises(ClientAuthenticationError):
        list(arm.deployments.list(emulator.resource_group, emulator.account, enforce_https=False))
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ledger_of(emulator.endpoint, "wrong")


def test_what_it_cannot_do_is_refused_loudly(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client.with_options(max_retries=0).images.generate(prompt="a dog", model="dall-e-3")
    assert caught.value.status_code in (404, 501)


async def test_the_async_client(emulator, dogs):
    (_, path), *_ = pictures(dogs, [2])
    async with openai.AsyncAzureOpenAI(
        azure_endpoint=emulator.endpoint, api_key=emulator.api_key, api_version="2025-04-01-preview"
    ) as client:
        answer = await client.chat.completions.create(model=emulator.deployment, messages=message(path))
    assert answer.choices[0].message.content in KENNEL


def test_the_ledger_counts_each_once(client, emulator, dogs):
    before = emulator.ledger()["chat_requests"]["total"]
    (_, path), *_ = pictures(dogs, [3])
    client.chat.completions.create(model=emulator.deployment, messages=message(path))
    assert emulator.ledger()["chat_requests"]["total"] == before + 1
