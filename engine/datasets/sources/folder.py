"""A folder of class folders, perhaps below folders named train, val and test; its pictures stay where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from engine.datasets.looking import Task
from engine.datasets.sources.base import EXTENSIONS, Entry, Passed, entry_of, is_service, shown
from engine.errors import InputError


class FolderSource:
    """Reads a folder. Links to folders are not followed, so that a loop cannot catch it; nor links that lead out."""

    in_place = True
    labels_given = False
    in_folders = True

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def scan(self) -> Iterator[Entry | Passed]:
        """List the pictures, a folder at a time."""
        waiting = [""]
        while waiting:
            relative = waiting.pop()
            try:
                with os.scandir(self.path / relative) as found:
                    inside = sorted(found, key=lambda item: item.name)
            except OSError as error:
                where = self.path / relative
                raise InputError(f"{shown(str(where))}: {error.strerror}.", "Check the folder's permissions.") from None
            folders = []
            for item in inside:
                path = f"{relative}{item.name}"
                if is_service(item.name):  # often nobody may read it
                    continue
                if item.is_symlink():
                    entry = self._link(path, item)
                elif item.is_dir():
                    folders.append(f"{path}/")
                    continue
                elif not item.is_file():
                    entry = Passed(shown(path), "special")
                else:
                    entry = entry_of(path, path, unpack=False)
                if entry is not None:
                    yield entry
            waiting += reversed(folders)

    def _link(self, path: str, item: os.DirEntry[str]) -> Entry | Passed | None:
        try:
            if item.is_dir():
                return Passed(shown(path), "folder-link")
            target = (self.path / path).resolve()
        except (OSError, RuntimeError):  # a link to itself
            target = None
        if Path(path).suffix.lower() not in EXTENSIONS:
            return Passed(shown(path), "other-file")
        if target is None or not target.is_relative_to(self.path):
            problem = "it is a link to itself" if target is None else "it is a link that leads out of the source"
            return Passed(shown(path), "link", "", problem, "Copy the picture there.")
        return entry_of(path, path, unpack=False)

    def task(self, number: int, path: str, where: str, to: str | None) -> Task:
        """Let the file be read where it is looked at."""
        return Task(number, path, file=str(self.path / where), to=to)

    def unpacked_bytes(self) -> int:
        """Nothing is unpacked."""
        return 0

    def same(self, where: str, size: int, mtime: int) -> bool:
        """Look at the file once more."""
        try:
            found = (self.path / where).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (size, mtime)

    def close(self) -> None:
        """Nothing is open."""
