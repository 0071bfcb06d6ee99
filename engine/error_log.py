"""The tracebacks of our own faults, in `logs/errors.log` of the home: a user sees one line that names this file."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from pathlib import Path

from engine import clock
from engine.secrets import redact

LARGEST_BYTES = 1_000_000
"""From this size on the file is renamed to `errors.log.1`, in the place of an earlier one, and a new one begun."""
LONGEST_CHARACTERS = 100_000
"""Of one traceback; the end of a longer one is kept, where the error is."""

_file: Path | None = None
_last = ""


def keep_in(home: Path | None) -> None:
    """Write tracebacks below this home from now on; None: nowhere."""
    global _file, _last
    _file, _last = None if home is None else home / "logs" / "errors.log", ""


def leave(home: Path) -> None:
    """Write no more below this home."""
    if _file is not None and _file.is_relative_to(home):
        keep_in(None)


def record(error: BaseException) -> Path | None:
    """Write an exception's traceback, without locals and secrets. It never raises.

    Returns:
        The file; None where none is kept, or it cannot be written.

    """
    global _last
    path = _file
    if path is None:
        return None
    with contextlib.suppress(Exception):
        text = redact("".join(traceback.format_exception(error)))[-LONGEST_CHARACTERS:]
        if text != _last or not path.exists():  # the same again and again, as of what is done each second, is one
            _append(path, text)
            _last = text
        return path
    return None


def _append(path: Path, text: str) -> None:
    from engine.store.files import private_folder  # not before the app's first screen

    private_folder(path.parent)
    if path.exists() and path.stat().st_size >= LARGEST_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(clock.now()))
    data = f"{at} process {os.getpid()}\n{text}\n".encode(errors="backslashreplace")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
