"""The check that a file is a picture that every contestant can be shown."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

MAX_BYTES = 10_000_000
"""The service's limit for one image (Azure OpenAI, vision fine-tuning)."""
MAX_PIXELS = 100_000_000
MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


class BadImageError(ValueError):
    """Why a file cannot be used, and the cure."""

    def __init__(self, problem: str, cure: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure


@dataclass(frozen=True)
class Checked:
    """A good picture's size in bytes and pixels, and its sha256."""

    bytes: int
    width: int
    height: int
    sha256: str


def check_image(data: bytes) -> Checked:
    """Decode a picture completely.

    Raises:
        BadImageError: no picture, a truncated one, a format or size that the service does not take.

    """
    if len(data) > MAX_BYTES:
        raise BadImageError(f"{len(data):,} bytes, and the service takes {MAX_BYTES:,}", "Scale it down.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                if image.format not in MIME:
                    raise BadImageError(f"the service takes no {image.format}", "Convert it to JPEG or PNG.")
                if image.width * image.height > MAX_PIXELS:
                    raise BadImageError(f"{image.width}×{image.height} pixels", "Scale it down.")
                width, height = image.size
                image.load()
    except BadImageError:
        raise
    except UnidentifiedImageError:
        raise BadImageError("this is no image", "Remove it, or replace it.") from None
    except Exception as error:  # decoders raise what they like on broken bytes
        raise BadImageError(f"it cannot be decoded ({error})", "Remove it, or replace it.") from None
    return Checked(len(data), width, height, hashlib.sha256(data).hexdigest())
