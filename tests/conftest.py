"""What all tests share. Nothing here needs a network, credentials or a GPU."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from engine.jobs import process
from engine.jobs.paths import Home
from engine.store import Store
from tests.pictures import kennel

ROOT = Path(__file__).parents[1]


def wait_for(condition, seconds=60.0, what="the condition"):
    """Wait until a condition holds; return what it returned."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come true in {seconds:.0f} s")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path_factory):
    """No setting of the person who runs the tests, nor of their terminal, reaches them."""
    for name in list(os.environ):
        if name.startswith(("AZURE_", "DOGCLS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PYTHONWARNINGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)  # the emulator sets its own for its whole process


@pytest.fixture(scope="session", autouse=True)
def nothing_outlives_the_tests():
    """What this process started, and nobody waits for, ends with it."""
    yield
    for child in process._children:
        child.kill()
        child.wait()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def store(home):
    store = Store(home.store)
    yield store
    store.close()


@pytest.fixture(scope="session")
def backbones(tmp_path_factory):
    """A cache with the exported backbone, made once."""
    from engine.backbones import load_backbone

    cache = tmp_path_factory.mktemp("cache")
    load_backbone(cache / "backbones")
    return cache


@pytest.fixture(scope="session")
def dogs(tmp_path_factory):
    """Drawn dogs of four breeds, 16 each."""
    return kennel(tmp_path_factory.mktemp("kennel") / "dogs", 16)


@pytest.fixture
def warm_home(home, backbones):
    """A home whose backbone is exported already."""
    target = home.cache / "backbones"
    target.mkdir(mode=0o700)
    for file in (backbones / "backbones").iterdir():
        shutil.copyfile(file, target / file.name)
        (target / file.name).chmod(0o600)
    return home


@pytest.fixture
def dogcls(monkeypatch, capsys):
    """Run `dogcls-tui` in this process: a function of a home's folder and arguments gives (exit code, stdout, stderr)."""
    from tui.main import main

    umask = os.umask(0o022)

    def run(root, *arguments):
        monkeypatch.setattr(sys, "argv", ["dogcls-tui", "--home", str(root), *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    yield run
    os.umask(umask)


def ledger_of(endpoint, key):
    """Return an emulator's ledger."""
    request = urllib.request.Request(f"{endpoint}/emulator/ledger", headers={"api-key": key})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class Emulator:
    """An emulator in a process of its own."""

    def __init__(self, state, cache, speed="instant"):
        self.command = [sys.executable, "-P", "-m", "engine.emulator", "--state", str(state)]
        self.command += ["--cache", str(cache), "--speed", speed]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE)
        self.first_line = self.process.stdout.readline()
        self.__dict__.update(json.loads(self.first_line))

    def stop(self, signal=15):
        self.process.send_signal(signal)
        self.process.wait(20)
        self.process.stdout.close()

    def ledger(self):
        """Return what it was paid for."""
        return ledger_of(self.endpoint, self.api_key)

    def environment(self):
        """Return the settings of a user of this emulator."""
        return {
            "AZURE_OPENAI_ENDPOINT": self.endpoint,
            "AZURE_OPENAI_API_KEY": self.api_key,
            "AZURE_OPENAI_DEPLOYMENT_NAME": self.deployment,
            "AZURE_OPENAI_BATCH_DEPLOYMENT_NAME": self.batch_deployment,
            "AZURE_SUBSCRIPTION_ID": self.subscription,
            "AZURE_RESOURCE_GROUP": self.resource_group,
            "AZURE_OPENAI_ACCOUNT": self.account,
            "AZURE_ARM_ENDPOINT": self.arm_endpoint,
        }


@pytest.fixture(scope="session")
def emulator(tmp_path_factory, backbones):
    emulator = Emulator(tmp_path_factory.mktemp("emulator"), backbones)
    yield emulator
    emulator.stop()
