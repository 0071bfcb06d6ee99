"""How bright test images are: measured once, kept by the picture's own hash, asked for by whoever wants to know."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import ImageStat

from engine.backbones.images import READING, as_seen_in_grey, opened
from engine.errors import InputError
from engine.store.datasets import StoredImage
from engine.store.files import write_atomic

SIDE = 64
"""Pixels to which a picture is scaled down before it is measured: its mean stays what it is."""


def brightness(images: Sequence[StoredImage], cache: Path, *, measure: bool) -> list[float | None]:
    """Return the mean grey of each picture as seen, from 0 to 255, None where it is not known; nothing if none is.

    Args:
        images: any.
        cache: the home's folder of what can be made again.
        measure: look at those that are not known yet. A picture that is gone or cannot be decoded stays unknown.

    """
    kept = cache / f"brightness-{READING}.json"
    known: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):  # a cache that cannot be read is no cache
        known = {str(sha): float(grey) for sha, grey in json.loads(kept.read_text(encoding="ascii")).items()}
    todo = {i.sha256: i for i in images if i.sha256 not in known} if measure else {}
    measured = {sha: grey for sha, image in todo.items() if (grey := _grey(image)) is not None}
    if measured:
        known |= measured
        with contextlib.suppress(OSError):  # as above; a full disk takes no result from anybody
            write_atomic(kept, json.dumps(known))
    found = [known.get(i.sha256) for i in images]
    return found if any(grey is not None for grey in found) else []


def _grey(picture: StoredImage) -> float | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with opened(picture.read()) as image:
                image.draft("L", (SIDE, SIDE))  # JPEG decodes small grey pictures many times faster
                grey = as_seen_in_grey(image)
                return round(float(ImageStat.Stat(grey.reduce(max(1, min(grey.size) // SIDE))).mean[0]), 2)
    except (InputError, OSError, ValueError):
        return None
