"""ImageNet's own names of pictures, by which they are recognised wherever they went."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SYNSET = re.compile(r"(?<![a-z0-9])n\d{8}(?![a-z0-9])", re.ASCII | re.IGNORECASE)
"""An id of a class, `n02085620`: a folder's whole name, or a part of the name of a folder, a file or a label."""
HELD_OUT = re.compile(r"(?<![a-z0-9])ILSVRC20\d\d_(?:val|test)_\d{5,8}(?!\d)", re.ASCII | re.IGNORECASE)
"""A picture of the validation or test part, such as `ILSVRC2012_val_00001234`."""
_PICTURE = re.compile(rf"{SYNSET.pattern}_\d+(?!\d)|{HELD_OUT.pattern}", re.ASCII | re.IGNORECASE)
_LONGEST = 1000


def imagenet_name(request: Any) -> str:
    """Return the name of a picture of ImageNet that stands anywhere in a JSON value, a data URL aside; "" if none.

    `n02085620_1234` in a `custom_id`, in a member such as `file`, or in the text beside the picture.
    """
    for text in _texts(request):
        if found := _PICTURE.search(text):
            return found[0]
    return ""


def _texts(value: Any) -> Iterator[str]:
    """Yield the short texts of a JSON value."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            if len(inner) <= _LONGEST:
                yield inner
        elif isinstance(inner, dict):
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner
