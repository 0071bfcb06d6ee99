"""A service that takes the call and never answers: an error with its cure, in bounded time."""

import asyncio

import pytest

from engine import DogclsError, Engine
from engine.azure.connection import Endpoint
from engine.jobs import resource, service


@pytest.fixture
async def silent():
    """Return the address of a server that accepts, and says nothing."""
    writers = []

    async def accept(reader, writer):
        writers.append(writer)
        await reader.read()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for writer in writers:
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def test_the_resource_is_not_waited_for_for_ever(silent, home, monkeypatch):
    place = Endpoint(silent, api_key="sesame", deployment="gpt-4o", arm_endpoint=silent, emulated=True)
    monkeypatch.setattr(service, "endpoint", lambda home, profile: place)
    monkeypatch.setattr(resource, "PATIENCE_SECONDS", 0.5)
    engine = Engine(home.root)
    try:
        with pytest.raises(DogclsError, match="no answer within") as caught:
            await asyncio.wait_for(engine.remote.items(), 20)
        assert "sesame" not in str(caught.value) and "Check the network" in str(caught.value)
    finally:
        engine.close()
