"""A pilot: priced before, kept answer by answer, and honest about what follows."""

import json
from functools import partial

import pytest

from engine import Engine, PriceError, ReadOnlyError, Spec
from engine.jobs.pilot import PilotResult, chosen
from tests.conftest import Emulator


@pytest.fixture(scope="module")
def place(tmp_path_factory, backbones):
    emulator = Emulator(tmp_path_factory.mktemp("pilot"), backbones, "instant")
    yield emulator
    emulator.stop()


@pytest.fixture
async def engine(home, dogs, place, monkeypatch):
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    engine = Engine(home.root)
    await engine.add_dataset(str(dogs), "dogs", train=4, val=8, test=4)
    yield engine
    engine.close()


def asked(place):
    return place.ledger()["chat_requests"]["total"]


async def test_a_pilot_is_priced_and_pays_for_no_image_twice(engine, place):
    spec = Spec(dataset="dogs")
    before = asked(place)
    cost = await engine.pilots.cost(spec, 20)
    assert cost.images == 20 and 0 < cost.usd < 0.05 and cost.emulated
    assert asked(place) == before
    steps = []
    found = await engine.pilots.run(
        spec, 20, value_usd=1.0, volume=1000, progress=lambda phase, done, total: steps.append((done, total))
    )
    assert steps[-1] == (20, 20)
    assert asked(place) == before + 20
    assert found.n == 20 and found.failed == 0
    assert found.low < found.accuracy < found.high
    assert found.correct >= 8  # of 20, where chance is 5: it has looked
    assert found.spent_usd == pytest.approx(cost.usd, rel=0.3)
    assert (await engine.pilots.cost(spec, 20)).images == 0
    more = await engine.pilots.run(spec, 24, value_usd=1.0, volume=1000)
    assert more.n == 24
    assert asked(place) <= before + 28  # those asked before, where they are among the new choice, were not asked again
    other = Spec(dataset="dogs", detail="high")
    assert (await engine.pilots.cost(other, 20)).images == 20  # another question


async def test_a_torn_file_and_failing_calls_lose_nothing(engine, place, home):
    spec = Spec(dataset="dogs", prompt="")
    await engine.pilots.run(spec, 12, value_usd=1.0, volume=10)
    (path,) = (home.root / "pilots").iterdir()
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:-3]) + b'\n{"sha256": "to')
    cost = await engine.pilots.cost(spec, 12)
    assert 1 <= cost.images <= 3
    before = asked(place)
    assert (await engine.pilots.run(spec, 12, value_usd=1.0, volume=10)).n == 12
    assert asked(place) == before + cost.images


async def test_limits(engine, home):
    with pytest.raises(PriceError, match="over the limit"):
        await engine.pilots.run(Spec(dataset="dogs", max_cost=0.0), 16, value_usd=1, volume=1)
    looking = Engine(home.root, readonly=True)
    try:
        with pytest.raises(ReadOnlyError):
            await looking.pilots.run(Spec(dataset="dogs"), 16, value_usd=1, volume=1)
    finally:
        looking.close()


def test_images_are_spread_evenly():
    assert chosen(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert chosen(list(range(3)), 5) == [0, 1, 2]


def result(**more):
    values = {"n": 60, "correct": 45, "accuracy": 0.75, "low": 0.63, "high": 0.84, "unknown": 0, "filtered": 0}
    values |= {"failed": 0, "spent_usd": 0.1, "run_usd": 160.0, "tuning_usd": 158.0, "value_usd": 0.01}
    values |= {"volume": 100_000, "extra_usd": 0.0008, "needed_points": 23.8, "possible_points": 37.0}
    return PilotResult(**{**values, "emulated": False, **more})


def test_the_sentence_says_what_fine_tuning_has_to_gain():
    assert "63% to 84%" in result().sentence
    assert "has to gain 23.8 points" in result().sentence
    assert "cannot pay for itself" in result(needed_points=40.0).sentence
    assert result(emulated=True).sentence.startswith("The emulator's")


def test_on_the_command_line(home, dogs, place, monkeypatch, dogcls):
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    run = partial(dogcls, home.root)
    run("data", "add", dogs, "--name", "dogs", "--train", "4", "--val", "8", "--test", "4")
    code, out, err = run("pilot", "--dataset", "dogs", "--images", "12")
    assert (code, out) == (2, "") and "--yes" in err
    code, out, err = run("pilot", "--dataset", "dogs", "--images", "12", "--yes", "--json")
    assert code == 0, err
    assert json.loads(out)["n"] == 12
    code, out, err = run("pilot", "--dataset", "dogs", "--images", "12")
    assert code == 0 and "pay for itself" in out
