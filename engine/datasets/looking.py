"""Reading and checking many pictures, in processes where there are many, with a bounded number under way.

Measured on two cores with 224-pixel JPEGs: one thread checks 3,000 a second, two threads 2,500 (small pictures hold
the interpreter's lock too often), two processes 5,900. Processes take a third of a second to start, so that few
pictures are checked right here.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import connection
from typing import Any

from engine.datasets.checks import MAX_BYTES, BadImageError, Checked, check_image, share_lock, too_large
from engine.datasets.crops import Box, crop
from engine.errors import InputError
from engine.orphans import can_share

FEW = 256
"""So many pictures are checked without other processes."""
CHUNK = 16
MOST_PROCESSES = 32


@dataclass(frozen=True, slots=True)
class Task:
    """One picture to look at: its content, or the file (or part of one) that holds it.

    Attributes:
        id: handed back with what was found.
        name: its path, to be compared with its content.
        data: its content; None if it is to be read.
        file: what to read.
        offset: where in the file.
        size: bytes to read; -1 for all of them.
        to: a file to write it to.
        box: what of the picture is wanted; all of it unless given.
        error: what is wrong with it already.

    """

    id: int
    name: str
    data: bytes | None = None
    file: str = ""
    offset: int = 0
    size: int = -1
    to: str | None = None
    box: Box | None = None
    error: BadImageError | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: a good picture, or why it is none."""

    id: int
    checked: Checked | None
    mtime: int = 0
    kind: str = ""
    problem: str = ""
    cure: str = ""


def look(task: Task) -> Looked:
    """Read, check and (where told) write one picture.

    Raises:
        InputError: it cannot be written.

    """
    mtime = 0
    try:
        if task.error is not None:
            raise task.error
        data = task.data
        if data is None:
            data, mtime = read_file(task.file, task.offset, task.size)
        if task.box is not None:
            data = crop(data, task.box)
        checked = check_image(data, task.name)
    except BadImageError as error:
        return Looked(task.id, None, mtime, error.kind, error.problem, error.cure)
    if task.to is not None:
        _write(task.to, data)
    return Looked(task.id, checked, mtime)


def read_file(path: str, offset: int = 0, size: int = -1) -> tuple[bytes, int]:
    """Return a file's content (or a part of it), and when it was last changed, in nanoseconds.

    Raises:
        BadImageError: it cannot be read, is too large, or changed while it was read.

    """
    try:
        # A named pipe would wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise BadImageError("it is not there any more", "Put it back, or add the set again.", "missing") from None
    except OSError as error:
        raise BadImageError(error.strerror or "it cannot be read", "Check the file.", "unreadable") from None
    try:
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise BadImageError("it is no regular file", "Remove it.", "unreadable")
            wanted = before.st_size if size < 0 else size
            if wanted > MAX_BYTES:
                raise too_large(wanted)
            file.seek(offset)
            data = _all(file, wanted)
            after = os.fstat(descriptor)
    except OSError as error:
        raise BadImageError(error.strerror or "it cannot be read", "Check the file.", "unreadable") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != wanted:
        raise BadImageError("it changed while it was read", "Wait until nobody writes there.", "changed")
    return data, after.st_mtime_ns


def _all(file: Any, wanted: int) -> bytes:
    """Read so many bytes and one more, so that a file that grows is noticed; fewer where it has shrunk."""
    parts, missing = [], wanted
    while missing > 0 and (part := file.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _write(path: str, data: bytes) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(data)
    except FileExistsError:
        raise InputError(f"{path}: two names that are one on this disk.", "Rename one of the two.") from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "Free some space, or choose a --home on another disk." if full else "Check the disk of --home."
        raise InputError(f"{path}: {error.strerror}.", cure) from None


def look_at_all(tasks: Iterable[Task], count: int, processes: int | None = None) -> Iterator[Looked]:
    """Look at pictures, and yield what was found in their order.

    Args:
        tasks: asked for as they are needed.
        count: how many there are.
        processes: how many; as many as there are cores unless given, and none for few pictures or where processes
            cannot share a lock.

    Raises:
        InputError: one cannot be written, or a process died.

    """
    if processes is None:
        processes = 1 if count <= FEW else min(_cores(), MOST_PROCESSES)
    if processes < 2 or not can_share():
        yield from map(look, tasks)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks of an app that draws
    pending: deque[Future[list[Looked]]] = deque()
    waiting = iter(tasks)
    pool = ProcessPoolExecutor(processes, context, initializer=_start, initargs=(context.Lock(),))
    try:
        while True:
            while len(pending) < 3 * processes and (chunk := list(islice(waiting, CHUNK))):
                pending.append(pool.submit(_look_at, chunk))
            if not pending:
                return
            yield from pending.popleft().result()
    except BrokenProcessPool:
        raise InputError("A process that checks pictures has died (was there enough memory?).", "Try again.") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _look_at(chunk: list[Task]) -> list[Looked]:
    return [look(task) for task in chunk]


def _start(lock: Any) -> None:
    """Set a process up: Ctrl-C is its parent's affair, and it ends when its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    share_lock(lock)
    parent = multiprocessing.parent_process()
    if parent is not None:
        _after(parent.sentinel, lambda: os._exit(1))


def _after(sentinel: int, action: Callable[[], object]) -> None:
    def wait() -> None:
        connection.wait([sentinel])
        action()

    threading.Thread(target=wait, daemon=True).start()


def _cores() -> int:
    with contextlib.suppress(AttributeError):  # not on every platform
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
