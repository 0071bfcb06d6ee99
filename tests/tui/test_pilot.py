"""A pilot from the launch room, and estimates beside what was spent."""

import asyncio

import pytest
from textual.widgets import Input, Static

from engine import DogclsError, Engine, PilotResult, Terms
from engine.evaluation.economics import Economics
from engine.jobs.pilot import PilotCost
from engine.piloting import Piloting
from tests.tui.looking import LOOKS, SIZES, footer, settled, shows, text_of, until
from tui.app import DogclsApp, Manners
from tui.screens.dialogs import ConfirmScreen
from tui.screens.pilot import PilotScreen

FOUND = PilotResult(
    n=60, correct=26, accuracy=26 / 60, low=0.316, high=0.559, unknown=1, filtered=0, failed=0, spent_usd=0.0283,
    run_usd=7.07, tuned=Economics("fine-tuned", 5.91, 0.48, hosting_hourly=1.7, kind="fine-tuned", labels=960),
    base=Economics("zero-shot", 0.0, 0.48, 0.24, kind="zero-shot"), terms=Terms(machine_hourly=0.192), emulated=True,
)  # fmt: skip


@pytest.fixture
def piloted(priced, monkeypatch):
    """A pilot that takes a moment; return what was asked for."""
    asked = []

    async def cost(self, spec, images):
        asked.append(("cost", images))
        return PilotCost(0 if ("run", images) in asked else images, 0.0279, True)

    async def run(self, spec, images, *, terms, progress=None):
        for n in (20, 40):
            progress("pilot", n, images)
            await asyncio.sleep(0.6)
        asked.append(("run", images))
        return FOUND.at(terms)

    monkeypatch.setattr(Piloting, "cost", cost)
    monkeypatch.setattr(Piloting, "run", run)
    return asked


@pytest.mark.parametrize(("look", "size"), LOOKS)
def test_result(priced, piloted, snap_compare, monkeypatch, look, size):
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")

    async def go(pilot):
        await settled(pilot, "386/416")
        await pilot.press("3")
        await settled(pilot, "time about", "p pilot")
        await pilot.press("p")
        await settled(pilot, "Ask 60 validation images")
        await pilot.press("y")
        await settled(pilot, "26 of 60", "must gain")

    manners = Manners(theme="kennel-day" if look == "light" else "kennel", ascii=look == "ascii")
    assert snap_compare(DogclsApp(priced, manners=manners), terminal_size=size, run_before=go)


async def test_the_price_and_the_number_are_named_first(priced, piloted):
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "about $7.07")
        await until(pilot, lambda: "p pilot" in footer(app) and footer(app).rstrip().endswith("q quit"), "the keys")
        await pilot.press("P")
        await shows(pilot, "Ask 60 validation images of demo for about $0.0279?", "nobody charges it")
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen), "the room")
        assert piloted == [("cost", 60)]
        await until(pilot, lambda: "p pilot" in footer(app), "the key again")
        await pilot.press("p")
        await shows(pilot, "Ask 60")
        await pilot.press("y")
        await shows(pilot, "pilot: 20 of 60")
        await shows(pilot, "pilot: 40 of 60")
        await shows(pilot, "43.3%", "31.6%–55.9%", "about $7.07", "$14,897.91 more", "must be worth $0.18")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, PilotScreen), "the room")
        await pilot.press("p")  # everything is answered: nothing is asked, nobody is asked
        await shows(pilot, "43.3%")


async def test_terms_are_set_on_the_page_and_are_those_of_results_too(priced, piloted):
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "about $7.07")
        await pilot.press("p")
        await shows(pilot, "Ask 60")
        await pilot.press("y")
        await shows(pilot, "$14,897.91 more", "a right answer worth $0.18", "10,000 images a month over 12", "v terms")
        await pilot.press("v")
        await shows(pilot, "Terms of all costs", "hours a day hosted", "$ a label")
        for name, text in (("value", "-1"), ("hosting_hours", "25"), ("label_price", "much")):
            field = app.screen.query_one(f"#{name}", Input)
            field.value, before = text, field.value
            await until(pilot, lambda: str(app.screen.query_one("#wrong", Static).render()), "what is wrong")
            field.value = before
        for name, text in (("value", "0.10"), ("hosting_hours", ""), ("label_price", "$0.05"), ("volume", "100k")):
            app.screen.query_one(f"#{name}", Input).value = text
        await pilot.press("enter")
        await shows(pilot, "unknown", "100,000 images a month over 12", "hosted only while it answers")
        await pilot.press("v")
        await shows(pilot, "Terms of all costs")
        app.screen.query_one("#hosting_hours", Input).value = "8"
        await pilot.press("enter")
        usd = 5.91 + 1.7 * 2920 + 0.05 * 960
        await shows(pilot, f"${usd:,.2f} more", f"{100 * usd / 120_000:.1f} points, of 68.4", "labels $48.00")
        terms = Terms(volume=100_000, hosting_hours=8, machine_hourly=0.192, value=0.1, label_price=0.05)
        await until(pilot, lambda: priced.outcomes.own_terms == terms, "the home's terms")
        assert await Engine(priced.home.root, readonly=True).outcomes.terms() == terms, "they lie in the home"
        assert [what for what, _ in piloted].count("run") == 1
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, PilotScreen), "the room")
        await pilot.press("p")
        await shows(pilot, f"${usd:,.2f} more")


async def test_whoever_went_elsewhere_is_told(priced, piloted):
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "about $7.07")
        await pilot.press("p")
        await shows(pilot, "Ask 60")
        await pilot.press("y", "1")
        await shows(pilot, "The pilot on demo is done")
        assert not isinstance(app.screen, PilotScreen)


async def test_what_stands_in_the_way_is_said(priced, monkeypatch):
    async def cost(self, spec, images):
        raise DogclsError("No real-time [b]deployment is configured.", "Set AZURE_OPENAI_DEPLOYMENT_NAME.")

    monkeypatch.setattr(Piloting, "cost", cost)
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "about $7.07")
        await pilot.press("p")
        await shows(pilot, "No real-time [b]deployment", "AZURE_OPENAI_DEPLOYMENT_NAME")
        await until(pilot, lambda: "p pilot" in footer(app), "the key again")


async def test_readonly_has_no_pilot(priced, piloted, home):
    engine = Engine(home.root, readonly=True)
    app = DogclsApp(engine, room="launch")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "about $7.07")
        assert "pilot" not in footer(app)
        await pilot.press("p")
        await pilot.pause()
        assert piloted == []
    engine.close()


async def test_the_requests_page_says_how_much_will_be_sent(priced):
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "about $7.07")
        await pilot.press("v")
        await shows(pilot, "# zero-shot inference: 416 batch requests,", "# fine-tuned training: 640 examples")


# -- estimates beside what was spent


@pytest.fixture
def estimated(done):
    """The comparison with what each contestant was expected to cost; the CNN was not estimated."""
    guesses = {"zero-shot": {"inference": 0.08}, "fine-tuned": {"training": 5.91, "hosting": 0.85, "inference": 0.19}}
    with done.store.db.transaction() as db:
        for c in done.store.experiments.contestants("demo"):
            rows = [(c.id, item, usd) for item, usd in guesses.get(c.kind, {}).items()]
            db.executemany("INSERT OR REPLACE INTO estimates VALUES (?, ?, ?)", rows)
    return done


@pytest.mark.parametrize("size", SIZES)
def test_estimates(estimated, snap_compare, size):
    async def go(pilot):
        await settled(pilot, "386/416")
        await pilot.press("6")
        await settled(pilot, "recall")
        await pilot.press(*["right_square_bracket"] * 5, "G")
        await settled(pilot, "estimated", "List prices")

    assert snap_compare(DogclsApp(estimated), terminal_size=size, run_before=go)


async def test_how_far_off_an_estimate_was(estimated):
    app = DogclsApp(estimated, room="results")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "Comparison of demo", "recall")
        await pilot.press(*["left_square_bracket"] * 3, "G")
        await shows(pilot, "estimated", "$6.95", "▒ hosting")
        lines = [line for line in text_of(app).splitlines() if "$6.95" in line or "$0.0800" in line]
        assert len(lines) == 2 and all("%" in line for line in lines)
