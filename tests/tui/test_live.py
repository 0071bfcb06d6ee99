"""The live screen, driven by keys."""

import asyncio
import os
import subprocess
import sys

import pytest

from engine import Engine, JobState
from tests.conftest import ROOT
from tui.app import DogclsApp
from tui.keys import KEYS
from tui.screens.dialogs import ConfirmScreen, HelpScreen
from tui.widgets.comparison import ComparisonTable
from tui.widgets.experiments import ExperimentList
from tui.widgets.jobs import JobTable
from tui.widgets.log import JobLog

SIZES = [(80, 24), (120, 40)]


async def until(pilot, condition, what):
    """Wait until the screen shows something."""
    for _ in range(600):
        await pilot.pause(0.02)
        if condition():
            return
    raise AssertionError(f"the screen never showed {what}:\n{text_of(pilot.app)}")


def text_of(app):
    """Return what the screen shows, as text."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines[:height])[: (width + 1) * height]


async def compared(pilot):
    await until(pilot, lambda: "13/20" in text_of(pilot.app), "the comparison")


def jobs(app):
    return app.screen_stack[1].query_one(JobTable)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_picture_of_the_board(busy, snap_compare, size):
    assert snap_compare(DogclsApp(busy), terminal_size=size, run_before=compared)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_picture_of_the_welcome(engine, snap_compare, size):
    async def welcomed(pilot):
        await until(pilot, lambda: "run the demo" in text_of(pilot.app), "the welcome")

    assert snap_compare(DogclsApp(engine), terminal_size=size, run_before=welcomed)


def test_picture_of_the_help(busy, snap_compare):
    async def helped(pilot):
        await compared(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen), "the help")

    assert snap_compare(DogclsApp(busy), terminal_size=(80, 24), run_before=helped)


async def test_it_follows_what_runs_until_the_reader_moves(busy):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await compared(pilot)
        assert jobs(app).chosen.kind == "fine-tune"
        await until(pilot, lambda: "Step 120" in text_of(app), "the end of its log")
        await pilot.press("j")
        await until(pilot, lambda: "Log of deploy 4" in text_of(app), "the next job's log")
        assert "Step 120" not in text_of(app)
        await pilot.press("k", "k")
        await until(pilot, lambda: "Log of probe 2" in text_of(app), "the log of the one before")
        await pilot.press("G")
        await until(pilot, lambda: "resume goes on from here" in text_of(app), "the last job's log")
        await pilot.press("f")
        await until(pilot, lambda: "Log of fine-tune 3" in text_of(app), "what runs")


async def test_cancel_asks_first(busy):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await compared(pilot)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen), "the question")
        assert "Cancel fine-tune 3?" in text_of(app)
        assert "paid for" in text_of(app)
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen), "the board")
        assert busy.store.jobs.view(3).request is None
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen), "the question")
        await pilot.press("y")
        await until(pilot, lambda: "cancelling" in text_of(app), "that it is being cancelled")
        assert busy.store.jobs.view(3).request == "cancel"


async def test_pause_and_resume(busy, spawned):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await compared(pilot)
        await pilot.press("p")
        await until(pilot, lambda: "pausing" in text_of(app), "that it is being paused")
        await pilot.press("G")
        await until(pilot, lambda: jobs(app).chosen.kind == "train", "the CNN")
        assert "resume" in text_of(app)
        await pilot.press("r")
        await until(pilot, lambda: busy.store.jobs.view(6).state == "queued", "that it is taken up")
        assert [arguments[-2:] for arguments in spawned] == [["6", "2"]]


async def test_only_keys_that_would_do_something_are_offered(busy):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await compared(pilot)

        def footer():
            return text_of(app).splitlines()[-1]

        await until(pilot, lambda: "cancel" in footer() and "resume" not in footer(), "the running job's keys")
        await pilot.press("g")
        await until(pilot, lambda: "help" in footer() and "cancel" not in footer(), "the keys of one that has ended")
        await pilot.press("c")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmScreen)


async def test_every_key_has_an_action_and_a_line_in_the_help(busy):
    app = DogclsApp(busy)
    async with app.run_test(size=(100, 50)) as pilot:
        await compared(pilot)
        for key in KEYS:
            assert hasattr(app.screen, f"action_{key.action}")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen), "the help")
        shown = " ".join(text_of(app).split())
        for key in KEYS:
            assert key.help.split(".")[0][:40] in shown
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen), "the board")


async def test_tab_goes_round_the_panes(busy):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await compared(pilot)
        seen = []
        for _ in range(4):
            seen.append(type(app.focused))
            await pilot.press("tab")
        assert set(seen) == {JobTable, JobLog, ComparisonTable, ExperimentList}


async def test_another_experiment_shows_its_own_jobs(busy):
    busy.store.experiments.add("later", dataset=None, profile="demo", spec="", contestants=[], jobs=[])
    app = DogclsApp(busy, experiment="dogs")
    async with app.run_test(size=(80, 24)) as pilot:
        await compared(pilot)
        app.screen.query_one(ExperimentList).focus()
        await pilot.press("k")
        await until(pilot, lambda: jobs(app).row_count == 0, "no jobs")
        await until(pilot, lambda: "Nothing to compare yet" in text_of(app), "no comparison")
        await pilot.press("j")
        await compared(pilot)


async def test_text_from_outside_is_shown_literally(busy):
    busy.store.jobs.log(3, "[bold red]not bold[/] \x1b[31mnot red\x07")
    busy.store.experiments.add("[red]x", dataset=None, profile="demo", spec="", contestants=[], jobs=[])
    app = DogclsApp(busy, experiment="dogs")
    async with app.run_test(size=(120, 40)) as pilot:
        await compared(pilot)
        await until(pilot, lambda: "[bold red]not bold[/] [31mnot red" in text_of(app), "the line as it is")
        assert "[red]x" in text_of(app)
        assert "\x1b" not in text_of(app)


async def test_the_demo_shows_its_drawing_and_then_its_jobs(busy, engine, monkeypatch):
    busy.store.db.connection.execute("DELETE FROM experiments")
    go_on = asyncio.Event()

    async def demo(self, progress=None):
        await asyncio.to_thread(progress, "drawing dogs", 300, 1000)
        await go_on.wait()
        self.store.experiments.add("demo", dataset="dogs", profile="demo", spec="", contestants=[], jobs=[])
        return "demo"

    monkeypatch.setattr(Engine, "demo", demo)
    app = DogclsApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "run the demo" in text_of(app), "the welcome")
        await pilot.press("d")
        await until(pilot, lambda: "30%  drawing dogs" in text_of(app), "the progress")
        go_on.set()
        await until(pilot, lambda: "Experiments" in text_of(app) and "demo" in text_of(app), "the board")


async def test_a_trouble_is_told_and_the_screen_stays(busy, monkeypatch):
    from engine import DogclsError

    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await compared(pilot)

        async def broken(self):
            raise DogclsError("[b]disk[/] is full.", "Make room.")

        monkeypatch.setattr(Engine, "experiments", broken)
        await until(pilot, lambda: "[b]disk[/] is full" in text_of(app), "the trouble")
        assert "Log of fine-tune 3" in text_of(app)


async def test_the_last_comparison_is_kept_for_the_shell(busy):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await compared(pilot)
        await pilot.press("q")
    assert app.last_comparison.contestants[0].correct == 13


async def test_resizing_shows_more_and_less(busy):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await compared(pilot)
        assert "p95 ms" not in text_of(app)
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "p95 ms" in text_of(app) and "note" in text_of(app), "more columns")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "p95 ms" not in text_of(app) and "note" not in text_of(app), "fewer columns")


async def test_an_app_that_is_opened_again_shows_what_runs(busy):
    for _ in range(2):
        app = DogclsApp(busy)
        async with app.run_test(size=(80, 24)) as pilot:
            await compared(pilot)
            assert "● running" in text_of(app)
            await pilot.press("q")
        assert busy.store.jobs.view(3).state == JobState.RUNNING
        assert busy.store.jobs.view(3).request is None


def headless(code, tmp_path):
    """Run a script that opens the app on no terminal."""
    script = tmp_path / "script.py"
    script.write_text(code)
    return subprocess.run(
        [sys.executable, str(script), str(tmp_path / "home")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
    )


def test_nothing_heavy_before_the_first_paint(tmp_path):
    done = headless(
        """
import sys
from engine import Engine
from tui.app import DogclsApp
from pathlib import Path
heavy = ("openai", "torch", "torchvision", "pandas", "sklearn", "azure", "numpy", "PIL", "onnxruntime")
class App(DogclsApp):
    def on_ready(self):
        print([m for m in heavy if m in sys.modules])
        self.exit()
App(Engine(Path(sys.argv[1]))).run(headless=True)
""",
        tmp_path,
    )
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_a_crash_shows_where_but_no_values(tmp_path):
    done = headless(
        """
import sys
from engine import Engine
from tui.app import DogclsApp
from pathlib import Path
class Broken(Engine):
    async def experiments(self):
        key = "sesame-" + "0123456789"
        raise RuntimeError("a defect")
DogclsApp(Broken(Path(sys.argv[1]))).run(headless=True)
""",
        tmp_path,
    )
    told = done.stdout + done.stderr
    assert "a defect" in told
    assert "sesame-0123456789" not in told
