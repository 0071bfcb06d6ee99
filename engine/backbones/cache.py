"""What a backbone gave for pictures, computed once and kept, by content.

Pictures are taken in chunks. A chunk's file is named after the sha256 of what is in it, so that any
process may read it, two may write the same one, and a killed run goes on where it was. Features are read; maps,
which for thousands of pictures are larger than memory, are mapped into it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.backbones.backbone import Backbone, usable_cores
from engine.backbones.images import pixels
from engine.backbones.runner import AT_ONCE
from engine.errors import InputError

CHUNK = 64
"""Pictures a file: half a second of work on two cores is the most that a kill can lose."""

Picture = Path | Callable[[], bytes]
Say = Callable[[str, str], None]


class Cached:
    """What a backbone gave for each of many pictures, an array `[n, …]` in pieces: features in memory, maps on disk.

    Where an array is wanted NumPy makes one of it: `np.asarray(cached)`.
    """

    def __init__(self, chunks: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """`chunks` have `CHUNK` pictures each, the last one what is left; `shape` is one picture's."""
        self._chunks = list(chunks)
        self.dtype = dtype
        self.shape = (sum(len(chunk) for chunk in chunks), *shape)

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return a new array `[len(indices), …]` of these pictures, in this order.

        Raises:
            IndexError: there is no such picture; counting from the end is not supported.

        """
        found = np.empty((len(indices), *self.shape[1:]), self.dtype)
        for row, index in enumerate(np.asarray(indices, np.int64).tolist()):
            if not 0 <= index < len(self):
                raise IndexError(f"picture {index} of {len(self)}")
            found[row] = self._chunks[index // CHUNK][index % CHUNK]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("it lies in several files: an array of it is a copy")
        found = np.empty(self.shape, self.dtype)
        for number, chunk in enumerate(self._chunks):
            found[number * CHUNK : number * CHUNK + len(chunk)] = chunk
        return found if dtype is None else found.astype(dtype, copy=False)


def cached_features(
    backbone: Backbone,
    sources: Sequence[Picture],
    digests: Sequence[str],
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    mirrored: bool = False,
    say: Say | None = None,
) -> Cached:
    """Return what a backbone gives for many pictures as they are, or for their mirror images: see `cached_views`."""
    (found,) = cached_views(backbone, sources, digests, folder, progress, views=(mirrored,), say=say)
    return found


def cached_views(
    backbone: Backbone,
    sources: Sequence[Picture],
    digests: Sequence[str],
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    views: Sequence[bool] = (False, True),
    say: Say | None = None,
) -> list[Cached]:
    """Return what a backbone gives for many pictures, from the cache where it is already known.

    Each picture is decoded once for all views, and many are looked at together, on all cores.

    Args:
        backbone: who looks.
        sources: each picture as a file, or as a function that gives its encoded bytes.
        digests: the sha256 of each picture's bytes, in the same order.
        folder: where chunks are kept; made if it does not exist.
        progress: called after each chunk with (done, total) pictures; may raise to stop.
        views: for each result, whether it is of the mirror images.
        say: is told (message, level) when the disk is full, and features are kept in memory instead.

    Returns:
        for each view, features `[n, width]` float32 or maps `[n, c, h, w]` float16.

    Raises:
        OSError, ValueError: a picture cannot be decoded (see `images.pixels`); names its file.
        InputError: there is no space for maps.

    """
    places = [folder / (backbone.identity + ("-mirrored" if view else "")) for view in views]
    names = [_name(digests[at : at + CHUNK]) for at in range(0, len(digests), CHUNK)]
    counts = [min(CHUNK, len(sources) - at) for at in range(0, len(sources), CHUNK)]
    known: list[list[np.ndarray | None]] = []
    for place in places:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = zip(names, counts, strict=True)
        known.append([_open(place / n, (count, *backbone.shape), backbone.dtype) for n, count in files])
    lacking = [[at for at, view in enumerate(known) if view[number] is None] for number in range(len(names))]
    keeping = _Keeping(backbone, places, say)
    keeping.check_space(sum(len(at) * count for at, count in zip(lacking, counts, strict=True)))
    wanted = [(number, [views[view] for view in at]) for number, at in enumerate(lacking) if at]
    with closing(_seen(backbone, sources, wanted)) as seen:
        for number, at in enumerate(lacking):
            for view, found in zip(at, next(seen) if at else [], strict=True):
                known[view][number] = keeping.keep(places[view] / names[number], found)
            if progress is not None:
                progress(number * CHUNK + counts[number], len(sources))
    return [Cached([c for c in view if c is not None], backbone.shape, backbone.dtype) for view in known]


class _Keeping:
    """Writes chunks, as long as there is space."""

    def __init__(self, backbone: Backbone, places: Sequence[Path], say: Say | None) -> None:
        self._maps, self._place, self._say = len(backbone.shape) > 1, places[0], say
        self._each = int(np.prod(backbone.shape)) * backbone.dtype.itemsize
        self._needed = 0
        self._full = False

    def check_space(self, pictures: int) -> None:
        """Raise InputError where maps of so many pictures will not fit; features are small, and fit in memory."""
        self._needed = pictures * self._each
        if self._maps and shutil.disk_usage(self._place).free < self._needed * 1.02:
            raise self._no_space()

    def keep(self, path: Path, found: np.ndarray) -> np.ndarray:
        """Write a chunk and return it as it lies on disk; in memory, where it can be that or nothing."""
        if self._full:
            return found
        try:
            _write(path, found)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            if self._maps:
                raise self._no_space() from None
            self._full = True
            if self._say is not None:
                self._say(f"{self._place}: no space left; features are kept in memory, and lost afterwards", "warning")
            return found
        written = _open(path, found.shape, found.dtype)
        return found if written is None else written

    def _no_space(self) -> InputError:
        return InputError(
            f"{self._place}: no space left for what the backbone sees: {self._needed / 1e6:,.0f} MB are needed.",
            "Make room there, point the cache elsewhere, or train fewer blocks or images.",
        )


def _seen(
    backbone: Backbone, sources: Sequence[Picture], wanted: Sequence[tuple[int, list[bool]]]
) -> Generator[list[np.ndarray], None, None]:
    """Look at chunk after chunk, some ahead of who takes them.

    Whoever decodes a few pictures also looks at them: so each core is busy, and none waits for the slowest.

    Args:
        backbone: who looks.
        sources: all pictures.
        wanted: numbers of chunks, and the views of each that are wanted.

    Yields:
        for each wanted chunk what each of its views gives.

    """
    waiting: deque[list[Future[list[np.ndarray]]]] = deque()
    left, workers = iter(wanted), usable_cores()
    ahead = 1 + -(-2 * workers * AT_ONCE // CHUNK)

    def see(few: Sequence[Picture], views: list[bool]) -> list[np.ndarray]:
        pictures = np.stack([read_picture(source, partial(pixels, size=backbone.size)) for source in few])
        return [backbone.features(pictures, mirrored=view) for view in views]

    pool = ThreadPoolExecutor(workers, "looking")
    try:
        while True:
            while len(waiting) < ahead and (chunk := next(left, None)) is not None:
                some = sources[chunk[0] * CHUNK : (chunk[0] + 1) * CHUNK]
                few = (some[at : at + AT_ONCE] for at in range(0, len(some), AT_ONCE))
                waiting.append([pool.submit(see, each, chunk[1]) for each in few])
            if not waiting:
                return
            found = [future.result() for future in waiting.popleft()]
            yield [np.concatenate(view) for view in zip(*found, strict=True)]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def read_picture(source: Picture, read: Callable[[Path | bytes], np.ndarray]) -> np.ndarray:
    """Read a picture.

    Args:
        source: the picture. A function that is the method of something with a `path` is that file's.
        read: decodes a file, or its bytes.

    Raises:
        OSError, ValueError: it cannot be decoded; names its file, where that is known.

    """
    try:
        return read(source if isinstance(source, Path) else source())
    except (OSError, ValueError) as error:
        name = str(source if isinstance(source, Path) else getattr(getattr(source, "__self__", None), "path", ""))
        if not name or name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error


def _name(digests: Sequence[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest() + ".npy"


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray | None:
    try:
        # As a plain array: np.memmap itself takes longer to give a row than to read it.
        found = np.asarray(np.load(path, mmap_mode="r" if len(shape) > 2 else None, allow_pickle=False))
    except (OSError, ValueError, EOFError):  # not there, or damaged: it is computed again
        return None
    return found if found.shape == shape and found.dtype == dtype else None


def _write(path: Path, found: np.ndarray) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            np.save(file, found)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
