"""Somebody's JSONL file for fine-tuning or for a batch: its pictures are data URLs, its labels the answers.

A batch file has no answers; its labels come from a CSV file with the columns `custom_id` and `label`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.datasets.checks import BadImageError
from engine.datasets.imagenet import imagenet_name
from engine.datasets.labels import LABEL_KEYS, Labels
from engine.datasets.looking import Task
from engine.datasets.sources.archive import ArchiveFile
from engine.datasets.sources.base import Entry, Passed, shown
from engine.datasets.tables import TextTable, refuse_other_than_utf8, undecodable, wrong
from engine.errors import InputError
from engine.quantities import counted

LONGEST = 64_000_000
"""No line of one picture is longer: 10 MB of it are 13 MB of base64."""
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
_MISSPELLED = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
"""Media types that do not exist, and that the service refuses, whatever the picture is."""


class LinesSource(ArchiveFile):
    """Reads a JSONL file, one line at a time."""

    labels_given = True
    in_folders = False

    def __init__(self, path: Path, labels: Path | None = None) -> None:
        super().__init__(path)
        self._given = None if labels is None else _read_labels(labels)
        self._given_in = labels
        self._labels = Labels(given=True, source=str(path))
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}.", "Check the file.") from None

    def scan(self) -> Iterator[Entry | Passed]:
        """List the pictures."""
        refuse_other_than_utf8(self.path)
        self._file.seek(0)
        number = at = 0
        while line := self._file.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise self._wrong(number, f"is over {LONGEST:,} bytes long", "Is this JSONL, one request a line?")
            if line.strip():
                yield self._entry(line.removeprefix(b"\xef\xbb\xbf"), number, at)
            at += len(line)
        self._labels.check()

    def _wrong(self, number: int, what: str, cure: str) -> InputError:
        return InputError(f"{self.path}: line {number:,} {what}.", cure)

    def _entry(self, line: bytes, number: int, at: int) -> Entry | Passed:
        try:
            found = json.loads(line)
        except UnicodeDecodeError:
            raise undecodable(self.path) from None
        except (ValueError, RecursionError) as error:
            raise self._wrong(number, f"is no JSON ({error})", "Write one JSON object a line.") from None
        is_batch = isinstance(found, dict) and isinstance(found.get("body"), dict)
        urls = _urls(found["body"] if is_batch else found)
        if len(urls) != 1:
            raise self._wrong(
                number, f"has {counted(len(urls), 'image')}", "Give files whose lines ask about one image each."
            )
        media = urls[0].partition(",")[0].partition(";")[0].removeprefix("data:").strip().lower()
        if media.startswith("image/") and media not in _SUFFIXES:
            right = _MISSPELLED.get(media)
            problem = f"the service takes no {shown(media[:40])}"
            cure = f"Write data:{right} in its place." if right else "Convert it to JPEG or PNG."
            return Passed(f"line {number:,}", "format", "", problem, cure)
        if media not in _SUFFIXES:
            cure = "Only images inside the file (data URLs of JPEG, PNG or WEBP) can be taken from it."
            raise self._wrong(number, f"has an image that lies elsewhere or is of another type ({urls[0][:40]})", cure)
        label = self._batch_label(found, number) if is_batch else self._answer(found, number)
        # Ten thousand to a folder: more make file browsers crawl.
        name = imagenet_name(found)
        path = f"images/{number // 10_000:03d}/line-{number:08d}{name and f'-{name}'}{_SUFFIXES[media]}"
        self._bytes += len(urls[0]) * 3 // 4
        return Entry(label, path, f"{at}:{len(line)}", None, f"line {number:,}: ")

    def _answer(self, found: Any, number: int) -> str:
        messages = found.get("messages") if isinstance(found, dict) else None
        answers = [
            _text(m.get("content")) for m in messages or () if isinstance(m, dict) and m.get("role") == "assistant"
        ]
        if not answers or not answers[-1].strip():
            raise self._wrong(number, "has no assistant's answer in text, which would be the label", "Complete it.")
        return self._labels.of(answers[-1], f"line {number:,}")

    def _batch_label(self, found: dict[str, Any], number: int) -> str:
        if self._given is None:
            raise self._wrong(
                number,
                "is a batch request, which has no answer to take a label from",
                "Give a CSV file with the columns custom_id and label: --labels FILE.csv.",
            )
        label = self._given.get(str(found.get("custom_id")).strip())
        if label is None:
            raise self._wrong(
                number, f"has the custom_id {found.get('custom_id')!r}, of which {self._given_in} knows no label",
                "Add it there.",
            )  # fmt: skip
        return label

    def task(self, number: int, path: str, where: str, to: str | None) -> Task:
        """Read a picture's line again, and decode it."""
        at = int(where.partition(":")[0])
        try:
            self._file.seek(at)
            line = self._file.readline(LONGEST + 1).removeprefix(b"\xef\xbb\xbf")
            found = json.loads(line)
            urls = _urls(found.get("body", found))
            data = base64.b64decode(urls[0].partition(",")[2], validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return Task(number, path, error=BadImageError("its base64 is broken", "Encode it anew.", "broken"))
        except (OSError, ValueError, RecursionError, AttributeError, IndexError):
            return Task(number, path, error=BadImageError("it changed while it was read", "Try again.", "changed"))
        return Task(number, path, data, to=to)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _urls(request: Any) -> list[str]:
    """Return the URLs of all images in a request's messages."""
    found = []
    messages = request.get("messages") if isinstance(request, dict) else None
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            image = part.get("image_url") if isinstance(part, dict) else None
            if isinstance(image, dict) and isinstance(image.get("url"), str):
                found.append(image["url"])
    return found


def _text(content: Any) -> str:
    """Return the text of a message's content, which may be a list of one text; "" where there is none."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        content = content[0].get("text")
    return content if isinstance(content, str) else ""


def _read_labels(path: Path) -> dict[str, str]:
    """Return the label of each custom_id in a table."""
    found: dict[str, str] = {}
    table, labels = TextTable(path, [("custom_id",), LABEL_KEYS]), Labels(given=True, source=str(path))
    rows = table.rows()
    next(rows, None)
    header = [name.casefold() for name in table.header]
    if "custom_id" not in header or "label" not in header:
        raise wrong(path, 1, "not the columns custom_id and label", "Name them so.")
    key_at, label_at = header.index("custom_id"), header.index("label")
    for line, row in rows:
        key, text = row[key_at].strip(), row[label_at]
        if not text.strip():
            raise wrong(path, line, "no label", "Correct the line.")
        label = labels.of(text, f"line {line}")
        if found.setdefault(key, label) != label:
            raise wrong(path, line, f"two labels for {key!r}", "Correct the line.")
    labels.check()
    return found
