"""Finds calls of the store on a thread whose event loop waits for them."""

import inspect
import sys
from contextlib import contextmanager
from pathlib import Path

from engine.store.db import Database

ROOT = Path(__file__).parents[1]
OURS = (str(ROOT / "engine"), str(ROOT / "tui"))


def _coroutine_of_ours(frame):
    """Return the coroutine of the engine or the app that a call comes from, unless it comes from a test."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(str(ROOT / "tests")) and not name.endswith("loops.py"):
            return None
        if name.startswith(OURS) and frame.f_code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            return f"{Path(name).relative_to(ROOT)}: {frame.f_code.co_qualname}"
        frame = frame.f_back
    return None


@contextmanager
def no_store_on_the_loop(monkeypatch):
    """Collect the coroutines that begin a transaction or a query themselves, instead of in a thread."""
    found = []

    def watch(name):
        real = getattr(Database, name)

        def watched(self, *arguments, **options):
            where = _coroutine_of_ours(sys._getframe(1))
            if where is not None:
                found.append(f"{where} calls Database.{name}")
            return real(self, *arguments, **options)

        monkeypatch.setattr(Database, name, watched)

    for name in ("transaction", "_read"):
        watch(name)
    yield found
