"""A picture cut down to a box in it."""

from __future__ import annotations

import io
import warnings

from engine.backbones.images import TooManyPixels, opened, to_rgb, turn
from engine.datasets.checks import BadImageError

Box = tuple[int, int, int, int]
"""Left, top, right, bottom of the file's own pixels, before EXIF turns them; the last two are outside."""
QUALITY = 95


def crop(data: bytes, box: Box) -> bytes:
    """Return what models see of what is in a box, as JPEG.

    Raises:
        BadImageError: the picture cannot be decoded, or the box is not in it.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with opened(data, ("JPEG", "PNG", "WEBP")) as image:
                left, top = max(0, box[0]), max(0, box[1])
                right, bottom = min(image.width, box[2]), min(image.height, box[3])
                if left >= right or top >= bottom:
                    raise BadImageError(f"its box {box} is not in it", "Leave --crop-boxes out.", "broken")
                out = io.BytesIO()
                seen, how = to_rgb(image).crop((left, top, right, bottom)), turn(image)
                (seen if how is None else seen.transpose(how)).save(out, "JPEG", quality=QUALITY)
                return out.getvalue()
    except BadImageError:
        raise
    except TooManyPixels as error:
        raise BadImageError(str(error), "Scale it down.", "pixels") from None
    except (OSError, ValueError) as error:
        raise BadImageError(f"it cannot be decoded ({error})", "Remove it, or replace it.") from None
