"""Imports torchvision, also where it was built for another torch than the one installed.

A CPU torch beside a torchvision built for CUDA fails on import with "operator torchvision::nms does
not exist", because torchvision registers fake kernels for C++ operators that did not load. Models,
`transforms.v2` and datasets need none of those operators, so the import is tried once more with the
registrations of the missing ones left out. `torchvision.io` and `torchvision.ops` stay unusable.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch


def import_torchvision() -> ModuleType:
    """Return the torchvision package, with `torchvision.models` and `transforms.v2` importable."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    register_fake = torch.library.register_fake

    def skipping(op: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(op, str) and op.startswith("torchvision::"):
            return _unchanged
        return register_fake(op, *args, **kwargs)

    torch.library.register_fake = skipping
    try:
        return importlib.import_module("torchvision")
    finally:
        torch.library.register_fake = register_fake


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function
