"""One chat completion: what is asked, what the brain sees, how the service writes it down."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from engine.backbones import imagenet_classes
from engine.emulator.brain.vision import zero_shot
from engine.emulator.errors import ApiError, unsupported
from engine.emulator.service import Service
from engine.emulator.state import Object

_DATA_URL = re.compile(r"data:image/(jpeg|png|webp|gif);base64,(.*)\Z", re.DOTALL)
_BRACKETS = re.compile(r"\[([^\[\]]+)\]")
_SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
MAX_IMAGE_BYTES = 20_000_000
NOT_SUPPORTED = ("stream", "tools", "functions", "logprobs", "audio")


@dataclass(frozen=True)
class Question:
    """A parsed chat request: all its text, its picture if it has one, and the form of the answer."""

    text: str
    picture: bytes | None
    image_tokens: int
    labels: list[str]
    field: str | None
    max_tokens: int | None


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Return the chat operation's own form of a 400."""
    return ApiError(400, code or "invalid_request_error", message, type="invalid_request_error", param=param)


def parse(body: Object) -> Question:
    """Read a chat request.

    Raises:
        ApiError: 400 for what the service refuses, 501 for what the emulator cannot do.

    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("[] is too short - 'messages'", "messages")
    for name in NOT_SUPPORTED:
        if body.get(name):
            raise unsupported(f"the chat parameter {name!r}")
    if body.get("n", 1) != 1:
        raise unsupported("more than one choice")
    texts: list[str] = []
    pictures: list[tuple[bytes, str]] = []
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ("system", "user", "assistant", "developer"):
            raise invalid("A message has no valid role.", "messages")
        _read_content(message.get("content"), texts, pictures)
    if len(pictures) > 1:
        raise unsupported("more than one picture a request")
    field, enum = _answer_form(body.get("response_format"))
    text = "\n".join(texts)
    picture = pictures[0] if pictures else None
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return Question(
        text=text,
        picture=picture[0] if picture else None,
        image_tokens=image_tokens(*picture) if picture else 0,
        labels=enum or categories(text),
        field=field,
        max_tokens=limit if isinstance(limit, int) else None,
    )


def _read_content(content: Any, texts: list[str], pictures: list[tuple[bytes, str]]) -> None:
    if isinstance(content, str):
        texts.append(content)
        return
    if not isinstance(content, list):
        raise invalid("A message has no content.", "messages")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and isinstance(part.get("image_url"), dict):
            url = part["image_url"].get("url")
            pictures.append((picture_of(url), part["image_url"].get("detail", "auto")))
        else:
            raise invalid("A content part is neither text nor image_url.", "messages")


def picture_of(url: Any) -> bytes:
    """Return the bytes of a data URL.

    Raises:
        ApiError: it is none; pictures are not fetched from elsewhere.

    """
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        raise unsupported("pictures that must be fetched; send a data URL")
    match = _DATA_URL.match(url) if isinstance(url, str) else None
    if match is None:
        raise invalid("Invalid image URL. Expected a base64-encoded data URL with an image MIME type.", "messages")
    try:
        data = base64.b64decode(match[2], validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Invalid image data: not base64.", "messages", "invalid_base64") from None
    if len(data) > MAX_IMAGE_BYTES:
        raise invalid("The image is over 20 MB.", "messages", "image_too_large")
    return data


def _answer_form(wanted: Any) -> tuple[str | None, list[str]]:
    """Return the name of the string that is asked for, and the values that it may have."""
    if wanted is None or wanted == {"type": "text"}:
        return None, []
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object":
        return "label", []
    if kind != "json_schema":
        raise invalid("response_format is not valid.", "response_format")
    schema = (wanted.get("json_schema") or {}).get("schema") or {}
    strings = {k: v for k, v in (schema.get("properties") or {}).items() if v.get("type") == "string"}
    if len(strings) != 1 or len(schema.get("properties") or {}) != 1:
        raise unsupported("schemas of anything but one string")
    ((field, details),) = strings.items()
    return field, [str(value) for value in details.get("enum") or []]


def categories(text: str) -> list[str]:
    """Return the categories that a prompt lists in brackets, `[A, B, …]`; none if it lists none."""
    for match in _BRACKETS.finditer(text):
        try:
            listed = json.loads(match[0])
        except ValueError:
            listed = match[1].split(",")
        names = [str(name).strip().strip("\"'") for name in listed]
        if len(names) > 1 and all(names):
            return names
    return []


def image_tokens(picture: bytes, detail: str) -> int:
    """Return an image's tokens: 85 at low detail; else fitted into 2048² and 768, 170 a tile of 512 and 85."""
    if detail == "low":
        return 85
    try:
        with Image.open(io.BytesIO(picture)) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError):
        return 85
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    return 170 * math.ceil(width * scale / 512) * math.ceil(height * scale / 512) + 85


def text_tokens(text: str) -> int:
    """Return about how many tokens a text has (four characters each)."""
    return math.ceil(len(text) / 4)


async def look(service: Service, picture: bytes, *, urgent: bool) -> np.ndarray:
    """Return a picture's features.

    Raises:
        ApiError: 400, the bytes are no picture.

    """
    try:
        return await service.vision.look(picture, urgent=urgent)
    except (OSError, ValueError, SyntaxError):
        raise invalid("The image data is not a valid image.", "messages", "invalid_image_format") from None


async def complete(service: Service, model: str, body: Object, *, urgent: bool) -> Object:
    """Answer a chat request with a deployment's model, as the service's JSON body.

    Args:
        urgent: whether somebody waits for it, as for a real-time request.

    Raises:
        ApiError: see `parse` and `look`.

    """
    question = parse(body)
    answer = await _answer(service, model, question, urgent)
    content = answer if question.field is None else json.dumps({question.field: answer}, ensure_ascii=False)
    reason = "stop"
    tokens = text_tokens(content)
    if question.max_tokens is not None and tokens > question.max_tokens:
        content, tokens, reason = content[: question.max_tokens * 4], question.max_tokens, "length"
    prompt_tokens = text_tokens(question.text) + question.image_tokens
    return {
        "id": f"chatcmpl-{secrets.token_urlsafe(21)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": "fp_emulator",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _SAFE}],
        "choices": [
            {
                "index": 0,
                "finish_reason": reason,
                "logprobs": None,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "content_filter_results": _SAFE,
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": prompt_tokens + tokens,
        },
    }


async def _answer(service: Service, model: str, question: Question, urgent: bool) -> str:
    if question.picture is None:
        return "I am an emulator and only tell what a picture shows: send one, and a list of categories."
    features = await look(service, question.picture, urgent=urgent)
    head = service.head(model)
    if head is not None:
        return head.labels[int(head.scores(features[None])[0].argmax())]
    if not question.labels:
        return imagenet_classes()[int(service.vision.backbone().logits(features[None])[0].argmax())]
    return question.labels[int(zero_shot(service.vision.backbone(), features, question.labels).argmax())]
