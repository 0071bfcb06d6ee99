"""A set of request files, written so that a kill at any moment costs seconds, and the next run gives the same bytes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from engine.datasets.manifest import MOST_NAMED, Begun, Manifest, Written, partial, take_up
from engine.datasets.shard_file import Shard, ShardFile
from engine.errors import InputError, StoreError

CHECKPOINT_SECONDS = 5.0
"""So much work at most is done again after a kill."""


class Line(NamedTuple):
    """One line in pieces; or, where `why` says something, an image that cannot be sent."""

    name: str
    parts: Sequence[bytes] = ()
    length: int = 0
    tokens: int = 0
    why: str = ""


@dataclass(frozen=True)
class Limits:
    """What one file may hold."""

    bytes: int
    lines: int
    tokens: int | None = None


@dataclass(frozen=True)
class Exported:
    """What is there now.

    Attributes:
        shards: all files.
        kept: how many of them an earlier run had finished already.
        resumed: lines of a file under way that an earlier run had left.
        skipped: images that were left out.
        bad: (image, why) of the first of them.

    """

    shards: tuple[Shard, ...]
    kept: int
    resumed: int
    skipped: int
    bad: tuple[tuple[str, str], ...]


class Exporter:
    """Writes one set of files into a folder."""

    def __init__(self, folder: Path, stem: str, recipe: dict[str, Any], limits: Limits, *, skip_bad: bool) -> None:
        """Prepare a set.

        Args:
            folder: where the files go, as `<stem>-00001.jsonl` and so on.
            stem: see above.
            recipe: all that decides the files' bytes; a set of another recipe is not overwritten.
            limits: of one file.
            skip_bad: leave out images that cannot be sent; without it the first of them ends it.

        """
        self._folder, self._stem, self._limits, self._skip_bad = folder, stem, limits, skip_bad
        self._recipe = recipe
        self._path = folder / f"{stem}.manifest.json"
        self._position = self._skipped = 0

    def write(self, lines: Callable[[int], Iterator[Line]], progress: Callable[[int], None] | None = None) -> Exported:
        """Write what is not there yet.

        Args:
            lines: yields all lines, in order, but for the first so many.
            progress: called with how many were read.

        Raises:
            InputError: an image cannot be sent, or a file that is not ours is in the way.
            StoreError: the disk is full, or somebody else writes there.

        """
        with _alone(self._folder):
            state = take_up(self._path, self._recipe, self._stem)
            kept, resumed = len(state.shards), state.begun.prefix.lines if state.begun else 0
            last = state.begun or (state.shards[-1] if state.shards else None)
            if last is not None:
                self._position, self._skipped = last.position, last.skipped
            if not state.complete:
                try:
                    self._write(state, lines, progress)
                except OSError as error:
                    told = f"{self._folder}: {error.strerror or error}."
                    raise StoreError(told, "Free some space; the same command then goes on.") from error
            shards = tuple(
                Shard(self._folder / shard.file, shard.lines, shard.bytes, shard.sha256, shard.tokens)
                for shard in state.shards
            )
            return Exported(shards, kept, resumed, self._skipped, tuple((name, why) for _, name, why in state.bad))

    def _write(
        self, state: Manifest, lines: Callable[[int], Iterator[Line]], progress: Callable[[int], None] | None
    ) -> None:
        limits = self._limits
        file = self._go_on(state)
        due = time.monotonic() + CHECKPOINT_SECONDS
        try:
            for line in lines(self._position):
                if line.why or line.length > limits.bytes:
                    self._leave_out(state, line)
                else:
                    if file is not None and (
                        file.bytes + line.length > limits.bytes
                        or file.lines >= limits.lines
                        or (limits.tokens is not None and file.tokens + line.tokens > limits.tokens)
                    ):
                        self._seal(state, file)
                        file = None
                    if file is None:
                        file = self._open(len(state.shards) + 1)
                    file.add(line.parts, line.length, line.tokens)
                self._position += 1
                if progress is not None:
                    progress(self._position)
                if time.monotonic() > due:
                    self._checkpoint(state, file)
                    due = time.monotonic() + CHECKPOINT_SECONDS
            state.complete = True
            if file is not None:
                self._seal(state, file)
                file = None
            else:
                if state.shards:  # images may have been left out after the last line
                    state.shards[-1].position, state.shards[-1].skipped = self._position, self._skipped
                state.save(self._path)
        except BaseException as error:
            state.complete = False
            if file is not None and not file.finished:
                if not isinstance(error, OSError):  # after which nobody knows what the disk has
                    with suppress(OSError):
                        self._checkpoint(state, file)
                file.abandon(keep=True)
            raise

    def _open(self, number: int) -> ShardFile:
        path = self._folder / f"{self._stem}-{number:05d}.jsonl"
        return ShardFile(path, partial(path))

    def _go_on(self, state: Manifest) -> ShardFile | None:
        """Return the file that an earlier run has begun."""
        if state.begun is None:
            return None
        path = self._folder / state.begun.file
        return ShardFile(path, partial(path), state.begun.prefix)

    def _leave_out(self, state: Manifest, line: Line) -> None:
        why = line.why or f"its line has {line.length:,} bytes, and a file has at most {self._limits.bytes:,}"
        if not self._skip_bad:
            raise InputError(f"{line.name}: {why}.", "Correct it, or leave such images out: --skip-bad.")
        self._skipped += 1
        if len(state.bad) < MOST_NAMED:
            state.bad.append((self._position, line.name, why))

    def _checkpoint(self, state: Manifest, file: ShardFile | None) -> None:
        if file is None:
            return
        state.begun = Begun(file.path.name, file.prefix(), self._position, self._skipped)
        state.save(self._path)

    def _seal(self, state: Manifest, file: ShardFile) -> None:
        """Finish a file: written down first, named then."""
        shard = file.finish()
        state.begun = None
        state.shards.append(
            Written(
                file.path.name, shard.requests, shard.bytes, shard.sha256, shard.tokens, self._position, self._skipped
            )
        )
        state.save(self._path)
        file.publish()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a folder against a second run. The lock goes with the process, however that ends."""
    held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{folder}: another process writes here just now.", "Wait for its end.") from None
        except OSError:  # a file system without locks
            pass
        yield
        os.fsync(held)  # the names, too
    finally:
        os.close(held)
