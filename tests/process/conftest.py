"""Emulators and servers of workers that the tests of killed, cancelled and resumed jobs share."""

import pytest


@pytest.fixture(scope="session")
def lanes(tmp_path_factory):
    """Two lanes; see `lanes`."""
    from tests.process.lanes import Lanes

    lanes = Lanes(tmp_path_factory.mktemp("lanes"), 2)
    yield lanes
    lanes.close()
