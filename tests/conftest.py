"""What all tests share. Nothing here needs a network, credentials or a GPU."""

import os
from pathlib import Path

import pytest

from engine.jobs.paths import Home
from engine.store import Store

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path_factory):
    """No setting of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith(("AZURE_", "DOGCLS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def store(home):
    store = Store(home.store)
    yield store
    store.close()
