"""One file that is written under a temporary name, hashed on the way, and stands whole or not at all.

Joining, writing, hashing and syncing of large chunks let other threads run, encoding base64 does not: so that a second
core has something to do, full chunks are joined and written by one thread and brought to the disk by another.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from engine.store.files import prove_lease, sync_folder

CHUNK = 1 << 21
WAITING = 3
"""So many chunks may wait for the disk; that bounds the memory."""
SYNC_SECONDS = 0.03
_sync = getattr(os, "fdatasync", os.fsync)


@dataclass(frozen=True)
class Shard:
    """A written file."""

    path: Path
    requests: int
    bytes: int
    sha256: str
    tokens: int = 0
    """About how many it takes; what a batch counts against the quota of its deployment."""


@dataclass(frozen=True)
class Prefix:
    """How far a temporary file had come; its sha256 tells whether the disk still has just that."""

    bytes: int
    lines: int
    tokens: int
    sha256: str


class ShardFile:
    """Writes one file. Close it, or abandon it."""

    def __init__(self, path: Path, partial: Path | None = None, prefix: Prefix | None = None) -> None:
        """Begin a file, or go on with one.

        Args:
            path: the file.
            partial: its temporary name; one of this process's own unless given.
            prefix: go on after it; see `fits`.

        """
        self.path = path
        self._partial = partial or path.with_name(f".{path.name}.{os.getpid()}")
        self._hash = hashlib.sha256()
        self.bytes = self.lines = self.tokens = 0
        self._file = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        if prefix is not None:
            self._hash = _hash_of(self._partial, prefix.bytes)
            self.bytes, self.lines, self.tokens = prefix.bytes, prefix.lines, prefix.tokens
        os.ftruncate(self._file, self.bytes)
        os.lseek(self._file, self.bytes, os.SEEK_SET)
        self._pieces: list[bytes] = []
        self._pending = 0
        self._chunks: Queue[list[bytes] | None] | None = None
        self._threads: list[threading.Thread] = []
        self._written = threading.Event()
        self._over = threading.Event()
        self._error: OSError | None = None

    def add(self, parts: Sequence[bytes], length: int, tokens: int = 0) -> None:
        """Add a line, in pieces of this length together.

        Raises:
            OSError: something before it could not be written.

        """
        self._pieces += parts
        self._pending += length
        self.bytes += length
        self.lines += 1
        self.tokens += tokens
        if self._pending >= CHUNK:
            self._hand_over()

    def prefix(self) -> Prefix:
        """Bring everything to the disk and return how far the file has come."""
        self._settle()
        return Prefix(self.bytes, self.lines, self.tokens, self._hash.hexdigest())

    def finish(self) -> Shard:
        """Bring everything to the disk, under the temporary name still."""
        self._settle()
        self._end()
        return Shard(self.path, self.lines, self.bytes, self._hash.hexdigest(), self.tokens)

    @property
    def finished(self) -> bool:
        """Whether it is whole, with or without its name."""
        return self._file < 0

    def publish(self) -> None:
        """Give a finished file its name; raises LostClaim in a worker whose job is another's."""
        prove_lease()
        self._partial.replace(self.path)
        sync_folder(self.path.parent)

    def close(self) -> Shard:
        """Finish and publish."""
        shard = self.finish()
        self.publish()
        return shard

    def abandon(self, *, keep: bool = False) -> None:
        """Stop, and remove the temporary file unless it is to be kept."""
        self._end()
        if not keep:
            self._partial.unlink(missing_ok=True)

    def _hand_over(self) -> None:
        pieces, self._pieces, self._pending = self._pieces, [], 0
        if self._chunks is None:
            self._chunks = Queue(WAITING)
            self._threads = [
                threading.Thread(target=self._write_chunks, name="shard-writer", daemon=True),
                threading.Thread(target=self._sync_chunks, name="shard-sync", daemon=True),
            ]
            for thread in self._threads:
                thread.start()
        self._chunks.put(pieces)
        self._check()

    def _settle(self) -> None:
        if self._chunks is not None:
            self._chunks.join()
            self._check()
        if self._pieces:
            self._write(self._pieces)
            self._pieces, self._pending = [], 0
        os.fsync(self._file)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _write(self, pieces: list[bytes]) -> None:
        chunk = b"".join(pieces)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._hash.update(chunk)

    def _write_chunks(self) -> None:
        assert self._chunks is not None
        while (pieces := self._chunks.get()) is not None:
            try:
                if self._error is None:
                    self._write(pieces)
                    self._written.set()
            except OSError as error:
                self._error = error
            finally:
                self._chunks.task_done()

    def _sync_chunks(self) -> None:
        """Bring to the disk what is written while more is being made: at the end little is left to wait for."""
        while not self._over.wait(SYNC_SECONDS):
            if self._written.is_set():
                self._written.clear()
                with suppress(OSError):  # the last sync, which is waited for, tells it
                    _sync(self._file)

    def _end(self) -> None:
        self._over.set()
        if self._chunks is not None:
            self._chunks.put(None)
        for thread in self._threads:
            thread.join()
        self._chunks, self._threads = None, []
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def fits(partial: Path, prefix: Prefix) -> bool:
    """Tell whether a temporary file begins with what it is said to begin with."""
    try:
        if not partial.is_file() or partial.stat().st_size < prefix.bytes:
            return False
        return _hash_of(partial, prefix.bytes).hexdigest() == prefix.sha256
    except OSError:
        return False


def same(path: Path, size: int, sha256: str) -> bool:
    """Tell whether a file is still what it was when it was written."""
    return path.is_file() and path.stat().st_size == size and _hash_of(path, size).hexdigest() == sha256


def _hash_of(path: Path, size: int) -> hashlib._Hash:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (chunk := file.read(min(CHUNK, size))):
            found.update(chunk)
            size -= len(chunk)
    return found
