"""Checkpoints that can be trusted: written to a temporary file, flushed to disk, then renamed.

The one before is kept beside the newest, so that a damaged file costs a few seconds of work and not the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from engine.store.files import prove_lease, sync_folder

FORMAT = 2


def before(path: Path) -> Path:
    """Return where the checkpoint before `path` is kept."""
    return path.with_name(f"{path.stem}.before{path.suffix}")


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; whenever this is stopped, the new one, the old one or the one before is whole.

    Raises:
        LostClaim: another attempt has the job, and with it these files.
        OSError: the disk is full or gone; nothing is left of the new one.

    """
    prove_lease()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        why = error if isinstance(error, OSError) else error.__context__
        if isinstance(why, OSError):  # which torch hides behind an error of its own
            raise OSError(why.errno, why.strerror, str(path)) from None
        raise
    prove_lease()
    if path.exists():
        path.replace(before(path))
    partial.replace(path)
    sync_folder(path.parent)


def load(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint, or return None where there is none or it is damaged.

    Nothing but tensors and plain values is unpickled (`weights_only`).
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception:  # torch, zipfile and pickle each raise their own on a damaged file
        return None
    return state if isinstance(state, dict) and state.get("format") == FORMAT else None


def candidates(path: Path) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    """Give the checkpoint and the one before it, as far as they exist; None where one is damaged."""
    for file in (path, before(path)):
        if file.exists():
            yield file, load(file)
