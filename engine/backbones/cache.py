"""Features computed once and kept, by content.

Pictures are taken in chunks. A chunk's file is named after the sha256 of what is in it, so that any
process may read it, two may write the same one, and a killed run goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from engine.backbones.backbone import Backbone
from engine.backbones.images import pixels

CHUNK = 64
"""Pictures a file: half a second of work on two cores is the most that a kill can lose."""


def cached_features(
    backbone: Backbone,
    sources: Sequence[Path | Callable[[], bytes]],
    digests: Sequence[str],
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Return the features of many pictures, from the cache where they are already known.

    Args:
        backbone: who looks.
        sources: each picture as a file, or as a function that gives its encoded bytes.
        digests: the sha256 of each picture's bytes, in the same order.
        folder: where chunks are kept; made if it does not exist.
        progress: called after each chunk with (done, total); may raise to stop.

    Returns:
        float32 `[n, width]`.

    Raises:
        OSError, ValueError: a picture cannot be decoded (see `images.pixels`).

    """
    place = folder / backbone.identity
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    result = np.empty((len(sources), backbone.width), dtype=np.float32)
    with ThreadPoolExecutor(max_workers=2) as pool:
        for start in range(0, len(sources), CHUNK):
            stop = min(start + CHUNK, len(sources))
            name = hashlib.sha256("".join(digests[start:stop]).encode()).hexdigest()
            path = place / f"{name}.npy"
            known = _read(path, (stop - start, backbone.width))
            if known is None:
                pictures = list(pool.map(lambda s: _look(s, backbone.size), sources[start:stop]))
                known = backbone.features(np.stack(pictures))
                _write(path, known)
            result[start:stop] = known
            if progress is not None:
                progress(stop, len(sources))
    return result


def _look(source: Path | Callable[[], bytes], size: int) -> np.ndarray:
    return pixels(source if isinstance(source, Path) else source(), size)


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    try:
        features: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError):  # not there, or damaged: it is computed again
        return None
    return features if features.shape == shape else None


def _write(path: Path, features: np.ndarray) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        np.save(file, features)
    partial.replace(path)
