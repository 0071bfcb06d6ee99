"""From the bytes of a picture to what every model sees of it. Decoding is Pillow's alone.

Whatever shows a picture to a model or to a person, or measures it, reads it with `as_seen`: training, features,
predictions, fingerprints, brightness, thumbnails, crops, requests that are encoded anew, and the program of a model
card, which holds the source of `READERS`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded (decompression bombs)."""
# Pillow's warnings (a large picture, odd EXIF) are no news for a terminal: what cannot be read is refused by name.
warnings.filterwarnings("ignore", module=r"PIL\b")
READING = 2
"""Changes with what `as_seen` returns: part of the name of whatever is kept of pixels, or computed from them."""


class TooManyPixels(ValueError):
    """A picture has more than `MAX_PIXELS` pixels, or Pillow's own limit."""


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
        OSError, ValueError: see `opened`.

    """
    upright = decoded(source, size)
    if upright.size != (size, size):
        upright = ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(upright)


def decoded(source: Path | bytes, side: int) -> Image.Image:
    """Decode one picture as it is seen.

    A JPEG much larger than asked for is decoded at a fraction of its size; its sides stay at least `side`.

    Raises:
        OSError, ValueError: see `opened`.

    """
    with opened(source) as image:
        image.draft("RGB", (side, side))
        return as_seen(image)


@contextmanager
def opened(source: Path | bytes, formats: tuple[str, ...] | None = None) -> Iterator[Image.Image]:
    """Open a picture; nothing is decoded yet.

    Args:
        source: a file, or the encoded bytes.
        formats: Pillow's names of those that are read; all unless given.

    Raises:
        TooManyPixels: see there.
        OSError, ValueError: it is no picture, or ends too early; also whatever else a decoder raises meanwhile. The
            message names no object in memory.

    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise TooManyPixels(f"{image.width}×{image.height} pixels are more than {MAX_PIXELS:,}")
            image.info["samples"] = samples(image)  # to be known when it is decoded, too
            yield image
    except UnidentifiedImageError:  # Pillow names the object that it could not read
        raise OSError("it is no picture") from None
    except Image.DecompressionBombError as error:
        raise TooManyPixels(str(error)) from None
    except (OSError, ValueError):
        raise
    except Exception as error:  # decoders raise what they like on broken bytes: SyntaxError, struct.error, …
        raise ValueError(str(error) or type(error).__name__) from error


def as_seen(image: Image.Image) -> Image.Image:
    """Return a picture as every model sees it: RGB, upright, and white where it is transparent."""
    rgb, how = to_rgb(image), turn(image)
    return rgb if how is None else rgb.transpose(how)


def as_seen_in_grey(image: Image.Image) -> Image.Image:
    """Return the greys (`L`) of a picture as it is seen."""
    if image.mode != "L" or image.has_transparency_data:
        return as_seen(image).convert("L")
    image.load()  # the same greys, without the way through RGB: most pictures that are added are JPEGs drafted as grey
    how = turn(image)
    return image if how is None else image.transpose(how)


def turn(image: Image.Image) -> Image.Transpose | None:
    """Return how a picture is to be turned, as its EXIF says."""
    turns = Image.Transpose
    return {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }.get(image.getexif().get(0x0112, 1))


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a picture in RGB with 8 bits; what is transparent becomes white. It is not turned.

    Of several frames the first one counts.
    """
    stored = image.info.get("samples") or samples(image)
    image.load()
    key: Any = image.info.get("transparency")  # a palette's alphas, or the one transparent value or colour
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        grey = eight_bits(values)
        if isinstance(key, int):
            grey[values == key] = 255
        return Image.fromarray(grey).convert("RGB")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    if stored in ("L;2", "L;4"):  # Pillow makes the samples 8 bits wide, and leaves the transparent value as it was
        key *= 85 if stored == "L;2" else 17
    elif stored == "RGB;16B":
        key = tuple(value >> 8 for value in key)
    made = Image.new("RGB", image.size)
    rows = max(1, 4_000_000 // image.width)  # in strips, so that a large picture needs no three copies of itself
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        if key is not None:
            strip.info["transparency"] = key
        strip = strip.convert("LA").convert("RGBA") if strip.mode == "La" else strip.convert("RGBA")
        made.paste(Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip).convert("RGB"), (0, top))
    return made


def samples(image: Image.Image) -> str:
    """Return how a picture that is not decoded yet stores its samples, in Pillow's words; "" where it is decoded."""
    tiles = getattr(image, "tile", None)
    return str(tiles[0][3]) if tiles else ""


def eight_bits(values: np.ndarray) -> np.ndarray:
    """Return greys of more than 8 bits, `[height, width]`, scaled to uint8.

    Integers are 16 bits wide, and rounded down. The range of floats is the least of 0 to 1, to 255 and to 65535 that
    holds them; what is larger is measured by its own maximum. What is negative, or no number, is black.
    """
    floats = values.dtype.kind == "f"
    most = float(values.max(initial=0, where=np.isfinite(values)))
    top = next((top for top in ((1, 255, 65535) if floats else (65535,)) if most <= top), most)
    grey = np.empty(values.shape, np.uint8)
    rows = max(1, 4_000_000 // max(1, values.shape[1]))
    for at in range(0, len(values), rows):
        strip = np.nan_to_num(values[at : at + rows].astype(np.float64), nan=0.0)
        scaled = strip.clip(0, top) * 255 / top
        grey[at : at + rows] = np.rint(scaled) if floats else np.floor(scaled)
    return grey


READERS = (as_seen, turn, to_rgb, samples, eight_bits)
"""Their source, with Pillow's `Image` and NumPy as `np`, is a whole program's reading of a picture: a model card's."""
