"""Launch, data, train and results, driven by keys; and what all rooms have in common."""

import asyncio
import csv
import json

import pytest
from textual.widgets import Input, TabbedContent, TabPane, TextArea

from engine import Engine, Outcome
from engine.azure.connection import Endpoint
from engine.jobs import service
from engine.store.experiments import NewContestant, NewJob
from engine.store.predictions import Prediction
from tests.pictures import class_folders
from tests.tui.looking import footer, settled, shows, text_of, until
from tui.app import DogclsApp, Manners
from tui.filters import Ascii
from tui.keys import KEYS, ROOMS, keys_of
from tui.screens.base import Room
from tui.screens.papers import HelpScreen
from tui.styles import theme

PLACE = Endpoint("http://127.0.0.1:8000", deployment="gpt-4o", batch_deployment="gpt-4o-batch", emulated=True)


@pytest.fixture
def priced(done, monkeypatch):
    monkeypatch.setattr(service, "endpoint", lambda home, profile: PLACE)
    return done


@pytest.fixture
def birds(engine, tmp_path, monkeypatch):
    """A home without anything, and a folder of pictures beside it."""
    monkeypatch.setattr(service, "endpoint", lambda home, profile: PLACE)
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "birds", ["finch", "wren"], 12)
    return engine


# -- launch


async def test_the_price_moves_with_each_change(priced):
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "about $7.07", "dogcls-tui run --dataset demo")
        await pilot.press("c")
        await shows(pilot, "left out", "--contestants zero-shot,fine-tuned")
        await pilot.press("t")
        await shows(pilot, "about $0.11")
        await pilot.press("t", "c")
        await shows(pilot, "about $7.07")
        await pilot.press("j", "j", "enter", "backspace", "4", "enter")
        await shows(pilot, "about $12.98", "--epochs 4")
        await pilot.press("v")
        await shows(pilot, "POST", "/batches?api-version=", '"n_epochs": 4')


async def test_a_wrong_value_is_told_while_it_is_typed_and_never_taken(priced):
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "about $7.07")
        await pilot.press("j", "j", "enter", "9", "9")
        await shows(pilot, "less than or equal to 50")
        await pilot.press("enter")
        assert app.screen.query_one("#editor", Input).has_class("shown")
        await pilot.press("escape")
        await shows(pilot, "about $7.07")
        await pilot.press("z", "t", "c")
        await shows(pilot, "Nobody takes part")


async def test_starting_names_the_sum_first(priced, spawned, monkeypatch):
    async def checked(self, plan):
        return None

    monkeypatch.setattr(Engine, "check", checked)
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "about $7.07")
        await pilot.press("s")
        await shows(pilot, "Start on demo for about $7.07?", "nobody charges it")
        await pilot.press("n")
        await pilot.pause()
        assert spawned == []
        await pilot.press("s")
        await shows(pilot, "Start on demo")
        await pilot.press("y")
        await until(pilot, lambda: app.current_mode == "monitor", "the monitor")
        assert len(spawned) == 4
        assert priced.store.experiments.views()[0].name == "demo-2"


async def test_what_stands_in_the_way_of_a_start_is_said_and_stays(priced, spawned, monkeypatch):
    from engine import DogclsError

    go_on = asyncio.Event()

    async def refused(self, plan):
        await go_on.wait()
        raise DogclsError("example.invalid: no answer.", "Check the network.")

    monkeypatch.setattr(Engine, "check", refused)
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "about $7.07")
        await pilot.press("s")
        await shows(pilot, "Start on demo")
        await pilot.press("y")
        await shows(pilot, "checking sign-in")
        await pilot.press("s")  # once is enough
        await pilot.pause()
        assert app.screen.ROOM == "launch"
        go_on.set()
        await shows(pilot, "Not started. example.invalid: no answer. Check the network.")
        await pilot.press("j")
        await until(pilot, lambda: "Not started" not in text_of(app), "the parameter's meaning again")
        assert spawned == []


# -- data


async def test_a_dataset_is_added_by_its_path(birds):
    app = DogclsApp(birds, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "No dataset yet")
        await pilot.press("a")
        await shows(pilot, "Add a dataset")
        await pilot.press(*"bir")
        await pilot.press("right")
        await until(pilot, lambda: app.screen.query_one("#path", Input).value == "birds/", "the completion")
        assert app.screen.query_one("#name", Input).value == "birds"
        await pilot.press("enter")
        await shows(pilot, "finch", "wren", "2 classes, 24 images")
        assert birds.store.datasets.exists("birds")


async def test_what_cannot_be_added_is_said_with_its_cure(birds, tmp_path):
    (tmp_path / "birds" / "wren" / "broken.jpg").write_bytes(b"no picture")
    app = DogclsApp(birds, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "No dataset yet")
        await pilot.press("a")
        await shows(pilot, "Add a dataset")
        await pilot.press(*"birds", "enter")
        await shows(pilot, "broken.jpg: this is no image", "Remove it")


def test_what_a_terminal_types_when_a_folder_is_dropped_on_it():
    from tui.screens.add import dropped

    assert dropped(" '/tmp/my dogs' ") == "/tmp/my dogs"
    assert dropped(r"/tmp/my\ dogs") == "/tmp/my dogs"
    assert dropped("file:///tmp/my%20dogs") == "/tmp/my dogs"
    assert dropped("/tmp/it's") == "/tmp/it's"


async def test_pictures_findings_prompt_and_files(birds, tmp_path):
    copy = (tmp_path / "birds" / "finch").iterdir()
    (tmp_path / "birds" / "wren" / "copy.jpg").write_bytes(next(copy).read_bytes())
    await birds.add_dataset("birds", "birds")
    app = DogclsApp(birds, room="data")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "2 classes, 25 images")
        await pilot.press("right_square_bracket")
        await shows(pilot, "▀▀▀▀", "train")
        await pilot.press("right_square_bracket")
        await shows(pilot, "one picture under different labels", "Remove the wrong ones")
        await pilot.press("enter")
        await shows(pilot, "copy.jpg")
        await pilot.press("escape", "e")
        await shows(pilot, "tokens", "1,000 requests", '"model": "gpt-4o-2024-08-06"', "finch, wren")
        area = app.screen.query_one("#prompt", TextArea)
        area.text = "Which bird?"
        await shows(pilot, "The prompt never says {labels}")
        area.text = "Which bird of [{labels}]?"
        await shows(pilot, "Which bird of [finch, wren]?")
        await pilot.press("escape")
        await shows(pilot, "launch asks with it")
        await pilot.press("w")
        await shows(pilot, "Write the JSONL files into")
        await pilot.press("enter")
        await until(pilot, lambda: len(list((tmp_path / "birds-jsonl").glob("*"))) == 3, "three files")
        await shows(pilot, "lines")
        first = (tmp_path / "birds-jsonl" / "birds-train.jsonl").read_text().splitlines()[0]
        assert json.loads(first)["messages"][0]["content"] == "Which bird of [finch, wren]?"
        await pilot.press("3")
        await shows(pilot, "prompts/birds.txt")


# -- results


async def test_behind_the_comparison(done):
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot, "Comparison of demo", "Old English sheepdog", "+41.8")
        await pilot.press("b")
        await shows(pilot, "-41.8")
        await pilot.press("b")
        await shows(pilot, "-48.3", "-6.5")
        await pilot.press("o")
        await shows(pilot, "by accuracy")
        lines = [line for line in text_of(app).splitlines() if "/416" in line]
        assert [line.split()[1] for line in lines] == ["cnn", "fine-tuned", "zero-shot"]
        await pilot.press("right_square_bracket")
        await shows(pilot, "taken for")
        await pilot.press("c", "right_square_bracket")
        await shows(pilot, "p50", "p99", "logarithmic")
        await pilot.press("right_square_bracket")
        await shows(pilot, "1,000,000 images", "is never cheaper than cnn")
        await pilot.press("right_square_bracket")
        await shows(pilot, "truth", "✗")


async def test_the_picture_of_a_disagreement_that_is_gone_is_said_so(done):
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot, "Comparison of demo")
        await pilot.press("left_square_bracket")
        await shows(pilot, "No such file")


async def test_export_writes_three_files(done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(pilot, "Comparison of demo")
        await pilot.press("s")
        await shows(pilot, "Write .md, .csv and .json")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "demo-results.json").exists(), "the files")
    value = json.loads((tmp_path / "demo-results.json").read_text())
    rows = list(csv.DictReader((tmp_path / "demo-results.csv").read_text().splitlines()))
    assert [c["correct"] for c in value["contestants"]] == [int(row["correct"]) for row in rows] == [185, 359, 386]
    assert "386/416" in (tmp_path / "demo-results.md").read_text()


async def test_the_call_to_the_tuned_deployment_holds_no_key(priced):
    app = DogclsApp(priced, room="results")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settled(pilot, "Comparison of demo")
        await pilot.press("y")
        await shows(pilot, "Call the tuned deployment", "$AZURE_OPENAI_API_KEY", "curl")
        await pilot.press("y")
        await shows(pilot, "Sent to your terminal")
    text = (priced.home.root / "clipboard.txt").read_text()
    compile(text.split("# Python")[1].split("\n", 1)[1], "call.py", "exec")
    assert "chat.completions.create" in text


# -- train


async def test_curves_of_both_kinds_lie_over_each_other(done):
    app = DogclsApp(done, room="train")
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot, "── train 6", "val loss")
        await pilot.press("j")
        await shows(pilot, "── fine-tune 3", "$5.71")
        await pilot.press("space", "k")
        await shows(pilot, "── train 6  ── fine-tune 3", "◆ validation")
        await pilot.press("m")
        await shows(pilot, "accuracy by step")
        await pilot.press("a", "s")
        await shows(pilot, "accuracy by epoch")
        await pilot.press("right_square_bracket")
        await shows(pilot, "epoch", "rate", "val acc")
        await pilot.press("right_square_bracket")
        await shows(pilot, "taken for", "%")


async def test_values_that_are_there_before_the_plot_wait_for_it(done, monkeypatch):
    mount, go_on = TabPane.mount, asyncio.Event()

    async def later(self, plot):
        await go_on.wait()
        await mount(self, plot)

    def slow(self, *widgets, **options):
        return later(self, *widgets) if widgets and widgets[0].id == "plot" else mount(self, *widgets, **options)

    monkeypatch.setattr(TabPane, "mount", slow)
    app = DogclsApp(done, room="train")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "val loss")
        assert not app.screen.query("#plot")
        go_on.set()
        await shows(pilot, "── train 6")


# -- everywhere


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
