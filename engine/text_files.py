"""Text files that people write: in UTF-8, or in UTF-16 or UTF-32 where their first bytes show it; else refused.

What is wrong with a file is reported with its path and line, and a hint. A file is never waited for and never read
whole where it is larger than anything that people write.
"""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path
from typing import Any

from engine.errors import InputError

LARGEST_BYTES = 4_000_000
_MARKS = (  # UTF-32's first: it begins as UTF-16's does
    *((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig")),
    *((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)
_ZEROS = {"x000x000": "utf-32-le", "000x000x": "utf-32-be", "x0x0x0x0": "utf-16-le", "0x0x0x0x": "utf-16-be"}
"""Where the first bytes are zero in a text that begins with two characters of ASCII at least."""
SAVE_AS_UTF8 = "Save it as UTF-8."
_MISSING = (FileNotFoundError, NotADirectoryError)


def encoding_of(start: bytes) -> str:
    """Return the encoding that a text's first bytes show, eight of them at least: UTF-8 unless UTF-16 or UTF-32."""
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    return _ZEROS.get("".join("0" if byte == 0 else "x" for byte in start[:8]), "utf-8")


def read_text(path: Path, *, wait: bool = False, lenient: bool = False) -> str:
    r"""Return a file's text without its byte-order mark, with `\n` at the end of each line.

    Args:
        path: of the file.
        wait: also read a pipe or a device, to its end: the user has named it, as in `--prompt <(…)`.
        lenient: keep bytes that are not UTF-8 as surrogates: the file is another program's, and may well do without.

    Raises:
        InputError: it is not there, cannot be read, is no file, is too large, or is not in one of the encodings.

    """
    return decode_text(_read(path, wait), str(path), "surrogateescape" if lenient else "strict")


def decode_text(data: bytes, name: str, errors: str = "strict") -> str:
    """Return bytes as text; see `read_text`.

    Args:
        data: the content of a file.
        name: of the file, for messages.
        errors: `strict`, or `surrogateescape` to keep bytes that are not UTF-8.

    Raises:
        InputError: they are not in one of the encodings; names the first line that is not.

    """
    encoding = encoding_of(data)
    shown = encoding.removesuffix("-sig").upper()
    if shown == "UTF-8" and (zero := data.find(b"\0")) >= 0:
        raise InputError(f"{name}, line {_line(data, zero)}: holds a zero byte: is it a text file?", SAVE_AS_UTF8)
    try:
        text = data.decode(encoding, errors if shown == "UTF-8" else "strict")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].decode(encoding, "replace").count("\n") + 1
        raise InputError(
            f"{name}, line {line}: not {shown} (byte 0x{error.object[error.start]:02x}).", SAVE_AS_UTF8
        ) from None
    text = text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_toml(path: Path, hint: str = "Correct it; it is TOML.", *, wait: bool = False) -> dict[str, Any]:
    """Return the values of a TOML file.

    Args:
        path: of the file.
        hint: what to do where it is no TOML.
        wait: see `read_text`.

    Raises:
        InputError: it cannot be read (see `read_text`), or is no TOML; names the line.

    """
    return parse_toml(read_text(path, wait=wait), str(path), hint)


def parse_toml(text: str, name: str, hint: str = "Correct it; it is TOML.") -> dict[str, Any]:
    """Return the values of a TOML text; raises as `read_toml` does.

    Args:
        text: of the file.
        name: of the file, for messages.
        hint: what to do where it is no TOML.

    """
    import tomllib  # a command that writes files has little time to start

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{name}: its values are nested too deeply.", hint) from None
    except ValueError as error:  # TOMLDecodeError, and a number of thousands of digits
        raise InputError(f"{name}: {str(error).rstrip('.')}.", hint) from None


def read_toml_if_there(path: Path, hint: str = "Correct it; it is TOML.") -> dict[str, Any] | None:
    """Return the values of a TOML file, None where there is none; raises as `read_toml` does.

    A link to a file that is not there is an error: what it should add would be missing without a word.
    """
    return read_toml(path, hint) if is_there(path) else None


def is_there(path: Path) -> bool:
    """Return whether there is anything of this name, a link to nothing included.

    Raises:
        InputError: its folder cannot be searched.

    """
    try:
        path.lstat()
    except _MISSING:
        return False
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}.", "Give your user access to its folder.") from None
    return True


def _read(path: Path, wait: bool) -> bytes:
    try:
        # Without O_NONBLOCK a pipe in the place of a file would be waited for, for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | (0 if wait else os.O_NONBLOCK)), "rb") as file:
            kind = os.fstat(file.fileno()).st_mode
            if stat.S_ISDIR(kind):
                raise IsADirectoryError(None, "a folder, not a file")
            if not stat.S_ISREG(kind) and not wait:
                raise InputError(f"{path}: a pipe or a device, not a file.", "Put a text file in its place.")
            data = file.read(LARGEST_BYTES + 1)
    except _MISSING:
        if path.is_symlink():
            raise InputError(f"{path}: a link to a file that is not there.", "Restore the file, or the link.") from None
        raise InputError(f"{path}: No such file or directory.", "Check its name.") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, not a file.", "Put a text file in its place.") from None
    except ValueError:  # a zero byte in the name
        raise InputError(f"{str(path)!r}: no name of a file.", "Check its name.") from None
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}.", "Give your user the right to read it.") from None
    if len(data) > LARGEST_BYTES:
        raise InputError(
            f"{path}: over {LARGEST_BYTES // 1_000_000} MB, which no such file has.", "Is this the right one?"
        )
    return data


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).rstrip(".")
