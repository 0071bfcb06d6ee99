"""Images of another mode than the service trains on (grey, CMYK, palette, 16 bits), made RGB."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, ImageOps

from engine.store.frozen import Picture

TRAINED = ("RGB", "RGBA")
"""The modes that vision fine-tuning takes."""
QUALITY = 95


def rgb_jpeg(data: bytes) -> tuple[bytes, str]:
    """Return a picture as an RGB JPEG, and the mode that it had; one that is RGB or RGBA stays byte for byte.

    It is turned as its EXIF says, for the copy has none; what is transparent becomes white.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as image:
            mode = image.mode
            if mode in TRAINED:
                return data, mode
            made = to_rgb(ImageOps.exif_transpose(image))
    copy = io.BytesIO()
    made.save(copy, "JPEG", quality=QUALITY, subsampling=0)
    return copy.getvalue(), mode


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a picture in RGB; what is transparent becomes white."""
    if image.mode.startswith("I"):  # 16 bits, which `convert` would cut off instead of scaling them down
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


class Converter:
    """Reads images for a fine-tuning file, and remembers which of them were made RGB."""

    def __init__(self) -> None:
        self.converted: dict[Path, str] = {}
        """Each with the mode that it had."""

    def read(self, image: Picture) -> bytes:
        """Return an image's bytes as the service takes them."""
        data, mode = rgb_jpeg(image.read())
        if mode not in TRAINED:
            self.converted[image.path] = mode
        return data
