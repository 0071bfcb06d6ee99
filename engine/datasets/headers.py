"""What the first bytes of a picture say, read without a decoder: a line is written faster than Pillow is loaded."""

from __future__ import annotations

import struct

_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG markers that begin a frame, which has the number of components."""
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
EXIF = b"Exif\x00\x00"
_ORIENTATION = 0x0112


def mime_of(data: bytes) -> str | None:
    """Return the media type by the first bytes; None for one that the service does not take."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def mode_of(data: bytes, mime: str) -> str:
    """Return the mode that Pillow would name, as far as a header tells it; "" where it does not."""
    if mime == "image/webp":
        return "RGB"
    if mime == "image/png":
        return _PNG_MODES.get(data[25], "") if len(data) > 25 else ""
    at, end = 2, len(data) - 10
    while at < end and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            return _JPEG_MODES.get(data[at + 9], "")
        at += 1 if marker == 0xFF else 2 + (data[at + 2] << 8 | data[at + 3])
    return ""


def turned(data: bytes) -> bool:
    """Tell whether EXIF says that the picture is to be shown turned or mirrored."""
    tiff = _exif(data)
    if tiff < 0:
        return False
    try:
        order = "<" if data[tiff : tiff + 2] == b"II" else ">"
        (entries,) = struct.unpack_from(f"{order}I", data, tiff + 4)
        (count,) = struct.unpack_from(f"{order}H", data, tiff + entries)
        for number in range(min(count, 200)):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", data, tiff + entries + 2 + 12 * number)
            if tag == _ORIENTATION:
                return bool(2 <= value <= 8)
    except struct.error:  # an EXIF block that is cut off turns nothing
        return False
    return False


def _exif(data: bytes) -> int:
    """Return where a picture's EXIF begins: in a PNG or WEBP it is a chunk anywhere; -1 where there is none."""
    mime = mime_of(data)
    if mime == "image/jpeg":
        head, at = 0, data.find(EXIF, 0, 1024)
    else:
        name, head = (b"eXIf", 4) if mime == "image/png" else (b"EXIF", 8)  # a WEBP's chunk has its length after it
        at = data.rfind(name)
    if at < 0:
        return -1
    return at + head + len(EXIF) * data.startswith(EXIF, at + head)
