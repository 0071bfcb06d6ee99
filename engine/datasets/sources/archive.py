"""Tar and zip files of class folders. They are untrusted: only names and bytes are taken from them.

Nothing is unpacked by the archive's own paths: the catalogue writes `<class folder>/<file name>`, both
single path parts, so that no entry can leave the target. Links and devices are passed over.
"""

from __future__ import annotations

import tarfile
import threading
import zipfile
from pathlib import Path

from engine.datasets.sources.base import Entry, entry_of
from engine.errors import InputError

MAX_BYTES = 100_000_000
"""No picture is larger; an entry that says it is, is refused before it is read."""


class TarSource:
    """Reads a tar file, compressed or not."""

    in_place = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()  # one file position for all threads
        try:
            self._tar = tarfile.open(path)  # noqa: SIM115 - closed by `close`
            self._members = {str(n): m for n, m in enumerate(self._tar.getmembers()) if m.isfile()}
        except (tarfile.TarError, OSError, EOFError) as error:
            raise InputError(f"{path}: no readable tar file ({error}).", "Check the file.") from error

    def entries(self) -> list[Entry]:
        """List the pictures."""
        found = ((entry_of(m.name, where), m.name) for where, m in self._members.items())
        return [e for e, name in sorted(((e, n) for e, n in found if e), key=lambda p: (p[0].folder, p[1]))]

    def read(self, entry: Entry) -> bytes:
        """Return a picture's bytes."""
        member = self._members[entry.where]
        if member.size > MAX_BYTES:
            raise InputError(f"{self.path}: {member.name}: {member.size:,} bytes.", "Leave it out.")
        with self._lock:
            file = self._tar.extractfile(member)
            return file.read() if file else b""

    def close(self) -> None:
        """Close the file."""
        self._tar.close()


class ZipSource:
    """Reads a zip file."""

    in_place = False

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(f"{path}: no readable zip file ({error}).", "Check the file.") from error

    def entries(self) -> list[Entry]:
        """List the pictures; what a zip marks as a link is passed over."""
        found = []
        for info in self._zip.infolist():
            is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
            entry = None if info.is_dir() or is_link else entry_of(info.filename, info.filename)
            if entry is not None:
                found.append(entry)
        return sorted(found, key=lambda e: (e.folder, e.where))

    def read(self, entry: Entry) -> bytes:
        """Return a picture's bytes."""
        info = self._zip.getinfo(entry.where)
        if info.file_size > MAX_BYTES:
            raise InputError(f"{self.path}: {entry.where}: {info.file_size:,} bytes.", "Leave it out.")
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, RuntimeError) as error:  # a wrong checksum, or a password
            raise InputError(f"{self.path}: {entry.where}: {error}.", "Check the archive.") from error

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
