"""Where the home is. Apart from the settings, whose reader is too heavy for a command that needs no setting."""

from __future__ import annotations

import os
from pathlib import Path

from engine.errors import InputError


def home_folder(home: Path | None) -> Path:
    """Return the folder that holds everything: `--home`, else `DOGCLS_HOME`, else the platform's.

    Raises:
        InputError: it is below a user's home folder, and that is not known.

    """
    chosen = home or (Path(os.environ["DOGCLS_HOME"]) if os.environ.get("DOGCLS_HOME", "").strip() else None)
    if chosen is None:
        from platformdirs import user_data_path

        try:
            chosen = user_data_path("dogcls-tui", appauthor=False)
        except RuntimeError:  # no HOME, and a user of no name
            chosen = Path("~")
    expanded = os.path.expanduser(chosen)  # noqa: PTH111 – pathlib's raises, and its `resolve` fails for circular links
    if expanded.startswith("~"):
        raise InputError(
            f"{chosen}: the home folder of this user is not known (HOME is not set).",
            "Set DOGCLS_HOME to a folder, or choose one with --home.",
        )
    return Path(os.path.realpath(expanded))
