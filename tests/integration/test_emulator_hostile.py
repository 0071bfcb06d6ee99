"""The emulator against hostile callers: a correct refusal, bounded memory, still serving."""

import base64
import http.client
import io
import json
import socket
import time
import zlib

import psutil
import pytest
from PIL import Image

from tests.conftest import Emulator, wait_for

V1 = "/openai/v1"
DATED = "?api-version=2025-04-01-preview"


@pytest.fixture(scope="module")
def place(tmp_path_factory, backbones):
    emulator = Emulator(tmp_path_factory.mktemp("hostile"), backbones)
    yield emulator
    emulator.stop()


def address(place):
    return "127.0.0.1", int(place.endpoint.rpartition(":")[2])


def call(place, method, path, body=None, headers=None, key=True):
    """Send one raw request; return its status and JSON body."""
    connection = http.client.HTTPConnection(*address(place), timeout=30)
    given = {"api-key": place.api_key} if key else {}
    connection.request(method, path, body, {**given, **(headers or {})})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, json.loads(raw) if raw else None


def refused(found, status, code=None):
    assert found[0] == status, found
    error = found[1]["error"]
    assert error["message"] and error["code"]
    if code:
        assert error["code"] == code
    return error["message"]


def ask(place, url, **more):
    content = [{"type": "image_url", "image_url": {"url": url, **more}}]
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}
    return call(place, "POST", f"{V1}/chat/completions", json.dumps(body), {"content-type": "application/json"})


def data_url(data, kind="png"):
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()


def multipart(name, filename, data=b"{}\n", purpose="batch"):
    parts = f'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
    parts += f'--b\r\ncontent-disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
    return parts.encode() + data + b"\r\n--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}


def still_serving(place):
    assert call(place, "GET", "/emulator/health")[0] == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe", b'{"a":' * 50_000, b"NaN" * 1000, b"\x00" * 100], ids=range(8)
)
@pytest.mark.parametrize("path", ["/batches", "/fine_tuning/jobs", "/chat/completions", "/uploads"])
def test_malformed_json(place, path, body):
    refused(call(place, "POST", V1 + path, body, {"content-type": "application/json"}), 400)


@pytest.mark.parametrize("value", [None, 0, -1, "x" * 10_000, [], {}, True, 1e308, "\u202e\x1b[2J", "../../x"])
@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/batches", ["input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"]),
        ("/fine_tuning/jobs", ["model", "training_file", "suffix", "seed", "hyperparameters", "method"]),
        ("/chat/completions", ["model", "messages", "response_format", "max_tokens", "logprobs", "temperature"]),
        ("/uploads", ["purpose", "filename", "bytes", "mime_type"]),
    ],
)
def test_values_of_every_other_kind(place, path, names, value):
    good = {
        "/batches": {"input_file_id": "x", "endpoint": "/chat/completions", "completion_window": "24h"},
        "/fine_tuning/jobs": {"model": "gpt-4o-2024-08-06", "training_file": "x"},
        "/chat/completions": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]},
        "/uploads": {"purpose": "batch", "filename": "x", "bytes": 1},
    }[path]
    for name in names:
        status, body = call(
            place, "POST", V1 + path, json.dumps({**good, name: value}), {"content-type": "application/json"}
        )
        assert status in (200, 201, 400, 404, 413, 501), (name, value, status, body)


def test_wrong_content_types(place):
    refused(call(place, "POST", f"{V1}/batches", b"{}", {"content-type": "text/plain"}), 415)
    refused(call(place, "POST", f"{V1}/files", b"{}", {"content-type": "application/json"}), 415)
    refused(call(place, "POST", f"{V1}/files", b"--x", {"content-type": "multipart/form-data"}), 400)
    refused(call(place, "POST", f"{V1}/files", b"junk", {"content-type": "multipart/form-data; boundary=b"}), 400)


def test_paths_and_methods_that_are_not_there(place):
    refused(call(place, "GET", "/"), 501)
    refused(call(place, "GET", f"{V1}/assistants"), 501)
    refused(call(place, "DELETE", f"{V1}/batches"), 501)
    refused(call(place, "POST", f"/openai/deployments/gpt-4o/files{DATED}", b""), 404)
    refused(call(place, "GET", "/openai/files"), 404)  # no api-version
    refused(call(place, "GET", "/openai/files?api-version=2023-05-15"), 501)
    refused(call(place, "GET", f"{V1}/files/..%2f..%2fkey"), 501)
    refused(call(place, "GET", f"{V1}/files/..%2f..%2fkey/content"), 501)
    refused(call(place, "GET", f"{V1}/models/..%2f..%2fkey"), 501)
    refused(call(place, "GET", f"{V1}/files/..%00key/content"), 404)


def test_no_key_no_answer(place):
    for path in ("/", "/emulator/ledger", f"{V1}/files", f"/openai/files{DATED}", "/subscriptions/x?api-version=1"):
        refused(call(place, "GET", path, key=False), 401, "401")
    refused(call(place, "GET", f"{V1}/files", headers={"api-key": "\u00e9".encode().decode("latin-1")}, key=False), 401)
    refused(call(place, "GET", f"{V1}/files", headers={"authorization": "Bearer a.b.c"}, key=False), 401)
    # the control plane knows no keys, as the real one
    path = f"/subscriptions/{place.subscription}/resourceGroups/x?api-version=2024-10-01"
    refused(call(place, "GET", path), 401)


@pytest.mark.parametrize(
    "name", ["../../../key", "..\\..\\key", "/etc/passwd", "..", "a\x1b[2Jb", "\u202egpj", "x" * 200]
)
def test_file_names_are_never_paths(place, name):
    body, headers = multipart("file", name.encode().decode("latin-1"))
    status, made = call(place, "POST", f"{V1}/files", body, headers)
    assert status == 201
    assert "/" not in made["filename"] and "\\" not in made["filename"]
    assert call(place, "DELETE", f"{V1}/files/{made['id']}")[0] == 200


def test_urls_that_are_no_data(place):
    refused(ask(place, "https://example.com/dog.jpg"), 501)
    for url in ("file:///etc/passwd", "data:text/html;base64,AAAA", "data:image/png,AAAA", "ftp://x", "", None, 7, {}):
        refused(ask(place, url), 400)
    refused(ask(place, "data:image/png;base64,!!!!"), 400)
    refused(ask(place, data_url(b"this is no picture")), 400)
    refused(ask(place, data_url(b"")), 400)


def bomb(side):
    """Return a PNG of side × side pixels in few bytes."""
    raw = zlib.compressobj(9)
    row = b"\0" * (side // 8 + 2)
    data = b"".join(raw.compress(row) for _ in range(side)) + raw.flush()

    def chunk(name, body):
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    head = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def memory(place):
    return psutil.Process(place.pid).memory_info().rss / 2**20


def test_bombs_and_torn_pictures(place):
    good = io.BytesIO()
    Image.effect_noise((300, 300), 90).convert("RGB").save(good, "JPEG")
    assert ask(place, data_url(good.getvalue(), "jpeg"))[0] == 200
    before = memory(place)
    for _ in range(3):
        refused(ask(place, data_url(bomb(50_000))), 400)
    refused(ask(place, data_url(good.getvalue()[:-2000], "jpeg")), 400)
    assert memory(place) < before + 150
    still_serving(place)


def test_bodies_over_the_limits_are_refused_before_they_are_read(place):
    before = memory(place)
    with socket.create_connection(address(place), timeout=30) as caller:
        head = f"POST {V1}/batches HTTP/1.1\r\nhost: x\r\napi-key: {place.api_key}\r\n"
        caller.sendall(f"{head}content-type: application/json\r\ncontent-length: 99999999999\r\n\r\n".encode())
        assert caller.recv(12) == b"HTTP/1.1 413"
    # without a length, in pieces
    with socket.create_connection(address(place), timeout=30) as caller:
        caller.sendall(f"{head}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        piece = b"100000\r\n" + b" " * 2**20 + b"\r\n"
        answer = b""
        caller.setblocking(True)
        for _ in range(64):
            try:
                caller.sendall(piece)
            except OSError:
                break
        answer = caller.recv(12)
        assert answer == b"HTTP/1.1 413"
    assert memory(place) < before + 120
    still_serving(place)


def test_a_thousand_half_open_connections(place):
    callers = []
    try:
        for number in range(1000):
            caller = socket.create_connection(address(place), timeout=30)
            callers.append(caller)
            if number % 2:
                caller.sendall(b"POST /openai/v1/batches HTTP/1.1\r\nhost: x\r\n")
        still_serving(place)
        # those that have waited longest are closed, and in the end all of them
        wait_for(lambda: len(psutil.Process(place.pid).net_connections()) < 700, 60, "old ones closed")
    finally:
        for caller in callers:
            caller.close()
    still_serving(place)


def test_a_caller_who_sends_nothing_is_let_go(place):
    with socket.create_connection(address(place), timeout=60) as caller:
        start = time.monotonic()
        caller.sendall(b"GET /emulator/health HTT")
        assert caller.recv(1) == b""
        assert time.monotonic() - start < 30
    still_serving(place)


def test_nonsense_instead_of_http(place):
    for line in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with socket.create_connection(address(place), timeout=30) as caller:
            caller.sendall(line + b"\r\n" * 4)
            assert caller.recv(12) in (b"HTTP/1.1 400", b"")
    still_serving(place)


def test_websockets_are_not_there(place):
    headers = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "x"}
    assert call(place, "GET", f"{V1}/realtime", headers=headers)[0] in (400, 404, 426, 501)


def test_control_plane_tricks(place):
    bearer = {"authorization": f"Bearer {place.api_key}", "content-type": "application/json"}
    base = f"/subscriptions/{place.subscription}/resourceGroups/{place.resource_group}"
    base += f"/providers/Microsoft.CognitiveServices/accounts/{place.account}/deployments"
    version = "?api-version=2024-10-01"
    refused(call(place, "GET", base, headers=bearer, key=False), 400, "MissingApiVersionParameter")
    for name in ("..%2f..%2fx", "a%00b", "x" * 200, "%1b%5b2J"):
        body = {"sku": {"name": "Standard", "capacity": 1}, "properties": {"model": {"format": "OpenAI", "name": "x"}}}
        found = call(place, "PUT", f"{base}/{name}{version}", json.dumps(body), bearer, key=False)
        assert found[0] in (400, 404, 501), found
    for body in (
        {"sku": {"name": "Nothing"}},
        {"sku": {"name": "Standard", "capacity": -1}},
        {"sku": {"name": "Standard", "capacity": 1}},
        {"sku": {"name": "Standard", "capacity": 1}, "properties": {"model": {"format": "OpenAI", "name": "../key"}}},
        {"sku": 7},
    ):
        refused(call(place, "PUT", f"{base}/x{version}", json.dumps(body), bearer, key=False), 400)


def test_settings_that_make_no_sense_change_nothing(place):
    before = call(place, "GET", "/emulator/settings")
    for change in (
        {"speed": "warp"},
        {"speed": 0},
        {"speed": -1},
        {"brain": "yes please"},
        {"faults": {"lost_lines": 2}},
        {"faults": {"nothing": 1}},
        {"faults": {"latency": -1}},
        {"faults": {"latency": "slow"}},
        {"faults": {"calls": [{"operation": "nothing", "kind": "429"}]}},
        {"faults": {"calls": [{"operation": "chat", "kind": "nothing"}]}},
        {"faults": {"calls": [{"operation": "files.get", "kind": "content_filter"}]}},
        {"nothing": 1},
    ):
        found = call(
            place, "PATCH", "/emulator/settings", json.dumps(change), {"content-type": "application/merge-patch+json"}
        )
        refused(found, 400)
    assert call(place, "GET", "/emulator/settings") == before
