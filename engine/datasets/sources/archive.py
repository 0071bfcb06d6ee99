"""Tar and zip files of class folders. They are untrusted: only names and bytes are taken from them.

A path is taken apart into single names (`base.parts_of`) before anything is written below the target, so that no entry
can leave it. Devices are passed over, and reported; a picture that is a link is unusable. Members are read in the
order in which they lie there, one at a time: a compressed tar is read twice, whatever its size, and never unpacked.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from engine.datasets.checks import MAX_BYTES, BadImageError, too_large
from engine.datasets.looking import Task
from engine.datasets.sources.base import Entry, Passed, entry_of, shown
from engine.errors import InputError

MOST_AT_ONCE = 16_000_000
"""No honest header or picture is longer; a member that says it is would be read into memory whole."""
MOST_SKIPPED = 2_000_000_000
"""A member of a compressed tar is decompressed to be skipped, which an archive bomb would make last for ever."""
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


_ENCRYPTED = 0x1 | 0x40 | 0x2000
"""A zip entry's flags: encrypted, strongly encrypted, names encrypted."""
_UTF8 = 0x800
_UNICODE_PATH = 0x7075
_AES = 99
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}

_NAMES = {1: "Shrink", 6: "Implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 96: "JPEG", 98: "PPMd"}
"""Of methods of compression that other packers have."""


class ArchiveFile:
    """An archive's file, and whether it is what it was."""

    in_place = False
    labels_given = False
    in_folders = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before = self._stat()
        self._bytes = 0

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}.", "Check the file.") from None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def unpacked_bytes(self) -> int:
        """Return what the members say that they take."""
        return self._bytes

    def same(self, where: str, size: int, mtime: int) -> bool:
        """Tell whether the archive is what it was when it was opened."""
        return self._stat() == self._before

    def _broken(self, what: str, error: BaseException) -> InputError:
        return InputError(f"{self.path}: no readable {what} file ({error}).", "Check the file, or fetch it again.")


class _Capped:
    """A file from which nobody reads more at once than any honest archive needs."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_AT_ONCE:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        return self._file.seek(position, whence)

    def tell(self) -> int:
        return self._file.tell()


class TarSource(ArchiveFile):
    """Reads a tar file, compressed (gzip, bzip2, xz) or not; which of these is told by its content."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._stream: IO[bytes] | None = None
        self._tar: tarfile.TarFile | None = None
        self._number = 0
        try:
            with path.open("rb") as file:
                magic = file.read(6)
        except OSError as error:
            raise self._broken("tar", error) from None
        openers: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
        self._open = openers.get(magic[:2], open)
        self._plain = self._open is open

    def _rewind(self) -> None:
        self.close()
        self._stream = cast(IO[bytes], self._open(self.path, "rb"))
        self._tar = tarfile.open(fileobj=cast(Any, _Capped(self._stream)), mode="r:")  # noqa: SIM115 - see `close`
        self._number = 0

    def _next(self) -> tarfile.TarInfo | None:
        assert self._tar is not None
        member = self._tar.next()
        self._tar.__dict__["members"] = []  # it would keep them all
        self._number += 1
        return member

    def scan(self) -> Iterator[Entry | Passed]:
        """List the pictures."""
        try:
            self._rewind()
            while (member := self._next()) is not None:
                found = self._entry(member)
                if found is not None:
                    yield found
        except _BROKEN as error:
            raise self._broken("tar", error) from error

    def _entry(self, member: tarfile.TarInfo) -> Entry | Passed | None:
        name = shown(member.name)
        if member.isdir():
            return None
        if member.issym() or member.islnk():
            return _link(member.name, f"to {shown(member.linkname)}")
        if not member.isfile():
            return Passed(name, "special")
        if not self._plain and member.size > MOST_SKIPPED:
            raise InputError(f"{self.path}: {name}: {member.size:,} bytes, unpacked.", "Leave it out of the archive.")
        where = f"{member.offset_data}:{member.size}" if self._plain else f"{self._number}:{member.size}"
        found = entry_of(member.name, where, unpack=True)
        if isinstance(found, Entry):
            if member.issparse():
                return Passed(name, "sparse", "", "it is stored as a sparse file", "Pack it with its content.")
            if member.size > MAX_BYTES:
                return Passed(name, "bytes", f"{member.size:,} bytes", too_large(member.size).problem, "Scale it down.")
            self._bytes += member.size
        return found

    def task(self, number: int, path: str, where: str, to: str | None) -> Task:
        """Let the part of a plain tar be read where it is looked at; go on in a compressed one."""
        at, size = map(int, where.split(":"))
        if self._plain:
            return Task(number, path, file=str(self.path), offset=at, size=size, to=to)
        try:
            if self._tar is None or self._number >= at:
                self._rewind()
            member = None
            while self._number < at:
                member = self._next()
            assert self._tar is not None
            file = self._tar.extractfile(member) if member is not None else None
            data = file.read(size) if file is not None else b""
        except _BROKEN as error:
            raise self._broken("tar", error) from error
        if len(data) != size:
            return Task(number, path, error=BadImageError("it changed while it was read", "Try again.", "changed"))
        return Task(number, path, data, to=to)

    def close(self) -> None:
        """Close the file."""
        if self._tar is not None:
            self._tar.close()
        if self._stream is not None:
            self._stream.close()
        self._tar = self._stream = None


class ZipSource(ArchiveFile):
    """Reads a zip file. Its directory stays in memory, about half a kilobyte an entry, as Python reads it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except _BROKEN as error:
            raise self._broken("zip", error) from error

    def scan(self) -> Iterator[Entry | Passed]:
        """List the pictures.

        Raises:
            InputError: they are encrypted, or compressed by a method that cannot be read.

        """
        for number, info in enumerate(self._zip.infolist()):
            kind = (info.external_attr >> 16) & 0o170000
            name, known = _name_of(info)
            if not name or name.endswith(("/", "\\")):
                continue
            if kind == 0o120000:
                if (link := _link(name)) is not None:
                    yield link
                continue
            if kind not in (0, 0o100000):
                yield Passed(shown(name), "special")
                continue
            found = entry_of(name, str(number), unpack=True)
            if isinstance(found, Entry):
                self._can_read(info, name)
                if info.file_size > MAX_BYTES:
                    problem = too_large(info.file_size)
                    found = Passed(found.path, "bytes", f"{info.file_size:,} bytes", problem.problem, problem.cure)
                else:
                    self._bytes += info.file_size
                    found = replace(found, unsure=not known and not found.folder.isascii())
            if found is not None:
                yield found

    def _can_read(self, info: zipfile.ZipInfo, name: str) -> None:
        """Refuse an archive whose pictures cannot be read, before anything is copied."""
        if info.flag_bits & _ENCRYPTED or info.compress_type == _AES:
            how = "AES" if info.compress_type == _AES else "a password"
            raise InputError(
                f"{self.path}: its pictures are encrypted ({how}), such as {shown(name)}.",
                "Unpack it with its password, and add the folder.",
            )
        if info.compress_type not in _METHODS:
            method = _NAMES.get(info.compress_type, f"method {info.compress_type}")
            raise InputError(
                f"{self.path}: its pictures are compressed by {method}, which cannot be read here, such as"
                f" {shown(name)}.",
                "Unpack it, and add the folder; or pack it anew with Deflate.",
            )

    def task(self, number: int, path: str, where: str, to: str | None) -> Task:
        """Read a member."""
        info = self._zip.infolist()[int(where)]
        try:
            with self._zip.open(info) as file:
                data = file.read(MAX_BYTES + 1)
        except (RuntimeError, NotImplementedError, *_BROKEN) as error:  # a wrong checksum, a password, a method
            return Task(number, path, error=BadImageError(f"{error}", "Check the archive.", "unreadable"))
        return Task(number, path, data, to=to)

    def close(self) -> None:
        """Close the file."""
        self._zip.close()


def _link(name: str, note: str = "") -> Passed | None:
    """Return a link in an archive: a picture that is one is missing from the set, which is never passed over."""
    found = entry_of(name, "", unpack=True)
    if isinstance(found, Entry):
        how = "Pack the pictures themselves (tar --dereference --hard-dereference)."
        return Passed(shown(name), "packed-link", note, "it is a link in the archive, and no picture", how)
    return None if found is None else Passed(shown(name), "archive-link", note)


def _name_of(info: zipfile.ZipInfo) -> tuple[str, bool]:
    """Return an entry's name, and whether its encoding is known.

    One that is not marked as UTF-8 is code page 437 by the format, and what the packer's system had in fact: UTF-8 is
    recognised, and an entry may have its name as UTF-8 in an extra field.
    """
    name = info.filename
    if info.flag_bits & _UTF8 or name.isascii():
        return name, True
    raw = name.encode("cp437")
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == _UNICODE_PATH and size > 5 and struct.unpack("<L", extra[5:9])[0] == zlib.crc32(raw):
            return extra[9 : 4 + size].decode("utf-8", "surrogateescape"), True
        extra = extra[4 + size :]
    try:
        return raw.decode(), True
    except UnicodeDecodeError:
        return name, False
