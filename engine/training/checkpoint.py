"""Checkpoints that can be trusted: written to a temporary file, flushed to disk, then renamed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that there is always a whole one under this name, the old or the new."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        torch.save({"format": FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


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
