"""Small copies of pictures, to be put into a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from engine.datasets.thumbnails import thumbnail
from engine.errors import InputError

SIDE = 96
QUALITY = 78


def data_uri(path: Path) -> str | None:
    """Return a picture of at most 96 × 96 pixels as a data URI; None where it is gone or no picture.

    What a file holds beside its pixels (where and with what it was taken) is not in the copy.
    """
    try:
        small = thumbnail(path, SIDE, SIDE)
    except InputError:
        return None
    out = io.BytesIO()
    Image.frombytes("RGB", (small.width, small.height), small.rgb).save(out, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
