"""Files that are either whole or not there, and private to their owner."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Make a folder (0700) with its parents, and return it."""
    for parent in [*reversed(path.parents), path]:
        if not parent.exists():
            parent.mkdir(mode=0o700, exist_ok=True)
    return path


_lease: ContextVar[Callable[[], None] | None] = ContextVar("lease", default=None)


def write_under(lease: Callable[[], None] | None) -> None:
    """Have every write of this thread, and of those that it starts with its context, call `lease` first; None ends it.

    A worker's lease raises LostClaim: files are never written by a worker whose job was given to another.
    """
    _lease.set(lease)


def prove_lease() -> None:
    """Call the lease of this thread's writes, if there is one; every writer of a job's files does at its entry."""
    lease = _lease.get()
    if lease is not None:
        lease()


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file (0600) so that a reader, or a crash, sees the old content or the new, never half.

    It is on disk when this returns. In a worker it raises LostClaim as `prove_lease` does.
    """
    prove_lease()
    data = content.encode() if isinstance(content, str) else content
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sync_folder(path: Path) -> None:
    """Make a folder's new and renamed files survive a loss of power."""
    with contextlib.suppress(OSError):  # some file systems cannot, and then need not
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
