"""The doctor's page: what was checked, what was found, what helps."""

import asyncio

import pytest

from engine import Checkup, DogclsError, Remote
from tests.tui.looking import LOOKS, footer, settled, shows, text_of, until
from tui.app import DogclsApp, Manners
from tui.keys import ROOMS, keys_of

FOUND = [
    Checkup("endpoint", "ok", "https://dogs.openai.azure.com (v1 API)"),
    Checkup("proxy", "ok", "http://proxy:3128 stands before dogs.openai.azure.com"),
    Checkup("network", "warning", "an answer in 4,211 ms"),
    Checkup("sign-in", "ok", "Entra ID"),
    Checkup("clock", "problem", "312 s behind the service's", "Set this machine's clock (NTP)."),
    Checkup("tuned models", "warning", "2 of 5 deployments stand and cost money each hour: dogcls-1, pets",
            "Delete what nobody needs: dogcls-tui clean"),
    Checkup("roles", "unknown", "the control plane does not tell",
            "To fine-tune and deploy: Cognitive Services OpenAI Contributor."),
    Checkup("batch files", "ok", "12 of 500 files (10,000 where each expires)"),
]  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """The doctor has an answer at once; return how often it was asked."""
    times = []

    async def doctor(self):
        times.append(1)
        return FOUND

    monkeypatch.setattr(Remote, "doctor", doctor)
    return times


@pytest.mark.parametrize(("look", "size"), LOOKS)
def test_page(done, asked, snap_compare, monkeypatch, look, size):
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")

    async def go(pilot):
        await settled(pilot, "386/416")
        await pilot.press("H")
        await settled(pilot, "1 problem", "Set this machine's clock")

    manners = Manners(theme="kennel-day" if look == "light" else "kennel", ascii=look == "ascii")
    assert snap_compare(DogclsApp(done, manners=manners), terminal_size=size, run_before=go)


async def test_the_worst_comes_first_and_each_has_its_cure(done, asked):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "386/416")
        await pilot.press("H")
        await shows(pilot, "1 problem · 2 warnings · 1 unknown", "✗ clock: 312 s behind", "→ Set this machine's clock")
        await pilot.press("j")
        await shows(pilot, "! tuned models: 2 of 5", "→ Delete what nobody needs")
        await pilot.press("g")
        await shows(pilot, "✓ endpoint: https://dogs", "Nothing is to be done.")
        await pilot.press("r")
        await until(pilot, lambda: len(asked) == 2, "that it asks again")
        await pilot.press("escape")
        await shows(pilot, "Experiments")
        await pilot.press("H")
        await shows(pilot, "Set this machine's clock")
        assert len(asked) == 2  # what is known is not asked for again


async def test_it_comes_from_every_room_and_goes_back_there(priced, asked):
    app = DogclsApp(priced)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "386/416")
        for digit, room in enumerate(ROOMS, start=1):
            await pilot.press(str(digit))
            await until(pilot, lambda room=room: app.current_mode == room, room)
            await pilot.press("H")
            await shows(pilot, "1 problem")
            await pilot.press("H" if digit % 2 else "escape")
            await until(pilot, lambda room=room: app.current_mode == room, f"{room} again")


async def test_a_slow_answer_blocks_nothing_and_is_not_asked_for_twice(done, monkeypatch):
    go_on, times = asyncio.Event(), []

    async def doctor(self):
        times.append(1)
        await go_on.wait()
        return FOUND[:2]

    monkeypatch.setattr(Remote, "doctor", doctor)
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "386/416")
        await pilot.press("H")
        await shows(pilot, "asking the service …", "Endpoint, network, sign-in")
        assert "ask again" not in footer(app)
        await pilot.press("r", "r", "4")
        await shows(pilot, "Log of")
        await pilot.press("H")
        await shows(pilot, "asking the service …")
        go_on.set()
        await shows(pilot, "everything is ready")
        await until(pilot, lambda: "ask again" in footer(app), "the key")
        assert len(times) == 1


async def test_what_cannot_be_asked_is_said_as_it_is(done, monkeypatch):
    async def doctor(self):
        raise DogclsError("example.invalid: [b]no[/] \x1b[31maddress.", "Check AZURE_OPENAI_ENDPOINT.")

    monkeypatch.setattr(Remote, "doctor", doctor)
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "386/416")
        await pilot.press("H")
        await shows(
            pilot, "could not be asked", "example.invalid: [b]no[/] [31maddress.", "Check AZURE_OPENAI_ENDPOINT."
        )


async def test_text_from_the_service_is_shown_literally(done, monkeypatch):
    async def doctor(self):
        return [Checkup("deploy[b]ment", "problem", "[red]\x1b[31mgone", "[link=x]Ask[/link].")]

    monkeypatch.setattr(Remote, "doctor", doctor)
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "386/416")
        await pilot.press("H")
        await shows(pilot, "deploy[b]ment: [red][31mgone", "→ [link=x]Ask[/link].")


async def test_help_and_palette_tell_of_it(done, asked):
    app = DogclsApp(done)
    async with app.run_test(size=(120, 60)) as pilot:
        await shows(pilot, "386/416")
        await pilot.press("H")
        await shows(pilot, "1 problem")
        await pilot.press("question_mark")
        await shows(pilot, "Is everything ready?", "Ask the service again.")
        await pilot.press("escape", "1", "colon", *"clean up")
        await shows(pilot, "What was left on the service")
    for room in ("doctor", "clean"):
        names = [name for key in keys_of(room) for name in key.keys.split(",")]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (300, 80)])
async def test_any_size(done, asked, size):
    app = DogclsApp(done)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.opened.is_set(), "the engine")
        await pilot.press("H")
        await until(pilot, lambda: app.current_mode == "doctor" and bool(asked), "the page")
        await pilot.resize_terminal(81, 25)
        await shows(pilot, "Set this machine's clock")
        assert "1 problem" in text_of(app)
