"""One emulator for the tests of batches, and a job of each test's own."""

import pytest

from engine.azure import patience
from engine.jobs.kinds import rounds
from tests.integration.batches.world import Place, World


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("place"), tmp_path_factory.mktemp("no-cache"))
    yield place
    place.stop()


@pytest.fixture
def place(emulated, monkeypatch):
    """That emulator, with nobody's batches on it, and this test's environment set to it."""
    for name, value in emulated.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rounds, "EMULATED_POLL_SECONDS", 0.05)
    monkeypatch.setattr(patience, "FIRST_SECONDS", 0.05)
    emulated.before = len(emulated.batches())
    yield emulated
    emulated.set(speed="instant", faults=None)
    emulated.capacity(5_000_000)


@pytest.fixture
def world(home, store, tmp_path, place):
    (tmp_path / "pictures").mkdir()
    return World(home, store, tmp_path / "pictures", place)
