"""Small pictures for people: decoded within the limits of `checks`, never larger than asked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from engine.backbones.images import as_seen, opened
from engine.datasets.checks import MAX_BYTES
from engine.errors import InputError


@dataclass(frozen=True)
class Thumbnail:
    """A small picture: `rgb` holds height × width × 3 bytes, row by row."""

    width: int
    height: int
    rgb: bytes


def thumbnail(path: Path, width: int, height: int) -> Thumbnail:
    """Fit a picture as models see it into width × height pixels, whole.

    Raises:
        InputError: the file is gone, too large, or no picture.

    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: too large to show.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with opened(path) as image:
                image.draft("RGB", (2 * width, 2 * height))  # JPEG decodes small pictures many times faster
                small = as_seen(image)
                small.thumbnail((width, height))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'cannot be decoded'}.", "Check the file.") from None
    except ValueError as error:
        raise InputError(f"{path}: it cannot be decoded ({error}).", "Check the file.") from None
    return Thumbnail(small.width, small.height, small.tobytes())
