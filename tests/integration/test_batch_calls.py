"""Files and batches against a scripted server: quotas, conflicts, lists, and downloads that break off."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.azure import batches, files
from engine.azure.batches import QuotaFull
from engine.azure.connection import Azure, Endpoint
from engine.azure.patience import patiently
from engine.errors import ServiceError, ServiceUnavailable

CONTENT = bytes(range(256)) * 4000
FULL = (
    "The number of enqueued tokens has surpassed the configured limit of 30K for the deployment 'b'. Please either"
    " increase the limit or try again once the current jobs have finished."
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _serve(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        what = f"{self.command} {self.path.split('?')[0].removeprefix('/openai')}"
        self.server.asked.append((what, self.headers.get("range")))
        status, headers, data, sent = self.server.routes[what](len(self.server.asked), self.headers.get("range"))
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[:sent])
        if sent is not None:
            self.close_connection = True

    do_GET = do_POST = do_DELETE = _serve


def answer(value, status=200, **headers):
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda *_: (status, {"content-type": "application/json", **named}, json.dumps(value).encode(), None)


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked, server.routes = [], {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def azure(service):
    async with Azure(Endpoint(f"http://127.0.0.1:{service.server_port}", "sesame-0123456789")) as opened:
        yield opened


def breaking(*pieces, ranges=True):
    """Send the content, breaking off after so many bytes of the first answers."""
    left = list(pieces)

    def route(_, wanted):
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and ranges else 0
        if start >= len(CONTENT):
            return 416, {}, b"", None
        headers = {"content-range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"} if start else {}
        return 206 if start else 200, headers, CONTENT[start:], left.pop(0) if left else None

    return route


async def test_a_download_that_breaks_off_goes_on_where_it_was(service, azure, tmp_path):
    service.routes = {"GET /files/f/content": breaking(300_000, 200_000)}
    with pytest.raises(ServiceUnavailable):
        await files.download(azure, "f", tmp_path / "whole")
    assert not (tmp_path / "whole").exists()
    await patiently(lambda: files.download(azure, "f", tmp_path / "whole"))
    assert (tmp_path / "whole").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
    assert [range_ for _, range_ in service.asked] == [None, "bytes=300000-", "bytes=500000-"]


async def test_a_service_without_ranges_sends_all_of_it_again(service, azure, tmp_path):
    service.routes = {"GET /files/f/content": breaking(300_000, ranges=False)}
    await patiently(lambda: files.download(azure, "f", tmp_path / "whole"))
    assert (tmp_path / "whole").read_bytes() == CONTENT


@pytest.mark.parametrize("there", [CONTENT, CONTENT + b"more"])
async def test_what_is_there_to_the_last_byte_is_kept_and_what_is_longer_is_not(service, azure, tmp_path, there):
    file = {"id": "f", "object": "file", "bytes": len(CONTENT), "created_at": 1, "filename": "x", "purpose": "batch"}
    service.routes = {"GET /files/f/content": breaking(), "GET /files/f": answer({**file, "status": "processed"})}
    (tmp_path / ".whole.part").write_bytes(there)
    await patiently(lambda: files.download(azure, "f", tmp_path / "whole"))
    assert (tmp_path / "whole").read_bytes() == CONTENT


async def test_a_full_resource_says_what_to_do(service, azure, tmp_path):
    (tmp_path / "x").write_text("{}\n")
    service.routes = {"POST /files": answer({"error": {"code": "quotaExceeded", "message": "too many"}}, 400)}
    with pytest.raises(ServiceError, match=r"too many.*500 batch files, 10,000 where each expires: delete some"):
        await files.ensure_uploaded(azure, tmp_path / "x", "batch", "x", look=False)
    assert [what for what, _ in service.asked] == ["POST /files"]


async def test_a_file_without_an_expiry_is_told(service, azure, tmp_path):
    (tmp_path / "x").write_text("{}\n")
    file = {"id": "f", "object": "file", "bytes": 3, "created_at": 1, "filename": "x", "purpose": "batch"}
    service.routes = {"POST /files": answer({**file, "status": "processed"}, 201)}
    said = []
    await files.ensure_uploaded(azure, tmp_path / "x", "batch", "x", look=False, say=said.append)
    assert "was given no expiry" in said[0]


def a_batch(name="batch_1", status="in_progress", **more):
    return {
        "id": name, "object": "batch", "status": status, "endpoint": "/chat/completions", "input_file_id": "f",
        "completion_window": "24h", "created_at": 1, **more,
    }  # fmt: skip


async def test_the_quota_is_learnt_from_a_create_and_from_its_refusal(service, azure):
    told = {"deployment_maximum_enqueued_tokens": "5000", "deployment_enqueued_tokens": "10"}
    service.routes = {"POST /batches": answer(a_batch(), 201, **told)}
    assert (await batches.create(azure, "f", "i")).limit == 5000
    service.routes = {"POST /batches": answer({"error": {"code": "token_limit_exceeded", "message": FULL}}, 400)}
    with pytest.raises(QuotaFull) as caught:
        await batches.ensure_created(azure, "f", "i", find_first=False)
    assert caught.value.limit == 30_000
    failed = a_batch(
        status="failed", errors={"object": "list", "data": [{"code": "token_limit_exceeded", "message": FULL}]}
    )
    service.routes = {"GET /batches/batch_1": answer(failed)}
    state = await batches.get(azure, "batch_1")
    assert (state.quota_full, state.limit, state.terminal) == (True, 30_000, True)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("configured limit of 30K for", 30_000),
        ("configured limit of 1.5M for", 1_500_000),
        ("the configured limit of 200,000.", 200_000),
        ("configured limit.", None),
    ],
)
def test_a_limit_is_read_however_it_is_spelled(text, limit):
    assert batches.limit_in(text) == limit


async def test_many_batches_are_asked_about_at_once_and_one_not_listed_alone(service, azure):
    listed = [a_batch(f"batch_{n}") for n in range(7)]
    service.routes = {
        "GET /batches": answer({"object": "list", "data": listed, "has_more": False}),
        "GET /batches/batch_9": answer(a_batch("batch_9", "Completed")),
    }
    names = [f"batch_{n}" for n in (3, 2, 9, 0, 1)]
    assert [state.id for state in await batches.states(azure, names)] == names
    assert [what for what, _ in service.asked] == ["GET /batches", "GET /batches/batch_9"]


async def test_a_batch_that_is_about_to_end_need_not_be_cancelled(service, azure):
    service.routes = {"POST /batches/batch_1/cancel": answer({"error": {"code": "conflict", "message": "late"}}, 409)}
    await batches.cancel(azure, "batch_1")


async def test_an_unknown_quota_is_no_error(azure):
    assert await batches.quota(azure, "b") is None
