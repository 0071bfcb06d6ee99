"""From the bytes of a picture to the pixels that a backbone looks at. Decoding is Pillow's alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded (decompression bombs)."""


def pixels(source: Path | bytes, size: int = 224) -> np.ndarray:
    """Decode one picture for a backbone.

    The shorter side is scaled to `size` and the centre cut out, so that a picture that already has
    the right size is taken as it is.

    Args:
        source: a file, or the encoded bytes.
        size: side of the square, in pixels.

    Returns:
        uint8 array of shape `[size, size, 3]`, RGB.

    Raises:
        OSError: the bytes are no picture, or end too early.
        ValueError: the picture has more than `MAX_PIXELS` pixels.

    """
    upright = decoded(source, size)
    if upright.size != (size, size):
        upright = ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(upright)


def decoded(source: Path | bytes, side: int) -> Image.Image:
    """Decode one picture, turned upright as its EXIF says, in RGB.

    A JPEG much larger than asked for is decoded at a fraction of its size; its sides stay at least `side`.

    Raises:
        OSError, ValueError: as `pixels` does.

    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width}×{image.height} pixels are more than {MAX_PIXELS:,}")
            image.draft("RGB", (side, side))
            return ImageOps.exif_transpose(image).convert("RGB")
    except (SyntaxError, Image.DecompressionBombError) as error:  # what Pillow's decoders also raise
        raise ValueError(str(error)) from error
