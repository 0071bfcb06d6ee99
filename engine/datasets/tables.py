"""Tables of text – CSV, TSV, as spreadsheets and programs of all countries write them – and other text files.

Encoding and separator are found where they are certain: a byte order mark, zero bytes at every other place, UTF-8 that
decodes to its end; the separator by which the header has the wanted columns. Anything else is refused with its line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TextIO

from engine.errors import InputError
from engine.quantities import counted
from engine.text_files import encoding_of

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_OTHERS = {b"PK\x03\x04": "an Excel workbook or zip", b"\xd0\xcf\x11\xe0": "an Excel workbook", b"\x1f\x8b": "gzip"}
_NAMES = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8"}
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_BLANK = "\ufeff \t\r\n\xa0"
_CHUNK = 1_000_000
_QUOTES = "Write it as CSV: a quote inside quotes twice, and no field of more than 131,072 characters."
_SAVE = "Save it as UTF-8 (in a spreadsheet: “CSV UTF-8”)"


class TextTable:
    """A table with a header, read row by row.

    Args:
        path: of the file.
        columns: for each wanted column the names that it may have, in lower case; the separator is the one by which
            most of them are in the header.

    Attributes:
        header: the names of its columns as they are written, once the first row was read.
        separator: one of `SEPARATORS`, unless a first line `sep=` has another one.

    """

    def __init__(self, path: Path, columns: Sequence[Sequence[str]]) -> None:
        self.path = path
        self.header: list[str] = []
        self.separator = ","
        self._columns = columns

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line, fields): first the header, then each row, which has as many fields.

        The line is the one where a row begins. Blank rows are nothing, as are empty fields beyond the header.

        Raises:
            InputError: it cannot be read, or a row has another number of fields; names the line.

        """
        with opened(self.path) as file:
            try:
                yield from self._rows(file)
            except UnicodeDecodeError:
                raise undecodable(self.path) from None
            except OSError as error:
                raise InputError(f"{self.path}: {error.strerror}.", "Check the file.") from None

    def _rows(self, file: TextIO) -> Iterator[tuple[int, list[str]]]:
        skipped, first = 0, file.readline()
        while first and not first.strip(_BLANK + "".join(SEPARATORS)):
            skipped, first = skipped + 1, file.readline()
        if named := _SEPARATOR_LINE.fullmatch(first.lstrip(_BLANK)):
            self.separator = named[1]
            skipped, first = skipped + 1, file.readline()
        else:
            self.separator = self._separator_of(first)
        lines = chain([first.lstrip(_BLANK)], file)
        reader = csv.reader(lines, delimiter=self.separator, skipinitialspace=True, strict=True)
        while True:
            line = skipped + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise wrong(self.path, line, f"{error}", _QUOTES) from None
            if any("\0" in cell for cell in cells):
                raise wrong(self.path, line, "there is a zero byte", f"{_SAVE}, or remove the line.")
            if not any(cell.strip() for cell in cells):
                continue
            if not self.header:
                self.header = [cell.strip(_BLANK) for cell in cells]
                while not self.header[-1]:
                    self.header.pop()
                cells = self.header
            yield line, self._fitting(line, cells)

    def _separator_of(self, header: str) -> str:
        """Return the separator by which most of the wanted columns are in the header; a comma in doubt."""

        def found(separator: str) -> int:
            names = {name.strip(f"{_BLANK}\"'").casefold() for name in header.split(separator)}
            return sum(any(name in names for name in column) for column in self._columns)

        return max(SEPARATORS, key=found)

    def _fitting(self, line: int, cells: list[str]) -> list[str]:
        count = len(self.header)
        if len(cells) > count and not any(cell.strip() for cell in cells[count:]):
            return cells[:count]
        if len(cells) == count:
            return cells
        fields = f"{counted(len(cells), 'field')}, the header has {count}"
        if len(cells) < count:
            raise wrong(self.path, line, fields, "Complete the line.")
        name = SEPARATORS.get(self.separator, self.separator)
        raise wrong(
            self.path, line, fields, f'Quote a field that has a {name} in it, such as "Spaniel{self.separator} Cocker".'
        )


def wrong(path: Path, line: int, fact: str, hint: str) -> InputError:
    """Return the error about a line of a file."""
    return InputError(f"{path}: line {line}: {fact}.", hint)


def opened(path: Path) -> TextIO:
    """Open a text file, which may be a pipe, in the encoding that its first bytes show, with its line ends as they are.

    Raises:
        InputError: it cannot be opened, or is no text: the file of a spreadsheet program, or compressed.

    """
    try:
        file = path.open("rb")
        start = file.peek(16)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}.", "Check the file.") from None
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            file.close()
            raise InputError(f"{path}: this is {what}, and no text.", f"{_SAVE}.")
    return io.TextIOWrapper(file, encoding_of(start), newline="")


def refuse_other_than_utf8(path: Path) -> None:
    """Refuse a file that is read by the byte, and is not UTF-8.

    Raises:
        InputError: it is UTF-16 or UTF-32, or no text at all.

    """
    with opened(path) as file:
        encoding = file.encoding
    if encoding not in _NAMES:
        raise InputError(f"{path}: this is {encoding.upper()}, not UTF-8.", f"Convert it: {_command(path, encoding)}")


def _command(path: Path, encoding: str) -> str:
    """Return the command that converts a file."""
    target = path.with_name(f"{path.stem}-utf8{path.suffix}")
    return f"iconv -f {encoding} -t utf-8 {shlex.quote(str(path))} > {shlex.quote(str(target))}"


def undecodable(path: Path) -> InputError:
    """Return the error about a file that its encoding does not decode: the line, and how it is converted."""
    with opened(path) as file:
        encoding = file.encoding
    line, last = _first_bad_line(path, encoding)
    name = _NAMES.get(encoding, encoding.upper())
    hint = f"{_SAVE}." if path.suffix.lower() in (".csv", ".tsv") else "Save it as UTF-8."
    if name == "UTF-8" and _is_windows(last):
        hint = f"{hint[:-1]}, or, if it is Windows-1252 (Western European): {_command(path, 'cp1252')}"
    return wrong(path, line, f"this is not {name}", hint)


def _first_bad_line(path: Path, encoding: str) -> tuple[int, bytes]:
    """Return the number of the first line that does not decode, and its bytes from the fault on."""
    decoder = codecs.getincrementaldecoder(encoding)()
    ends = {"\n": 0, "\r": 0}
    with path.open("rb") as file:
        while True:
            chunk, bad = file.read(_CHUNK), b""
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                text, bad = error.object[: error.start].decode(encoding, "ignore"), error.object[error.start :]
            ends = {end: count + text.count(end) for end, count in ends.items()}
            if bad or not chunk:
                return (ends["\n"] or ends["\r"]) + 1, b"".join(bad.splitlines()[:1])


def _is_windows(line: bytes) -> bool:
    """Return whether bytes may be text of Windows-1252."""
    try:
        return bool(line) and line.decode("cp1252").isprintable()
    except UnicodeDecodeError:
        return False
