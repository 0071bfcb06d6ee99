"""Emulators and servers of workers that the tests of killed, cancelled and resumed jobs share."""

import pytest


@pytest.fixture(scope="session")
def lanes(tmp_path_factory):
    """Two lanes; see `lanes`."""
    from tests.process.lanes import Lanes

    lanes = Lanes(tmp_path_factory.mktemp("lanes"), 2)
    yield lanes
    lanes.close()


@pytest.fixture(scope="session")
def explored(lanes):
    """Each scenario of the matrices, run undisturbed."""
    from tests.process.kill_matrix import KINDS, explore

    return explore(lanes, list(KINDS))
