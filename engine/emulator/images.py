"""Pictures in requests: data URLs, and how many tokens a picture is."""

from __future__ import annotations

import base64
import binascii
import math

LOW_TOKENS = 85
TILE_TOKENS = 170
MINI_LOW_TOKENS = 2833
MINI_TILE_TOKENS = 5667
DETAILS = ("low", "high", "auto")
_TYPES = ("jpeg", "png", "webp", "gif")


class NotAPicture(ValueError):
    """A URL is no data URL of a picture; the message says why."""


def decode(url: object, types: tuple[str, ...] = _TYPES) -> bytes:
    """Return the bytes of a picture's data URL, `data:image/TYPE;base64,…`.

    Raises:
        NotAPicture: it is none.

    """
    head, comma, _ = url[:30].partition(",") if isinstance(url, str) else ("", "", "")
    media, _, encoding = head.partition(";")
    if not comma or encoding.lower() != "base64" or media.lower() not in [f"data:image/{t}" for t in (*types, "jpg")]:
        raise NotAPicture("Expected a base64-encoded data URL with an image MIME type.")
    assert isinstance(url, str)
    try:
        return base64.b64decode(url[len(head) + 1 :], validate=True)
    except (binascii.Error, ValueError):
        raise NotAPicture("Its data is not base64.") from None


def image_tokens(width: int, height: int, detail: str, model: str = "") -> int:
    """Return a picture's tokens: 85 at low detail; else fitted into 2048² and 768, 170 a tile of 512 and 85.

    Source: the documentation of Azure OpenAI's models with vision (gpt-4o, gpt-4.1; gpt-4o-mini counts 2833
    and 5667). `auto` chooses low for what a single tile would hold.
    """
    mini = model.startswith("gpt-4o-mini")
    low, tile = (MINI_LOW_TOKENS, MINI_TILE_TOKENS) if mini else (LOW_TOKENS, TILE_TOKENS)
    if detail == "low" or (detail == "auto" and max(width, height) <= 512):
        return low
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    return tile * math.ceil(width * scale / 512) * math.ceil(height * scale / 512) + low


def text_tokens(text: str) -> int:
    """Return about how many tokens a text has (four characters each)."""
    return math.ceil(len(text) / 4)
