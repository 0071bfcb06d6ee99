"""A picture cut down to a box in it."""

from __future__ import annotations

import io
import warnings

from PIL import Image

from engine.datasets.checks import MAX_PIXELS, BadImageError

Box = tuple[int, int, int, int]
"""Left, top, right, bottom; the last two are outside."""
QUALITY = 95


def crop(data: bytes, box: Box) -> bytes:
    """Return what is in a box, as JPEG.

    Raises:
        BadImageError: the picture cannot be decoded, or the box is not in it.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise BadImageError(f"{image.width}×{image.height} pixels", "Scale it down.", "pixels")
                left, top = max(0, box[0]), max(0, box[1])
                right, bottom = min(image.width, box[2]), min(image.height, box[3])
                if left >= right or top >= bottom:
                    raise BadImageError(f"its box {box} is not in it", "Leave --crop-boxes out.", "broken")
                out = io.BytesIO()
                image.convert("RGB").crop((left, top, right, bottom)).save(out, "JPEG", quality=QUALITY)
                return out.getvalue()
    except BadImageError:
        raise
    except Exception as error:  # decoders raise what they like on broken bytes
        raise BadImageError(f"it cannot be decoded ({error})", "Remove it, or replace it.") from None
