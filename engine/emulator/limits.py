"""What the service refuses before it works: batch files and fine-tuning files, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.emulator.state import Object

MAX_REQUESTS = 100_000
MIN_EXAMPLES = 10
MAX_EXAMPLES = 50_000
MAX_ERRORS = 20


def batch_errors(path: Path, endpoint: str, sku_of: dict[str, str]) -> tuple[list[Object], int, str]:
    """Check a batch's input file.

    Args:
        path: the file.
        endpoint: the batch's, in its short form.
        sku_of: SKU of each deployment whose model may be used in a batch.

    Returns:
        the errors (code, message, line), the number of requests, and the one deployment that is asked.

    """
    errors: list[Object] = []
    seen: set[str] = set()
    models: set[str] = set()
    count = 0

    def add(code: str, message: str, line: int | None) -> None:
        if len(errors) < MAX_ERRORS:
            errors.append({"code": code, "message": message, "param": None, "line": line})

    if path.stat().st_size == 0:
        add("empty_file", "The input file is empty.", None)
        return errors, 0, ""
    for number, _, request in json_lines(path):
        if (
            request is None
            or not isinstance(request.get("body"), dict)
            or not isinstance(request.get("custom_id"), str)
        ):
            add("invalid_json_line", f"This line is not parseable as a batch request: line {number}.", number)
            continue
        count += 1
        if request["custom_id"] in seen:
            add("duplicate_custom_id", f"The custom_id {request['custom_id']!r} is not unique.", number)
        seen.add(request["custom_id"])
        if short(str(request.get("url", ""))) != endpoint:
            add("url_mismatch", "The URL of the request does not match the batch's endpoint.", number)
        if request.get("method") != "POST":
            add("invalid_request", "The method of a request must be POST.", number)
        model = request["body"].get("model")
        models.add(str(model))
        if model not in sku_of:
            add("model_not_found", f"The deployment {model!r} does not exist, or cannot be used in a batch.", number)
        elif "Batch" not in sku_of[model]:
            add("invalid_request", f"The deployment {model!r} is not a batch deployment.", number)
    if count == 0 and not errors:
        add("empty_batch", "The batch has no requests.", None)
    if count > MAX_REQUESTS:
        add("too_many_tasks", f"A batch has at most {MAX_REQUESTS} requests.", None)
    if len(models) > 1:
        add("model_mismatch", "All requests of a batch must use the same deployment.", None)
    return errors, count, next(iter(models), "")


def short(endpoint: str) -> str:
    """Return an endpoint without the `/v1` that both forms share."""
    return endpoint.removeprefix("/v1")


def json_lines(path: Path) -> Iterator[tuple[int, int, Object | None]]:
    """Yield (line number, byte offset, object), None for a line that is none; blank lines are passed over."""
    offset = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            here, offset = offset, offset + len(raw)
            if not raw.strip():
                continue
            try:
                value = json.loads(raw)
            except (ValueError, RecursionError):
                value = None
            yield number, here, value if isinstance(value, dict) else None


def example_of(line: Object | None) -> tuple[str, list[Any], str] | str:
    """Read a fine-tuning example.

    Returns:
        (system and user text, image URLs, assistant's answer), or what is wrong with it.

    """
    messages = line.get("messages") if line else None
    if not isinstance(messages, list) or not messages:
        return "has no messages"
    text: list[str] = []
    urls: list[Any] = []
    answer = None
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if role == "assistant":
            if not isinstance(content, str) or not content:
                return "has an assistant message that is no text"
            answer = content
        elif role in ("system", "user", "developer"):
            for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
                if isinstance(part, dict) and part.get("type") == "image_url":
                    urls.append((part.get("image_url") or {}).get("url"))
                elif isinstance(part, dict) and isinstance(part.get("text"), str):
                    text.append(part["text"])
                else:
                    return "has a content part that is neither text nor image"
        else:
            return f"has a message with the role {role!r}"
    if answer is None:
        return "has no assistant message"
    if len(urls) > 64:
        return "has more than 64 images"
    return "\n".join(text), urls, answer
