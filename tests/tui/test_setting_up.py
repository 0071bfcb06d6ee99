"""Data and launch, driven by keys."""

import asyncio
import json

import pytest
from textual.widgets import Input, TextArea

from engine import Engine
from engine.jobs import outlook, service
from tests.pictures import class_folders
from tests.tui.conftest import PLACE
from tests.tui.looking import shows, text_of, until
from tui.app import DogclsApp
from tui.widgets.data.files import FilesTab


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


async def test_quota_and_files_come_when_they_are_known(priced, monkeypatch):
    go_on = asyncio.Event()
    look_up = outlook.look_up

    async def late(place, names):
        await go_on.wait()
        return await look_up(place, names)

    monkeypatch.setattr(outlook, "look_up", late)
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "about $7.07", "quota …")  # the price does not wait for them
        await pilot.press("j", "j", "enter", "backspace", "4", "enter")
        await shows(pilot, "about $12.98")
        go_on.set()
        await shows(pilot, "1 file, ", "67,392 of 5,000,000 enqueued tokens")
        await shows(
            pilot, "gpt-4o: 450,000 tokens and 2,700 requests a minute", "a deployment to be made: 100,000 tokens"
        )
        await pilot.press("z", "t")
        await until(pilot, lambda: "enqueued" not in text_of(app) and "quota" not in text_of(app), "no quota")


async def test_a_quota_that_cannot_be_known_is_said_in_words(priced, monkeypatch):
    async def refused(place, names):
        return dict.fromkeys(names, "you may not read [b]deployments")

    monkeypatch.setattr(outlook, "look_up", refused)
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "1 file, ", "gpt-4o: quota not known: you may not read [b]deployments")
        await pilot.press("v")
        await shows(pilot, "67,392 tokens to enqueue;", "gpt-4o-batch: quota not known: you may not read")


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
        await shows(pilot, "copy.jpg", "1 to 2 of 2")
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
        await shows(pilot, "Measured on 2 images")
        for split in ("test", "train", "val"):
            if split == "train":
                await pilot.press("g", "enter")
            elif split == "val":
                await pilot.press("j", "enter")
            await until(pilot, lambda split=split: app.screen.query_one(FilesTab).ready(split), f"{split} measured")
            await pilot.press("w")
            await shows(pilot, "Write the JSONL files into")
            await pilot.press("enter")
            await until(pilot, lambda split=split: list((tmp_path / "birds-jsonl").glob(f"*-{split}-*.jsonl")), split)
        await shows(pilot, "lines")
        first = (tmp_path / "birds-jsonl" / "birds-fine-tune-train-00001.jsonl").read_text().splitlines()[0]
        assert json.loads(first)["messages"][0]["content"] == "Which bird of [finch, wren]?"
        await pilot.press("3")
        await shows(pilot, "prompts/birds.toml")
