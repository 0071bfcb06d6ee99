"""Files: uploading, looking, listing, reading, deleting, and how long they stay."""

import re
import time

import openai
import pytest

from tests.contract import steps
from tests.contract.steps import EXPIRY, items, refused, settle, upload

FILE_CODES = {"conflict", "invalidPayload", "forbidden", "notFound", "quotaExceeded", "jsonlValidationFailed"}


def put(client, name="data.jsonl", content=b'{"a": 1}\n', purpose="fine-tune", **more):
    made = client.files.create(file=(name, content), purpose=purpose, **more)
    steps.LEFT_FILES.append(made.id)
    return made


async def test_the_life_of_a_file(any_client, place):
    client = any_client
    content = "".join(f'{{"n": {n}, "ü": "é"}}\n' for n in range(50)).encode()
    made = await settle(client.files.create(file=("mine.jsonl", content), purpose="batch", extra_body=EXPIRY))
    assert (made.filename, made.purpose, made.bytes) == ("mine.jsonl", "batch", len(content))
    assert made.expires_at == made.created_at + 1209600
    ready = await steps.until(
        lambda: client.files.retrieve(made.id), lambda now: now.status == "processed", every=place.look
    )
    assert (ready.id, ready.bytes, ready.created_at) == (made.id, made.bytes, made.created_at)
    assert made.id in [file.id for file in await items(client.files.list(purpose="batch"))]
    assert (await settle(client.files.content(made.id))).content == content
    gone = await settle(client.files.delete(made.id))
    assert (gone.id, gone.object, gone.deleted) == (made.id, "file", True)
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with refused(404, "notFound"):
            await settle(ask(made.id))
    assert made.id not in [file.id for file in await items(client.files.list(purpose="batch"))]


def test_an_upload_answers_201_and_where_the_file_is(client):
    answer = client.files.with_raw_response.create(file=("a.jsonl", b'{"a": 1}\n'), purpose="fine-tune")
    steps.LEFT_FILES.append(answer.parse().id)
    assert answer.http_response.status_code == 201
    location = answer.headers["location"].split("?")[0]
    assert location.endswith(f"/files/{answer.parse().id}")


async def test_a_file_object(client, place):
    answer = client.files.with_raw_response.create(file=("a.jsonl", b'{"a": 1}\n'), purpose="fine-tune")
    body = answer.http_response.json()
    steps.LEFT_FILES.append(body["id"])
    assert re.fullmatch(r"file-[0-9a-f]{32}", body["id"])
    assert (body["object"], body["bytes"], body["filename"], body["purpose"]) == ("file", 9, "a.jsonl", "fine-tune")
    assert body["status"] == "pending" if place.emulated else body["status"] in ("pending", "running", "processed")
    assert body["status_details"] is None
    assert abs(body["created_at"] - time.time()) < 120
    ready = await upload(client, place, b'{"a": 1}\n', "fine-tune")
    assert ready.status == "processed"


def test_the_plain_client_can_wait_for_a_file(client, place):
    made = put(client)
    assert client.files.wait_for_processing(made.id, poll_interval=place.look).status == "processed"


def test_a_listing_goes_page_by_page(client):
    mine = [put(client, f"{n}.jsonl").id for n in range(3)]
    other = put(client, purpose="batch", extra_body=EXPIRY).id
    page = client.files.list(purpose="fine-tune", limit=2)
    assert len(page.data) == 2 and page.has_more and page.has_next_page()
    newest = [file.id for file in page]  # over all pages, two at a time
    assert len(newest) == len(set(newest)) and other not in newest
    assert [file for file in newest if file in mine] == mine[::-1]  # the newest first, if nothing else is asked for
    oldest = [file.id for file in client.files.list(purpose="fine-tune", order="asc", limit=1)]
    assert oldest == newest[::-1]
    after = client.files.list(purpose="fine-tune", order="asc", after=mine[0]).data
    assert [file.id for file in after if file.id in mine] == mine[1:]
    assert client.files.list(after=oldest[-1], purpose="fine-tune", order="asc").data == []
    assert {*mine, other} <= {file.id for file in client.files.list()}


@pytest.mark.parametrize("seconds", [1209600, 2592000])
def test_an_expiry_within_the_bounds_is_kept(client, seconds):
    made = put(client, purpose="batch", expires_after={"anchor": "created_at", "seconds": seconds})
    assert made.expires_at == made.created_at + seconds
    assert client.files.retrieve(made.id).expires_at == made.expires_at


@pytest.mark.parametrize("seconds", [1209599, 2592001, 0, -1, "soon"])
def test_an_expiry_outside_the_bounds_is_refused(client, seconds):
    with refused(400, FILE_CODES):
        put(client, purpose="batch", expires_after={"anchor": "created_at", "seconds": seconds})


def test_an_expiry_has_one_anchor(client):
    with refused(400, FILE_CODES):
        put(client, purpose="batch", expires_after={"anchor": "last_active_at", "seconds": 1209600})


@pytest.mark.parametrize("purpose", ["poetry", "", "batch_output"])
def test_an_unknown_purpose_is_refused(client, purpose):
    with refused(400, FILE_CODES):
        put(client, purpose=purpose)


def test_an_upload_needs_its_parts(client):
    form = {"headers": {"Content-Type": "multipart/form-data"}}
    with refused(400, FILE_CODES):
        client.post("/files", cast_to=object, body={"purpose": "batch"}, files=[("other", ("a", b"x"))], options=form)
    with refused(400, FILE_CODES):
        client.post("/files", cast_to=object, files=[("file", ("a.jsonl", b"x"))], options=form)
    with refused((400, 415)):
        client.post("/files", cast_to=object, body={"purpose": "batch"})


@pytest.mark.parametrize("name", ["file-0123456789abcdef0123456789abcdef", "file-nothing", "nothing"])
def test_an_unknown_file_is_not_found(client, name):
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with refused(404, "notFound"):
            ask(name)


def test_files_do_not_belong_to_a_deployment(place, ask):
    answer = ask("GET", f"/openai/deployments/{place.deployment}/files?api-version=2025-04-01-preview")
    assert answer.status_code == 404
    steps.error_of(answer)


def test_both_flavours_see_the_same_files(place):
    with place.client("dated") as dated, place.client("v1") as v1:
        made = put(dated)
        assert v1.files.retrieve(made.id) == dated.files.retrieve(made.id)
        v1.files.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            dated.files.retrieve(made.id)


def test_any_name_is_kept(client):
    assert put(client, "Bilder übers Häuschen 1.jsonl").filename == "Bilder übers Häuschen 1.jsonl"
