"""Which device trains."""

from __future__ import annotations

import torch

from engine.errors import InputError


def pick_device(name: str = "auto") -> torch.device:
    """Return a device: `auto` prefers CUDA, then MPS, then the CPU.

    Raises:
        InputError: the named device is not there.

    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if not available.get(name):
        there = ", ".join(device for device, is_there in available.items() if is_there)
        raise InputError(f"There is no device {name!r} here.", f"Choose one of: {there}.")
    return torch.device(name)
