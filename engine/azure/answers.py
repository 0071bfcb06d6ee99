"""An answer about one image, wherever it came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_VERSION = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True)
class Answer:
    """What came back for one request.

    `filtered`: the content filter stopped the question or the answer. `error`: why there is no answer.
    The times are milliseconds, of real-time requests only: `latency_ms` of the one attempt that was answered,
    `first_ms` the same where that was the first attempt (else None), `total_ms` from the start of the first attempt
    to the end, waits between attempts included. `attempts` is how often it was asked; 0 of a batch's answers. `model`
    is the one that the service names as the answer's; "" where it names none.
    """

    custom_id: str
    text: str | None = None
    filtered: bool = False
    error: str | None = None
    latency_ms: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    request_id: str | None = None
    first_ms: float | None = None
    total_ms: float | None = None
    attempts: int = 0
    model: str = ""


def from_completion(
    custom_id: str, body: dict[str, Any], latency_ms: float | None = None, request_id: str | None = None
) -> Answer:
    """Read a chat completion. Whatever is missing in it is taken as not there."""
    choices = body.get("choices") or [{}]
    choice = choices[0] if isinstance(choices[0], dict) else {}
    message = choice.get("message") or {}
    text = message.get("content")
    usage = body.get("usage") or {}
    filtered = choice.get("finish_reason") == "content_filter"
    refusal = message.get("refusal")
    if text is None and isinstance(refusal, str):
        text = refusal
    return Answer(
        custom_id,
        text=text if isinstance(text, str) else None,
        filtered=filtered,
        error=None if isinstance(text, str) or filtered else "the answer has no content",
        latency_ms=latency_ms,
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        request_id=request_id,
        model=str(body.get("model") or ""),
    )


def from_error(custom_id: str, status: int | None, error: Any, request_id: str | None = None) -> Answer:
    """Read an error body (`{"code", "message", …}`, or anything else)."""
    inner = error.get("error", error) if isinstance(error, dict) else error
    code = inner.get("code") if isinstance(inner, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else inner
    return Answer(
        custom_id,
        filtered=code == "content_filter",
        error=f"{status or ''} {code or ''} {message or 'no answer'}".strip()[:500],
        request_id=request_id,
    )


def same_model(one: str, other: str) -> bool:
    """Return whether two names are of one model: with or without its version, a tuned model by what it is tuned from.

    Two tuned models are one only where their whole names are.
    """
    one, other = one.lower(), other.lower()
    if ".ft-" in one and ".ft-" in other:
        return one == other
    one, other = one.split(".ft-")[0], other.split(".ft-")[0]
    return one == other or _VERSION.sub("", one) == other or one == _VERSION.sub("", other)
