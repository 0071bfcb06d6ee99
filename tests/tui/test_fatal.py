"""A defect that ends the app leaves a traceback on the terminal, and no secret in it."""

import io

from rich.console import Console

from engine import secrets
from tui.app import DogclsApp

KEY = "4f1c2d3e5a6b7c8d9e0f1122334455664f1c2d3e5a6b7c8d9e0f112233445566"


def test_the_traceback_has_neither_locals_nor_the_key(monkeypatch):
    monkeypatch.setattr(DogclsApp, "bell", lambda self: None)
    monkeypatch.setattr(DogclsApp, "_close_messages_no_wait", lambda self: None)
    app = DogclsApp.__new__(DogclsApp)
    app._exit_renderables = []
    with secrets.forgotten():
        secrets.register(KEY)
        try:
            hidden = "a local value"
            raise ValueError(f"Illegal header value {KEY} {len(hidden)}")
        except ValueError:
            app._fatal_error()
    shown = io.StringIO()
    Console(file=shown, width=40, markup=False).print(app._exit_renderables[0])
    text = shown.getvalue().replace("\n", "")
    assert f"ValueError: Illegal header value {secrets.HIDDEN} 13" in text
    assert KEY[:20] not in text and "a local value 13" not in text
