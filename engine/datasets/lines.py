"""Lines of a request file: the JSON of each is made once, with a gap where the image's base64 goes.

Base64 needs no escaping in JSON, so that a line is its frame with the picture put in, byte for byte what
serialising it whole would give, and no JSON encoder ever sees the picture.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from engine.datasets.prompt import Prompt
from engine.errors import InputError

_SEPARATORS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
"""Characters at which some readers end a line; JSON lets them stand as they are, and lets them be escaped."""


def frame(value: dict[str, Any]) -> str:
    """Serialise a line, without its end."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_SEPARATORS)


def cut(line: str, *marks: str) -> list[bytes]:
    """Cut a serialised line at its marks, which come in this order; the last part has the line's end.

    Raises:
        InputError: the text cannot be written as UTF-8.

    """
    parts = []
    for mark in marks:
        part, line = line.split(json.dumps(mark)[1:-1], 1)
        parts.append(part)
    try:
        return [part.encode() for part in (*parts, f"{line}\n")]
    except UnicodeEncodeError as error:
        raise InputError(f"A label or the prompt cannot be written as UTF-8 ({error}).", "Rename it.") from None


def mark(name: str, *texts: str) -> str:
    """Return a text that stands in none of those that come from outside."""
    number = 0
    while any((found := f"\x00{name}{number}\x00") in text for text in texts):
        number += 1
    return found


class BatchLines:
    """Requests of a batch."""

    def __init__(self, prompt: Prompt, labels: Sequence[str], model: str) -> None:
        texts = (prompt.system, prompt.user, prompt.key, model, *labels)
        image, name = mark("image", *texts), mark("id", *texts)
        request = {"custom_id": name, "method": "POST", "url": "/chat/completions"}
        line = frame({**request, "body": prompt.request(model, labels, image)})
        self._before, between, self._after = cut(line, name, image)
        self._between = {mime: between + head(mime) for mime in MIMES}

    def parts(self, custom_id: str, mime: str, base64: bytes) -> tuple[bytes, ...]:
        """Return a line in pieces."""
        name = json.dumps(custom_id)[1:-1].encode()
        return self._before, name, self._between[mime], base64, self._after


class TrainingLines:
    """Examples of a fine-tuning file."""

    def __init__(self, prompt: Prompt, labels: Sequence[str]) -> None:
        self._prompt, self._labels = prompt, labels
        self._mark = mark("image", prompt.system, prompt.user, prompt.key, *labels)
        self._before: dict[str, bytes] = {}
        self._after: dict[str, bytes] = {}

    def parts(self, label: str, mime: str, base64: bytes) -> tuple[bytes, ...]:
        """Return a line in pieces."""
        after = self._after.get(label)
        if after is None:
            before, after = cut(frame(self._prompt.example(self._labels, label, self._mark)), self._mark)
            self._after[label] = after
            self._before = self._before or {known: before + head(known) for known in MIMES}
        return self._before[mime], base64, after


MIMES = ("image/jpeg", "image/png", "image/webp")
"""The media types that the service takes."""


def head(mime: str) -> bytes:
    """Return a data URL up to its base64."""
    return b"data:" + mime.encode() + b";base64,"
