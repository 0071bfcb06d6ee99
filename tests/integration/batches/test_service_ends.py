"""What always fails ends, though the service answers other calls; and so does a list without an end."""

import json

import pytest

from engine.azure import batches, files, patience
from engine.azure.connection import Azure
from engine.azure.pages import REPEATS, distinct
from engine.errors import ServiceError
from engine.jobs import service as services
from tests.integration.batches.world import whole
from tests.proxy import Proxy

DOWN = (500, b'{"error": {"code": "500", "message": "The server had an error."}}', {"content-type": "application/json"})


@pytest.fixture
def proxy(place, monkeypatch):
    proxy = Proxy(place.endpoint)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", proxy.url)
    for module in (patience, batches):
        monkeypatch.setattr(module, "FIRST_SECONDS", 0.01)
        monkeypatch.setattr(module, "LONGEST_SECONDS", 0.02)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("answer", [DOWN, "reset"], ids=["500", "reset"])
@pytest.mark.parametrize(
    ("end", "what", "tries"),
    [("/files", "was not uploaded", files.UPLOAD_TRIES), ("/batches", "was not created", batches.CREATE_TRIES)],
)
async def test_an_upload_or_creation_that_always_fails_ends(world, place, proxy, end, what, tries, answer):
    proxy.rule = lambda method, path, _: answer if method == "POST" and path.endswith(end) else None
    world.make(3)
    with pytest.raises(ServiceError, match=what):
        await world.run()
    assert proxy.count("POST", end) == tries + 1  # the first one, before it was known that the service answers
    proxy.rule = lambda *_: None
    assert (await world.run())["unanswered"] == 0
    assert whole(world, 3) and world.ended() == {"completed": 1}


async def test_a_file_that_stays_in_processing_ends(world, place, proxy, monkeypatch):
    monkeypatch.setattr(files, "PROCESSED_SECONDS", 0.1)

    def rule(method, path, forward):
        if method == "GET" and "/files/" in path:
            status, body, headers = forward()
            return status, json.dumps({**json.loads(body), "status": "pending"}).encode(), headers
        return None

    proxy.rule = rule
    world.make(3)
    with pytest.raises(ServiceError, match="still pending"):
        await world.run()


async def test_a_list_without_an_end_ends(world, place, proxy):
    await world.make(3).run()

    before = len(proxy.calls)
    (made,) = place.batches()[place.before :]
    page = {"object": "list", "data": [made] * 100, "has_more": True, "first_id": made["id"], "last_id": made["id"]}
    proxy.rule = lambda method, path, _: (200, json.dumps(page).encode(), {"content-type": "application/json"})
    async with Azure(services.endpoint(world.home, "azure")) as azure:
        assert await batches.find(azure, "another intent") is None
        assert (await batches.find(azure, made["metadata"][batches.INTENT])).id == made["id"]
    assert REPEATS // 100 <= len(proxy.calls) - before <= REPEATS // 100 + 2


async def test_each_item_of_a_list_comes_once():
    class Item:
        def __init__(self, number):
            self.id = f"item-{number}"

    async def listing():
        for number in (1, 2, 2, 3, 1, 4):
            yield Item(number)

    assert [item.id async for item in distinct(listing())] == ["item-1", "item-2", "item-3", "item-4"]
