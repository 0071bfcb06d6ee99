"""The whole resource from the command line: doctor, remote, clean; against the emulator as if it were Azure."""

import io
import json
import time
from pathlib import Path

import openai
import pytest

from engine import Engine, InputError, Leftover, Remote
from engine.azure.connection import Endpoint, cloud_of
from engine.azure.diagnosis import Permissions
from engine.jobs.doctor import _proxy
from engine.jobs.paths import Home
from engine.store import Store
from engine.store.experiments import NewJob
from tests.conftest import Emulator, wait_for


@pytest.fixture(scope="module")
def place(tmp_path_factory, backbones):
    emulator = Emulator(tmp_path_factory.mktemp("remote"), backbones, "instant")
    yield emulator
    emulator.stop()


@pytest.fixture
def cli(tmp_path, monkeypatch, dogcls, place):
    """Run a command as a user of that resource, whose key is never shown."""
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        code, out, err = dogcls(tmp_path / "home", *arguments)
        assert place.api_key not in out + err
        return code, out, err

    return run


@pytest.fixture
def client(place):
    with openai.OpenAI(base_url=f"{place.endpoint}/openai/v1/", api_key=place.api_key) as made:
        yield made


def upload(client, name, purpose, rows):
    data = io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())
    file = client.files.create(file=(name, data), purpose=purpose)
    wait_for(lambda: client.files.retrieve(file.id).status == "processed")
    return file.id


def batch(client, place, name="somebody.jsonl", count=3):
    body = {"model": place.batch_deployment, "messages": [{"role": "user", "content": "hello"}]}
    rows = [{"custom_id": f"q{n}", "method": "POST", "url": "/chat/completions", "body": body} for n in range(count)]
    file = upload(client, name, "batch", rows)
    return client.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h")


def checkups(result):
    return {row["name"]: row for row in json.loads(result[1])}


def test_the_doctor_finds_all_well(cli):
    code, out, _ = cli("doctor")
    assert code == 0, out
    assert "✗" not in out
    found = checkups(cli("doctor", "--json"))
    assert {name: row["state"] for name, row in found.items()} == {
        "settings": "ok",
        "home": "ok",
        "endpoint": "ok",
        "proxy": "ok",
        "network": "ok",
        "sign-in": "ok",
        "clock": "ok",
        "control plane": "ok",
        "roles": "unknown",
        "deployment": "ok",
        "batch deployment": "ok",
        "fine-tune files": "ok",
        "fine-tune bytes": "ok",
        "batch files": "ok",
        "fine-tuning jobs": "ok",
    }
    assert "GlobalBatch" in found["batch deployment"]["found"]


def problem(result, name, *words):
    code, _, _ = result
    assert code == 3
    row = checkups(result)[name]
    assert row["state"] == "problem"
    assert row["cure"]
    for word in words:
        assert word in row["found"] + row["cure"]


def test_the_doctor_names_each_problem_and_its_cure(cli, monkeypatch, place, unused_tcp_port):
    monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENT_NAME", "nowhere")
    problem(cli("doctor", "--json"), "deployment", "nowhere", "AZURE_OPENAI_DEPLOYMENT_NAME")
    monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENT_NAME", place.batch_deployment)
    problem(cli("doctor", "--json"), "deployment", "is for batches", "GlobalStandard")
    monkeypatch.setenv("AZURE_OPENAI_BATCH_DEPLOYMENT_NAME", place.deployment)
    problem(cli("doctor", "--json"), "batch deployment", "real-time", "GlobalBatch")
    monkeypatch.setenv("AZURE_RESOURCE_GROUP", "elsewhere")
    problem(cli("doctor", "--json"), "control plane", "elsewhere")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "wrong-key-0123456789")
    problem(cli("doctor", "--json"), "sign-in", "sign-in refused")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"http://127.0.0.1:{unused_tcp_port}")
    problem(cli("doctor", "--json"), "network", "no answer")


def test_the_doctor_says_what_is_not_configured(cli, monkeypatch):
    monkeypatch.delenv("AZURE_OPENAI_ACCOUNT")
    monkeypatch.delenv("AZURE_OPENAI_BATCH_DEPLOYMENT_NAME")
    found = checkups(cli("doctor", "--json"))
    assert found["control plane"]["state"] == found["batch deployment"]["state"] == "warning"


def test_a_proxy_is_shown_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:sesame@proxy.example:8080")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    found = _proxy(Endpoint("https://x.openai.azure.com"))
    assert "proxy.example:8080" in found.found
    assert "sesame" not in repr(found)


def test_permissions_with_wildcards():
    write = "Microsoft.CognitiveServices/accounts/deployments/write"
    assert Permissions([{"actions": ["*"]}]).allow(write)
    assert not Permissions([{"actions": ["*/read"]}]).allow(write)
    assert not Permissions([{"actions": ["*"], "notActions": ["microsoft.cognitiveservices/*/write"]}]).allow(write)
    assert Permissions([{"actions": ["*/read"]}, {"actions": ["Microsoft.CognitiveServices/accounts/*"]}]).allow(write)
    assert not Permissions([{"actions": ["*"]}]).allow(write, data=True)
    assert not Permissions([]).allow(write)


@pytest.mark.parametrize(
    ("endpoint", "arm"),
    [
        ("https://x.openai.azure.com", "https://management.azure.com"),
        ("https://x.openai.azure.us", "https://management.usgovcloudapi.net"),
        ("https://x.openai.azure.cn", "https://management.chinacloudapi.cn"),
    ],
)
def test_national_clouds(endpoint, arm):
    assert cloud_of(endpoint).arm == arm


def test_what_others_started_is_listed_followed_and_downloaded(cli, client, place, tmp_path):
    made = batch(client, place)
    code, out, _ = cli("remote", "follow", made.id)
    assert code == 0
    assert out.splitlines()[-1].endswith("completed 3 of 3")
    assert made.id in cli("remote", "list")[1]
    listed = json.loads(cli("remote", "list", "--json")[1])
    assert {row["kind"] for row in listed} >= {"batch", "file", "deployment"}
    code, out, _ = cli("remote", "download", made.id, "--output", tmp_path / "got")
    (path,) = out.split()
    assert len(Path(path).read_text().splitlines()) == 3


def test_what_others_started_is_cancelled(cli, client, place):
    root = place.endpoint
    client._client.patch(f"{root}/emulator/settings", json={"speed": "real"}, headers={"api-key": place.api_key})
    file = None
    try:
        client._client.patch(f"{root}/emulator/settings", json={"speed": "instant"}, headers={"api-key": place.api_key})
        file = upload(client, "x.jsonl", "batch", [{}])
        client._client.patch(f"{root}/emulator/settings", json={"speed": "real"}, headers={"api-key": place.api_key})
        made = client.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h")
        assert cli("remote", "cancel", made.id)[0] == 0
        assert client.batches.retrieve(made.id).status == "cancelling"
    finally:
        client._client.patch(f"{root}/emulator/settings", json={"speed": "instant"}, headers={"api-key": place.api_key})
    wait_for(lambda: client.batches.retrieve(made.id).status == "cancelled")


def test_ids_that_are_none(cli):
    assert cli("remote", "cancel", "file-1")[0] == 2
    assert cli("remote", "follow", "nothing")[0] == 2
    assert cli("remote", "download", "nothing")[0] == 2
    code, _, err = cli("remote", "cancel", "batch_nothing")
    assert code == 1 and "batch_nothing" in err
    assert cli("--readonly", "remote", "cancel", "batch_1")[0] == 2


def job_of_this_home(root, state, kind="fine-tune"):
    """Add a job in a state to the store; return its number and nonce."""
    store = Store(Home(root).store)
    try:
        (job,) = store.experiments.add(
            f"a {state} {kind}", dataset=None, profile="azure", spec="", contestants=[], jobs=[NewJob(kind, {})]
        )
        with store.db.transaction() as db:
            db.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, job))
        return job, store.jobs.get(job).nonce
    finally:
        store.close()


def test_cleaning_lists_before_it_deletes_and_leaves_what_is_not_ours(cli, client, tmp_path):
    _, done = job_of_this_home(tmp_path / "home", "succeeded")
    paused, going = job_of_this_home(tmp_path / "home", "paused")
    theirs = upload(client, "theirs.jsonl", "batch", [{}])
    another = upload(client, "dogcls-00112233aabb-round-1-train.jsonl", "fine-tune", [{}])
    ours = upload(client, f"dogcls-{done}-round-1-train.jsonl", "fine-tune", [{}])
    needed = upload(client, f"dogcls-{going}-round-1-train.jsonl", "fine-tune", [{}])
    code, out, err = cli("clean")
    assert code == 0
    assert ours in out and theirs not in out and another not in out
    (line,) = [line for line in out.splitlines() if needed in line]
    assert line.endswith(f"kept: needed by job {paused} (paused)")
    assert "1 could be deleted" in err
    assert "nothing was" in err
    assert client.files.retrieve(ours)
    assert cli("--readonly", "clean", "--yes")[0] == 2
    code, out, err = cli("clean", "--kind", "file", "--yes")
    assert code == 0 and f"file {ours}: deleted" in err
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(ours)
    for file in (theirs, another, needed):
        assert client.files.retrieve(file)
    lines = {line.split()[3]: line for line in cli("clean", "--all")[1].splitlines()}
    assert lines[theirs].endswith("(another tool's)")
    assert lines[another].endswith("(another home's)")
    code, _, err = cli("clean", "--kind", "files")
    assert code == 2 and "'files' is unknown" in err


async def test_what_is_needed_is_deleted_only_by_force(cli, client, place, tmp_path):
    root = tmp_path / "home"
    job, nonce = job_of_this_home(root, "cancelled")
    file = upload(client, f"dogcls-{nonce}-round-1-train.jsonl", "fine-tune", [{}])
    engine = Engine(root, "azure")
    try:
        (found,) = [item for item in await engine.remote.leftovers() if item.id == file]
        assert not found.kept and found.job_id == job
        with engine.store.db.transaction() as db:  # it is resumed after the list was made
            db.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (job,))
        ((_, problem),) = await engine.remote.clean([found])
        assert problem.startswith(f"{file} is needed by job {job} (running).")
        with pytest.raises(InputError, match=rf"{file} is needed by job {job} \(running\)"):
            await engine.remote.delete(file)
        (listed,) = [item for item in await engine.remote.items() if item.id == file]
        assert (listed.job_id, listed.needed) == (job, f"needed by job {job} (running)")
        assert client.files.retrieve(file)
        await engine.remote.delete(file, force=True)
    finally:
        engine.close()
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file)


def test_what_is_in_use_is_kept(cli, client, place, tmp_path):
    _, nonce = job_of_this_home(tmp_path / "home", "cancelled", "batch")
    headers = {"api-key": place.api_key}
    body = {"model": place.batch_deployment, "messages": [{"role": "user", "content": "hello"}]}
    row = {"custom_id": "q", "method": "POST", "url": "/chat/completions", "body": body}
    file = upload(client, f"dogcls-{nonce}-round-1-0.jsonl", "batch", [row])
    client._client.patch(f"{place.endpoint}/emulator/settings", json={"speed": "real"}, headers=headers)
    try:
        made = client.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h")
        code, out, _ = cli("clean", "--kind", "file", "--yes")
        assert code == 0
        (line,) = [line for line in out.splitlines() if file in line]
        assert f"kept: {made.id} needs it" in line
        assert client.files.retrieve(file)
    finally:
        client._client.patch(f"{place.endpoint}/emulator/settings", json={"speed": "instant"}, headers=headers)


def test_what_deployments_have_cost_since_they_are_there(cli, monkeypatch):
    found = json.loads(cli("remote", "list", "--json")[1])
    since = [row["created_at"] for row in found if row["kind"] == "deployment"]
    assert since and all(abs(time.time() - at) < 600 for at in since)  # the control plane tells it

    async def leftovers(self, *, everybodys=False):
        rows = (("theirs", "gpt-4o-2024-08-06.ft-1", time.time() - 7200), ("old", "gpt-4o-2024-08-06.ft-2", None))
        return [
            Leftover("deployment", name, name, model, at, "") for name, model, at in (*rows, ("odd", "x.ft-3", 1.0))
        ]

    monkeypatch.setattr(Remote, "leftovers", leftovers)
    theirs, old, odd = cli("clean", "--all")[1].splitlines()
    assert "$1.70 an hour, $3.40 so far" in theirs
    assert old.endswith("$1.70 an hour") and "$" not in odd
