"""Images of another mode than the service trains on (grey, CMYK, palette, 16 bits), made RGB."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from engine.backbones.images import as_seen, opened
from engine.errors import InputError
from engine.store.frozen import Picture

TRAINED = ("RGB", "RGBA")
"""The modes that vision fine-tuning takes."""
QUALITY = 95


def rgb_jpeg(data: bytes) -> tuple[bytes, str]:
    """Return a picture as an RGB JPEG, and the mode that it had; one that is RGB or RGBA stays byte for byte.

    The copy is what models see of the picture: turned as its EXIF says, for the copy has none, and on white.

    Raises:
        OSError, ValueError: it cannot be decoded.

    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with opened(data) as image:
            mode = image.mode
            if mode in TRAINED:
                return data, mode
            made = as_seen(image)
    copy = io.BytesIO()
    made.save(copy, "JPEG", quality=QUALITY, subsampling=0)
    return copy.getvalue(), mode


class Converter:
    """Reads images for a fine-tuning file, and remembers which of them were made RGB."""

    def __init__(self) -> None:
        self.converted: dict[Path, str] = {}
        """Each with the mode that it had."""

    def read(self, image: Picture) -> bytes:
        """Return an image's bytes as the service takes them.

        Raises:
            InputError: it cannot be read or decoded, or has changed.

        """
        try:
            data, mode = rgb_jpeg(image.read())
        except (OSError, ValueError) as error:
            raise InputError(f"{image.path}: it cannot be decoded ({error}).", "Replace it.") from None
        if mode not in TRAINED:
            self.converted[image.path] = mode
        return data
