"""What one wants to know before asking for help: versions, device, paths, profile."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from engine.jobs import embedded
from engine.jobs.paths import Home
from engine.settings import load_settings
from engine.training.device import pick_runtime

PACKAGES = (
    "textual",
    "openai",
    "azure-mgmt-cognitiveservices",
    "torch",
    "torchvision",
    "onnxruntime",
    "pillow",
)


def about(home: Home, profile: str) -> dict[str, Any]:
    """Return everything as plain values. The emulator's key is not among them."""
    service = embedded.running(home)
    settings = load_settings(home.root)
    return {
        "dogcls_tui": _version("dogcls-tui"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": str(pick_runtime().device),
        "profile": profile,
        "settings": {"from": settings.origin(profile) or None, "not_used": list(settings.notes)},
        "paths": {
            "home": str(home.root),
            "store": str(home.store),
            "logs": str(home.root / "logs"),
            "prices": str(home.prices),
            "python": sys.executable,
        },
        "emulator": None if service is None else {"endpoint": service.endpoint, "pid": service.pid},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
