"""Answers of the control plane to a deletion: an empty one is a success, the page of a proxy is not."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.azure import deployments
from engine.azure.connection import Azure, Endpoint
from engine.errors import ServiceError

PAGE = b"<html><body>Please sign in to the hotel's network.</body></html>"


@contextlib.contextmanager
def service(status, headers, body):
    """A service that answers each deletion alike; yields the address and the requests that it had."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_DELETE(self):
            requests.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()


def resource(place):
    return Azure(
        Endpoint(place, "key", subscription="s", resource_group="g", account="a", arm_endpoint=place, emulated=True),
        client="test",
    )


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (202, {"content-length": "0"}, b""),
        (202, {"content-length": "0", "content-type": "application/json"}, b""),
        (202, {"transfer-encoding": "chunked"}, b"0\r\n\r\n"),
        (200, {"content-length": "0"}, b""),
        (204, {}, b""),
        (200, {"content-length": "2", "content-type": "application/json"}, b"{}"),
    ],
)
async def test_an_empty_answer_to_a_deletion_is_a_success(status, headers, body):
    with service(status, headers, body) as (place, requests):
        async with resource(place) as azure:
            await deployments.delete(azure, "dogcls-1")
    assert len(requests) == 1


async def test_a_page_is_not(monkeypatch):
    headers = {"content-length": str(len(PAGE)), "content-type": "text/html"}
    with service(200, headers, PAGE) as (place, requests):
        async with resource(place) as azure:
            monkeypatch.setattr(deployments, "patiently", lambda call, **_: call())
            with pytest.raises(ServiceError, match="page"):
                await deployments.delete(azure, "dogcls-1")
    assert len(requests) == 1
