"""Uploads: a large file in parts."""

import re

import pytest

from tests.contract import steps
from tests.contract.steps import refused, settle


def start(client, size, **more):
    asked = {"filename": "big.jsonl", "mime_type": "application/jsonl", "purpose": "fine-tune", "bytes": size, **more}
    return client.uploads.create(**asked)


async def test_parts_become_a_file(any_client, place):
    client = any_client
    first, second = b'{"a": 1}\n', b'{"b": 2}\n'
    made = await settle(start(client, len(first + second)))
    assert (made.object, made.status, made.filename, made.purpose) == ("upload", "pending", "big.jsonl", "fine-tune")
    assert made.bytes == len(first + second)
    assert abs(made.expires_at - made.created_at - 2 * 3600) <= 2  # in two hours
    late = await settle(client.uploads.parts.create(made.id, data=second))
    early = await settle(client.uploads.parts.create(made.id, data=first))
    assert (late.object, late.upload_id) == ("upload.part", made.id) and late.id != early.id
    done = await settle(client.uploads.complete(made.id, part_ids=[early.id, late.id]))
    steps.LEFT_FILES.append(done.file.id)
    assert (done.id, done.status) == (made.id, "completed")
    assert re.fullmatch(r"file-[0-9a-f]{32}", done.file.id)
    assert (done.file.filename, done.file.purpose, done.file.bytes) == ("big.jsonl", "fine-tune", made.bytes)
    ready = await steps.until(
        lambda: client.files.retrieve(done.file.id), lambda now: now.status == "processed", every=place.look
    )
    assert (await settle(client.files.content(ready.id))).content == first + second
    with refused((400, 409)):
        await settle(client.uploads.complete(made.id, part_ids=[early.id, late.id]))
    with refused((400, 409)):
        await settle(client.uploads.cancel(made.id))


async def test_a_cancelled_upload_takes_nothing_more(any_client):
    client = any_client
    made = await settle(start(client, 3))
    part = await settle(client.uploads.parts.create(made.id, data=b"abc"))
    assert (await settle(client.uploads.cancel(made.id))).status == "cancelled"
    with refused((400, 409)):
        await settle(client.uploads.parts.create(made.id, data=b"abc"))
    with refused((400, 409)):
        await settle(client.uploads.complete(made.id, part_ids=[part.id]))


@pytest.mark.parametrize("size", [8, 10])
def test_the_bytes_must_be_those_announced(client, size):
    made = start(client, size)
    with refused(400):  # with the part that is too much, or at the end
        part = client.uploads.parts.create(made.id, data=b"123456789")
        client.uploads.complete(made.id, part_ids=[part.id])
    assert client.uploads.cancel(made.id).status == "cancelled"


def test_a_part_belongs_to_its_upload(client):
    mine, other = start(client, 1), start(client, 1)
    part = client.uploads.parts.create(other.id, data=b"x")
    for parts in ([part.id], ["part-nothing"], []):
        with refused((400, 404)):
            client.uploads.complete(mine.id, part_ids=parts)
    client.uploads.cancel(mine.id)
    client.uploads.cancel(other.id)


def test_an_unknown_upload_is_not_found(client):
    with refused(404):
        client.uploads.parts.create("upload_nothing", data=b"x")
    with refused(404):
        client.uploads.complete("upload_nothing", part_ids=["a"])
    with refused(404):
        client.uploads.cancel("upload_nothing")


def test_what_cannot_be_uploaded_is_refused_at_once(client):
    with refused((400, 403, 413)):
        start(client, 9 * 1024**3 + 1)
    with refused(400):
        start(client, 0)
    with refused(400):
        start(client, 10, purpose="poetry")


def test_the_plain_clients_own_way(client, place):
    content = b'{"n": 1}\n' * 1000
    done = client.uploads.upload_file_chunked(
        file=content,
        filename="chunks.jsonl",
        bytes=len(content),
        mime_type="application/jsonl",
        purpose="batch",
        part_size=2048,
    )
    steps.LEFT_FILES.append(done.file.id)
    assert client.files.content(done.file.id).content == content
