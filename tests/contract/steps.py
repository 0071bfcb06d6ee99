"""What the tests and the article's script share: lines, questions, and steps that either kind of client can take."""

import asyncio
import base64
import contextlib
import inspect
import json
import time

import openai
import pytest

from tests.pictures import KENNEL

SYSTEM = f"Classify the following input image into one of the following categories: [{', '.join(KENNEL)}]."
BASE = "gpt-4o-2024-08-06"
EXPIRY = {"expires_after": {"seconds": 1209600, "anchor": "created_at"}}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "classification",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"breed": {"type": "string"}},
            "required": ["breed"],
            "additionalProperties": False,
        },
    },
}
BATCH_ENDS = {"completed", "failed", "expired", "cancelled"}
JOB_ENDS = {"succeeded", "failed", "cancelled"}
LEFT_FILES, LEFT_DEPLOYMENTS = [], []  # what the running test has made, for those who tidy up after it


# --- either kind of client -------------------------------------------------------------------------------------------


async def settle(answer):
    """Return what a sync call returned, or what an async one promises."""
    return await answer if inspect.isawaitable(answer) else answer


async def items(listing):
    """Return every item of a listing, over all its pages."""
    if hasattr(listing, "__aiter__"):
        return [item async for item in listing]
    return list(listing)


async def until(look, holds, *, every=0.02, patience=60.0):
    """Look until it holds what is looked at; return it."""
    end = time.monotonic() + patience
    while True:
        found = await settle(look())
        if holds(found):
            return found
        if time.monotonic() > end:
            raise AssertionError(f"after {patience:.0f} s it is still {found!r}")
        await asyncio.sleep(every)


# --- lines and questions ---------------------------------------------------------------------------------------------


def data_url(content, kind="jpeg"):
    """Return an image as a URL that carries it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def picture(url, detail="low"):
    """Return the part of a message that shows an image."""
    shown = {"url": url} if detail is None else {"url": url, "detail": detail}
    return {"type": "image_url", "image_url": shown}


def question(path, detail="low", system=SYSTEM):
    """Return the messages that ask for one image's class."""
    content = [picture(data_url(path.read_bytes()), detail)]
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]


def example(path, label):
    """Return one line of training data."""
    return {"messages": [*question(path), {"role": "assistant", "content": label}]}


def line(custom_id, model, messages, **more):
    """Return one line of a batch."""
    body = {"model": model, "messages": messages, **more}
    return {"custom_id": custom_id, "method": "POST", "url": "/chat/completions", "body": body}


def jsonl(rows):
    """Return rows as the bytes of a JSONL file; a row of bytes stands as it is."""
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def pictures(dogs, numbers):
    """Return (breed, path) of these numbers of every breed."""
    return [(breed, dogs / breed / f"{n:03d}.jpg") for breed in KENNEL for n in numbers]


# --- steps -----------------------------------------------------------------------------------------------------------


async def upload(client, place, rows, purpose, name="data.jsonl"):
    """Upload rows (or bytes) and wait until they can be used; batch files carry their expiry."""
    content = rows if isinstance(rows, bytes) else jsonl(rows)
    more = {"extra_body": EXPIRY} if purpose == "batch" else {}
    made = await settle(client.files.create(file=(name, content), purpose=purpose, **more))
    LEFT_FILES.append(made.id)
    return await until(
        lambda: client.files.retrieve(made.id),
        lambda file: file.status in ("processed", "error"),
        every=place.look,
        patience=place.patience,
    )


async def start_batch(client, place, rows, **options):
    """Upload lines and create their batch."""
    file = await upload(client, place, rows, "batch")
    options = {"endpoint": "/chat/completions", "completion_window": "24h", **options}
    return await settle(client.batches.create(input_file_id=file.id, **options))


async def ended_batch(client, place, batch):
    """Wait for a batch's end."""
    end = await until(
        lambda: client.batches.retrieve(batch.id),
        lambda now: now.status.lower() in BATCH_ENDS,
        every=place.look_at_batch,
        patience=place.patience,
    )
    LEFT_FILES.extend(file for file in (end.output_file_id, end.error_file_id) if file)
    return end


async def lines_of(client, file_id):
    """Return the rows of a JSONL file; none where there is no file."""
    if not file_id:
        return []
    content = await settle(client.files.content(file_id))
    return [json.loads(text) for text in content.text.splitlines()]


async def start_job(client, training, validation=None, *, model=BASE, epochs=1, **options):
    """Create a fine-tuning job."""
    if validation:
        options["validation_file"] = validation.id
    options.setdefault("hyperparameters", {"n_epochs": epochs, "batch_size": 6, "learning_rate_multiplier": 1.0})
    options.setdefault("seed", 42)
    return await settle(client.fine_tuning.jobs.create(model=model, training_file=training.id, **options))


async def ended_job(client, place, job):
    """Wait for a job's end."""
    return await until(
        lambda: client.fine_tuning.jobs.retrieve(job.id),
        lambda now: now.status in JOB_ENDS,
        every=place.look,
        patience=place.patience,
    )


def deployment_body(model, *, sku="GlobalStandard", capacity=50, version="1"):
    """Return the body that asks ARM for a deployment."""
    return {
        "sku": {"name": sku, "capacity": capacity},
        "properties": {"model": {"format": "OpenAI", "name": model, "version": version}},
    }


async def deploy(arm, place, name, body, **options):
    """Create or change a deployment, and wait for it."""
    poller = await settle(
        arm.deployments.begin_create_or_update(
            place.resource_group, place.account, name, body, **place.arm_options, **options
        )
    )
    LEFT_DEPLOYMENTS.append(name)
    return await settle(poller.result())


async def remove(arm, place, name, **options):
    """Delete a deployment, and wait for it."""
    poller = await settle(
        arm.deployments.begin_delete(place.resource_group, place.account, name, **place.arm_options, **options)
    )
    await settle(poller.result())
    if name in LEFT_DEPLOYMENTS:
        LEFT_DEPLOYMENTS.remove(name)


async def first_answer(client, place, **asked):
    """Ask a new deployment, which may not be known everywhere yet."""
    for left in reversed(range(12)):
        try:
            return await settle(client.chat.completions.create(**asked))
        except openai.APIStatusError as error:
            if error.code not in ("DeploymentNotFound", "BadRequestForDependentService") or not left:
                raise
        await asyncio.sleep(place.look)
    raise AssertionError("unreachable")


# --- refusals --------------------------------------------------------------------------------------------------------


def error_of(response):
    """Return the error that a refusal's body holds, which is JSON of the one form."""
    body = response.json()
    assert set(body) == {"error"}, body
    error = body["error"]
    assert isinstance(error["code"], str) and error["code"], body
    assert isinstance(error["message"], str) and error["message"], body
    return error


@contextlib.contextmanager
def refused(status, code=None, message=None):
    """Expect the openai client to be refused: a status or several, a code or several, a pattern of the message."""
    with pytest.raises(openai.APIStatusError, match=message) as caught:
        yield caught
    error = error_of(caught.value.response)
    assert caught.value.status_code in ((status,) if isinstance(status, int) else status), error
    if code:
        assert error["code"] in ((code,) if isinstance(code, str) else code), error


def rows(dogs, numbers=range(3)):
    """Return examples of these numbers of every breed: 12 by default, 2 steps an epoch."""
    return [example(path, breed) for breed, path in pictures(dogs, numbers)]
