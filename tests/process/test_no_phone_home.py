"""Nothing phones home: whatever runs connects to loopback alone, and writes nothing outside its home.

Python's own connections are seen by an audit hook in every process; those of native libraries by a proxy that records
who asks for it. The person's home folder is an empty one, and stays empty.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.jobs import embedded
from tests.answering import answering

HOOK = """
import os, sys
def hook(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        shown = address if isinstance(address, str) else str(address[0])
    elif event == "socket.getaddrinfo":
        shown = str(arguments[0])
    else:
        return
    with open(os.environ["CONNECTIONS"], "a") as file:
        file.write(f"{shown}\\n")
sys.addaudithook(hook)
"""
FULL = pytest.mark.full
LOOPBACK = {"127.0.0.1", "localhost", "::1", "None"}


@pytest.fixture
def world(tmp_path):
    """An environment that records connections, and a home folder of a person who has nothing."""
    hooks, person = tmp_path / "hooks", tmp_path / "person"
    hooks.mkdir()
    person.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    drop = ("AZURE_", "DOGCLS_", "XDG_", "ORT_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(drop) and "proxy" not in k.lower()}
    environment |= {
        "HOME": str(person),
        "PYTHONPATH": os.pathsep.join([str(hooks), str(Path.cwd())]),
        "CONNECTIONS": str(tmp_path / "connections"),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    (tmp_path / "tmp").mkdir()
    (tmp_path / "connections").touch()
    with answering(502, "text/plain", "") as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            environment[name] = environment[name.upper()] = proxy.url
        yield environment, person, proxy, tmp_path / "connections"


def run(environment, home, *arguments):
    command = [sys.executable, "-P", "-m", "tui", "--home", str(home), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, cwd=home.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("contestants", ["zero-shot,cnn", pytest.param("zero-shot,fine-tuned,cnn", marks=FULL)])
def test_demo_training_and_export_connect_to_loopback_alone(contestants, world, warm_home, dogs):
    environment, person, proxy, connections = world
    home = warm_home.root
    run(environment, home, "emulator", "settings", "speed=instant")
    try:
        run(environment, home, "data", "add", dogs, "--name", "dogs")
        run(
            environment,
            home,
            "run",
            "--dataset",
            "dogs",
            "--name",
            "all",
            "--contestants",
            contestants,
            "--yes",
            "--plain",
        )
        run(environment, home, "export", "all", "--to", home.parent / "exported")
        run(environment, home, "doctor")
        run(environment, home, "info")
    finally:
        embedded.stop(warm_home)
    assert proxy.requests == []
    seen = set(connections.read_text().split())
    assert "127.0.0.1" in seen, "the hook saw nothing"
    assert {address for address in seen if address not in LOOPBACK and not address.startswith("/")} == set()
    assert [str(path) for path in person.rglob("*")] == []


def test_the_world_of_the_test_sees_who_connects(world):
    """What the other test rests on: an ordinary connection and one through a proxy are both recorded."""
    environment, _, proxy, connections = world
    code = (
        "import contextlib, socket, urllib.request\n"
        "with contextlib.suppress(OSError): socket.create_connection(('192.0.2.1', 9), timeout=0.01)\n"
        "with contextlib.suppress(OSError): urllib.request.urlopen('https://telemetry.example/')\n"
    )
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert "192.0.2.1" in connections.read_text()
    assert [(method, path) for method, path, _ in proxy.requests] == [("CONNECT", "telemetry.example:443")]
