"""Where the home is. Apart from the settings, whose reader is too heavy for a command that needs no setting."""

from __future__ import annotations

import os
from pathlib import Path


def home_folder(home: Path | None) -> Path:
    """Return the folder that holds everything: `--home`, else `DOGCLS_HOME`, else the platform's."""
    chosen = home or (Path(os.environ["DOGCLS_HOME"]) if os.environ.get("DOGCLS_HOME") else None)
    if chosen is None:
        from platformdirs import user_data_path

        chosen = user_data_path("dogcls-tui", appauthor=False)
    return chosen.expanduser().resolve()
