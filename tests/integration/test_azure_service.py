"""Our Azure side against a scripted server on a real socket: what a bad day of the service looks like."""

import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.azure import batches, chat, files, fine_tuning
from engine.azure.connection import Azure, Endpoint, check
from engine.errors import ConfigurationError, ServiceError, SignInError

KEY = "sesame-0123456789"


class Script(ThreadingHTTPServer):
    """Answers by what the test says; counts what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = Counter()
        self.headers = []
        self.routes = {}
        self.under_way = self.most = 0
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _serve(self):
        path = self.path.split("?")[0].removeprefix("/openai").removeprefix("/v1")
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        what = f"{self.command} {path}"
        server = self.server
        with server.lock:
            server.asked[what] += 1
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            count = server.asked[what]
            server.under_way += 1
            server.most = max(server.most, server.under_way)
        try:
            answer = server.routes[what](count, body)
        finally:
            with server.lock:
                server.under_way -= 1
        if answer is None:  # the answer is lost on its way
            self.close_connection = True
            return
        status, value, *headers = answer
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _serve


@pytest.fixture
def service():
    server = Script()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def azure(service, monkeypatch):
    monkeypatch.setattr(batches, "SHOW_SECONDS", 0.1)
    async with Azure(Endpoint(service.url, KEY, deployment="d", batch_deployment="b")) as opened:
        yield opened


BATCH = {
    "id": "batch_1",
    "object": "batch",
    "status": "validating",
    "endpoint": "/chat/completions",
    "input_file_id": "file-1",
    "completion_window": "24h",
    "created_at": 1,
    "metadata": {batches.INTENT: "mine"},
}


async def test_a_batch_whose_answer_was_lost_is_adopted_and_not_made_again(service, azure):
    service.routes = {
        "POST /batches": lambda count, body: None,
        "GET /batches": lambda count, body: (200, {"object": "list", "data": [BATCH], "has_more": False}),
    }
    found = await batches.ensure_created(azure, "file-1", "mine", find_first=False)
    assert found.id == "batch_1"
    assert service.asked == {"POST /batches": 1, "GET /batches": 1}


async def test_a_batch_that_was_not_made_is_made_after_an_outage(service, azure):
    service.routes = {
        "POST /batches": lambda count, body: (503, {"error": {"message": "busy"}}) if count == 1 else (200, BATCH),
        "GET /batches": lambda count, body: (200, {"object": "list", "data": [], "has_more": False}),
    }
    assert (await batches.ensure_created(azure, "file-1", "mine", find_first=False)).id == "batch_1"
    assert service.asked == {"POST /batches": 2, "GET /batches": 1}


async def test_a_fine_tuning_job_whose_answer_was_lost_is_adopted(service, azure):
    job = {
        "id": "ftjob-1",
        "object": "fine_tuning.job",
        "status": "pending",
        "model": "gpt-4o",
        "training_file": "file-7",
        "created_at": 1,
        "result_files": None,
        "hyperparameters": None,
        "error": None,
    }
    service.routes = {
        "POST /fine_tuning/jobs": lambda count, body: None,
        "GET /fine_tuning/jobs": lambda count, body: (200, {"object": "list", "data": [job], "has_more": False}),
    }
    found = await fine_tuning.ensure_created(
        azure, "gpt-4o", "file-7", None,
        suffix="s", seed=1, epochs=2, batch_size=6, lr_multiplier=0.5, find_first=False,
    )  # fmt: skip
    assert (found.id, found.status, found.result_files) == ("ftjob-1", "pending", ())
    assert service.asked["POST /fine_tuning/jobs"] == 1


async def test_a_refused_batch_is_an_error_at_once(service, azure):
    refused = {"error": {"code": "invalidPayload", "message": "no such file"}}
    service.routes = {"POST /batches": lambda count, body: (400, refused)}
    with pytest.raises(ServiceError, match="no such file"):
        await batches.ensure_created(azure, "file-1", "mine", find_first=False)
    assert service.asked["POST /batches"] == 1


@pytest.mark.parametrize("silent", [False, True], ids=["dropped", "silent"])
async def test_an_uploaded_file_is_found_again_by_its_name(service, azure, tmp_path, monkeypatch, silent):
    """Its answer is lost, or does not come for so long that it is given up: an hour was too long to be told nothing."""
    given_up = threading.Event()
    monkeypatch.setattr(files, "UPLOAD_SECONDS", 0.3)
    path = tmp_path / "x.jsonl"
    path.write_text("{}\n")
    listed = []
    file = {
        "id": "file-9", "object": "file", "bytes": 3, "created_at": 1, "filename": "mine.jsonl",
        "purpose": "batch", "status": "processed",
    }  # fmt: skip

    def upload(count, body):
        listed.append(file)
        if silent:
            given_up.wait(20)
        return None

    service.routes = {
        "GET /files": lambda count, body: (200, {"object": "list", "data": listed, "has_more": False}),
        "POST /files": upload,
    }
    said = []
    assert await files.ensure_uploaded(azure, path, "batch", "mine.jsonl", look=False, say=said.append) == "file-9"
    given_up.set()
    assert service.asked["POST /files"] == 1 and said


def completion(text="Pug"):
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }  # fmt: skip


async def score(azure, count, concurrency, **more):
    answers = []
    await chat.score(
        azure,
        "d",
        ((str(n), lambda: {"messages": [{"role": "user", "content": "?"}]}) for n in range(count)),
        concurrency=concurrency,
        on_answer=lambda answer, _: answers.append(answer),
        stop=more.pop("stop", lambda: False),
        **more,
    )
    return answers


ASK = "POST /deployments/d/chat/completions"


async def test_scoring_is_bounded_and_asks_each_once(service, azure):
    def slow(count, body):
        time.sleep(0.01)
        return 200, completion()

    service.routes = {ASK: slow}
    answers = await score(azure, 40, 5)
    assert sorted(int(a.custom_id) for a in answers) == list(range(40))
    assert service.asked[ASK] == 40
    assert 2 <= service.most <= 5
    assert all(a.latency_ms >= 10 and a.prompt_tokens == 10 for a in answers)


async def test_a_rate_limit_is_waited_out_by_all(service, azure):
    limited = threading.Event()
    times = []

    def route(count, body):
        times.append(time.monotonic())
        if count == 5:
            limited.set()
            return 429, {"error": {"code": "429", "message": "slow down"}}, ("retry-after-ms", "300")
        return 200, completion()

    service.routes = {ASK: route}
    said = []
    answers = await score(azure, 20, 4, say=said.append)
    assert len(answers) == 20
    assert service.asked[ASK] == 21
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert max(gaps) >= 0.25  # all of them stood still
    assert len(said) == 1
    assert "slow down" in said[0]


async def test_one_bad_request_does_not_stop_the_others(service, azure):
    filtered = {"error": {"code": "content_filter", "message": "no"}}
    service.routes = {
        ASK: lambda count, body: {2: (400, {"error": {"code": "x", "message": "bad image"}}), 3: (400, filtered)}.get(
            count, (200, completion())
        )
    }
    answers = await score(azure, 6, 1)
    assert [bool(a.error) for a in answers] == [False, True, True, False, False, False]
    assert [a.filtered for a in answers] == [False, False, True, False, False, False]
    assert "bad image" in answers[1].error


async def test_a_missing_deployment_ends_it_at_once(service, azure):
    missing = {"error": {"code": "DeploymentNotFound", "message": "none"}}
    service.routes = {ASK: lambda count, body: (404, missing)}
    with pytest.raises(ServiceError, match="DeploymentNotFound"):
        await score(azure, 50, 2)
    assert service.asked[ASK] <= 2


async def test_a_stop_finishes_what_is_under_way_and_leaves_the_rest(service, azure):
    stop = threading.Event()

    def route(count, body):
        if count == 3:
            stop.set()
        return 200, completion()

    service.routes = {ASK: route}
    answers = await score(azure, 1000, 2, stop=stop.is_set)
    assert 3 <= len(answers) == service.asked[ASK] < 20


async def test_the_key_is_in_no_error(service, azure):
    refusal = {"error": {"code": "401", "message": f"key {KEY} is wrong"}}
    service.routes = {"GET /files": lambda count, body: (401, refusal)}
    with pytest.raises(SignInError) as caught:
        await check(azure)
    assert KEY not in str(caught.value)
    assert KEY not in repr(azure.endpoint)


async def test_the_check_costs_nothing_and_names_the_missing_deployment(service, azure):
    service.routes = {
        "GET /files": lambda count, body: (200, {"object": "list", "data": [], "has_more": False}),
        ASK: lambda count, body: (400, {"error": {"code": "x", "message": "messages is empty"}}),
        "POST /deployments/gone/chat/completions": lambda count, body: (404, {"error": {"code": "DeploymentNotFound"}}),
    }
    await check(azure, deployments=["d"])
    with pytest.raises(ConfigurationError, match="no deployment 'gone'"):
        await check(azure, deployments=["d", "gone"])


async def test_an_endpoint_that_refuses_is_one_clear_error(unused_tcp_port):
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with Azure(Endpoint(url, KEY)) as azure:
        with pytest.raises(ConfigurationError, match=f"{url}: no answer.*AZURE_OPENAI_ENDPOINT"):
            await check(azure)


async def test_v1_and_dated_speak_to_their_own_paths(service):
    service.routes = {"GET /files": lambda count, body: (200, {"object": "list", "data": [], "has_more": False})}
    async with Azure(Endpoint(f"{service.url}/openai/v1", KEY)) as azure:
        await check(azure)
    assert service.headers[-1].get("authorization") == f"Bearer {KEY}"
    async with Azure(Endpoint(service.url, KEY)) as azure:
        await check(azure)
    assert service.headers[-1].get("api-key") == KEY


async def test_without_a_key_entra_id_signs_in(service, monkeypatch):
    import azure.identity.aio
    from azure.core.credentials import AccessToken

    scopes = []

    class Credential:
        def __init__(self, *, authority, **_):
            assert authority == "login.microsoftonline.com"

        async def get_token(self, *asked, **_):
            scopes.extend(asked)
            return AccessToken("entra-token", int(time.time()) + 3600)

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            pass

    monkeypatch.setattr(azure.identity.aio, "DefaultAzureCredential", Credential)
    service.routes = {"GET /files": lambda count, body: (200, {"object": "list", "data": [], "has_more": False})}
    for url in (service.url, f"{service.url}/openai/v1"):
        async with Azure(Endpoint(url)) as azure:
            await check(azure)
        assert service.headers[-1].get("authorization") == "Bearer entra-token"
    assert set(scopes) == {"https://cognitiveservices.azure.com/.default"}


async def test_a_download_that_breaks_off_leaves_nothing(service, azure, tmp_path):
    service.routes = {
        "GET /files/f/content": lambda count, body: (200, {"a": 1}, ("x", "y")),
    }
    await files.download(azure, "f", tmp_path / "whole")
    assert (tmp_path / "whole").read_text() == '{"a": 1}'
    assert [p.name for p in tmp_path.iterdir()] == ["whole"]


def test_output_is_read_in_any_order_and_what_is_no_line_is_passed_over(tmp_path):
    def line(custom_id, status=200, body=None):
        return json.dumps(
            {"custom_id": custom_id, "response": {"status_code": status, "body": body or completion(custom_id)}}
        )

    out, err = tmp_path / "out", tmp_path / "err"
    out.write_text(
        "\n".join([line("c"), "{torn", line("a"), line("a"), line("stranger"), "[]", "3", '{"custom_id": 3}'])
    )
    err.write_text("\n".join([line("b", 500, {"error": {"code": "x", "message": "y"}}), line("c", 500, {}), ""]))
    found = list(batches.read_output([err, out]))
    assert [a.custom_id for a in found] == ["b", "c", "c", "a", "a", "stranger"]
    assert [a.error for a in found[:2]] == ["500 x y", "500  no answer"]
    assert [a.text for a in found[2:4]] == ["c", "a"]  # that an answer beats a failure is the store's to see to


def test_events_tell_what_was_billed():
    events = [
        fine_tuning.Event(str(n), n, "info", m, {})
        for n, m in enumerate(["Step 10: training loss=0.25", "Training tokens billed: 5,725,000"])
    ]
    assert fine_tuning.billed_tokens(events) == 5_725_000
    assert fine_tuning.step_metrics(events[0]) == [(10, "train_loss", 0.25)]
    assert fine_tuning.billed_tokens(events[:1]) is None


async def test_requests_do_not_block_the_event_loop(service, azure):
    service.routes = {ASK: lambda count, body: (time.sleep(0.05), (200, completion()))[1]}
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    task = asyncio.create_task(tick())
    await score(azure, 4, 1)
    task.cancel()
    assert ticks > 20
