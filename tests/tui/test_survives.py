"""Whatever the engine raises, the app shows one line and continues."""

import asyncio
import errno
import inspect
import sqlite3

import httpx2
import pytest

from engine import DogclsError, described
from engine.errors import DiskError, ServiceUnavailable, StoreError, UnexpectedError
from tests.tui.looking import shows, text_of, until
from tui.app import DogclsApp
from tui.bridge import Bridge, Trouble
from tui.keys import ROOMS

FAILURES = {
    "full": OSError(errno.ENOSPC, "No space left on device", "/home/store.db"),
    "store": sqlite3.OperationalError("disk I/O error"),
    "network": httpx2.ConnectError("Illegal header value b'secret-key'"),
    "value": ValueError("not a number"),
}
PARTS = ("browse", "curate", "outcomes", "pilots", "remote", "trained", "emulation")


@pytest.fixture(params=FAILURES)
def failure(request):
    return FAILURES[request.param]


def break_all(engine, failure, monkeypatch):
    """Make every public coroutine and iterator of the engine raise."""

    async def raising(*arguments, **options):
        raise failure

    async def iterating(*arguments, **options):
        raise failure
        yield

    for part in [engine, *(getattr(engine, name) for name in PARTS), engine.browse.learning]:
        for name in dir(part):
            method = getattr(part, name)
            if not name.startswith("_") and inspect.iscoroutinefunction(method):
                monkeypatch.setattr(part, name, raising)
            elif not name.startswith("_") and inspect.isasyncgenfunction(method):
                monkeypatch.setattr(part, name, iterating)


def test_an_exception_is_one_line_with_the_thing_and_a_hint():
    """Of the system's own words all are shown, of a library's none: they may hold a key."""
    full, store, network, value = (described(failure) for failure in FAILURES.values())
    assert isinstance(full, DiskError)
    assert full.message == "/home/store.db: No space left on device."
    assert full.cure == "Free some space on its disk, then try again; a job continues with: dogcls-tui resume"
    assert isinstance(store, StoreError)
    assert isinstance(network, ServiceUnavailable)
    assert network.message == "The service could not be reached (ConnectError)."
    assert isinstance(value, UnexpectedError)
    assert "not a number" not in str(value)
    try:
        raise KeyError("x")
    except KeyError as error:
        assert described(error).message.startswith("Unexpected KeyError in tests/tui/test_survives.py, line ")
    assert described(full) is full


async def test_the_engines_door_describes_what_it_lets_out(engine, monkeypatch):
    monkeypatch.setattr(engine.store.jobs, "views", lambda experiment: (_ for _ in ()).throw(FAILURES["full"]))
    with pytest.raises(DiskError, match="No space left on device") as caught:
        await engine.jobs()
    assert caught.value.__cause__ is FAILURES["full"]
    monkeypatch.setattr(engine.home.__class__, "job_log", lambda self, job: (_ for _ in ()).throw(ValueError("x")))
    with pytest.raises(DogclsError):
        await engine.browse.job(1)


async def test_the_bridge_continues(failure):
    """Each look fails, and is reported; the loop looks again."""

    class Broken:
        profile = "demo"
        looks = 0

        def __getattr__(self, name):
            return self

        async def __call__(self, *arguments):
            self.looks += 1
            raise failure

    engine, posted, bridge = Broken(), [], Bridge()
    bridge.attach(posted.append, ())
    running = asyncio.create_task(bridge.run(engine))
    while engine.looks < 6:
        await asyncio.sleep(0)
        bridge.look_now()
        assert not running.done()
    running.cancel()
    troubles = {message.text for message in posted if isinstance(message, Trouble)}
    assert troubles == {str(described(failure))}


async def test_jobs_that_cannot_be_started_do_not_hide_those_that_can_be_read(busy, monkeypatch):
    """A full disk: `tick` fails, and everything is shown all the same."""
    monkeypatch.setattr(busy, "tick", lambda: asyncio.to_thread(_raise, FAILURES["full"]))
    app = DogclsApp(busy, room="monitor")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "fine-tune", "interrupted")
        assert [text for _, text in app.troubles] == [str(described(FAILURES["full"]))]


def _raise(error):
    raise error


@pytest.mark.parametrize("room", [*ROOMS, "doctor", "clean", "emulator"])
async def test_every_room_survives_an_engine_that_always_fails(busy, room, monkeypatch):
    """The line is shown; where the engine works again, the room does too."""
    failure = FAILURES["value" if room in ("home", "results") else "full"]
    app = DogclsApp(busy, room=room)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.current_mode == room and app.screen.is_mounted, room)
        with monkeypatch.context() as broken:
            break_all(busy, failure, broken)
            app.bridge.look_now()
            await until(pilot, lambda: app.troubles, "a trouble")
            for key in ("r", "enter", "escape", "n", "j", "k", "tab"):
                await pilot.press(key)
                await pilot.pause()
            assert str(described(failure)) in [text for _, text in app.troubles]
            assert app.is_running and not app.leaving
        while len(app.screen_stack) > 1:
            app.pop_screen()
        await pilot.press("1")
        await shows(pilot, "dogs")
        assert "Traceback" not in text_of(app)


async def test_a_worker_that_fails_is_one_line(busy, failure, monkeypatch):
    """A worker of a room, whatever it raises: the same line, and the room's keys work."""
    app = DogclsApp(busy, room="monitor")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "fine-tune")
        break_all(busy, failure, monkeypatch)
        app.screen.action_pause()
        await until(pilot, lambda: str(described(failure)) in [text for _, text in app.troubles], "the line")
        await pilot.press("question_mark")
        await until(pilot, lambda: len(app.screen_stack) == 2, "the help")
