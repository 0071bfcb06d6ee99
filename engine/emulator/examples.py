"""Fine-tuning files: what the service takes of them, and each picture when it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.emulator.batch_file import json_lines, loads
from engine.emulator.brain.vision import image_facts
from engine.emulator.images import DETAILS, NotAPicture, decode, image_tokens, text_tokens
from engine.emulator.listing import categories
from engine.emulator.state import Object

MIN_EXAMPLES = 10
MAX_EXAMPLES = 50_000
MAX_IMAGES = 64
MAX_IMAGE_BYTES = 10_000_000
FORMATS = ("JPEG", "PNG", "WEBP")
MODES = ("RGB", "RGBA")
_URL_TYPES = ("jpeg", "png", "webp")


class DataError(Exception):
    """The training data is not what it should be; the message is for the user."""


@dataclass
class Examples:
    """A checked file.

    Attributes:
        answers: the assistant's, one an example; where all are JSON with one text in it, these texts.
        key: under which they stand in the JSON; empty for plain answers.
        labels: all categories that the prompts list, in order.
        pictures: how many each example has.
        digests: of each picture.
        sources: each gives its picture's bytes, read from the file anew, so that none is held in memory.
        billed: tokens of one epoch: text, and pictures at the detail that was asked for.
        seen: the same with each picture as the model takes it in, which `trained_tokens` counts.

    """

    answers: list[str] = field(default_factory=list)
    key: str = ""
    labels: list[str] = field(default_factory=list)
    pictures: list[int] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    sources: list[Callable[[], bytes]] = field(default_factory=list)
    billed: int = 0
    seen: int = 0


@dataclass(frozen=True)
class _Example:
    texts: list[str]
    images: list[tuple[object, str]]
    answer: str


def read(path: Path, what: str, *, check: Callable[[], None], skip: Callable[[], bool]) -> Examples:
    """Read a fine-tuning file.

    Args:
        path: the file.
        what: `training` or `validation`.
        check: called now and then; may raise to stop.
        skip: tells whether to drop the next example's picture, and the example with it.

    Raises:
        DataError: names the line and what is wrong with it.

    """
    found = Examples()
    labels: dict[str, None] = {}
    count = 0
    for number, offset, line in json_lines(path, bom=True):
        check()
        try:
            example = _example(line)
            checked = _checked(example)
        except DataError as error:
            raise DataError(f"Invalid {what} file: line {number} {error}.") from None
        count += 1
        if count > MAX_EXAMPLES:
            raise DataError(f"Invalid {what} file: it has more than {MAX_EXAMPLES:,} examples.")
        labels.update(dict.fromkeys(categories(tuple(example.texts))))
        if skip():
            continue
        found.answers.append(example.answer)
        found.pictures.append(len(checked))
        text = text_tokens("\n".join(example.texts)) + text_tokens(example.answer)
        found.billed += text
        found.seen += text
        for place, (digest, billed, seen) in enumerate(checked):
            found.digests.append(digest)
            found.sources.append(_source(path, offset, place))
            found.billed += billed
            found.seen += seen
    least = MIN_EXAMPLES if what == "training" else 1
    if count < least:
        raise DataError(f"Invalid {what} file: it has {count} examples, and at least {least} are needed.")
    found.labels = list(labels)
    members = [_member(answer) for answer in found.answers]
    keys = {member[0] if member else "" for member in members}
    if len(keys) == 1 and (key := keys.pop()):
        found.key, found.answers = key, [text for _, text in filter(None, members)]
    return found


def _member(answer: str) -> tuple[str, str] | None:
    """Return key and text of an answer that is a JSON object of one text."""
    value = loads(answer.encode()) if answer.startswith("{") else None
    ((key, text),) = value.items() if value and len(value) == 1 else [("", None)]
    return (key, text) if key and isinstance(text, str) else None


def _checked(example: _Example) -> list[tuple[str, int, int]]:
    """Return of each of an example's pictures its digest, its billed tokens, and its tokens at high detail.

    Raises:
        DataError: there is none, or one of them may not be used.

    """
    if len(example.images) > MAX_IMAGES:
        raise DataError(f"has more than {MAX_IMAGES} images")
    if not example.images:
        raise DataError("has no image, and the emulator learns nothing from text alone")
    return [_picture(url, detail) for url, detail in example.images]


def _picture(url: object, detail: str) -> tuple[str, int, int]:
    try:
        data = decode(url, _URL_TYPES)
        if len(data) > MAX_IMAGE_BYTES:
            raise DataError("has an image of more than 10 MB")
        form, mode, width, height = image_facts(data)
    except NotAPicture as error:
        raise DataError(f"has an image URL that cannot be used: {str(error).rstrip('.')}") from None
    except ValueError:
        raise DataError("has an image that cannot be decoded") from None
    if form not in FORMATS:
        raise DataError(f"has a {form} image, and {', '.join(FORMATS)} are taken")
    if mode not in MODES:
        raise DataError(f"has an image of mode {mode}, and {' or '.join(MODES)} is taken")
    high = image_tokens(width, height, "high")
    return hashlib.sha256(data).hexdigest(), image_tokens(width, height, detail), high


def _source(path: Path, offset: int, place: int) -> Callable[[], bytes]:
    def read() -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            line = file.readline()
        return decode(_example(loads(line.removeprefix(b"\xef\xbb\xbf"))).images[place][0], _URL_TYPES)

    return read


def _example(line: Object | None) -> _Example:
    """Read one example.

    Raises:
        DataError: what is wrong with it.

    """
    messages = line.get("messages") if line else None
    if not isinstance(messages, list) or not messages:
        raise DataError("has no messages")
    text: list[str] = []
    images: list[tuple[object, str]] = []
    answer = None
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if role == "assistant":
            if isinstance(content, list) and any(_is_image(part) for part in content):
                raise DataError("has an image in an assistant message")
            if not isinstance(content, str) or not content:
                raise DataError("has an assistant message that is no text")
            answer = content
        elif role in ("system", "user", "developer"):
            for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
                _read_part(part, text, images)
        else:
            raise DataError(f"has a message with the role {role!r}")
    if answer is None:
        raise DataError("has no assistant message")
    return _Example(text, images, answer)


def _is_image(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "image_url"


def _read_part(part: Any, text: list[str], images: list[tuple[object, str]]) -> None:
    if _is_image(part) and isinstance(part.get("image_url"), dict):
        detail = part["image_url"].get("detail", "auto")
        if detail not in DETAILS:
            raise DataError(f"has an image with the detail {detail!r}")
        images.append((part["image_url"].get("url"), detail))
    elif isinstance(part, dict) and isinstance(part.get("text"), str):
        text.append(part["text"])
    else:
        raise DataError("has a content part that is neither text nor image")
