"""A folder of class folders; its pictures stay where they are."""

from __future__ import annotations

import os
from pathlib import Path

from engine.datasets.sources.base import Entry, entry_of


class FolderSource:
    """Reads a folder. Links to folders are not followed, so that a loop cannot catch it."""

    in_place = True

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def entries(self) -> list[Entry]:
        """List the pictures."""
        found = []
        for folder, _, names in os.walk(self.path):
            for name in names:
                relative = (Path(folder) / name).relative_to(self.path).as_posix()
                entry = entry_of(relative, relative)
                if entry is not None:
                    found.append(entry)
        return sorted(found, key=lambda e: (e.folder, e.where))

    def read(self, entry: Entry) -> bytes:
        """Return a picture's bytes."""
        return (self.path / entry.where).read_bytes()

    def close(self) -> None:
        """Nothing is open."""
