"""The emulator's small parts: filters, time, quota, faults, tokens."""

import asyncio
import io
import json
import logging

import pytest

from engine.emulator.batch_file import check, request_tokens
from engine.emulator.clock import WAITS, Clock
from engine.emulator.errors import ApiError
from engine.emulator.faults import LATENCIES, SHARES, Control, Settings
from engine.emulator.images import NotAPicture, decode, image_tokens
from engine.emulator.journal import Journal
from engine.emulator.ledger import Ledger
from engine.emulator.odata import matching, ordered
from engine.emulator.quota import Quota
from engine.emulator.server import KeyFilter

ITEMS = [
    {"id": f"batch_{n}", "status": status, "created_at": at, "input_file_id": "f", "endpoint": "/x", "_serial": n}
    for n, (status, at) in enumerate([("completed", 100), ("failed", 200), ("in_progress", 300), ("completed", 200)])
]


def found(expression):
    return [item["id"][-1] for item in matching(ITEMS, expression)]


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        (None, "0123"),
        ("", "0123"),
        ("created_at gt 100", "123"),
        ("created_at ge 200 and created_at lt 300", "13"),
        ("status eq 'Completed'", "03"),
        ("created_at gt 100 and status eq 'Completed'", "3"),
        ("status eq 'failed' or created_at eq 100", "01"),
        ("status ne 'completed' and created_at gt 200 or id eq 'batch_0'", "02"),
        ("status eq 'and'", ""),
    ],
)
def test_filter(expression, ids):
    assert found(expression) == list(ids)


@pytest.mark.parametrize(
    "expression",
    ["status", "status eq", "status eq completed", "created_at gt '1'", "nothing eq 'x'", "status eq 'x' and",
     "status eq 'x' xor id eq 'y'", "(status eq 'x')", "status eq 'x'; drop", "_serial gt 1"],
)  # fmt: skip
def test_filters_that_cannot_be_read(expression):
    with pytest.raises(ApiError, match=r"\$filter"):
        found(expression)


def test_order():
    assert [i["id"][-1] for i in ordered(ITEMS, "created_at asc")] == list("0132")
    assert [i["id"][-1] for i in ordered(ITEMS, "created_at desc")] == list("2310")
    assert ordered(ITEMS, None) is ITEMS
    with pytest.raises(ApiError, match="orderby"):
        ordered(ITEMS, "created_at sideways")


async def test_a_waiting_ends_when_the_speed_or_the_time_changes():
    clock = Clock()
    clock.factor = 1.0
    waiting = asyncio.create_task(clock.wait("validating"))
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.factor = 1e9
    clock.changed()
    await asyncio.wait_for(waiting, 5)
    clock.factor = 1.0
    waiting = asyncio.create_task(clock.wait("validating"))
    await asyncio.sleep(0)
    clock.offset = WAITS["validating"] + 1
    clock.changed()
    await asyncio.wait_for(waiting, 5)


def control(tmp_path, clock=None, **options):
    return Control(tmp_path / "settings.json", clock or Clock(), options)


def test_settings_are_kept_and_merged(tmp_path):
    clock = Clock()
    made = control(tmp_path, clock)
    assert made.shown()["active"] == []
    made.patch({"speed": 10, "faults": {"lost_lines": 0.5, "clock_offset": 60}})
    made.patch({"faults": {"lost_lines": None, "latency": 20}})
    assert (clock.factor, clock.offset) == (10, 60)
    again = control(tmp_path)
    assert again.shown() == made.shown()
    assert again.shown()["active"] == ["latency", "clock_offset"]
    again.patch({"faults": None, "speed": None})
    assert again.shown() == {**Settings().model_dump(mode="json"), "active": []}
    with pytest.raises(ApiError, match="lost_lines"):
        again.patch({"speed": "real", "faults": {"lost_lines": 3}})
    assert again.settings.speed == "fast"


def test_a_fault_happens_so_many_times(tmp_path):
    made = control(tmp_path, faults={"calls": [{"operation": "batches.*", "kind": "500", "times": 2}]})
    assert made.call("chat") is None
    assert [made.call("batches.create") for _ in range(3)] == ["500", "500", None]
    assert made.shown()["active"] == []
    assert control(tmp_path).shown()["active"] == []  # also after a restart


def test_a_fault_happens_to_a_share(tmp_path):
    made = control(tmp_path, faults={"calls": [{"kind": "429", "rate": 0.25}]})
    assert 200 < sum(made.call("chat") == "429" for _ in range(1000)) < 300


def test_latencies_have_the_published_quantiles(tmp_path):
    made = control(tmp_path, faults={"latency": "article"})
    made.random.seed(1)
    for tuned, name in ((False, "base"), (True, "tuned")):
        drawn = sorted(made.latency(tuned) * 1000 for _ in range(20_000))
        for share, wanted in zip(SHARES[1:-1], LATENCIES[name][1:-1], strict=True):
            assert drawn[int(share * len(drawn))] == pytest.approx(wanted, rel=0.05)
    made.patch({"faults": {"latency": 250}})
    assert made.latency(False) == 0.25


def test_quota_counts_tokens_by_the_minute_and_requests_by_the_moment(tmp_path):
    clock = Clock()
    made = control(tmp_path, clock, quota_minute=60)
    quota = Quota(clock, made)
    deployment = {"name": "d", "sku": {"capacity": 10}}  # 10,000 tokens and 60 requests a minute
    assert quota.take(deployment, 4000, "v1")["x-ratelimit-remaining-tokens"] == "6000"
    quota.take(deployment, 6000, "v1")
    with pytest.raises(ApiError, match="token rate limit") as caught:
        quota.take(deployment, 1, "2025-04-01-preview")
    assert caught.value.code == "429"
    assert 50 <= int(caught.value.headers["Retry-After"]) <= 60
    made.patch({"faults": {"clock_offset": 61}})
    for _ in range(10):
        quota.take(deployment, 1, "v1")
    with pytest.raises(ApiError, match="call rate limit") as caught:
        quota.take(deployment, 1, "v1")
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 10
    made.patch({"quota_minute": 0})
    for _ in range(1000):
        quota.take(deployment, 1_000_000, "v1")


@pytest.mark.parametrize(
    ("size", "detail", "tokens"),
    [
        ((224, 224), "low", 85),
        ((4000, 4000), "low", 85),
        ((2048, 4096), "high", 1105),  # the documentation's own example
        ((1024, 1024), "high", 765),
        ((512, 512), "high", 255),
        ((300, 200), "auto", 85),
    ],
)
def test_image_tokens(size, detail, tokens):
    assert image_tokens(*size, detail) == tokens


def test_data_urls():
    assert decode("data:image/png;base64,aGk=") == b"hi"
    for url in (None, "", "data:image/png,hi", "data:text/plain;base64,aGk=", "data:image/png;base64,a", "x" * 40):
        with pytest.raises(NotAPicture):
            decode(url)
    with pytest.raises(NotAPicture):
        decode("data:image/gif;base64,aGk=", ("png",))


def line(n=0, **more):
    body = {"model": "b", "messages": [{"role": "user", "content": "x" * 40}]}
    return json.dumps({"custom_id": f"q{n}", "method": "POST", "url": "/chat/completions", "body": body, **more})


def test_batch_files(tmp_path):
    def errors(text, skus=None):
        path = tmp_path / "in.jsonl"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        checked = check(path, "/chat/completions", skus or {"b": "GlobalBatch"})
        return [(e["code"], e["line"]) for e in checked.errors]

    assert errors(line() + "\n" + line(1) + "\n\n") == []
    assert errors("") == [("empty_file", None)]
    assert errors("\n\n") == [("empty_batch", None)]
    assert errors(b"\xef\xbb\xbf" + line().encode()) == [("invalid_json_line", 1)]
    assert errors(line() + "\n" + line()) == [("duplicate_custom_id", 2)]
    assert errors(line(url="/embeddings")) == [("url_mismatch", 1)]
    assert errors(line(method="GET")) == [("invalid_request", 1)]
    assert errors(line(), {"b": "GlobalStandard"}) == [("invalid_request", 1)]
    assert errors(line(), {"c": "GlobalBatch"}) == [("model_not_found", 1)]
    assert errors(line() + "\n" + line(1, body={"model": "c"})) == [("model_mismatch", 2)]
    assert len(errors("x\n" * 1000)) == 20
    assert errors("[" * 100_000) == [("invalid_json_line", 1)]


def test_tokens_that_a_request_enqueues():
    picture = {"type": "image_url", "image_url": {"url": "data:" + "x" * 100_000}}
    body = {"messages": [{"content": "x" * 40}, {"content": [{"type": "text", "text": "y" * 8}, picture]}]}
    assert request_tokens(body) == 10 + 2 + 85
    assert request_tokens({"messages": 7}) == 0


def test_a_ledger_survives_a_torn_line_and_adds_chats_up(tmp_path, request):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, lambda: 7.0)
    request.addfinalizer(ledger.close)
    ledger.write("batch", "batch_1", client="me")
    ledger.write("batch", "batch_1", requests=3)
    for tokens in (5, 6):
        ledger.chat("gpt-4o", "me", tokens, 1)
    with path.open("ab") as file:
        file.write(b'\n{"kind": "chat", "at": 9')
    again = Ledger(path, lambda: 8.0)
    request.addfinalizer(again.close)
    shown = again.shown()
    assert shown == ledger.shown()
    assert shown["batches"] == [{"at": 7.0, "id": "batch_1", "client": "me", "requests": 3}]
    assert shown["chat_requests"] == {"total": 2, "by_deployment": {"gpt-4o": 2}, "by_client": {"me": 2}}
    assert shown["chats"][0]["prompt_tokens"] == 11
    assert shown["fine_tuning_jobs"] == []


def test_a_journal_tells_nothing_twice(tmp_path):
    journal = Journal(tmp_path / "events.jsonl", Clock())
    journal.tell("job", "a", "first")
    journal.tell("job", "b", "second", data={"step": 1})
    again = Journal(tmp_path / "events.jsonl", Clock())
    again.tell("job", "a", "first")
    assert [e["message"] for e in again.newest_first()] == ["second", "first"]
    assert [e["type"] for e in again.newest_first()] == ["metrics", "message"]


def test_the_log_never_holds_the_key():
    out = io.StringIO()
    log = logging.getLogger("test of the emulator's key")
    log.propagate = False
    log.addHandler(logging.StreamHandler(out))
    log.addFilter(KeyFilter("sesame-key"))
    try:
        raise ValueError("no header " + "-".join(["sesame", "key"]))
    except ValueError as error:
        log.error("%s was sent", "sesame-key", exc_info=error)
    assert "… was sent" in out.getvalue() and "ValueError: no header …" in out.getvalue()
    assert "sesame-key" not in out.getvalue()
