"""The check that a file is a picture that every contestant can be shown, and what else is worth knowing of it."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from PIL import Image, UnidentifiedImageError

from engine.backbones.images import MAX_PIXELS
from engine.datasets.likeness import SMALLEST, Print, fingerprint
from engine.quantities import counted

MAX_BYTES = 10_000_000
"""The service's limit for one image (Azure OpenAI, vision fine-tuning)."""
MANY_PIXELS = 16_000_000
"""Pictures of more pixels are decoded one at a time, so that many threads need the memory of one."""
SMALL_PIXELS = 64
MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
TRAINED = ("RGB", "RGBA")
# Only these decoders ever see a stranger's bytes; what is no MIME is only opened, to be called by its name.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO", "JPEG2000", "PSD", "PPM")
_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_EXTENSIONS = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",)}
_ORIENTATION = 0x0112
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_large: AbstractContextManager[Any] = threading.Lock()


class BadImageError(ValueError):
    """Why a file cannot be used, and the cure; `kind` is one of `engine.datasets.kinds.UNUSABLE`."""

    def __init__(self, problem: str, cure: str, kind: str = "broken") -> None:
        super().__init__(problem)
        self.problem = problem
        self.cure = cure
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Checked:
    """A good picture's size in bytes and pixels, its sha256, and more.

    Attributes:
        bytes: of the file.
        width: pixels.
        height: pixels.
        sha256: of the file.
        format: by its content.
        mode: Pillow's, such as RGB.
        alike: fingerprints (`engine.datasets.likeness`), or None for a picture without detail.
        flags: kinds (`engine.datasets.kinds.NOTED`), each with a word about this picture.

    """

    bytes: int
    width: int
    height: int
    sha256: str
    format: str = ""
    mode: str = ""
    alike: Print | None = None
    flags: tuple[tuple[str, str], ...] = ()


def check_image(data: bytes, name: str = "") -> Checked:
    """Decode a picture completely.

    Args:
        data: the file.
        name: its name, to be compared with its content.

    Raises:
        BadImageError: no picture, a truncated one, a format or size that the service does not take.

    """
    if not data:
        raise BadImageError("this is no image: it has 0 bytes", "Remove it, or fetch it again.", "empty")
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                form = "JPEG" if image.format == "MPO" else str(image.format)
                frames = int(getattr(image, "n_frames", 1)) if image.format != "JPEG" else 1
                if form not in MIME:
                    animated = f" (animated: {counted(frames, 'picture')})" if frames > 1 and form == "GIF" else ""
                    raise BadImageError(
                        f"the service takes no {form}{animated}", "Convert it to JPEG or PNG.", "format"
                    )
                if image.width * image.height > MAX_PIXELS:
                    raise BadImageError(f"{image.width}×{image.height} pixels", "Scale it down.", "pixels")
                (width, height), mode = image.size, _mode(image, data)
                alike = _decode(image)
                flags = [*_flags(image, (width, height), form, mode, frames, name)]
                if alike is None or min(width, height) < SMALLEST:
                    flags.append(("unsure", f"{width}×{height}" if alike else "nearly one colour"))
    except BadImageError:
        raise
    except UnidentifiedImageError:
        raise _unknown(data) from None
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        many = f"{int(pixels[0]):,} pixels" if pixels else "too many pixels"
        raise BadImageError(f"{many}, and {MAX_PIXELS:,} are the limit", "Scale it down.", "pixels") from None
    except Exception as error:  # decoders raise what they like on broken bytes
        kind = "truncated" if "truncated" in str(error) else "broken"
        raise BadImageError(f"it cannot be decoded ({error})", "Remove it, or replace it.", kind) from None
    digest = hashlib.sha256(data).hexdigest()
    return Checked(len(data), width, height, digest, form, mode, alike, tuple(flags))


def too_large(size: int) -> BadImageError:
    """Return the error about a file of more bytes than the service takes."""
    return BadImageError(f"{size:,} bytes, and the service takes {MAX_BYTES:,}", "Scale it down.", "bytes")


def odd_name(path: str) -> bool:
    """Tell whether a path has control characters, or marks that turn the direction of text."""
    return _ODD.search(path) is not None


def share_lock(lock: AbstractContextManager[Any]) -> None:
    """Take a lock that other processes have too for the decoding of large pictures."""
    global _large
    _large = lock


def _decode(image: Image.Image) -> Print | None:
    """Decode it all, so that what is cut off shows; a JPEG at an eighth of its size reads every byte, too."""
    if image.format in ("JPEG", "MPO"):
        image.draft("L", (64, 64))
    if image.width * image.height <= MANY_PIXELS:
        return fingerprint(image)
    with _large:
        return fingerprint(image)


def _mode(image: Image.Image, data: bytes) -> str:
    """Return the mode; Pillow hides the 16 bits of colour PNGs, whose header has them at byte 24."""
    if image.format == "PNG" and data[24:25] == b"\x10" and not image.mode.startswith("I"):
        return f"{image.mode}, 16 bits"
    return image.mode


def _flags(
    image: Image.Image, size: tuple[int, int], form: str, mode: str, frames: int, name: str
) -> list[tuple[str, str]]:
    found = []
    if mode not in TRAINED:
        found.append(("mode", mode))
    turned = image.getexif().get(_ORIENTATION, 1)
    if turned in range(2, 9):
        found.append(("orientation", f"orientation {turned}"))
    if frames > 1:
        found.append(("several" if image.format == "MPO" else "animated", counted(frames, "picture")))
    suffix = PurePath(name).suffix.lower()
    if suffix and suffix not in _EXTENSIONS[form]:
        found.append(("extension", f"content: {form}"))
    if min(size) < SMALL_PIXELS:
        found.append(("small", "{}×{}".format(*size)))
    return found


def _unknown(data: bytes) -> BadImageError:
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS:
        return BadImageError("the service takes no HEIC", "Convert it to JPEG or PNG.", "format")
    if data.lstrip()[:5].lower() in (b"<?xml", b"<svg ") and b"<svg" in data[:1000].lower():
        return BadImageError("the service takes no SVG", "Convert it to JPEG or PNG.", "format")
    return BadImageError("this is no image", "Remove it, or replace it.", "no-image")
