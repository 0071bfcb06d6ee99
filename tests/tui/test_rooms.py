"""What all rooms have in common: keys, sizes, looks, text from outside."""

import pytest
from textual.widgets import TabbedContent

from engine import Outcome
from engine.store.experiments import NewContestant, NewJob
from engine.store.predictions import Prediction
from tests.tui.looking import footer, settled, shows, text_of, until
from tui.app import DogclsApp, Manners
from tui.filters import Ascii
from tui.keys import KEYS, ROOMS, keys_of
from tui.screens.base import Room
from tui.screens.papers import HelpScreen, TextScreen
from tui.styles import theme


async def test_all_keys_of_the_footer_fit_into_80_columns(priced):
    app = DogclsApp(priced)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "386/416")
        for digit, room in enumerate(ROOMS, start=1):
            await pilot.press(str(digit))
            await until(pilot, lambda room=room: app.current_mode == room, room)
            await until(pilot, lambda: footer(app).rstrip().endswith("q quit"), f"the last key of {room}")


def test_no_key_means_two_things_in_one_room():
    for room in (*ROOMS, "job"):
        keys = [name for key in keys_of(room) for name in key.keys.split(",")]
        assert len(keys) == len(set(keys)), room


async def test_every_key_has_an_action_and_a_line_in_the_help(done):
    app = DogclsApp(done)
    async with app.run_test(size=(120, 60)) as pilot:
        await settled(pilot, "386/416")
        for digit, room in enumerate(ROOMS, start=1):
            await pilot.press(str(digit))
            await until(pilot, lambda room=room: app.current_mode == room, room)
            assert isinstance(app.screen, Room)
            for key in keys_of(room):
                name = key.action.partition("(")[0]
                assert hasattr(app.screen, f"action_{name}") or hasattr(app, f"action_{name}"), key
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen), "the help")
            shown = " ".join(text_of(app).replace("│", " ").split())
            for key in keys_of(room):
                assert key.help.split(".")[0][:28] in shown, (room, key)
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, Room), room)
    assert {key.action for key in KEYS}


@pytest.mark.parametrize("size", [(20, 5), (300, 80)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_the_smallest_and_the_largest_terminal(priced, size):
    app = DogclsApp(priced)
    async with app.run_test(size=size) as pilot:
        await shows(pilot, "1 home")
        for digit, room in enumerate(ROOMS, start=1):
            await pilot.press(str(digit))
            await shows(pilot, f" {digit} {room} ")
        await pilot.press("question_mark", "escape", "1")
        await shows(pilot, " 1 home ")


async def test_resized_at_any_time(priced):
    app = DogclsApp(priced)
    async with app.run_test(size=(80, 24)) as pilot:
        sizes = [(40, 10), (200, 60), (20, 5), (120, 40), (81, 25), (300, 80)]
        for digit, (room, size) in enumerate(zip(ROOMS, sizes, strict=True), start=1):
            await pilot.press(str(digit))
            await pilot.resize_terminal(*size)
            await shows(pilot, f" {digit} {room} "[: size[0]])


async def test_the_look_changes_at_once(done):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        for name in ("kennel-day", "kennel-safe", "kennel-16", "kennel"):
            await pilot.press("T")
            await until(pilot, lambda name=name: app.theme == name == theme.look().name, name)
            await shows(pilot, "386/416")


@pytest.mark.parametrize(("term", "look"), [("xterm-16color", "kennel-16"), ("xterm-256color", "kennel")])
def test_a_terminal_of_16_colours_gets_a_look_of_its_own(done, monkeypatch, term, look):
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("COLORTERM")
    assert DogclsApp(done).theme == look
    assert DogclsApp(done, manners=Manners(theme="kennel-day")).theme == "kennel-day"


def test_the_command_line_names_all_looks():
    from tui.cli import Theme

    assert [name.value for name in Theme] == list(theme.LOOKS)


async def test_ascii_alone(done):
    app = DogclsApp(done, manners=Manners(ascii=True))
    assert any(isinstance(f, Ascii) for f in app.get_line_filters())
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot, "386/416")
        for digit in "2456":
            await pilot.press(digit)
            await pilot.pause(0.4)
            assert app.export_screenshot()
            lines = list(app.screen._compositor.render_strips())
            drawn = [segment for strip in lines for segment in strip]
            for f in app.get_line_filters():
                if isinstance(f, Ascii):
                    drawn = f.apply(drawn, app.screen.background_colors[1])
            assert "".join(segment.text for segment in drawn).isascii()


HOSTILE = ["[bold red]not bold[/]", "\x1b[31mred\x07", "x" * 300, "🐕‍🦺🐶", "\u202eסוּס\u202c", "a\nb\tc"]


async def test_text_from_outside_is_shown_literally_in_every_room(busy):
    store = busy.store
    for text in HOSTILE:
        store.jobs.log(3, text)
    images = [(f"{n}-{label[:40]}.jpg", n % 6, s, 1, 9, 9, f"{s}{n}") for s in ("train", "val", "test") for n in range(12)
              for label in [HOSTILE[n % 6].replace("\n", "")]]  # fmt: skip
    images = [(f"{i[2]}-{i[0]}", *i[1:]) for i in images]
    store.datasets.add(
        "hostile", source="[b]/x\x1b[0m", root="/dogs", split="stratified", seed=42, digest="0" * 64,
        labels=HOSTILE, images=images,
    )  # fmt: skip
    who = [NewContestant("[red]zero-shot", "zero-shot", "m", True, "", "json"),
           NewContestant("cnn", "cnn", "quick", False, "", "class")]  # fmt: skip
    store.experiments.add(
        "[u]x", dataset="hostile", profile="demo", spec="", contestants=who, jobs=[NewJob("train", {}, 1)]
    )
    test = store.datasets.images("hostile", "test")
    for c in store.experiments.contestants("[u]x"):
        answers = [
            Prediction(i.id, "[i]" + "y" * 10_000 + "\x1b[2J", (i.label + n % 2) % 6, Outcome.ANSWERED, 5.0)
            for n, i in enumerate(test)
        ]
        store.predictions.add(c.id, answers)
        store.predictions.add_latency(c.id, test[0].id, 5.0)
    for view in store.jobs.views("[u]x"):
        store.jobs.change(view.id, "cancelled", expected=("waiting",), message="[b]no[/]", error="[b]no[/]\x1b[1m")
    app = DogclsApp(busy, experiment="[u]x")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "[u]x", "[red]zero-shot")
        for digit in "23456":
            await pilot.press(digit)
            await pilot.pause(0.3)
            for _ in range(5):
                assert "\x1b" not in text_of(app)
                assert "\u202e" not in text_of(app)
                if app.screen.query(TabbedContent):
                    await pilot.press("right_square_bracket")
                    await pilot.pause(0.2)
        await pilot.press("4")
        await shows(pilot, "Log of fine-tune 3", "[bold red]not bold[/]")


async def test_two_thousand_classes(busy):
    labels = [f"class {n:04}" for n in range(2_000)]
    images = [(f"{s}-{n}.jpg", n, s, 1, 9, 9, f"{s}{n}") for s in ("train", "val", "test") for n in range(2_000)]
    store = busy.store
    store.datasets.add(
        "many", source="/many", root="/many", split="stratified", seed=1, digest="0" * 64, labels=labels, images=images
    )
    who = [NewContestant("cnn", "cnn", "quick", False, "", "class")]
    store.experiments.add("many", dataset="many", profile="demo", spec="", contestants=who, jobs=[])
    test = store.datasets.images("many", "test")
    cnn = store.experiments.contestants("many")[0].id
    store.predictions.add(
        cnn, [Prediction(i.id, "x", (i.label + n % 2) % 2_000, Outcome.ANSWERED) for n, i in enumerate(test)]
    )
    app = DogclsApp(busy, experiment="many", room="results")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "1000/2000", "class 0001")
        await pilot.press("right_square_bracket")
        await shows(pilot, "classes a cell", "taken for", "class 0002")
        await pilot.press("2")
        await shows(pilot, "2,000 classes, 6,000 images")


async def test_a_page_may_be_named_by_a_file(done):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        app.push_screen(TextScreen("[/red] of [b]dogs[/]", "[i]text[/i]"))
        await shows(pilot, "[/red] of [b]dogs[/]", "[i]text[/i]")
