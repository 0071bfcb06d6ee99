"""Results and train, driven by keys."""

import asyncio
import csv
import json
import math
import os

import pytest
from rich.text import Text
from textual.app import App
from textual.widgets import TabbedContent

from engine import JobState, Outcome, Stretch, Terms
from engine.jobs.process import start_time
from engine.store.experiments import NewJob
from engine.store.predictions import Prediction
from tests.tui.conftest import CONTESTANTS, run_to
from tests.tui.looking import SIZES, SMALL, footer, settled, shows, text_of, until
from tui.app import DogclsApp, Manners
from tui.screens.results import with_horizon, with_volume
from tui.widgets.bar import whiskers
from tui.widgets.pages import PAGE, PagedTable
from tui.widgets.plot import Curves
from tui.widgets.tabs.stretches import stretches

# -- results

TABS = ("classes", "confusion", "disagreements", "suspects", "latency", "cost", "differences", "about")
FIRST_WORDS = {
    "classes": ("balanced", "recall", "prec."),
    "confusion": ("images wrong", "taken for"),
    "disagreements": ("only fine-tuned", "No such file"),
    "suspects": ("suspect label", "they say"),
    "latency": ("p99", "alone", "milliseconds"),
    "cost": ("images a month", "per 1,000"),
    "differences": ("Holm p", "needed", "corrected for 3 pairs"),
    "about": ("may be concluded",),
}


async def go_to(pilot, tab):
    """Go to a tab by keys, and wait until it is drawn."""
    await settled(pilot, "Comparison of demo", "recall")
    for _ in range(TABS.index(tab)):
        await pilot.press("right_square_bracket")
    await settled(pilot, *FIRST_WORDS[tab])


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
        assert [line.split()[1] for line in lines] == ["cnn", "fine-tuned", "zero-shot", "majority"]
        for tab in TABS[1:]:
            await pilot.press("right_square_bracket")
            await shows(pilot, *FIRST_WORDS[tab])


async def test_the_verdict_stands_on_top_and_leaves_the_table_its_place(done):
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "is the best", "386/416", "recall")
        lines = text_of(app).splitlines()
        best = next(n for n, line in enumerate(lines) if "cnn is the best: 386 of 416" in line)
        table = next(n for n, line in enumerate(lines) if "Comparison of demo" in line)
        assert best == 1 and table <= 4 and all(len(line.rstrip()) <= 80 for line in lines)
        await pilot.press("z")
        await until(pilot, lambda: "Comparison of demo" not in text_of(app), "the tab alone")
        await pilot.press("escape")
        await shows(pilot, "Comparison of demo", "is the best")


async def test_classes_are_sorted_by_keys_and_those_of_another_contestant_shown(done):
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(120, 40)) as pilot:
        await go_to(pilot, "classes")
        await shows(pilot, "cnn by recall, worst first")
        await pilot.press("c")
        await shows(pilot, "zero-shot by recall")
        await pilot.press("right_square_bracket", "left_square_bracket")  # to the table
        for order in ("F1, worst first", "precision, worst first", "support, most first", "name"):
            await pilot.press("o")
            await shows(pilot, f"by {order}")
        names = [line.split("  ")[0].strip() for line in text_of(app).splitlines()[11:]]
        assert names.index("beagle") < names.index("Bernese mountain dog") < names.index("Boston bull")


async def test_pairs_and_what_tells_them_apart(done):
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(120, 40)) as pilot:
        await go_to(pilot, "disagreements")
        await shows(pilot, "fine-tuned · cnn", "No such file")  # the best, and whoever comes nearest
        await pilot.press("f")
        await shows(pilot, "one is right")
        await pilot.press("f")
        await shows(pilot, "both are wrong")
        await pilot.press("p")
        await shows(pilot, "zero-shot · fine-tuned")
        await pilot.press("P")
        await shows(pilot, "fine-tuned · cnn")
        for _ in range(4):
            await pilot.press("right_square_bracket")
        await shows(pilot, "Holm p", "fine-tuned (emulated) by 6.5 points")
        await pilot.press("g", "enter")
        await shows(pilot, "zero-shot · fine-tuned", "both are wrong")


async def test_money_for_other_volumes_and_horizons(done):
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await go_to(pilot, "cost")
        await shows(pilot, "10,000 images a month", "12 months")
        await pilot.press("plus")
        await shows(pilot, "20,000 images a month")
        await pilot.press("minus", "minus", "greater_than_sign")
        await shows(pilot, "5,000 images a month", "24 months")
        await pilot.press("less_than_sign", "v")
        await shows(pilot, "Terms of all costs")
        await pilot.press("ctrl+u", *"many", "enter")
        await shows(pilot, "many is no number")
        await pilot.press("ctrl+u", *"2k", "down", "down", *"99")
        await shows(pilot, "0 to 24")
        await pilot.press("ctrl+u", *"8", "up", "up")
        for _ in range(7):
            await pilot.press("down")
        await pilot.press("ctrl+u", *"0.5", "enter")
        told = ("hosted 8 hours a day", "a correct answer worth $0.5", "leaves most")
        await shows(pilot, "2,000 images a month", *told)


async def test_keys_do_nothing_where_there_is_nothing_to_do(done):
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, "classes")
        await shows(pilot, "c contestant")
        assert "p pair" not in footer(app) and "v terms" not in footer(app)
        await pilot.press("left_square_bracket", "left_square_bracket")
        await until(pilot, lambda: "p pair" in footer(app), "the key for pairs")
        assert "c contestant" not in footer(app)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "v terms" in footer(app), "the key for terms")


async def test_keys_work_while_it_is_reckoned(done, monkeypatch):
    go_on, whole = asyncio.Event(), type(done.outcomes).findings

    async def slow(self, *arguments, **options):
        await go_on.wait()
        return await whole(self, *arguments, **options)

    monkeypatch.setattr(type(done.outcomes), "findings", slow)
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "Reading the answers and reckoning", "386/416")
        await pilot.press("b", "right_square_bracket", "o", "c", "s", "z", "z")
        await shows(pilot, "by accuracy")
        go_on.set()
        await shows(pilot, "is the best", "taken for")


@pytest.mark.parametrize(("row", "form", "ending"), [(0, "html", "html"), (1, "markdown", "md"), (3, "json", "json")])
async def test_export_in_a_form_shows_where_it_lies(done, tmp_path, monkeypatch, row, form, ending):
    monkeypatch.chdir(tmp_path)
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await go_to(pilot, "classes")
        await pilot.press("s")
        await shows(pilot, "Write the results as", "opens offline")
        await pilot.press(*"j" * row, "enter")
        await shows(pilot, f"Write {form} to", f"demo-results.{ending}")
        await pilot.press("enter")
        await shows(pilot, "Written", "y copies")
        await pilot.press("y")
        await shows(pilot, "Sent to your terminal")
    copied = (done.home.root / "clipboard.txt").read_text().splitlines()
    assert copied[0] == str(tmp_path / f"demo-results.{ending}")
    text = (tmp_path / f"demo-results.{ending}").read_text()
    if form == "json":
        assert [c["correct"] for c in json.loads(text)["contestants"]] == [185, 359, 386]
    assert "386" in text


async def test_export_as_csv_writes_contestants_classes_and_images(done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, "classes")
        await pilot.press("s", "G", "enter")
        await shows(pilot, "Write csv to")
        await pilot.press("enter")
        await shows(pilot, "Written")
    rows = list(csv.DictReader((tmp_path / "demo-results.csv").read_text().splitlines()))
    assert [row["correct"] for row in rows] == ["185", "359", "386", "26", ""]  # the baselines come last
    others = {part: (tmp_path / f"demo-results-{part}.csv").read_text() for part in ("classes", "images")}
    lengths = {part: len(list(csv.DictReader(text.splitlines()))) for part, text in others.items()}
    assert lengths == {"classes": 5 * 16, "images": 3 * 416}


async def test_export_asks_before_it_writes_over_a_file(done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "demo-results-images.csv"
    kept.write_text("mine")
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, "classes")
        await pilot.press("s", "G", "enter")
        await shows(pilot, "Write csv to")
        await pilot.press("enter")
        await shows(pilot, "Write over?")
        await pilot.press("n")
        await until(pilot, lambda: len(app.screen_stack) == 1, "the room again")
    assert kept.read_text() == "mine"


async def test_without_an_experiment_it_says_what_to_press(engine):
    app = DogclsApp(engine, room="results")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "There is no experiment yet. 1 and d run the demo")
        assert "Classes" not in text_of(app)
        await pilot.press("s", "o", "b", "c", "p", "v", "plus", "enter", "right_square_bracket")
        await settled(pilot, "There is no experiment yet")


async def test_unfinished_contestants_are_marked_and_left_out(busy):
    app = DogclsApp(busy, room="results")
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot, "65.0%", "13/20", "running")
        (row,) = (line for line in text_of(app).splitlines() if "fine-tuned" in line and "running" in line)
        assert not any(state in row for state in ("waiting", "cancelled", "unfinished"))  # one state, and no other
        await shows(pilot, "4 watches it go on")


async def test_where_all_failed_it_says_why_and_what_to_press(engine):
    store = engine.store
    images = [(f"{s}-{n}.jpg", n % 2, s, 1, 1, 1, f"{s}{n}") for s in ("train", "val", "test") for n in range(4)]
    store.datasets.add(
        "dogs", source="/d", root="/d", split="stratified", seed=1, digest="0" * 64, labels=["a", "b"], images=images
    )
    jobs = [NewJob("train", {}, 0)]
    store.experiments.add("dogs", dataset="dogs", profile="demo", spec="", contestants=CONTESTANTS[2:], jobs=jobs)
    app = DogclsApp(engine, room="results")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "Nothing is answered yet", "watches the jobs")
        run_to(store, 1, JobState.FAILED, "no", "out of memory")
        app.bridge.look_now()
        await shows(pilot, "out of memory", "r tries again")
        cnn = store.experiments.contestants("dogs")[0].id
        test = store.datasets.images("dogs", "test")
        store.predictions.add(cnn, [Prediction(i.id, "[b]a[/b]", i.label, Outcome.ANSWERED) for i in test])
        store.jobs.change(1, JobState.QUEUED, expected=(JobState.FAILED,), message="again")
        attempt = store.jobs.get(1).attempt
        store.jobs.claim(1, attempt, os.getpid(), start_time(os.getpid()))
        store.jobs.change(1, JobState.SUCCEEDED, expected=(JobState.RUNNING,), attempt=attempt, message="done")
        app.bridge.look_now()
        await shows(pilot, "cnn has 100.0% (p = 0.500)", "m chooses another measure")
        for tab, words in (("disagreements", "disagreeing takes two"), ("differences", "a difference takes two")):
            while app.screen.query_one(TabbedContent).active != tab:
                await pilot.press("right_square_bracket")
            await shows(pilot, words)


async def test_a_hundred_thousand_rows_are_made_a_page_at_a_time():
    made = []

    def row(number):
        made.append(number)
        return [Text(str(number)), Text("[bold]x[/]")]

    class Paged(App):
        def compose(self):
            yield PagedTable()

    app = Paged()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(PagedTable)
        table.focus()
        table.show("a", ("n", "x"), 100_000, row)
        await pilot.pause()
        assert len(made) == PAGE == table.row_count and table.place == 0
        await pilot.press("G")
        assert table.place == 99_999 and table.row_count <= PAGE
        await pilot.press("g", "k")
        assert table.place == 0
        for _ in range(PAGE // 20 + 1):
            await pilot.press("pagedown")
        assert table.place > PAGE
        table.seek(PAGE)
        await pilot.press("k")
        assert table.place == PAGE - 1
        await pilot.press("j")
        assert table.place == PAGE
        table.show("b", ("n", "x"), 3, row)
        assert table.place == 0 and table.row_count == 3
        table.show("b", ("",), 0, row)
        assert table.place is None
        await pilot.press("j", "k", "g", "G", "pagedown", "pageup")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tab", TABS)
def test_tabs_are_beautiful(done, snap_compare, tab, size):
    async def go(pilot):
        await go_to(pilot, tab)

    assert snap_compare(DogclsApp(done, room="results"), terminal_size=size, run_before=go)


@pytest.mark.parametrize("way", ["light", "no-color", "ascii"])
@pytest.mark.parametrize("size", SMALL)
def test_the_first_tab_in_other_looks(done, snap_compare, monkeypatch, way, size):
    if way == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    manners = Manners(theme="kennel-day" if way == "light" else "kennel", ascii=way == "ascii")

    async def go(pilot):
        await go_to(pilot, "classes")

    assert snap_compare(DogclsApp(done, room="results", manners=manners), terminal_size=size, run_before=go)


def test_volume_and_horizon_go_by_steps_and_stop_at_their_ends():
    terms = Terms(volume=10_000, months=12)
    assert [with_volume(terms, step).volume for step in (-1, 1)] == [5_000, 20_000]
    assert [with_horizon(terms, step).months for step in (-1, 1)] == [6, 24]
    assert with_volume(Terms(volume=7), 1).volume == 10
    assert with_volume(Terms(volume=10), -1).volume == 10
    assert with_horizon(Terms(months=60), 1).months == 60


@pytest.mark.parametrize("width", [1, 2, 8, 40])
@pytest.mark.parametrize("ends", [(0, 0, 0), (0, 0.5, 1), (1, 1, 1), (0.31, 0.32, 0.33), (-0.1, 0.5, 1.2)])
def test_whiskers_fill_their_axis(width, ends):
    drawn = whiskers(ends, width, "").plain
    assert len(drawn) == width and drawn.count("●") == 1


def test_stretches_name_who_is_best_even_where_there_is_no_room():
    found = [Stretch(0, 120, "a"), Stretch(120, 130, "b"), Stretch(130, math.inf, None)]
    drawn = stretches(found, {}, 10_000, 60, "cheapest").plain
    assert "a below 120" in drawn or " a " in drawn
    assert "nobody" in drawn and "▲ 10,000 a month" in drawn
    assert max(len(line) for line in drawn.splitlines()[:4]) <= 60


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
    mount, go_on = Curves.mount, asyncio.Event()

    async def later(self, plot):
        await go_on.wait()
        await mount(self, plot)

    def slow(self, *widgets, **options):
        return later(self, *widgets) if widgets and widgets[0].id == "plot" else mount(self, *widgets, **options)

    monkeypatch.setattr(Curves, "mount", slow)
    app = DogclsApp(done, room="train")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "val loss")
        assert not app.screen.query("#plot")
        go_on.set()
        await shows(pilot, "── train 6")


async def test_another_measure_is_picked_by_key_and_kept(done, tmp_path):
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settled(pilot, "Comparison of demo", "majority class", "chance", "recall")
        await pilot.press("m")
        await shows(pilot, "Judge contestants by", "recall:CLASS")
        await pilot.press("ctrl+u", *"recall:wolf", "enter")
        await shows(pilot, "'wolf' is not among the labels")
        await pilot.press("m", "ctrl+u", *"balanced", "enter")
        await shows(pilot, "is the best by balanced accuracy", "balanced accuracy")
        assert done.store.experiments.get("demo").measure == '{"kind": "balanced accuracy", "classes": []}'
        costs = tmp_path / "costs.toml"
        costs.write_text('["*"]\n"*" = 2\npug = 3\n')
        await pilot.press("m", "tab", *str(costs), "enter")
        await shows(pilot, "cost of mistakes", "an image less than")
