"""The standard streams as they may be: closed, full, or of an encoding that lacks characters. Nothing else is imported.

A character that a stream's encoding lacks is printed as its nearest in ASCII, or as the escape that JSON has for it.
"""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, TextIO

LOOKALIKES = {
    **{"–": "-", "—": "-", "−": "-", "×": "x", "·": ".", "•": "*", "…": "~", "≈": "~", "≥": ">", "≤": "<", "²": "2"},
    **{"“": '"', "”": '"', "‘": "'", "’": "'", "→": ">", "←": "<", "↑": "^", "↓": "v", "✓": "v", "✗": "x", "Δ": "D"},
}
"""Marks that this program writes itself, each with one character of ASCII."""
_PRINTED = {**LOOKALIKES, "…": "...", "≥": ">=", "≤": "<=", "→": "->", "±": "+-"}
_HANDLER = "dogcls-nearest"
_MODES = ("stdin", "stdout", "stderr")


def nearest(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks: the error handler of the streams (see `codecs.register_error`)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PRINTED.get(c) or escape(c) for c in error.object[error.start : error.end]), error.end


def escape(text: str) -> str:
    r"""Return text in ASCII, every other character as JSON escapes it: `é` is `\u00e9`."""
    return "".join(c if c.isascii() else _escaped(ord(c)) for c in text)


def _escaped(point: int) -> str:
    if point < 0x10000:
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"


def is_unicode(stream: Any) -> bool:
    """Return whether a stream's encoding has every character."""
    return str(getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-").startswith("utf")


def print_anything(stream: Any) -> None:
    """Let a stream print every character that its encoding lacks as its nearest; see `nearest`."""
    codecs.register_error(_HANDLER, nearest)
    with suppress(AttributeError, OSError, ValueError):  # a stream of a test; or closed
        stream.reconfigure(errors=_HANDLER)


def open_closed() -> None:
    """Open the standard streams that this process was started without.

    Their numbers would be given to the next files that are opened, the store's among them. Reading a closed stdin ends
    at once, printing to a closed stdout is an error, as it is for other programs; a closed stderr takes everything.
    """
    for number, name in enumerate(_MODES):
        try:
            os.fstat(number)
        except OSError:
            # A stdout that can only be read: what is printed is refused (EBADF) and not lost without a word.
            opened = os.open(os.devnull, os.O_RDONLY if name != "stderr" else os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            stream = _opened(number, "r" if name == "stdin" else "w")
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _opened(number: int, mode: str) -> TextIO:
    raw = open(number, f"{mode}b", buffering=0 if mode == "w" else -1, closefd=False)  # noqa: SIM115 – a number
    return TextIOWrapper(raw, encoding="utf-8", write_through=mode == "w")


def give_up(stream: TextIO) -> None:
    """Let nothing more be written to a stream that is closed or full: at its end, Python would try once more."""
    with suppress(OSError, ValueError):
        number = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
