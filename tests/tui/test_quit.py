"""Leaving at any moment is clean: no traceback, no error, whatever is being computed."""

import asyncio
import threading

import pytest

from tests.tui.looking import until
from tui.app import DogclsApp
from tui.keys import ROOMS

MOMENTS = {"results": (0.0, 0.03, 0.06, 0.1, 0.2, 0.3), "clean": (0.0, 0.05)}
"""Seconds after the start: screens are composed, the first look is drawn, figures are computed."""


@pytest.mark.parametrize("room", [*ROOMS, "doctor", "clean", "emulator"])
async def test_quitting_a_room_at_many_moments(done, room):
    """Whatever was half composed, half drawn or half computed: no error, exit code 0."""
    for moment in MOMENTS.get(room, (0.05,)):
        app = DogclsApp(done, room=room)
        async with app.run_test(size=(120, 40)):
            await asyncio.sleep(moment)
            app.exit()
        assert app.return_code == 0
        assert app.return_value is None


async def test_quitting_while_results_are_computed(done, monkeypatch):
    """The figures are there in the very moment in which their screen closes: nothing is drawn on it."""
    computed, closing = asyncio.Event(), asyncio.Event()
    real = done.outcomes.findings

    async def findings(*arguments, **options):
        found = await real(*arguments, **options)
        computed.set()
        while not closing.is_set():
            try:
                await closing.wait()
            except asyncio.CancelledError:  # it ends all the same, as a thread does
                continue
        return found

    monkeypatch.setattr(done.outcomes, "findings", findings)
    app = DogclsApp(done, room="results")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, computed.is_set, "figures")
        app.leaving = True
        await app.screen.remove_children()
        closing.set()
        await pilot.pause(0.05)
        app.exit()
    assert app.return_code == 0


async def test_quitting_while_a_thread_works(done, monkeypatch):
    """A thread that reports its progress to a screen that is gone ends, and takes no app with it."""
    started, left, ended = threading.Event(), threading.Event(), threading.Event()
    app = DogclsApp(done, room="home")

    def working():
        started.set()
        left.wait(10)
        try:
            app.call_from_thread(lambda: app.screen.query_one("#nothing"))
        finally:
            ended.set()

    async def run(*arguments, **options):
        await asyncio.to_thread(working)

    monkeypatch.setattr(done, "demo", run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, app.opened.is_set, "an engine")
        app.screen.action_demo()
        await until(pilot, started.is_set, "the work")
        app.exit()
    left.set()
    for _ in range(200):
        await asyncio.sleep(0.02)
        if ended.is_set():
            break
    assert ended.is_set()
    assert app.return_code == 0
