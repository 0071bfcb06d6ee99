"""Worker processes: how they are started, and how a live one is told from a reused process id."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

_children: list[subprocess.Popen[bytes]] = []
"""What this process started and nobody waits for: kept so that the dead among them can be reaped."""


def start_time(pid: int) -> float | None:
    """Return when a process started (seconds since the epoch), or None when it is not alive."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None


def alive(pid: int | None, started: float | None) -> bool:
    """Tell whether the very process that started then is still alive."""
    if pid is None:
        return False
    found = start_time(pid)
    return found is not None and (started is None or abs(found - started) < 1.0)


def detach(module: str, arguments: Sequence[str], log: Path, *, pipe: bool = False) -> subprocess.Popen[bytes]:
    """Start `python -m module` in a session of its own, so that no terminal can take it along.

    Its output is appended to `log` (0600), with `pipe` only what it writes to stderr. `-P` keeps the
    current folder off the import path.
    """
    _children[:] = [child for child in _children if child.poll() is None]
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe else output,
            stderr=output,
            start_new_session=True,
            close_fds=True,
        )
    _children.append(process)
    return process
