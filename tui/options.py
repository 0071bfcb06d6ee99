"""The options before the command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OnScreen:
    """How the app behaves on this terminal."""

    theme: str = "kennel"
    ascii: bool = False
    mouse: bool = True
    pictures: str = "auto"
    bell: bool = True


@dataclass
class Globals:
    """What holds for every command."""

    home: Path | None = None
    profile: str | None = None
    readonly: bool = False
    screen: OnScreen = OnScreen()
