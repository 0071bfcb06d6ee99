"""The real emulator, looked at and set while it runs: by the engine, by the command line, by its own options."""

import json
import subprocess
import sys
import urllib.request
from functools import partial

import pytest

from engine import DIALS, Engine, InputError, emulator_patch
from engine.jobs import embedded
from tests.conftest import ROOT, wait_for


@pytest.fixture
async def engine(warm_home):
    engine = Engine(warm_home.root, "demo")
    yield engine
    engine.close()
    stop(warm_home)


def stop(home):
    place = embedded.running(home)
    embedded.stop(home)
    if place is not None:
        wait_for(lambda: embedded.running(home) is None, what="its end")


@pytest.fixture
def cli(warm_home, dogcls):
    """Run a command in that home."""
    yield partial(dogcls, warm_home.root)
    stop(warm_home)


def ask(place, client="dogcls-tui/0.1.0 (job 7)"):
    """Ask one question; return nothing."""
    url = f"{place.endpoint}/openai/deployments/{place.deployment}/chat/completions?api-version=2025-04-01-preview"
    body = json.dumps({"messages": [{"role": "user", "content": "Which breed?"}]}).encode()
    headers = {"api-key": place.api_key, "content-type": "application/json", "user-agent": client}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        assert answer.status == 200


async def test_setting_starts_it_and_what_was_set_outlives_it(engine):
    assert await engine.emulation.settings() is None
    assert not (await engine.emulation.view()).running
    settings = await engine.emulation.set(emulator_patch([("speed", "instant"), ("lost_lines", "5%")]))
    assert (settings.speed, settings.faults.lost_lines, settings.active) == ("instant", 0.05, ("lost_lines",))
    view = await engine.emulation.view()
    assert view.running and view.active == ("lost_lines",)
    stop(engine.home)
    assert await engine.emulation.settings() is None
    assert await engine.emulation.set({}) == settings


async def test_it_takes_every_usual_value_and_says_what_it_refuses(engine):
    for dial in DIALS:
        for text in dial.usual[::-1]:
            settings = await engine.emulation.set(emulator_patch([(dial.name, text)]))
            assert (dial.name in settings.active) == (dial.fault and text != dial.usual[0])
    for name, text, words in (
        ("lost_lines", "300%", "lost_lines"),
        ("speed", "0", "speed"),
        ("calls", "chatter 429", "no operation is named 'chatter'"),
        ("calls", "chat 418", "kind"),
    ):
        with pytest.raises(InputError, match="The emulator refuses this: ") as caught:
            await engine.emulation.set(emulator_patch([(name, text)]))
        assert words in str(caught.value)
    assert (await engine.emulation.settings()).active == ()


async def test_the_ledger_tells_who_paid_for_what(engine):
    await engine.emulation.set({})
    place = embedded.running(engine.home)
    ask(place)
    ask(place)
    ask(place, "curl/8")
    payments = await engine.emulation.ledger()
    assert [(p.kind, p.name, p.client, p.requests) for p in payments] == [
        ("chat", "gpt-4o", "dogcls-tui/0.1.0 (job 7)", 2),
        ("chat", "gpt-4o", "curl/8", 1),
    ]
    assert payments[0].prompt_tokens > 0 and payments[0].until >= payments[0].at


def test_the_command_line_sets_it_while_it_runs(cli, warm_home):
    code, out, err = cli("emulator", "settings")
    assert (code, out) == (0, "") and "not running" in err
    assert json.loads(cli("emulator", "settings", "--json")[1]) == {"running": False}
    assert json.loads(cli("emulator", "ledger", "--json")[1]) == {"running": False}
    code, out, err = cli("emulator", "settings", "speed=30", "latency=article", "calls=chat 429 20%; * drop 1%")
    assert code == 0 and "latency, calls" in err
    assert {"speed             30", "calls             chat 429 20%; * drop 1%"} <= set(out.splitlines())
    code, out, _ = cli("emulator", "settings", "faults=off", "lost_lines=0.05", "--json")
    found = json.loads(out)
    assert found["running"] and found["active"] == ["lost_lines"] and found["speed"] == 30
    assert found["faults"]["lost_lines"] == 0.05 and found["faults"]["calls"] == []
    for wrong, words in (("lost_lines=9", "refuses"), ("lost=1", "no setting 'lost'"), ("fast", "NAME=VALUE")):
        code, out, err = cli("emulator", "settings", wrong)
        assert (code, out) == (2, "") and words in err
    place = embedded.running(warm_home)
    assert "nothing was paid for yet" in cli("emulator", "ledger")[2]
    ask(place)
    code, out, _ = cli("emulator", "ledger")
    assert code == 0 and "gpt-4o" in out and "job 7" in out and "1 requests" not in out
    (payment,) = json.loads(cli("emulator", "ledger", "--json")[1])["payments"]
    assert payment["kind"] == "chat" and payment["requests"] == 1
    assert cli("--readonly", "emulator", "settings", "speed=real")[0] == 2
    assert place.api_key not in "".join(map(str, cli("emulator", "settings", "--json") + cli("info", "--json")))


@pytest.mark.parametrize("command", ["settings", "ledger"])
def test_its_commands_have_help_pages(cli, command):
    code, out, _ = cli("emulator", command, "--help")
    assert code == 0 and "Usage:" in out
    assert command == "ledger" or all(dial.name in out for dial in DIALS)


def test_another_profile_is_not_the_emulator(cli, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://x.invalid")
    for command in ("settings", "ledger"):
        code, out, err = cli("emulator", command)
        assert (code, out) == (2, "") and "'azure'" in err and "--profile demo" in err


def test_a_stand_alone_one_takes_everything_as_options(warm_home, tmp_path):
    command = [
        sys.executable,
        "-m",
        "tui",
        "--home",
        str(warm_home.root),
        "emulator",
        "--state",
        str(tmp_path / "state"),
    ]
    command += ["--speed", "20", "--no-brain", "--quota-minute", "2", "--host", "0.0.0.0"]
    command += ["--fault", "lost_lines=5%", "--fault", "calls=files.* 500 10% 3", "--fault", "calls=models.list 429"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True) as process:
        try:
            place = json.loads(process.stdout.readline())
            request = urllib.request.Request(
                place["endpoint"].replace("0.0.0.0", "127.0.0.1") + "/emulator/settings",
                headers={"api-key": place["api_key"]},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                found = json.load(answer)
        finally:
            process.terminate()
            _, err = process.communicate(timeout=30)
    assert (found["speed"], found["brain"], found["quota_minute"]) == (20, False, 2)
    assert found["active"] == ["calls", "lost_lines"]
    assert found["faults"]["calls"] == [
        {"operation": "files.*", "kind": "500", "rate": 0.1, "times": 3},
        {"operation": "models.list", "kind": "429", "rate": 1.0, "times": None},
    ]
    assert "warning" in err and "0.0.0.0" in err


@pytest.mark.parametrize(
    "wrong", [("--speed", "faster"), ("--fault", "lost_lines"), ("--fault", "lost=1"), ("--fault", "lost_lines=7"),
              ("--quota-minute", "-1"), ("--speed", "0")]
)  # fmt: skip
def test_wrong_options_end_it_at_once(warm_home, tmp_path, wrong):
    command = [
        sys.executable,
        "-m",
        "tui",
        "--home",
        str(warm_home.root),
        "emulator",
        "--state",
        str(tmp_path / "s"),
        *wrong,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert (wrong[1].split("=")[0] if wrong[0] == "--fault" else wrong[0].strip("-")) in done.stderr
