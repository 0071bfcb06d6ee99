"""The emulator's page, and its faults in the bar at the top of every room."""

from dataclasses import replace

import pytest
from textual.widgets import Input

from engine import EmulatorSettings, Engine, Payment
from engine.events import EmulatorFaults
from engine.jobs import embedded
from tests import stub_emulator
from tests.tui.conftest import AT
from tests.tui.looking import LOOKS, SIZES, footer, settled, shows, text_of, until
from tests.tui.pretender import LEDGER, Pretender
from tui import bridge
from tui.app import DogclsApp, Manners
from tui.keys import ROOMS, keys_of


@pytest.fixture
def pretender(done, monkeypatch):
    done.emulation = Pretender()
    monkeypatch.setattr(bridge, "EMULATOR_SECONDS", 0.1)
    monkeypatch.setattr(bridge, "QUIET_SECONDS", 0.2)
    return done.emulation


@pytest.fixture
def faulty(pretender):
    """Two faults are on."""
    faults = EmulatorFaults(latency="article", lost_lines=0.05)
    pretender.found = EmulatorSettings(speed=20.0, faults=faults, active=("latency", "lost_lines"))
    return pretender


def lines(app):
    return {line[4:23].strip(): line[23:].strip(" │") for line in text_of(app).splitlines()}


# -- pictures


@pytest.mark.parametrize(("look", "size"), LOOKS)
def test_page(done, faulty, snap_compare, monkeypatch, look, size):
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")

    async def go(pilot):
        await settled(pilot, "386/416")
        await pilot.press("E")
        await settled(pilot, "lost lines", "30 chat requests", "under way")

    manners = Manners(theme="kennel-day" if look == "light" else "kennel", ascii=look == "ascii")
    assert snap_compare(DogclsApp(done, manners=manners), terminal_size=size, run_before=go)


@pytest.mark.parametrize("size", SIZES)
def test_typing(done, faulty, snap_compare, size):
    async def go(pilot):
        await settled(pilot, "386/416")
        await pilot.press("E")
        await settled(pilot, "lost lines")
        await pilot.press("j", "j", "j", "j", "enter")
        await settled(pilot, "OPERATION KIND")
        pilot.app.screen.query_one(Input).cursor_blink = False
        await settled(pilot, "OPERATION KIND")

    assert snap_compare(DogclsApp(done), terminal_size=size, run_before=go)


def test_presets(done, faulty, snap_compare):
    async def go(pilot):
        await settled(pilot, "386/416")
        await pilot.press("E")
        await settled(pilot, "lost lines")
        await pilot.press("p")
        await settled(pilot, "429 storm", "enter chooses")

    assert snap_compare(DogclsApp(done), terminal_size=(80, 24), run_before=go)


def test_not_running(done, pretender, snap_compare):
    pretender.resting = True

    async def go(pilot):
        await settled(pilot, "386/416")
        await pilot.press("E")
        await settled(pilot, "not running: the first job starts it")

    assert snap_compare(DogclsApp(done), terminal_size=(80, 24), run_before=go)


@pytest.mark.parametrize("size", SIZES)
def test_faults_at_the_top_of_home(done, faulty, snap_compare, size):
    async def go(pilot):
        await settled(pilot, "386/416", "↯2")

    assert snap_compare(DogclsApp(done), terminal_size=size, run_before=go)


# -- the bar


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 50), (40, 12)])
async def test_faults_are_told_in_every_room_while_they_are_on(priced, faulty, size):
    app = DogclsApp(priced)
    async with app.run_test(size=size) as pilot:
        await shows(pilot, "↯2")
        for digit, room in enumerate(ROOMS, start=1):
            await pilot.press(str(digit))
            await until(pilot, lambda room=room: app.current_mode == room, room)
            await until(pilot, lambda: "↯2" in text_of(app).splitlines()[0], f"the faults in {room}")
            assert size[0] < 100 or "emulator ↯2 faults" in text_of(app)
        await faulty.set({"faults": {"lost_lines": None}})
        await until(pilot, lambda: "↯1" in text_of(app).splitlines()[0], "one fault")
        await faulty.set({"faults": {"latency": None}})
        await until(pilot, lambda: "↯" not in text_of(app), "no fault")


@pytest.mark.parametrize("width", [80, 100, 120])
async def test_nothing_at_the_top_pushes_the_faults_out(busy, width):
    from engine import StandingCost

    app = DogclsApp(busy)
    async with app.run_test(size=(width, 24)) as pilot:
        await shows(pilot, "13/20")
        app.bridge.attach(lambda _: None, ())  # nothing but what follows reaches the bar
        await pilot.pause(0.5)
        bar = app.screen.query_one("TopBar")
        view = (await busy.experiments())[0]
        jobs = await busy.jobs()
        standing = [StandingCost(1, "dogs", "d", 0.0, 1.7, 5.0)] * 3
        bar.show("demo", [replace(view, cost_usd=12_345.67)], jobs, standing, 3)
        await pilot.pause()
        top = text_of(app).splitlines()[0]
        assert "↯3" in top and "6 results" in top and "$5.10/h" in top
        assert len(top) == width


async def test_an_emulator_that_does_not_run_is_neither_asked_nor_started(done, monkeypatch):
    monkeypatch.setattr(embedded, "ensure", lambda home: pytest.fail("it was started"))
    monkeypatch.setattr(bridge, "EMULATOR_SECONDS", 0.05)
    monkeypatch.setattr(bridge, "QUIET_SECONDS", 0.05)
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        await pilot.press("E")
        await shows(pilot, "not running", "it tells while it runs")
        await pilot.press("T", "escape")
        await shows(pilot, "386/416")


async def test_one_that_never_answers_holds_nothing_up(done, monkeypatch):
    monkeypatch.setattr(bridge, "EMULATOR_SECONDS", 0.05)
    with stub_emulator.running(done.home) as stub:
        stub.wait.clear()
        app = DogclsApp(done)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot, "386/416")
            await pilot.press("6")
            await shows(pilot, "Comparison of demo")
            await pilot.press("E")
            await shows(pilot, "failing calls")
            stub.wait.set()
            await shows(pilot, "2 under way")


async def test_it_is_asked_seldom(done, monkeypatch):
    with stub_emulator.running(done.home) as stub:
        app = DogclsApp(done)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot, "386/416")
            await pilot.pause(2.0)
        assert 1 <= len(stub.asked) <= 2


# -- the page


async def test_the_page_opens_from_every_room_and_leads_back(priced, pretender):
    app = DogclsApp(priced)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        for digit, room in enumerate(ROOMS, start=1):
            for back in ("escape", "E"):
                await pilot.press(str(digit))
                await until(pilot, lambda room=room: app.current_mode == room, room)
                await pilot.press("E")
                await shows(pilot, "failing calls")
                await pilot.press(back)
                await until(pilot, lambda room=room: app.current_mode == room, f"{room} again")
        await pilot.press("E")
        await shows(pilot, "failing calls")
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "monitor", "the monitor")


async def test_it_is_in_the_palette_and_in_the_help_and_under_the_pointer(done, faulty):
    app = DogclsApp(done)
    async with app.run_test(size=(120, 50)) as pilot:
        await settled(pilot, "386/416", "emulator ↯2 faults")
        column = text_of(app).splitlines()[0].index("emulator")
        await pilot.click("TopBar", offset=(column + 2, 0))
        await shows(pilot, "failing calls")
        await pilot.press("question_mark")
        await shows(pilot, "what it does", *(key.help.split(".")[0][:28] for key in keys_of("emulator")))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.current_mode == "home", "home")
        await pilot.press("colon", *"emulator")
        await shows(pilot, "Its speed, its faults, its ledger")


async def test_all_its_keys_fit_into_80_columns(done, faulty):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        await pilot.press("E")
        await until(pilot, lambda: footer(app).rstrip().endswith("q quit"), "the last key")
        assert all(word in footer(app) for word in ("change", "next", "presets", "all off", "back"))
        keys = [name for key in keys_of("emulator") for name in key.keys.split(",")]
        assert len(keys) == len(set(keys))


async def test_each_setting_is_turned_by_space_and_says_what_it_means(done, pretender):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        await pilot.press("E")
        await shows(pilot, "How fast waiting passes")
        await pilot.press("space")
        await until(pilot, lambda: lines(app)["speed"].startswith("instant"), "instant")
        await pilot.press("space", "space")  # not lost, however quick
        await until(pilot, lambda: lines(app)["speed"].startswith("fast"), "fast again")
        assert pretender.patches == [{"speed": "instant"}, {"speed": "real"}, {"speed": "fast"}]
        await pilot.press("G", "k", "enter")  # on and off needs no typing
        await until(pilot, lambda: lines(app)["training fails"].startswith("on"), "on")
        await shows(pilot, "through no fault of yours", "↯1", "x all off")
        assert not app.screen.query_one(Input).has_class("shown")
        await pilot.press("x")
        await until(pilot, lambda: "↯" not in text_of(app), "all off")
        assert "all off" not in footer(app)


async def test_a_value_is_typed_and_a_wrong_one_is_told_while_it_is(done, pretender):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        await pilot.press("E")
        await shows(pilot, "failing calls")
        await pilot.press("j", "j", "j", "j", "enter")
        await shows(pilot, "enter sets it, esc leaves it", "OPERATION KIND [SHARE [TIMES]]")
        await pilot.press(*"chat 429 of")
        await shows(pilot, "'of' cannot be read")
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert pretender.patches == []
        await pilot.press("backspace", "backspace", *"20%", "enter")
        await until(pilot, lambda: lines(app)["failing calls"].startswith("chat 429 20%"), "the new value")
        assert pretender.patches == [{"faults": {"calls": [{"operation": "chat", "kind": "429", "rate": 0.2}]}}]
        assert app.focused is app.screen.query_one("#dials")
        await pilot.press("enter", *"oops", "escape")  # and left as it was
        await until(pilot, lambda: lines(app)["failing calls"].startswith("chat 429 20%"), "the old value")
        assert "cannot be read" not in text_of(app) and app.current_mode == "emulator"


async def test_what_the_emulator_refuses_is_told_and_the_field_stays(done, pretender):
    pretender.refusal = "faults.lost_lines: [b]less[/] than or equal to 1\x1b[2J"
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        await pilot.press("E")
        await shows(pilot, "lost lines")
        await pilot.press("j", "j", "j", "j", "j", "enter", "3", "enter")
        await shows(pilot, "refuses this: faults.lost_lines: [b]less[/] than")
        assert "\x1b" not in text_of(app)
        assert app.screen.query_one(Input).has_class("shown")
        await pilot.press("escape", "k", "space")
        await shows(pilot, "refuses this", "Ledger")


async def test_presets_are_set_at_once(done, pretender):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        await pilot.press("E")
        await shows(pilot, "failing calls")
        await pilot.press("p")
        await shows(pilot, "bad day")
        await pilot.press("escape", "p")
        await shows(pilot, "bad day")
        assert pretender.patches == []
        await pilot.press("j", "enter")
        await shows(pilot, "* 429 10%; * 500 5%; * drop 2%", "↯1")
        await pilot.press("p", "j", "j", "enter")
        await shows(pilot, "↯2")
        await pilot.press("p", "G", "enter")
        await until(pilot, lambda: "↯" not in text_of(app), "all off")


async def test_every_preset_is_taken_by_the_emulator_itself():
    from engine import emulator_patch
    from engine.emulator.faults import Faults
    from tui.screens.emulator import _PRESETS

    for meaning, texts in _PRESETS.values():
        assert len(meaning) <= 68
        faults = {k: v for k, v in emulator_patch(texts)["faults"].items() if v is not None}
        Faults.model_validate(faults)


async def test_setting_starts_it_and_takes_what_it_had_kept(done, faulty):
    faulty.resting = True
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        await pilot.press("E")
        await shows(pilot, "not running", "–")
        await pilot.press("space")  # real comes after instant, and 20 is none of the usual
        await until(pilot, lambda: lines(app)["speed"].startswith("fast"), "it runs")
        await shows(pilot, "article", "5%", "↯2")
        assert faulty.patches == [{"speed": "fast"}]


async def test_the_ledger_moves_while_one_looks(done, pretender, monkeypatch):
    monkeypatch.setattr("tui.screens.emulator.LOOK_SECONDS", 0.1)
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        pretender.payments = ()
        await pilot.press("E")
        await shows(pilot, "nothing was paid for yet")
        pretender.payments = LEDGER[:2]
        await shows(pilot, "1 batch · 30 chat requests", "batch_0c9b", "69,234", "job 1")
        hostile = "[b]x[/]\x1b[2J\u202e"
        pretender.payments = (*LEDGER, Payment("chat", AT + 99, hostile, name=hostile, requests=7))
        await shows(pilot, "1 deployment · 37 chat requests", "[b]x[/][2J")
        assert "\x1b" not in text_of(app) and "\u202e" not in text_of(app)
        await pilot.press("tab", "G")
        await pilot.resize_terminal(120, 40)
        await shows(pilot, "trained on", "207,680", "stands", "azsdk-python-mgmt")


async def test_only_looking_changes_nothing(done, faulty):
    looking = Engine(done.home.root, readonly=True)
    looking.emulation = faulty
    app = DogclsApp(looking)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        await pilot.press("E")
        await shows(pilot, "--readonly", "article")
        assert "change" not in footer(app) and "presets" not in footer(app)
        await pilot.press("space", "enter", "p", "x", "j", "enter")
        await pilot.pause(0.3)
        assert faulty.patches == [] and app.screen.query_one("#dials").has_focus
    looking.close()


async def test_other_profiles_have_no_such_page(done, monkeypatch):
    monkeypatch.setattr(done, "profile", "azure")
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "386/416")
        await pilot.press("E")
        await pilot.pause(0.2)
        assert app.current_mode == "home"
        assert not any(command.title == "Emulator" for command in app.get_system_commands(app.screen))


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (300, 80)])
async def test_at_any_size_and_in_any_look(done, faulty, size):
    app = DogclsApp(done)
    async with app.run_test(size=size) as pilot:
        await settled(pilot, "1 home")
        await pilot.press("E")
        await shows(pilot, "speed")
        await pilot.press("T", "enter", "escape", "T", "p", "escape", "G", "tab", "T", "T")
        await shows(pilot, "↯2")
