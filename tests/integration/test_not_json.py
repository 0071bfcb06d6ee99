"""Whatever answers in the service's place, with 200, to any call: an outage with a name, and never a traceback."""

import asyncio
import json

import pytest

from engine.azure import batches, chat, diagnosis, files, fine_tuning, patience, quota, resource
from engine.azure import deployments as control
from engine.azure.connection import Azure, Endpoint, check, empty_chat
from engine.azure.http import NotTheService
from engine.azure.patience import patiently
from engine.azure.shapes import problem
from engine.errors import ServiceUnavailable
from engine.jobs.doctor import _examine
from tests.answering import answering

PAGE = "<html><head><title>Sign in to\n the guest &amp; network</title></head></html>"
ANSWERS = {
    "page": ("text/html", PAGE, "a web page titled 'Sign in to the guest & network'"),
    "page as JSON": ("application/json", f"\n{PAGE}", "a web page titled"),
    "page without title": ("text/html; charset=utf-8", "<p>hello", "a web page"),
    "empty": ("application/json", "", "an empty answer"),
    "spaces": ("application/json", " \n", "an empty answer"),
    "null": ("application/json", "null", "null"),
    "a list": ("application/json", "[]", "a list"),
    "a text": ("application/json", '"ok"', "a text"),
    "a number": ("application/json", "1", "a number"),
    "half": ("application/json", '{"id": "batch', "no JSON"),
    "another shape": (
        "application/json",
        '{"status": 7, "data": {}, "value": 1, "choices": "none", "name": 5}',
        "shape",
    ),
    "binary": ("application/octet-stream", "\x00\x01\x02", "no JSON"),
}


async def upload(azure, tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text("{}\n")
    await azure.client.files.create(file=("f.jsonl", path.read_bytes()), purpose="batch")


CALLS = {
    "files.list": lambda azure, _: files.find(azure, "x", "batch"),
    "files.upload": upload,
    "files.get": lambda azure, _: azure.client.files.retrieve("file-1"),
    "batches.list": lambda azure, _: batches.find(azure, "mine"),
    "batches.get": lambda azure, _: batches.get(azure, "batch_1"),
    "batches.create": lambda azure, _: batches.create(azure, "file-1", "mine"),
    "batches.cancel": lambda azure, _: batches.cancel(azure, "batch_1"),
    "fine_tuning.list": lambda azure, _: fine_tuning.everything(azure),
    "fine_tuning.get": lambda azure, _: fine_tuning.get(azure, "ftjob-1"),
    "fine_tuning.events": lambda azure, _: fine_tuning.events_since(azure, "ftjob-1", set()),
    "fine_tuning.checkpoints": lambda azure, _: fine_tuning.checkpoints(azure, "ftjob-1"),
    "fine_tuning.cancel": lambda azure, _: fine_tuning.cancel(azure, "ftjob-1"),
    "models.list": lambda azure, _: resource.tuned_models(azure),
    "chat": lambda azure, _: chat.ask(azure, "d", {"messages": []}, "1"),
    "chat.empty": lambda azure, _: empty_chat(azure, "d"),
    "check": lambda azure, _: diagnosis.reach(azure),
    "deployments.list": lambda azure, _: control.list_deployments(azure),
    "deployments.capacities": lambda azure, _: diagnosis.capacities(azure),
    "deployments.get": lambda azure, _: quota.of(azure, "d"),
}


def place_of(server):
    names = {"subscription": "s", "resource_group": "g", "account": "a"}
    return Endpoint(server.url, "sesame-0123456789", deployment="d", arm_endpoint=server.url, emulated=True, **names)


@pytest.mark.parametrize("call", CALLS)
async def test_every_call_names_what_answered(call, tmp_path):
    with answering() as server:
        async with Azure(place_of(server)) as azure:
            for kind, body, what in ANSWERS.values():
                server.answer = (200, kind, body)
                with pytest.raises(NotTheService) as caught:
                    async with asyncio.timeout(20):
                        await patiently(lambda: CALLS[call](azure, tmp_path), limit=-1)
                assert f"{server.url}: the answer is not the service's (" in caught.value.message
                assert what in caught.value.message
                assert "portal" in caught.value.cure and "proxy" in caught.value.cure


@pytest.mark.parametrize("answer", ["page", "empty", "null", "a list"])
async def test_what_may_be_anything_but_a_page_is_never_a_traceback(answer, tmp_path):
    kind, body, _ = ANSWERS[answer]
    with answering(200, kind, body) as server:
        async with Azure(place_of(server)) as azure:
            assert await diagnosis.permissions(azure) is None
            if answer == "page":
                for call in (files.download(azure, "file-1", tmp_path / "out"), files.delete(azure, "file-1")):
                    with pytest.raises(NotTheService):
                        await call
            assert not (tmp_path / "out").exists()


async def test_a_redirect_to_a_portal_is_an_outage_and_takes_no_key_along():
    with answering(200, "text/html", PAGE) as portal, answering() as server:
        server.answer = (302, "text/plain", "", ("location", f"{portal.url}/login"))
        async with Azure(place_of(server)) as azure:
            with pytest.raises(NotTheService, match="a web page titled"):
                await batches.get(azure, "batch_1")
    (_, path, headers) = portal.requests[0]
    assert path == "/login"
    assert "api-key" not in headers and "authorization" not in headers


async def test_a_running_call_waits_it_out_and_shows_it(monkeypatch):
    monkeypatch.setattr(patience, "FIRST_SECONDS", 0.01)
    heard = []
    with answering(200, "text/html", PAGE) as server:

        def hear(line):
            heard.append(line)
            server.answer = (200, "application/json", json.dumps({"id": "b", "status": "completed"}))

        async with Azure(place_of(server)) as azure:
            assert (await patiently(lambda: batches.get(azure, "b"), say=hear)).status == "completed"
    assert "Sign in to the guest & network" in heard[0]
    assert heard[1:] == ["the service answers again"]


async def test_an_answer_in_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(diagnosis, "CHECK_SECONDS", 0.5)
    with answering(200, "application/json", json.dumps({"data": [{"id": "f" * 400}]})) as server:
        server.drip = 8
        async with Azure(place_of(server)) as azure:
            with pytest.raises(ServiceUnavailable, match="too slowly"):
                async with asyncio.timeout(10):
                    await diagnosis.reach(azure)


async def test_the_doctor_names_it():
    with answering(200, "text/html", PAGE) as server:
        found = [checkup async for checkup in _examine(place_of(server), server.url)]
    assert (found[-1].name, found[-1].state) == ("network", "problem")
    assert "Sign in to the guest & network" in found[-1].found and "portal" in found[-1].cure


async def test_the_check_before_a_start_names_it():
    with answering(200, "text/html", PAGE) as server:
        async with Azure(place_of(server)) as azure:
            with pytest.raises(Exception, match="Sign in to the guest") as caught:
                await check(azure)
    assert "portal" in caught.value.cure


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/openai/batches", {"data": []}),
        ("GET", "/openai/v1/batches/b", {"id": "b", "status": "new state", "request_counts": None, "errors": None}),
        ("POST", "/openai/files", {"id": "file-1"}),
        ("GET", "/openai/fine_tuning/jobs", {"data": [{"id": "f", "status": "x", "error": None, "unknown": [1]}]}),
        ("POST", "/openai/deployments/d/chat/completions", {"choices": [{"message": {"content": None}}]}),
        ("POST", "/openai/deployments/d/chat/completions", {"choices": []}),
        ("DELETE", "/openai/files/file-1", {"id": "file-1", "deleted": True}),
        ("GET", "/openai/something/new", {"whatever": 1}),
    ],
)
def test_what_the_service_leaves_out_or_adds_is_fine(method, path, body):
    assert problem(method, path, 200, "application/json", json.dumps(body).encode()) == ""


@pytest.mark.parametrize(
    ("method", "path", "body", "wrong"),
    [
        ("GET", "/openai/batches/b", {"id": "b"}, "'status' is missing"),
        (
            "GET",
            "/openai/batches/b",
            {"id": "b", "status": "x", "request_counts": {"total": "many"}},
            "'total' is a text",
        ),
        ("GET", "/openai/batches", {"data": [None]}, "an entry of 'data' is null"),
        ("GET", "/openai/batches", {"data": None}, "'data' is null"),
        ("GET", "/openai/files", {"data": [{"id": True}]}, "'id' is true or false"),
        ("POST", "/openai/deployments/d/chat/completions", {"choices": [{"message": "hi"}]}, "'message' is a text"),
        ("POST", "/openai/deployments/d/chat/completions", {"id": "x"}, "'choices' is missing"),
    ],
)
def test_a_field_of_another_kind_is_named(method, path, body, wrong):
    assert wrong in problem(method, path, 200, "application/json", json.dumps(body).encode())


def test_a_deletion_may_have_no_answer():
    assert problem("DELETE", "/openai/files/f", 200, "", b"") == ""
    assert problem("DELETE", "/x/deployments/d", 202, "", b"") == ""
