"""The first room: what there is, and what to do next."""

import asyncio

from engine import Engine, JobState
from tests.tui.conftest import CONTESTANTS, JOBS
from tests.tui.looking import footer, settled, shows, text_of, until
from tui.app import DogclsApp
from tui.widgets.lists import List


async def test_experiments_with_their_best_and_what_to_do_next(busy):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "● dogs", "fine-tune 3", "watch the jobs", "13/20", "● 1  $0.0960")


async def test_another_experiment_shows_its_own_comparison(busy):
    busy.store.experiments.add("later", dataset=None, profile="demo", spec="", contestants=[], jobs=[])
    app = DogclsApp(busy, experiment="dogs")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "13/20")
        assert app.screen.query_one("#experiments", List).chosen == "dogs"
        await pilot.press("k")
        await shows(pilot, "Nothing to compare yet")
        await pilot.press("j")
        await shows(pilot, "13/20")


async def test_an_experiment_is_deleted_after_a_question_and_only_when_it_rests(done):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        await pilot.press("x")
        await shows(pilot, "Delete experiment demo?")
        await pilot.press("n")
        await shows(pilot, "386/416")
        await pilot.press("x")
        await shows(pilot, "Delete experiment demo?")
        await pilot.press("y")
        await shows(pilot, "Welcome")
        assert done.store.experiments.views() == []


async def test_the_emulators_money_and_real_money_are_never_added_up(busy):
    store = busy.store
    store.experiments.add("paid", dataset=None, profile="azure", spec="", contestants=CONTESTANTS[:1], jobs=JOBS[:1])
    store.jobs.charge(7, store.experiments.contestants("paid")[0].id, "inference", 12.5)
    app = DogclsApp(busy)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "$0.0960 emulated")
        busy.profile = "azure"
        app.bridge.look_now()
        await shows(pilot, "$12.50 spent")


async def test_nothing_that_runs_can_be_deleted(busy):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "13/20")
        assert "delete" not in footer(app)


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
        await shows(pilot, "run the demo")
        await pilot.press("d")
        await shows(pilot, "30%  drawing dogs")
        go_on.set()
        await until(pilot, lambda: app.current_mode == "monitor", "the monitor")


async def test_a_trouble_is_told_where_it_arises_and_kept(busy, monkeypatch):
    from engine import DogclsError

    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "13/20")

        async def broken(self):
            raise DogclsError("[b]disk[/] is full.", "Make room.")

        monkeypatch.setattr(Engine, "experiments", broken)
        app.bridge.look_now()
        await shows(pilot, "[b]disk[/] is full")
        await pilot.press("M")
        await shows(pilot, "Messages", "Make room.")
        await pilot.press("escape")
        await shows(pilot, "Experiments")


async def test_an_app_that_is_opened_again_shows_what_runs(busy):
    for _ in range(2):
        app = DogclsApp(busy)
        async with app.run_test(size=(80, 24)) as pilot:
            await shows(pilot, "fine-tune 3", "13/20")
            await pilot.press("q")
        assert busy.store.jobs.view(3).state == JobState.RUNNING
        assert busy.store.jobs.view(3).request is None


async def test_resizing_shows_more_and_less(busy):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "13/20")
        assert "p95 ms" not in text_of(app)
        await pilot.resize_terminal(120, 40)
        await shows(pilot, "p95 ms")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "p95 ms" not in text_of(app), "fewer columns")
