"""JSONL files for batches and fine-tuning, streamed: one image is in memory at a time.

How a line is made, `lines` tells; how a file is written, `shard_file`. Same input, same bytes.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from engine.datasets.lines import BatchLines, TrainingLines, frame
from engine.datasets.prompt import Prompt, image_mime
from engine.datasets.shard_file import Shard as Shard
from engine.datasets.shard_file import ShardFile
from engine.errors import InputError
from engine.store.frozen import Picture

BATCH_BYTES = 200_000_000
BATCH_REQUESTS = 100_000
TRAINING_BYTES = 512_000_000
Item = tuple[str, Picture, int]


class _Filled(Protocol):
    """A file, as far as it goes already."""

    bytes: int
    lines: int
    tokens: int


@dataclass(frozen=True)
class _Most:
    """What one file may hold."""

    bytes: int
    requests: int
    tokens: int | None

    def full(self, file: _Filled, line: int, tokens: int) -> bool:
        """Tell whether a request of so many bytes and tokens needs a file of its own."""
        return (
            file.bytes + line > self.bytes
            or file.lines >= self.requests
            or (self.tokens is not None and file.tokens + tokens > self.tokens)
        )


def _encoded(data: bytes) -> tuple[str, bytes]:
    """Return an image's media type and its base64."""
    return image_mime(data), b2a_base64(data, newline=False)


def _as_it_is(image: Picture) -> bytes:
    return image.read()


def write_batch_shards(
    items: Iterable[Item],
    prompt: Prompt,
    labels: Sequence[str],
    model: str,
    folder: Path,
    stem: str,
    *,
    max_bytes: int = BATCH_BYTES,
    max_requests: int = BATCH_REQUESTS,
    max_tokens: int | None = None,
    failed: Callable[[str, InputError], None] | None = None,
) -> list[Shard]:
    """Write batch input files, as many as the limits demand.

    Args:
        items: (custom_id, image, about how many tokens) of each request.
        prompt: the question.
        labels: the classes.
        model: the deployment's name.
        folder: where the files go, as `<stem>-00001.jsonl` and so on.
        stem: see above.
        max_bytes: of one file (the service's limit unless told).
        max_requests: of one file (likewise).
        max_tokens: of one file; the deployment's quota of enqueued tokens, where it is known. A single
            request over it has a file of its own: the service may count otherwise.
        failed: told of (custom_id, why) of an image that cannot be read or has changed, which is left out
            then; without it, that is raised.

    Raises:
        InputError: an image cannot be read, or is too large for a file; nothing half-written stays.

    """
    lines = BatchLines(prompt, labels, model)
    most = _Most(max_bytes, max_requests, max_tokens)
    shards: list[Shard] = []
    writer: ShardFile | None = None
    try:
        for custom_id, image, tokens in items:
            try:
                encoded = _encoded(image.read())
            except InputError as error:
                if failed is None:
                    raise
                failed(custom_id, error)
                continue
            parts = lines.parts(custom_id, *encoded)
            length = sum(map(len, parts))
            if length > max_bytes:
                raise InputError(
                    f"{image.path}: its request has {length:,} bytes; a batch file has at most {max_bytes:,}.",
                    "Make the image smaller.",
                )
            if writer and most.full(writer, length, tokens):
                shards.append(writer.close())
                writer = None
            if writer is None:
                writer = ShardFile(folder / f"{stem}-{len(shards) + 1:05d}.jsonl")
            writer.add(parts, length, tokens)
        if writer is not None:
            shards.append(writer.close())
            writer = None
    finally:
        if writer is not None:
            writer.abandon()
    return shards


def measure_batch_shards(
    items: Iterable[tuple[str, Path, int, int]],
    prompt: Prompt,
    labels: Sequence[str],
    model: str,
    *,
    max_bytes: int = BATCH_BYTES,
    max_requests: int = BATCH_REQUESTS,
    max_tokens: int | None = None,
) -> list[Shard]:
    """Return what `write_batch_shards` would write, without reading an image; they have no sha256.

    Args:
        items: (custom_id, image, its bytes, about how many tokens) of each request.
        prompt: likewise, as all that follows.
        labels: likewise.
        model: likewise.
        max_bytes: likewise.
        max_requests: likewise.
        max_tokens: likewise.

    """
    request = {"custom_id": "", "method": "POST", "url": "/chat/completions"}
    empty = len(frame({**request, "body": prompt.request(model, labels, "data:image/;base64,")}).encode()) + 1
    most = _Most(max_bytes, max_requests, max_tokens)
    shards: list[Shard] = []
    file = _Counted()
    for custom_id, path, size, tokens in items:
        kind = 3 if path.suffix.lower() == ".png" else 4  # of `png`, `jpeg` and `webp`, by its name
        line = empty + len(custom_id) + kind + 4 * -(-size // 3)
        if file.lines and most.full(file, line, tokens):
            shards.append(file.close(len(shards) + 1))
            file = _Counted()
        file.bytes += line
        file.lines += 1
        file.tokens += tokens
    if file.lines:
        shards.append(file.close(len(shards) + 1))
    return shards


@dataclass
class _Counted:
    """A file that is not written."""

    bytes: int = 0
    lines: int = 0
    tokens: int = 0

    def close(self, number: int) -> Shard:
        return Shard(Path(f"{number:05d}.jsonl"), self.lines, self.bytes, "", self.tokens)


def split_shard(shard: Shard, parts: int) -> list[Shard]:
    """Write a batch file anew as several of about the same number of requests, beside it.

    Args:
        shard: the file; it stays.
        parts: how many; no more than it has requests.

    Returns:
        the files `<stem>-1.jsonl` and so on. Their tokens are shares of the whole's.

    """
    found: list[Shard] = []
    with shard.path.open("rb") as lines:
        for part in range(parts):
            count = shard.requests * (part + 1) // parts - shard.requests * part // parts
            writer = ShardFile(shard.path.with_name(f"{shard.path.stem}-{part + 1}.jsonl"))
            try:
                for line in islice(lines, count):
                    writer.add((line,), len(line))
                writer.tokens = -(-shard.tokens * count // shard.requests)
                found.append(writer.close())
            except BaseException:
                writer.abandon()
                raise
    return found


def retarget(path: Path, deployment: str) -> int:
    """Write a batch file anew with another deployment in each of its requests; return its bytes."""
    writer = ShardFile(path.with_name(f"{path.stem}.retargeted.jsonl"))
    try:
        with path.open("rb") as lines:
            for line in lines:
                request = json.loads(line)
                request["body"]["model"] = deployment
                encoded = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
                writer.add((encoded,), len(encoded))
        shard = writer.close()
    except BaseException:
        writer.abandon()
        raise
    shard.path.replace(path)
    return shard.bytes


def write_training_file(
    items: Iterable[tuple[Picture, str]],
    prompt: Prompt,
    labels: Sequence[str],
    path: Path,
    *,
    max_bytes: int = TRAINING_BYTES,
    read: Callable[[Picture], bytes] = _as_it_is,
) -> Shard:
    """Write a fine-tuning file.

    Args:
        items: (image, label) of each example.
        prompt: the question, and the form of the answer.
        labels: the classes.
        path: the file.
        max_bytes: the service's limit unless told.
        read: gives an image's bytes.

    Raises:
        InputError: an image cannot be read or has changed, or the file would be too large.

    """
    lines = TrainingLines(prompt, labels)
    writer = ShardFile(path)
    try:
        for image, label in items:
            parts = lines.parts(label, *_encoded(read(image)))
            writer.add(parts, sum(map(len, parts)))
            if writer.bytes > max_bytes:
                raise InputError(
                    f"The fine-tuning file is over {max_bytes / 1e6:,.0f} MB at example {writer.lines:,}.",
                    "Use fewer or smaller images.",
                )
        return writer.close()
    except BaseException:
        writer.abandon()
        raise
