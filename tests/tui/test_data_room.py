"""The data room, driven by keys: findings, prompt, files, and adding a set."""

import json
import subprocess
import sys
import time

import pytest
from PIL import Image
from rich.cells import cell_len
from textual.widgets import Input, TabbedContent, TextArea

from engine import Engine, InputError, Prompt
from engine.exports import Exports
from engine.jobs import importing
from tests.pictures import class_folders, kennel
from tests.tui.looking import SIZES, footer, settled, shows, text_of, until
from tui.app import DogclsApp
from tui.screens.add import AddScreen, Tick, complete, kind_of
from tui.widgets.data.files import FilesTab
from tui.widgets.data.findings import FindingsTab
from tui.widgets.data.prompt import PromptTab, shortened
from tui.widgets.pages import PagedTable

TABS = ("classes-tab", "pictures-tab", "findings-tab", "prompt-tab", "files-tab")


@pytest.fixture
def dogs(engine, tmp_path, monkeypatch):
    """A folder of drawn dogs, two of which look alike; it is not added yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    folder = kennel(tmp_path / "dogs", 10, ("pug", "dalmatian"))
    with Image.open(folder / "pug" / "003.jpg") as image:
        image.resize((300, 300)).save(folder / "dalmatian" / "again.jpg", quality=70)
    (folder / "pug" / "copy.jpg").write_bytes((folder / "pug" / "005.jpg").read_bytes())
    yield engine
    monkeypatch.undo()
    time.tzset()


async def add(engine):
    await engine.add_dataset("dogs", "dogs")
    with engine.store.db.transaction() as db:
        db.execute("UPDATE checks SET seconds = 0.5")


def never_checked(engine, name="wolves", labels=("grey", "white")):
    images = [
        (f"{s}-{n}.jpg", n % len(labels), s, 9, 64, 64, f"{name}{s}{n}")
        for s in ("train", "val", "test")
        for n in range(len(labels))
    ]
    engine.store.datasets.add(
        name, source="/x", root="/x", split="stratified", seed=1, digest="0" * 64, labels=list(labels), images=images
    )


async def go_to(pilot, tab):
    await until(pilot, lambda: pilot.app.screen.query("#tabs"), "the data room")
    await shows(pilot, "images:")
    for _ in range(TABS.index(tab)):
        await pilot.press("right_square_bracket")
    await until(pilot, lambda: pilot.app.screen.query_one(TabbedContent).active == tab, tab)


# -- findings


async def test_findings_by_kind_with_their_pictures(dogs):
    await add(dogs)
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(120, 40)) as pilot:
        await go_to(pilot, "findings-tab")
        await shows(pilot, "2 findings in 22 images", "44 a second", "leakage 1 (2 files)", "near-conflict 1 (2 files)")
        await shows(pilot, "again.jpg, 003.jpg", "copy.jpg", "▀▀▀▀")
        assert "f kind" in footer(app)
        await pilot.press("f")
        await shows(pilot, "f: one kind")
        table = app.screen.query_one("#findings", PagedTable)
        await until(pilot, lambda: table.row_count == 1, "one kind alone")
        await pilot.press("f")
        await shows(pilot, "f: all")
        await pilot.press("f", "enter")
        await shows(pilot, "1 to 2 of 2", "esc closes")
        await pilot.press("escape")
        await until(pilot, lambda: table.row_count == 2, "all kinds again")


async def test_tens_of_thousands_of_findings_are_read_by_the_page(dogs, monkeypatch):
    await add(dogs)
    with dogs.store.db.transaction() as db:
        row = (1, "duplicate", "warning", "Remove the copies.", 0)
        db.executemany(
            "INSERT INTO findings (dataset_id, kind, level, cure, files, what) VALUES (?, ?, ?, ?, ?, ?)",
            ((*row, f"finding number {n} of many") for n in range(20_000)),
        )
    asked, real = [], dogs.curate.findings

    async def counted(dataset, offset, limit, kind=None):
        asked.append(limit)
        return await real(dataset, offset, limit, kind)

    monkeypatch.setattr(dogs.curate, "findings", counted)
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, "findings-tab")
        await shows(pilot, "20,002 findings")
        await pilot.press("G")
        await shows(pilot, "finding number 19999 of many")
        await pilot.press("g")
        await shows(pilot, "pictures that look alike")
        tab = app.screen.query_one(FindingsTab)
        assert sum(asked) <= 3 * 200
        for place in range(0, 20_000, 1_000):
            tab.query_one(PagedTable).seek(place)
            await until(pilot, lambda: tab.finding is not None, "a finding")
        assert len(tab._pages) <= 11


async def test_a_set_that_was_never_checked_is_checked_with_progress_and_can_be_stopped(dogs, monkeypatch):
    await add(dogs)
    with dogs.store.db.transaction() as db:
        db.execute("DELETE FROM checks")
    real = importing.check_dataset

    def slow(store, name, tell):
        for n in range(10_000):
            tell("checking images", n, 10_000)
            time.sleep(0.005)

    monkeypatch.setattr(importing, "check_dataset", slow)
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, "findings-tab")
        await shows(pilot, "Never checked. c looks at every picture")
        await pilot.press("c")
        await shows(pilot, "checking images", "of 10,000 of dogs", "esc stops")
        assert "c check" not in footer(app)
        await pilot.press("escape")
        await shows(pilot, "Never checked")
        monkeypatch.setattr(importing, "check_dataset", real)
        await pilot.press("c")
        await shows(pilot, "2 findings in 22 images", "a second")


async def test_readonly_offers_no_check(dogs, home):
    never_checked(dogs)
    watching = Engine(home.root, readonly=True)
    app = DogclsApp(watching, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, "findings-tab")
        await shows(pilot, "Never checked")
        assert "check" not in footer(app) and "add" not in footer(app)
        await pilot.press("c")
        await pilot.pause()
        assert not app.screen.query_one(FindingsTab).busy
    watching.close()


def test_processes_can_be_started_behind_a_screen():
    """A screen's stderr has the number -1, at which `multiprocessing` stumbles."""
    code = (
        "import asyncio, multiprocessing, sys\n"
        "from engine.curating import stoppable\n"
        "sys.stderr = type('Screen', (), {'fileno': lambda self: -1, 'write': lambda *a: 0, 'flush': lambda *a: 0})()\n"
        "made = asyncio.run(stoppable(lambda tell: multiprocessing.get_context('spawn').Lock(), None))\n"
        "print('made', made is not None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "made True"


# -- classes


async def test_two_thousand_classes_with_names_of_all_kinds(engine):
    odd = ["[b]bold[/b]", "\x1b[31mred\x07", "x" * 300, "\u202eסוּס\u202c", "a\nb\tc", "猫" * 60]
    never_checked(engine, "many", [*odd, *(f"class {n:04}" for n in range(1_994))])
    app = DogclsApp(engine, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "2,000 classes, 6,000 images", "[b]bold[/b]", "class 0005")
        assert "\x1b" not in text_of(app) and "\u202e" not in text_of(app)
        assert all(cell_len(line) <= 80 for line in text_of(app).splitlines())
        await pilot.press("right_square_bracket", "left_square_bracket", "G")
        await until(pilot, lambda: app.screen.query_one("#classes", PagedTable).place == 1_999, "the last class")
        await pilot.press("e")
        await shows(pilot, "1,000 requests:", "tokens, about")


# -- prompt


async def test_the_whole_template_is_kept_and_opened_again(dogs, home):
    await add(dogs)
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(120, 40)) as pilot:
        await go_to(pilot, "classes-tab")
        await pilot.press("e")
        await shows(pilot, "1,000 requests: $", "the 2 of test:", "zero-shot: JSON; tuned: the bare label")
        assert "enter" not in footer(app)
        app.screen.query_one("#prompt", TextArea).text = "You know dogs."
        await shows(pilot, "The prompt never says {labels}")
        await pilot.press("tab")
        app.screen.query_one("#user", TextArea).text = "One of:\n{labels}"
        await pilot.press("escape")
        await shows(pilot, "kept: launch asks with it", "One of:\\ndalmatian, pug")
        await pilot.press("enter", "enter")
        await shows(pilot, '[\\"dalmatian\\", \\"pug\\"]')
        await pilot.press("j", "enter", "enter")
        await shows(pilot, "zero-shot and tuned: the bare label", "nobody answers in JSON")
        await until(pilot, lambda: "json_schema" not in text_of(app), "a plain answer")
        await pilot.press("enter", "enter", "j", "enter")
        await shows(pilot, "The key of the JSON answer")
        app.screen.query_one(Input).value = "breed"
        await pilot.press("enter")
        path = home.prompts / "dogs.toml"
        await until(pilot, lambda: path.exists() and "breed" in path.read_text(), "the file")
        assert app.prompts == {"dogs": str(path)}
    kept = Prompt.from_file(path, "text")
    assert (kept.system, kept.user, kept.labels_as) == ("You know dogs.", "One of:\n{labels}", "json")
    assert (kept.answer, kept.key) == ("json", "breed")
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(120, 40)) as pilot:
        await go_to(pilot, "prompt-tab")
        await shows(pilot, "You know dogs.", "zero-shot and tuned: JSON", "breed", "kept: launch asks with it")
        await pilot.press("1", "3")
        await shows(pilot, "prompts/dogs.toml")


async def test_files_ask_with_the_prompt_of_their_own_set(dogs):
    await add(dogs)
    never_checked(dogs)
    await dogs.curate.keep_prompt("dogs", Prompt("Dogs of {labels}", "json", "low"))
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(120, 40)) as pilot:
        await go_to(pilot, "classes-tab")
        tab = app.screen.query_one(PromptTab)
        sets = {d.name: d for d in await dogs.datasets()}
        assert (await tab.for_kind(sets["dogs"], "batch")).system == "Dogs of {labels}"
        tuned = await tab.for_kind(sets["wolves"], "fine-tune")
        assert tuned.system == Prompt.default().system and tuned.answer == "text"
        (dogs.home.prompts / "dogs.toml").write_text("system = 3")
        with pytest.raises(InputError, match=r"dogs\.toml"):
            await tab.for_kind(sets["dogs"], "batch")


def test_what_follows_two_thousand_labels_is_seen():
    body = Prompt("[{labels}]", "json", "low").request("m", [f"class {n}" for n in range(2_000)], "data:…")
    shown = shortened(json.dumps(body))
    assert len(shown) < 3_000 and "characters more" in shown and "class 1999]" in shown and "json_schema" in shown


# -- files


async def test_forms_are_measured_chosen_and_written(dogs, tmp_path):
    await add(dogs)
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(120, 40)) as pilot:
        await go_to(pilot, "classes-tab")
        await pilot.press("w")
        await shows(pilot, "Measured on 2 images", "as-is", "webp q 80", "upload", "tokens")
        await pilot.press("enter")
        await shows(pilot, "training examples", "18 examples", "Measured on 18 images")
        await pilot.press("j", "j", "j", "enter")  # the longer side
        await shows(pilot, "jpeg q 85 ≤ 512", "Measured on 18")
        await pilot.press("j", "enter")
        await shows(pilot, "Quality, 1 to 100")
        await pilot.press("ctrl+u", *"300", "enter")
        await shows(pilot, "300 is no quality: type a number from 1 to 100")
        await pilot.press("enter")
        await shows(pilot, "Quality, 1 to 100")
        await pilot.press("ctrl+u", *"40", "enter")
        await shows(pilot, "jpeg q 40 ≤ 512", "Measured on 18")
        table = app.screen.query_one("#forms")
        await until(pilot, lambda: table.cursor_row > 0, "the form that was asked for")
        await pilot.press("w")
        await shows(pilot, "Write the JSONL files into")
        await pilot.press("enter")
        await shows(pilot, "✓ dogs-fine-tune-train-00001.jsonl  18 lines")
    line = json.loads((tmp_path / "dogs-jsonl" / "dogs-fine-tune-train-00001.jsonl").read_text().splitlines()[0])
    assert line["messages"][-1]["content"] in ("pug", "dalmatian")
    assert "image/jpeg" in str(line["messages"][1])


async def test_an_image_that_cannot_be_sent_is_named_and_may_be_left_out(dogs, tmp_path):
    await add(dogs)
    test = dogs.store.datasets.images("dogs", "test")
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, "files-tab")
        await shows(pilot, "Measured on 2 images")
        test[0].path.unlink()
        await pilot.press("w", "enter")
        await shows(pilot, "✗", test[0].path.name, "choose bad: leave out")
        await pilot.press("G", "enter")
        await shows(pilot, "what cannot be sent, and name it")
        await pilot.press("w", "enter")
        await shows(pilot, "✓ dogs-batch-test-00001.jsonl  1 line", "1 left out:")


async def test_writing_is_stopped_and_gone_on_with(dogs, monkeypatch):
    await add(dogs)

    def slow(self, order, to, *, skip_bad, progress):
        for n in range(10_000):
            progress("batch test", n, 10_000)
            time.sleep(0.005)

    monkeypatch.setattr(Exports, "write", slow)
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, "files-tab")
        await shows(pilot, "Measured on 2 images")
        await pilot.press("w", "enter")
        await shows(pilot, "batch test", "of 10,000", "esc stops")
        await pilot.press("escape")
        await shows(pilot, "Stopped; w goes on where it was")
        assert not app.screen.query_one(FilesTab).busy


# -- adding


async def test_a_table_is_added_with_its_own_columns(dogs, tmp_path):
    class_folders(tmp_path / "birds", ["finch", "wren"], 12)
    rows = [f"{c}/{n:03}.jpg,{c}" for c in ("finch", "wren") for n in range(12)]
    (tmp_path / "birds.csv").write_text("\n".join(["where,what", *rows]))
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "No dataset yet")
        await pilot.press("a")
        await shows(pilot, "Or one of: demo, digits, stanford-dogs")
        await pilot.press(*"birds.csv")
        await shows(pilot, "column of paths", "column of labels")
        screen = app.screen
        assert screen.query_one("#name", Input).value == "birds"
        screen.query_one("#root", Input).value = "birds"
        await pilot.press("enter")
        await shows(pilot, "birds.csv:")
        screen.query_one("#path_column", Input).value = "where"
        screen.query_one("#label_column", Input).value = "what"
        await pilot.press("enter")
        await shows(pilot, "2 classes, 24 images")


async def test_classes_and_levels_that_are_not_clear_are_answered_where_they_are_questioned(dogs, tmp_path):
    class_folders(tmp_path / "pets", ["cat/young", "cat/old", "dog/young", "dog/old"], 2)
    class_folders(tmp_path / "pets", ["dog/young/train2"], 2, start=900)
    (tmp_path / "pets/cat").rename(tmp_path / "pets/New folder")
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "No dataset yet")
        await pilot.press("a")
        await shows(pilot, "Add a dataset")
        await pilot.press("ctrl+t", "ctrl+t", "ctrl+t")
        await shows(pilot, "test-only", "no training images: zero-shot only")
        assert not app.screen.query_one("#accept_classes").display
        await pilot.press(*"pets", "enter")
        await shows(pilot, "pictures lie in dog/young/train2", "level of classes")
        await pilot.press("1", "enter")
        await shows(pilot, "container);", "[ ] these are classes")
        assert isinstance(app.focused, Tick)
        await pilot.press("space", "enter")
        await shows(pilot, "2 classes, 10 images: █ train 0 █ val 0 █ test 10", "test-only split")
    assert (await dogs.dataset("pets")).labels == ("New folder", "dog")


async def test_a_licence_is_shown_and_accepted_before_anything_is_fetched(dogs, monkeypatch):
    told, real = [], dogs.add_dataset

    async def adding(source, name, progress, **options):
        if options.get("accept_licence"):
            told.append((source, name, options))
            raise InputError("vision.example: no answer.", "Check the network.")
        return await real(source, name, progress, **options)

    monkeypatch.setattr(dogs, "add_dataset", adding)
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "No dataset yet")
        await pilot.press("a")
        await shows(pilot, "Add a dataset")
        await pilot.press(*"stanford-dogs", "enter")
        await shows(pilot, "non-commercial research", "[ ] I have read the licence")
        assert isinstance(app.focused, Tick) and not told
        await pilot.press("space", "up", "space", "enter")
        await shows(pilot, "no answer. Check the network.")
    assert told == [("stanford-dogs", "stanford-dogs", {"accept_licence": True, "crop_boxes": True})]


async def test_adding_tells_its_passes_and_can_be_stopped(dogs, monkeypatch):
    def slow(store, home, source, name, tell, options):
        tell("listing images", 20_000, 20_000)
        for n in range(10_000):
            tell("checking images", n, 10_000)
            time.sleep(0.005)

    monkeypatch.setattr(importing, "add_dataset", slow)
    app = DogclsApp(dogs, room="data")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "No dataset yet")
        await pilot.press("a")
        await shows(pilot, "Add a dataset")
        await pilot.press("enter")
        await shows(pilot, "There is no path")
        await pilot.press(*"dogs", "enter")
        await shows(pilot, "✓ listing images", "checking images", "esc stops it")
        await pilot.press("escape")
        await shows(pilot, "Stopped; nothing was added")
        assert isinstance(app.screen, AddScreen)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, AddScreen), "the room")


def test_what_is_typed_is_completed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digital").mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "set.JSONL").touch()
    assert complete("dig") == "digital/"
    assert complete("digits") == "digits"
    assert complete("stan") == "stanford-dogs"
    assert complete("se") == "set.JSONL"
    assert complete("no") is None
    assert [kind_of(s) for s in ("demo", "a.csv", "b.JSONL", "c.tar")] == ["demo", "table", "lines", "path"]


# -- pictures of it


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("tab", "words"),
    [
        ("findings-tab", ("2 findings", "▀▀▀▀")),
        ("prompt-tab", ("1,000 requests", "gpt-4o")),
        ("files-tab", ("Measured on 2 images",)),
    ],
)
def test_tabs_are_beautiful(dogs, snap_compare, tab, words, size):
    async def go(pilot):
        await add(dogs)
        await pilot.press("1", "2")
        await go_to(pilot, tab)
        await settled(pilot, *(words if size[0] > 80 else words[:1]))

    assert snap_compare(DogclsApp(dogs, room="data"), terminal_size=size, run_before=go)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("source", ["birds.csv", "stanford-dogs"])
def test_adding_is_beautiful(dogs, snap_compare, source, size):
    async def go(pilot):
        await shows(pilot, "No dataset yet")
        await pilot.press("a")
        await shows(pilot, "Add a dataset")
        await pilot.press(*source, *(["enter"] if source == "stanford-dogs" else []))
        pilot.app.screen.query_one("#skip_bad").focus()  # where no cursor blinks
        await settled(pilot, "read the licence" if source == "stanford-dogs" else "column of splits")

    assert snap_compare(DogclsApp(dogs, room="data"), terminal_size=size, run_before=go)
