"""Downloads a file of weights once, whoever asks, and keeps it only if its hash is right."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock, Timeout

from engine.backbones.weights import CURE, Progress, Weights, file_sha256, hash_in_name
from engine.errors import WeightsError
from engine.network import opener

BLOCK = 1 << 18
SILENCE = 30.0
"""Seconds without a byte after which a server is given up."""


def download(url: str, folder: Path, source: str, progress: Progress | None = None) -> Weights:
    """Return a file of weights, downloaded if it is not there yet.

    The last part of the URL carries the first 8 hex digits of the file's sha256, which are checked of every file,
    new or kept. It appears in the folder whole or not at all, and of two processes that want it one downloads.

    Args:
        url: where from.
        folder: where to; made if it does not exist.
        source: for people, see `Weights`.
        progress: is told of bytes; may raise to stop.

    Raises:
        WeightsError: there is no network, no space, or what came is not that file. Names the URL and the cure.

    """
    name = url.rsplit("/", 1)[-1]
    target, expected = folder / name, hash_in_name(name)
    told = progress or (lambda _name, _done, _total: None)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with patient_lock(folder / f"{name}.lock", lambda: told(f"waiting for {name}", 0, 0)):
            if target.is_file():
                digest = file_sha256(target)
                if digest.startswith(expected):
                    return Weights(target, source, digest)
            digest = _fetch(url, target, expected, told)
    except (OSError, HTTPException) as error:  # URLError and timeouts are OSErrors too
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise WeightsError(f"{url}: the weights cannot be downloaded ({reason}).", CURE) from None
    return Weights(target, source, digest)


def _fetch(url: str, target: Path, expected: str, progress: Progress) -> str:
    """Download to a file beside the target, check it, and put it in its place; return its sha256."""
    partial = target.with_name(f".{target.name}.part")  # of whoever holds the lock; a killed one's is overwritten
    digest, done, told = hashlib.sha256(), 0, 0.0
    what = f"downloading {target.name}"
    try:
        with opener(url).open(url, timeout=SILENCE) as answer, partial.open("wb") as file:
            total = int(answer.headers.get("Content-Length") or 0)
            progress(what, 0, total)
            while block := answer.read(BLOCK):
                file.write(block)
                digest.update(block)
                done += len(block)
                if time.monotonic() - told > 0.1:
                    told = time.monotonic()
                    progress(what, done, total)
            file.flush()
            os.fsync(file.fileno())
        found = digest.hexdigest()
        if total and done < total:
            raise OSError(f"the connection ended after {done:,} of {total:,} bytes")
        if not found.startswith(expected):
            raise OSError(f"its sha256 should begin with {expected}, and is {found[:8]}…")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    progress(what, done, done)
    return found


@contextmanager
def patient_lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file; as long as another process holds it, `waiting` is called each second and may raise."""
    lock = FileLock(path)
    while True:
        try:
            lock.acquire(timeout=1)
            break
        except Timeout:
            waiting()
    try:
        yield
    finally:
        lock.release()
