"""Processes that multiprocessing started must not outlive whoever started them, not even a kill -9 of it."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
from multiprocessing import connection


def end_with_parent(*_: object) -> None:
    """End this process as soon as its parent has ended; call it where the process begins.

    Workers wait for work at a pipe whose other end they hold themselves, so that they never see it close.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def wait() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def can_share() -> bool:
    """Return whether processes can share locks here: not without shared memory (`/dev/shm`), or on a full one.

    Nor can they without a folder for temporary files, in which they connect.
    """
    try:
        tempfile.gettempdir()
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError):
        return False
    return True
