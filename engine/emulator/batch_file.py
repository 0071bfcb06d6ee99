"""What the service refuses of a batch's input file, line by line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.emulator.images import LOW_TOKENS, text_tokens
from engine.emulator.state import Object

MAX_REQUESTS = 100_000
MAX_ERRORS = 20


@dataclass
class Checked:
    """What a batch's file is: its errors if any, how many requests, of which deployment, about how many tokens."""

    errors: list[Object] = field(default_factory=list)
    count: int = 0
    deployment: str = ""
    tokens: int = 0

    def add(self, code: str, message: str, line: int | None = None) -> None:
        """Note an error; of very many, the first are enough."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append({"code": code, "message": message, "param": None, "line": line})


def check(path: Path, endpoint: str, sku_of: dict[str, str]) -> Checked:
    """Check a batch's input file.

    Args:
        path: the file.
        endpoint: the batch's, in its short form.
        sku_of: SKU of each deployment whose model may be used in a batch.

    """
    found = Checked()
    seen: set[str] = set()
    models: set[str] = set()
    if path.stat().st_size == 0:
        found.add("empty_file", "The input file is empty.")
        return found
    for number, _, request in json_lines(path):
        if found.count >= MAX_REQUESTS:
            found.add("too_many_tasks", f"A batch has at most {MAX_REQUESTS} requests.")
            return found
        if request is None:
            found.add("invalid_json_line", "This line is no JSON object.", number)
            continue
        if not isinstance(request.get("body"), dict) or not isinstance(request.get("custom_id"), str):
            found.add("invalid_request", "A request has a custom_id, and a body that is an object.", number)
            continue
        found.count += 1
        if request["custom_id"] in seen:
            found.add("duplicate_custom_id", f"The custom_id {request['custom_id']!r} is not unique.", number)
        seen.add(request["custom_id"])
        if short(str(request.get("url", ""))) != endpoint:
            found.add("url_mismatch", "The URL of the request does not match the batch's endpoint.", number)
        if request.get("method") != "POST":
            found.add("invalid_request", "The method of a request must be POST.", number)
        model = str(request["body"].get("model"))
        if models and model not in models:
            found.add("model_mismatch", f"All requests of a batch must use the same deployment, not {model!r}.", number)
        elif model not in sku_of:
            message = f"The deployment {model!r} does not exist, or its model cannot be used in a batch."
            found.add("model_not_found", message, number)
        elif "Batch" not in sku_of[model]:
            found.add("invalid_request", f"The deployment {model!r} is not a batch deployment.", number)
        models.add(model)
        found.tokens += request_tokens(request["body"])
    if found.count == 0 and not found.errors:
        found.add("empty_batch", "The batch has no requests.")
    found.deployment = next(iter(models), "")
    return found


def request_tokens(body: Object) -> int:
    """Return about how many tokens a request of a batch enqueues: its text by characters, each picture as small."""
    messages = body.get("messages")
    tokens = 0
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else [{"text": content}]:
            if isinstance(part, dict):
                text = part.get("text")
                tokens += text_tokens(text) if isinstance(text, str) else LOW_TOKENS
    return tokens


def short(endpoint: str) -> str:
    """Return an endpoint without the `/v1` that both forms share."""
    return endpoint.removeprefix("/v1")


def json_lines(path: Path, *, bom: bool = False) -> Iterator[tuple[int, int, Object | None]]:
    """Yield (line number, byte offset, object), None for a line that is none; blank lines are passed over.

    Args:
        path: the file.
        bom: whether a byte-order mark at its beginning is allowed.

    """
    offset = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            here, offset = offset, offset + len(raw)
            if not raw.strip():
                continue
            if number == 1 and bom:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            yield number, here, loads(raw)


def loads(raw: bytes) -> Object | None:
    """Return a line's object, or None if it is none."""
    try:
        value = json.loads(raw.decode("utf-8"))  # not json.loads(bytes): that forgives a byte-order mark
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
