"""Worker processes: how they are started, and how a live one is distinguished from a reused process id.

Two signs show that a worker lives, and neither depends on a clock that can be set: its process, by its id, the boot and
the ticks since that boot; and a lock on a file in its job's folder, which the kernel frees when the process ends. The
lock is seen from other containers and by other users too, to which the process id means nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import psutil

from engine.store.files import private_folder

PROC = Path("/proc")
BOOT_TICKS = 2**36
"""More ticks than there are in twenty years after a boot; what is above them names the boot."""
LOCK_SECONDS = 10.0
"""A worker waits this long for its job's lock: whoever checks it holds it for a moment."""

_children: list[subprocess.Popen[bytes]] = []
"""What this process started and nobody waits for: kept so that the dead among them can be reaped."""


def start_time(pid: int) -> float | None:
    """Return a number that only this living process has among those of its id, or None when it is not alive.

    On Linux the boot and the ticks from boot to start, which no change of the clock moves. Elsewhere the start in
    seconds since the epoch.
    """
    boot = boot_number(PROC)
    if boot is None:
        return _created(pid)
    try:
        fields = (PROC / str(pid) / "stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return None
    state, ticks = fields[0], int(fields[19])
    return None if state in "ZXx" else float(boot * BOOT_TICKS + ticks)


@cache
def boot_number(proc: Path) -> int | None:
    """Return a number from 1 to 65535 that names this boot of the machine, or None where it has no name."""
    try:
        name = (proc / "sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return None
    return 1 + int.from_bytes(hashlib.sha256(name).digest()[:4]) % 65535


def _created(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None


def alive(pid: int | None, started: float | None) -> bool:
    """Whether the very process that started then is still alive; a stopped one (Ctrl-Z) is."""
    if pid is None:
        return False
    # Versions before this one kept seconds since the epoch on Linux too.
    found = start_time(pid) if started is None or started >= BOOT_TICKS else _created(pid)
    return found is not None and (started is None or abs(found - started) < 1.0)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a lock for as long as this process lives at most; yield False where another process holds it.

    Where the file system knows no locks, no process is kept out: then only the process id counts.
    """
    try:
        private_folder(path.parent)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield True
        return
    try:
        until = time.monotonic() + LOCK_SECONDS
        while not (held := _try_lock(file, fcntl.LOCK_EX)) and time.monotonic() < until:
            time.sleep(0.05)
        yield held
    finally:
        os.close(file)


def is_locked(path: Path) -> bool:
    """Whether a living process holds a lock on a file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _try_lock(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def _try_lock(file: int, how: int) -> bool:
    """Return False where another process has the lock, and True with the lock or without any support of locks."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


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
