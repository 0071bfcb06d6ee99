"""The check of a fine-tuning file, line by line, against everything the service publishes that it wants.

The service finds the same things an hour later, in its queue, and names at best the first of them.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from engine.backbones.images import MAX_PIXELS
from engine.datasets.checks import MAX_BYTES, MIME
from engine.datasets.convert import TRAINED
from engine.datasets.jsonl import TRAINING_BYTES
from engine.errors import InputError
from engine.quantities import counted
from engine.store.frozen import CHANGED, CURE, Picture

MIN_EXAMPLES = 10
MAX_EXAMPLES = 50_000
MAX_IMAGES = 64
"""Of one example."""
DETAILS = ("low", "high", "auto")
MOST_PROBLEMS = 100
"""So many are kept; the rest is counted."""
_BOM = b"\xef\xbb\xbf"
_CONVERT = "Convert it to RGB."
_CONVERT_MODE = "Convert it to RGB, or let that be done: convert = true, --convert."


@dataclass(frozen=True)
class Problem:
    """What the service would not take, where, and the cure.

    Attributes:
        what: the problem.
        cure: what to do about it.
        line: in the file, from 1; None for the file as a whole, and for an image that is in none yet.
        name: of the image file that the line was made from, where that is known.

    """

    what: str
    cure: str
    line: int | None = None
    name: str = ""

    def __str__(self) -> str:
        """Return one line for people."""
        place = f"line {self.line}" if self.line is not None else ""
        place = f"{place} ({self.name})" if place and self.name else place or self.name
        return f"{place}{': ' if place else ''}{self.what}. {self.cure}"


@dataclass
class TrainingFile:
    """What a file holds, and what is wrong with it.

    Attributes:
        examples: lines that are not empty.
        bytes: of the whole file.
        characters: of all text, the answers' too.
        pictures: how many there are of each (width, height, detail).
        problems: the first of them.
        count: how many problems there are.

    """

    examples: int = 0
    bytes: int = 0
    characters: int = 0
    pictures: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, problem: Problem) -> None:
        """Take a problem down."""
        self.count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


class _Wrong(Exception):
    """Why a line cannot be used, and the cure."""


def check_training_file(
    path: Path,
    *,
    what: str = "training",
    names: Sequence[str] = (),
    max_bytes: int = TRAINING_BYTES,
    max_examples: int = MAX_EXAMPLES,
    decode: bool = True,
) -> TrainingFile:
    """Check a fine-tuning file; one line is in memory at a time.

    Args:
        path: the file.
        what: `training`, which needs 10 examples, or `validation`, which needs one.
        names: of the image files that the lines were made from, in order, where that is known.
        max_bytes: the service's limit unless told.
        max_examples: likewise.
        decode: decode each picture to its end, and not only its header: slower, finds truncated ones.

    """
    found = TrainingFile()
    least = MIN_EXAMPLES if what == "training" else 1
    blank: int | None = None
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            found.bytes += len(line)
            name = names[number - 1] if number <= len(names) else ""
            if not line.strip():
                blank = blank or number
                continue
            if blank is not None:
                found.add(Problem("is empty", "Remove it.", blank))
                blank = None
            found.examples += 1
            _check_line(found, line.removeprefix(_BOM) if number == 1 else line, number, name, decode)
    if found.examples < least:
        found.add(Problem(f"{found.examples} {what} examples, and at least {least} are needed", "Add images."))
    if found.examples > max_examples:
        more = f"{found.examples:,} {what} examples, and the service takes {max_examples:,}"
        found.add(Problem(more, "Use fewer images."))
    if found.bytes > max_bytes:
        more = f"the {what} file has {found.bytes / 1e6:,.1f} MB, and the service takes {max_bytes / 1e6:,.0f}"
        found.add(Problem(more, "Use fewer or smaller images."))
    return found


def check_image_files(
    images: Iterable[Picture],
    least: int,
    what: str = "training",
    *,
    any_mode: bool = False,
    every_byte: bool = True,
) -> list[Problem]:
    """Check images before a file is written of them: their number, size and headers, and that none has changed.

    Args:
        images: one an example.
        least: how many there must be.
        what: `training` or `validation`.
        any_mode: they will be converted, so that their mode does not matter.
        every_byte: read each to its end for that; else a changed one is known by its size alone.

    """
    found = TrainingFile()
    for image in images:
        found.examples += 1
        try:
            with io.BytesIO(image.read()) if every_byte else image.path.open("rb") as file:
                size = image.bytes if every_byte else image.path.stat().st_size
                if size != image.bytes:
                    raise _Wrong(CHANGED, CURE)
                _check_picture(file, size, decode=False, any_mode=any_mode)
        except InputError as error:
            found.add(Problem(error.message.removeprefix(f"{image.path}: ").rstrip("."), CURE, None, str(image.path)))
        except OSError as error:
            found.add(Problem(f"{error.strerror or error}", CURE, None, str(image.path)))
        except _Wrong as wrong:
            found.add(Problem(wrong.args[0], wrong.args[1], None, str(image.path)))
    if not least <= found.examples <= MAX_EXAMPLES:
        told = f"{found.examples:,} {what} images, and the service takes {least} to {MAX_EXAMPLES:,}"
        found.add(Problem(told, "Split the dataset otherwise."))
    return found.problems


def _check_line(found: TrainingFile, line: bytes, number: int, name: str, decode: bool) -> None:
    """Check one example. One that has no form is one problem; each of its pictures may be one."""

    def wrong(what: str, cure: str) -> None:
        found.add(Problem(what, cure, number, name))

    try:
        example = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return wrong(f"is not UTF-8 at byte {error.start + 1}", "Write the file as UTF-8.")
    except (ValueError, RecursionError) as error:
        return wrong(f"is no JSON ({error})", "Write one JSON object a line.")
    messages = example.get("messages") if isinstance(example, dict) else None
    if not isinstance(messages, list) or not messages:
        return wrong("has no messages", 'Write {"messages": [...]}.')
    urls: list[tuple[Any, str]] = []
    answered = False
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("system", "developer", "user", "assistant"):
            return wrong(f"has a message with the role {role!r}", "Use system, user and assistant.")
        answered = answered or role == "assistant"
        content = message.get("content")
        for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            if isinstance(part, dict) and isinstance(part.get("image_url"), dict):
                if role == "assistant":
                    wrong("has an image in an assistant message", "Leave only text there.")
                    continue
                urls.append((part["image_url"].get("url"), str(part["image_url"].get("detail", "auto"))))
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                found.characters += len(part["text"])
            else:
                wrong("has a part that is neither text nor image", 'Use the types "text" and "image_url".')
    if not answered:
        wrong("has no assistant message", "End each example with the answer.")
    if len(urls) > MAX_IMAGES:
        wrong(
            f"has {counted(len(urls), 'image')}, and the service takes {MAX_IMAGES} an example",
            "Make several examples of it.",
        )
    for url, detail in urls:
        if detail not in DETAILS:
            wrong(f"has an image of the detail {detail!r}", f"Use {', '.join(DETAILS)}.")
        try:
            width, height = _check_url(url, decode)
            found.pictures[width, height, detail] += 1
        except _Wrong as problem:
            wrong(*problem.args)
    return None


def _check_url(url: object, decode: bool) -> tuple[int, int]:
    """Return a picture's size; that of one which lies elsewhere is not known, and is taken for none.

    Raises:
        _Wrong: the service would not take it.

    """
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return 0, 0
    head, comma, body = url.partition(",") if isinstance(url, str) else ("", "", "")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise _Wrong("has an image that is no data URL", "Write data:image/jpeg;base64,….")
    if head[5:-7] not in MIME.values():
        raise _Wrong(f"has an image of the type {head[5:-7]!r}", f"Use {', '.join(MIME.values())}.")
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise _Wrong("has an image whose base64 is broken", "Encode it anew.") from None
    try:
        return _check_picture(io.BytesIO(data), len(data), decode)
    except _Wrong as wrong:
        raise _Wrong(f"has an image that cannot be used: {wrong.args[0]}", wrong.args[1]) from None


def _check_picture(file: Any, size: int, decode: bool, any_mode: bool = False) -> tuple[int, int]:
    """Return a picture's width and height.

    Raises:
        _Wrong: the service would not take it.

    """
    if size > MAX_BYTES:
        raise _Wrong(f"{size:,} bytes, and the service takes {MAX_BYTES:,}", "Scale it down.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file) as image:
                if image.format not in MIME:
                    raise _Wrong(f"the format is {image.format}, and {', '.join(MIME)} are taken", _CONVERT)
                if image.mode not in TRAINED and not any_mode:
                    raise _Wrong(f"the mode is {image.mode}, and {' or '.join(TRAINED)} is taken", _CONVERT_MODE)
                if image.width * image.height > MAX_PIXELS:
                    raise _Wrong(f"{image.width}×{image.height} pixels", "Scale it down.")
                if decode:
                    image.load()
                return image.width, image.height
    except _Wrong:
        raise
    except UnidentifiedImageError:
        raise _Wrong("it is no image", "Remove it, or replace it.") from None
    except Exception as error:  # decoders raise what they like on broken bytes
        raise _Wrong(f"it cannot be decoded ({error})", "Remove it, or replace it.") from None
