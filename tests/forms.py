"""One picture in many forms: what models and people see of each must be the same."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

_ORIENTATION = 0x0112
_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is stored, so that EXIF turns it upright again."""


def encoded(image, form="PNG", **options):
    out = io.BytesIO()
    image.save(out, form, **({"compress_level": 1} if form == "PNG" else {}), **options)
    return out.getvalue()


def png(samples, depth, colour, size=None, **chunks):
    """Write a PNG that Pillow cannot write.

    `samples` is `[height, width(, channels)]`, `depth` in bits, `size` what the header says, if that is another.
    """
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1)
    if depth == 16:
        packed = [row.astype(">u2").tobytes() for row in rows]
    elif depth == 8:
        packed = [row.astype(np.uint8).tobytes() for row in rows]
    else:
        bits = (rows[:, :, None] >> np.arange(depth - 1, -1, -1) & 1).reshape(height, -1).astype(np.uint8)
        packed = [np.packbits(row).tobytes() for row in bits]

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *(size or (width, height)), depth, colour, 0, 0, 0))
    extra = b"".join(chunk(name.encode(), data) for name, data in chunks.items())
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in packed), 1))
    return b"\x89PNG\r\n\x1a\n" + head + extra + body + chunk(b"IEND", b"")


def wide(*values):
    """Return the values of a tRNS chunk of grey or RGB."""
    return struct.pack(f">{len(values)}H", *values)


def turned(image, orientation, form="PNG", **options):
    """Store a picture turned, and upright by its EXIF."""
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    return encoded(image.transpose(_BACK[orientation]), form, exif=exif, **options)


def opaque(image):
    image = image.copy()
    image.putalpha(255)
    return image


def _unused(image):
    """Return a colour that is not in a picture."""
    colours = set(map(tuple, np.asarray(image).reshape(-1, 3).tolist()))
    return next((r, 0, 255) for r in range(256) if (r, 0, 255) not in colours)


LOSSLESS = {
    "opaque alpha": lambda i: encoded(opaque(i)),
    "opaque alpha, WEBP": lambda i: encoded(opaque(i), "WEBP", lossless=True, exact=True),
    "a transparent colour that it has not": lambda i: encoded(i, transparency=_unused(i)),
    "16 bits": lambda i: png(np.asarray(i).astype(int) * 257, 16, 2),
    "16 bits, opaque alpha": lambda i: png(np.asarray(opaque(i)).astype(int) * 257, 16, 6),
    "animated": lambda i: encoded(
        i, "WEBP", save_all=True, append_images=[Image.new("RGB", i.size, "red")], lossless=True, duration=100
    ),
    "animated PNG": lambda i: encoded(i, save_all=True, append_images=[Image.new("RGB", i.size, "red")]),
    **{f"EXIF {n}": lambda i, n=n: turned(i, n) for n in _BACK},
    "EXIF 6, WEBP": lambda i: turned(i, 6, "WEBP", lossless=True),
    "EXIF 8, opaque alpha": lambda i: turned(opaque(i), 8),
}
"""Each from an RGB picture to bytes that are seen as it is, to the last bit."""
GREY = {
    "L": lambda g: encoded(g),
    "LA": lambda g: encoded(opaque(g)),
    "I;16": lambda g: png(np.asarray(g).astype(int) * 257, 16, 0),
    "I;16 with alpha": lambda g: png(np.asarray(opaque(g)).astype(int) * 257, 16, 4),
    "P": lambda g: encoded(g.convert("P")),
    "I;16, EXIF 5": lambda g: turned(
        Image.frombuffer("I;16", g.size, (np.asarray(g).astype("<u2") * 257).tobytes(), "raw", "I;16", 0, 1), 5
    ),
}
"""Likewise, from a grey picture."""
LOSSY = {
    "palette": lambda i: encoded(i.quantize(256)),
    "palette with alphas": lambda i: encoded(i.quantize(255), transparency=bytes([255] * 255 + [0])),
    "CMYK": lambda i: encoded(i.convert("CMYK"), "JPEG", quality=95, subsampling=0),
    "CMYK, EXIF 3": lambda i: turned(i.convert("CMYK"), 3, "JPEG", quality=95, subsampling=0),
}
"""Each from an RGB picture to bytes that are seen nearly as it is."""


def shape(size=96):
    """Return a dark shape, as a mask `L` of 0 and 255."""
    y, x = np.mgrid[:size, :size]
    inside = ((x - size * 0.4) ** 2 + (y - size * 0.5) ** 2 < (size * 0.3) ** 2) | ((y < size * 0.3) & (x > size * 0.5))
    return Image.fromarray(np.where(inside, 255, 0).astype(np.uint8))


def _bits(mask, one, other):
    return np.where(np.asarray(mask) > 0, one, other)


def _alpha(mask, mode, colour):
    image = Image.new(mode, mask.size, colour)
    image.putalpha(mask)
    return image


def _palette(mask, transparency):
    image = Image.fromarray(_bits(mask, 1, 0).astype(np.uint8))
    image = image.convert("P") if image.mode != "P" else image
    image.putpalette([0, 0, 0, 0, 0, 0])
    return encoded(image, transparency=transparency)


def _rgb(mask, one, other):
    return np.stack([_bits(mask, a, b) for a, b in zip(one, other, strict=True)], -1)


BLACK = {
    "RGBA": lambda m: encoded(_alpha(m, "RGBA", 0)),
    "RGBA, WEBP": lambda m: encoded(_alpha(m, "RGBA", 0), "WEBP", lossless=True, exact=True),
    "LA": lambda m: encoded(_alpha(m, "L", 0)),
    "RGBA of 16 bits": lambda m: png(np.dstack([_rgb(m, (0, 0, 0), (0, 0, 0)), _bits(m, 65535, 0)]), 16, 6),
    "LA of 16 bits": lambda m: png(np.dstack([_bits(m, 0, 0), _bits(m, 65535, 0)]), 16, 4),
    "P with an index": lambda m: _palette(m, 0),
    "P with alphas": lambda m: _palette(m, bytes([0, 254])),
    "RGB with a colour": lambda m: png(_rgb(m, (0, 0, 0), (1, 2, 3)), 8, 2, tRNS=wide(1, 2, 3)),
    "RGB of 16 bits with a colour": lambda m: png(
        _rgb(m, (0, 0, 0), (0x1234, 0x5678, 0x9ABC)), 16, 2, tRNS=wide(0x1234, 0x5678, 0x9ABC)
    ),
    "L with a value": lambda m: png(_bits(m, 0, 7), 8, 0, tRNS=wide(7)),
    "16 bits with a value": lambda m: png(_bits(m, 0, 700), 16, 0, tRNS=wide(700)),
    "4 bits with a value": lambda m: png(_bits(m, 0, 7), 4, 0, tRNS=wide(7)),
    "2 bits with a value": lambda m: png(_bits(m, 0, 1), 2, 0, tRNS=wide(1)),
    "1 bit with a value": lambda m: png(_bits(m, 0, 1), 1, 0, tRNS=wide(1)),
    "RGBA, EXIF 7": lambda m: turned(_alpha(m, "RGBA", 0), 7),
}
"""Each from a mask to bytes of that shape in black on a transparent ground, whose own colour is dark."""
