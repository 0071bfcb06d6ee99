"""What one wants to know before asking for help: versions, device, paths, profile."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from engine.failures import described
from engine.jobs import embedded
from engine.jobs.paths import Home, open_home
from engine.places import home_folder
from engine.settings import load_settings
from engine.training.device import pick_runtime

T = TypeVar("T")

PACKAGES = (
    "textual",
    "openai",
    "azure-mgmt-cognitiveservices",
    "torch",
    "torchvision",
    "onnxruntime",
    "pillow",
)


def about(chosen: Path | None, profile: str | None, *, readonly: bool = False) -> dict[str, Any]:
    """Return everything as plain values, as far as it can be known: what prevents the rest is in `problems`.

    The emulator's key is not among them.

    Args:
        chosen: `--home`; see `engine.places.home_folder`.
        profile: `--profile`; that of the settings unless given.
        readonly: nothing is written.

    """
    problems: list[str] = []

    def known(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except Exception as error:
            problems.append(str(described(error)))
            return None

    root = known(lambda: home_folder(chosen))
    home = known(lambda: open_home(chosen, readonly=readonly)) if root is not None else None
    if home is not None and home.unwritable:
        problems.append(f"{home.unwritable}: it is only read.")
    settings = known(lambda: load_settings(home.root)) if home is not None else None
    profile = profile or (settings.default_profile() if settings is not None else None)
    if settings is not None and profile not in (None, "demo"):
        known(lambda: settings.resource(str(profile)))
    service = None if home is None else embedded.running(home)
    return {
        "dogcls_tui": _version("dogcls-tui"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": known(lambda: str(pick_runtime().device)),
        "profile": profile,
        "settings": {
            "from": None if settings is None else settings.origin(str(profile)) or None,
            "not_used": [] if settings is None else list(settings.notes),
        },
        "paths": {
            "home": None if root is None else str(root),
            "store": None if root is None else str(Home(root).store),
            "logs": None if root is None else str(root / "logs"),
            "prices": None if root is None else str(Home(root).prices),
            "python": sys.executable,
        },
        "emulator": None if service is None else {"endpoint": service.endpoint, "pid": service.pid},
        "problems": problems,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
