"""Images for the service: passed through byte for byte, or scaled to what the model is shown of them anyway.

At low detail the service scales every image to 512 pixels; at high detail into 2048 by 2048, the shorter side
to 768. Pixels beyond that cost upload time and buy nothing. Nothing is ever enlarged. The bytes of a scaled
image depend on Pillow's version and on nothing else, so that a file names the version that it was made with.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.datasets.headers import mime_of

if TYPE_CHECKING:
    from PIL import Image

LOW_SIDE = 512
HIGH_SIDE, HIGH_SHORT = 2048, 768
QUALITY = 85
FormatName = Literal["as-is", "jpeg", "webp", "png"]
_ORIENTATION = 0x0112


class BadImage(Exception):
    """Why an image cannot be sent."""


@dataclass(frozen=True)
class Form:
    """In which form images are sent.

    Attributes:
        format: of the picture; `as-is` keeps each one's own.
        quality: of JPEG and WEBP that are encoded anew.
        max_side: of the longer side, below what detail uses; with it, or with a format, images are scaled.

    """

    format: FormatName = "as-is"
    quality: int = QUALITY
    max_side: int | None = None

    @property
    def untouched(self) -> bool:
        """Whether every image goes byte for byte."""
        return self.format == "as-is" and self.max_side is None

    def size(self, width: int, height: int, detail: str) -> tuple[int, int]:
        """Return the size in which an image is sent."""
        if self.untouched:
            return width, height
        longer, shorter = max(width, height), min(width, height)
        most = LOW_SIDE if detail == "low" else HIGH_SIDE
        scale = min(1.0, min(most, self.max_side or most) / longer)
        if detail == "high":
            scale = min(scale, HIGH_SHORT / shorter)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def make(self, data: bytes, detail: str) -> tuple[bytes, str]:
        """Return an image as it is sent, and its media type.

        The original goes where it already has the format, the size, an RGB mode and no turn by EXIF, and
        encoding it anew would not make it smaller.

        Raises:
            BadImage: it cannot be decoded, or the service does not take it as it is.

        """
        mime = mime_of(data)
        if self.untouched:
            if mime is None:
                raise BadImage("it is neither JPEG, PNG nor WEBP; --format jpeg converts it")
            return data, mime
        from engine.backbones.images import opened  # Pillow: not for bytes that are passed through

        try:
            with opened(data) as image:
                wanted = f"image/{self.format}" if self.format != "as-is" else mime or "image/jpeg"
                orientation = image.getexif().get(_ORIENTATION, 1)
                as_sent = mime == wanted and image.mode in ("RGB", "RGBA") and orientation == 1
                size = self.size(*image.size, detail)
                scaled = size != image.size
                if as_sent and not scaled and self.format == "as-is":
                    return data, wanted
                if scaled:  # a JPEG decodes straight to a half, a quarter or an eighth
                    image.draft(None, (2 * size[0], 2 * size[1]))
                made = self._encode(image, size[::-1] if orientation >= 5 else size, wanted)
        except (OSError, ValueError) as error:
            raise BadImage(f"it cannot be decoded ({error})") from None
        return (data, wanted) if as_sent and not scaled and len(data) <= len(made) else (made, wanted)

    def _encode(self, image: Image.Image, size: tuple[int, int], mime: str) -> bytes:
        from PIL import Image

        from engine.backbones.images import to_rgb, turn

        source = image
        if image.mode != "RGBA" or mime == "image/jpeg":
            image = to_rgb(image)
        if (how := turn(source)) is not None:
            image = image.transpose(how)
        if image.size != size:
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        for name in ("exif", "icc_profile", "xmp", "comment"):  # Pillow would write some of them again
            image.info.pop(name, None)
        made = io.BytesIO()
        if mime == "image/png":
            image.save(made, "PNG", compress_level=9)
        elif mime == "image/webp":
            image.save(made, "WEBP", quality=self.quality, method=4)
        else:
            image.save(made, "JPEG", quality=self.quality, optimize=True)
        return made.getvalue()


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep decoders from warning of what they could read all the same (large pictures, odd EXIF)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
