"""The emulator's files: what it promised survives a power cut; a damaged file costs that file, and is named."""

import errno
import json
import os
from pathlib import Path

import pytest

from engine.emulator import durable, server
from engine.emulator import service as serving
from engine.emulator.clock import Clock
from engine.emulator.door import Door
from engine.emulator.errors import ApiError
from engine.emulator.faults import Control
from engine.emulator.journal import Journal
from engine.emulator.ledger import Ledger
from engine.emulator.service import Service
from engine.emulator.state import REQUIRED, Collection, State
from engine.jobs import embedded

DAMAGED = [b"", b"{", b"[]", b"null", b"\0" * 100, b'"text"', b'{"_key": "a", "_serial": 1}', b"\xff\xfe"]
KEY = "0123456789abcdef" * 4


@pytest.fixture
def service_in():
    """Open services in folders, and close them."""
    opened = []

    def make(folder, key=KEY):
        opened.append(Service(folder / "state", folder / "cache", key))
        return opened[-1]

    yield make
    for service in opened:
        service.ledger.close()
        service.vision.close()


@pytest.fixture
def disk(monkeypatch):
    """Record what reaches the disk, in order: a file's content, a rename, a folder's names."""
    events = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(descriptor):
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append(("folder" if name.is_dir() else "content", name.name))
        real_sync(descriptor)

    def replace(self, target):
        events.append(("rename", Path(target).name))
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return events


# -- promises


@pytest.mark.parametrize("kind", REQUIRED)
def test_an_object_is_on_the_disk_before_its_client_is_answered(tmp_path, disk, kind):
    """Content, rename, and the folder that holds the name: in this order."""
    getattr(State(tmp_path, Clock()), kind).put("one", {"_serial": 1})
    assert [what for what, _ in disk] == ["content", "rename", "folder"]
    assert [name for _, name in disk][1:] == ["one.json", kind]


def test_an_uploaded_file_is_on_the_disk_before_its_object(tmp_path, disk):
    state = State(tmp_path, Clock())
    (tmp_path / "spooled").write_bytes(b"lines")
    file = state.add_file(tmp_path / "spooled", "a.jsonl", "batch", ready=False)
    assert [what for what, _ in disk] == ["content", "rename", "folder"] * 2
    assert disk[1] == ("rename", file["id"])
    assert disk[4] == ("rename", f"{file['id']}.json")


def test_a_payment_is_on_the_disk(tmp_path, disk):
    """Of a batch, a job, a deployment; chat requests are too many."""
    ledger = Ledger(tmp_path / "ledger.jsonl", lambda: 1.0)
    ledger.chat("gpt-4o", "client", 1, 1)
    assert disk == []
    ledger.write("batch", "batch_1", requests=3)
    assert disk == [("content", "ledger.jsonl")]
    ledger.close()


def test_a_write_on_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    durable.write(tmp_path / "a.json", b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        durable.write(tmp_path / "a.json", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"old"


def test_an_object_that_could_not_be_written_is_not_there(tmp_path, monkeypatch):
    """No client is shown what a restart would not know."""
    files = Collection(tmp_path / "files")
    monkeypatch.setattr(durable, "write", lambda path, content: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        files.put("file-1", {"_serial": 1})
    assert files.get("file-1") is None


async def test_work_on_a_full_disk_continues_when_there_is_room(service_in, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(serving, "ROOM_SECONDS", 0.0)
    service, tries = service_in(tmp_path), []

    async def live():
        tries.append(1)
        if len(tries) < 3:
            raise OSError(errno.ENOSPC, "No space left on device", "batch_1.json")

    await service.again_when_there_is_room("batch_1", live)
    assert len(tries) == 3
    assert caplog.messages.count("batch_1: [Errno 28] No space left on device: 'batch_1.json'; it continues when"
                                 " there is room") == 2  # fmt: skip


# -- damaged files


def whole(kind, key):
    return {"_key": key, "_serial": 1} | dict.fromkeys(REQUIRED[kind].split(), key)


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
@pytest.mark.parametrize("kind", REQUIRED)
def test_a_damaged_object_costs_that_object_and_is_named(tmp_path, caplog, kind, content):
    folder = tmp_path / kind
    folder.mkdir()
    (folder / "good.json").write_text(json.dumps(whole(kind, "good")))
    (folder / "a.json").write_bytes(content)
    found = Collection(folder)
    assert [each["_key"] for each in found.all()] == ["good"]
    assert caplog.messages[0].startswith(f"{folder / 'a.json'}: ")
    assert sorted(path.name for path in folder.iterdir()) == ["a.json.damaged", "good.json"]
    caplog.clear()
    assert [each["_key"] for each in Collection(folder).all()] == ["good"]
    assert caplog.messages == []  # once


def test_a_file_whose_content_is_torn_is_none(tmp_path, caplog):
    state = State(tmp_path, Clock())
    ids = []
    for text in (b"whole", b"torn!", b"gone!"):
        (tmp_path / "spooled").write_bytes(text)
        ids.append(state.add_file(tmp_path / "spooled", "a.jsonl", "batch", ready=True)["id"])
    state.blob(ids[1]).write_bytes(b"to")
    state.blob(ids[2]).unlink()
    assert [file["id"] for file in State(tmp_path, Clock()).files.all()] == ids[:1]
    assert len(caplog.messages) == 2
    assert any(str(state.blob(ids[1])) in message for message in caplog.messages)


def test_what_a_kill_left_of_a_write_is_cleared_away(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/.file-1.json.abcd").write_bytes(b"{")
    Collection(tmp_path / "files")
    assert list((tmp_path / "files").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"x", b"\0\0", b"99999", b"999999999", "٣".encode()], ids=repr)
def test_a_damaged_port_is_any_port(tmp_path, content):
    (tmp_path / "port").write_bytes(content)
    listener = server._bind("127.0.0.1", 0, tmp_path / "port")
    assert 0 < listener.getsockname()[1] < 65_536
    listener.close()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"speed": "wrong"}', b"\0\0", b"\xff"], ids=repr)
def test_damaged_settings_are_as_new_and_named(tmp_path, caplog, content):
    (tmp_path / "settings.json").write_bytes(content)
    assert Control(tmp_path / "settings.json", Clock(), {}).settings.speed == "fast"
    assert str(tmp_path / "settings.json") in caplog.messages[0]


def test_damaged_lines_of_the_ledger_and_of_events_cost_themselves(tmp_path):
    good = {"kind": "batch", "id": "batch_1", "at": 1.0, "requests": 3}
    bad = [b"{", b"[]", b"null", b'{"kind": "batch"}', b'{"kind": "other", "id": 1}', b'{"kind": "chat"}', b"\0\0"]
    (tmp_path / "ledger.jsonl").write_bytes(b"\n".join([*bad, json.dumps(good).encode(), *bad]))
    ledger = Ledger(tmp_path / "ledger.jsonl", lambda: 2.0)
    assert ledger.shown()["batches"] == [{"id": "batch_1", "at": 1.0, "requests": 3}]
    assert ledger.shown()["chat_requests"]["total"] == 0
    ledger.close()
    bad = [line for line in bad if b"id" not in line]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join([*bad, b'{"id": "ftevent-1"}']))
    assert Journal(tmp_path / "events.jsonl", Clock()).newest_first() == [{"id": "ftevent-1"}]


def test_a_damaged_model_is_set_aside(service_in, tmp_path, caplog):
    (tmp_path / "state/models").mkdir(parents=True)
    (tmp_path / "state/models/gpt-4o.ft-1.npz").write_bytes(b"PK")
    service = service_in(tmp_path)
    assert not service.knows_model("gpt-4o.ft-1")
    assert "gpt-4o.ft-1.npz: damaged" in caplog.text


# -- versions


def test_a_folder_without_a_mark_is_taken_over_and_marked(service_in, tmp_path):
    service_in(tmp_path)
    (tmp_path / "state/version").unlink()
    service = service_in(tmp_path)
    assert (tmp_path / "state/version").read_text() == "1\n"
    assert service.state.deployments.get("gpt-4o") is not None


def test_a_newer_folder_is_refused_by_name(tmp_path, capsys):
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "version").write_text("2\n")
    assert server.main(["--state", str(folder), "--cache", str(tmp_path / "cache")]) == 2
    told = f"error: {folder}: made by a newer emulator (state version 2). Upgrade, or choose another folder.\n"
    assert capsys.readouterr().err == told


# -- the key


@pytest.mark.parametrize("content", [b"", b"\n", b" ", b"abc", b"\xff" * 64, b"0" * 63, b"\0\0"], ids=repr)
def test_a_damaged_key_is_made_anew(tmp_path, monkeypatch, caplog, content):
    monkeypatch.delenv(server.KEY_VARIABLE, raising=False)
    (tmp_path / "key").write_bytes(content)
    key = server._key(tmp_path)
    assert len(key) == 64 and key != content.decode("latin-1")
    assert server._key(tmp_path) == key
    assert key not in caplog.text


def test_a_whole_key_stays(tmp_path, monkeypatch):
    monkeypatch.setenv(server.KEY_VARIABLE, " ")  # no key
    (tmp_path / "key").write_text(KEY)
    assert server._key(tmp_path) == KEY


@pytest.mark.parametrize("headers", [{b"api-key": b""}, {b"authorization": b"Bearer "}, {}])
def test_an_empty_key_lets_no_request_in(service_in, tmp_path, headers):
    with pytest.raises(ApiError, match="key is empty"):
        service_in(tmp_path, key="")
    service = service_in(tmp_path)
    service.key = ""
    door = Door(None, service)
    with pytest.raises(ApiError) as caught:
        door._check({"path": "/openai/v1/models", "query_string": b""}, headers)
    assert caught.value.status == 401


# -- the launcher's file


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\0\0", b'{"pid": 1}', b"\xff\xfe"], ids=repr)
def test_a_damaged_description_is_of_no_running_emulator(home, content):
    (home.emulator / "service.json").write_bytes(content)
    assert embedded.running(home) is None


def test_a_description_of_another_shape_is_none(home):
    values = dict.fromkeys(embedded.Embedded.__dataclass_fields__, 5) | {"pid": "x", "started": "y"}
    (home.emulator / "service.json").write_text(json.dumps(values))
    assert embedded.running(home) is None
