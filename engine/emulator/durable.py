"""Files that survive a power cut: whole, and in their folder; and what becomes of those that are damaged all the same.

What a client was promised (a file, a batch, a job, a deployment, a payment) is written with these functions.
"""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

_log = logging.getLogger("uvicorn.error")


def write(path: Path, content: bytes) -> None:
    """Write a file (0600) through a temporary one: flushed to the disk, renamed, the rename flushed too.

    Raises:
        OSError: the disk is full or gone; the old file is still there, and nothing is left beside it.

    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def keep(content: Path, path: Path) -> None:
    """Move a finished file to its place, likewise."""
    with content.open("rb") as file:
        os.fsync(file.fileno())
    content.replace(path)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path, why: str) -> None:
    """Rename a damaged file, so that it costs no more than what was in it; name it in the log."""
    _log.error("%s: %s; set aside as %s.damaged", path, why, path.name)
    path.replace(path.with_name(f"{path.name}.damaged"))
