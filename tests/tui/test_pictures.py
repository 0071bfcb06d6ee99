"""Pictures of every room, small and large, in each look, from the store of a real run of the demo."""

import pytest

from tests.tui.looking import SIZES, SMALL, settled
from tui.app import DogclsApp, Manners

ROOMS = {
    "home": ((), ("Experiments", "386/416")),
    "data": (("2",), ("Siberian husky", "train")),
    "launch": (("3",), ("time about", "dogcls-tui run", "of 5,000,000 enqueued tokens")),
    "monitor": (("4",), ("fine-tune", "following")),
    "job": (("4", "g", "enter", "left_square_bracket"), ("contestant", "attempts")),
    "train": (("5",), ("validation", "best ")),
    "results": (("6",), ("Comparison of demo", "recall", "is the best")),
}


def picture(done, snap_compare, room, size, **manners):
    keys, words = ROOMS[room]

    async def go(pilot):
        await settled(pilot, "386/416" if size[0] >= 80 else "dogcls")
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.1)
        await settled(pilot, *words)

    return snap_compare(DogclsApp(done, manners=Manners(**manners)), terminal_size=size, run_before=go)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("room", ROOMS)
def test_dark(priced, snap_compare, room, size):
    assert picture(priced, snap_compare, room, size)


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize("room", ROOMS)
def test_light(priced, snap_compare, room, size):
    assert picture(priced, snap_compare, room, size, theme="kennel-day")


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize("room", ROOMS)
def test_no_color(priced, snap_compare, room, size, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert picture(priced, snap_compare, room, size)


@pytest.mark.parametrize("size", SIZES)
def test_welcome(engine, snap_compare, size):
    async def go(pilot):
        await settled(pilot, "run the demo")

    assert snap_compare(DogclsApp(engine), terminal_size=size, run_before=go)


def test_help(done, snap_compare):
    async def go(pilot):
        await settled(pilot, "386/416")
        await pilot.press("question_mark")
        await settled(pilot, "Everything at a glance")

    assert snap_compare(DogclsApp(done), terminal_size=(80, 24), run_before=go)


def test_ascii(done, snap_compare):
    async def go(pilot):
        await settled(pilot, "386/416")

    assert snap_compare(DogclsApp(done, manners=Manners(ascii=True)), terminal_size=(80, 24), run_before=go)
