"""A training worker killed at a step that it has just told of, and resumed, comes to the same weights."""

import pytest

from tests.pictures import KENNEL, kennel
from tests.process.kill_training import House, disturbed, mobilenet, same


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    house = House(folder / "home")
    house.run("data", "add", kennel(folder / "dogs", 12, KENNEL), "--name", "pictures")
    mobilenet(folder / "weights.pth")
    house.options = ["--epochs", "2", "--weights", folder / "weights.pth"]
    return house


@pytest.mark.full
def test_the_same_weights_come_out(house):
    whole, _ = disturbed(house, "article", house.options, [])
    steps = house.step(whole)
    job, killed = disturbed(house, "article", house.options, [1, steps - 1])
    assert killed
    assert same(house, whole, job)
    assert house.answers(whole) == house.answers(job)
