"""No request leaves a worker whose job is another's: its lease is proved before each one."""

import asyncio
import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.azure import chat, deployments
from engine.azure.connection import Azure, Endpoint
from engine.azure.errors import translated
from engine.azure.patience import patiently
from engine.errors import LostClaim

ANSWER = json.dumps({"object": "list", "data": [], "has_more": False, "value": []}).encode()


@contextlib.contextmanager
def service():
    """A service that answers every request with an empty list; yields its port and the requests that it had."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do(self):
            requests.append(self.path)
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        do_GET = do_POST = do

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, requests
    finally:
        server.shutdown()
        server.server_close()


CALLS = {
    "data plane": lambda azure: azure.client.files.list(limit=1),
    "with retries": lambda azure: azure.client.with_options(max_retries=3).files.list(limit=1),
    "patiently": lambda azure: patiently(lambda: azure.client.batches.list(limit=1)),
    "control plane": lambda azure: deployments.list_deployments(azure),
    "scoring": lambda azure: chat.score(
        azure,
        "d",
        [(f"image-{n}", lambda: {"messages": []}) for n in range(3)],
        concurrency=2,
        on_answer=lambda *_: None,
        stop=lambda: False,
    ),
}


@pytest.mark.parametrize("what", CALLS)
async def test_a_lost_lease_comes_out_of_every_call_as_itself_before_any_request(what):
    lost, proofs = [], []

    async def before_request():
        proofs.append(1)
        if lost:
            raise LostClaim("Job 1 is no longer attempt 1's.")

    with service() as (port, requests):
        url = f"http://127.0.0.1:{port}"
        place = Endpoint(url, "key", subscription="s", resource_group="g", account="a", arm_endpoint=url)
        async with Azure(place, before_request=before_request) as azure:
            if what != "scoring":
                with translated(url):
                    await CALLS[what](azure)
                assert len(requests) == len(proofs) == 1
            before = len(requests)
            lost.append(True)
            with pytest.raises(LostClaim, match="no longer attempt 1"), translated(url):
                await asyncio.wait_for(CALLS[what](azure), 20)
            assert len(requests) == before
