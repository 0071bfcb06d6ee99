"""Results and train, driven by keys."""

import asyncio
import csv
import json

from tests.tui.looking import settled, shows, text_of, until
from tui.app import DogclsApp
from tui.widgets.plot import Curves

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
