"""Whether an answer is the service's: its kind, and the shape that each call's answer has.

A hotel's portal, a company's proxy and a gateway answer in the service's place, with 200 as often as not. Such an
answer is an outage, and never data. Fields that are missing are taken as not given; a field of another kind is not.
"""

from __future__ import annotations

import html
import json
import re
from types import NoneType
from typing import Any

Shape = dict[str, Any]
"""Field → the kinds that it may have: a tuple of types, a Shape for an object, or [Shape] for a list of objects.

A field with a question mark may be missing; an object or a list may be null.
"""
_TEXT = (str,)
_MAYBE_TEXT = (str, NoneType)
_MAYBE_NUMBER = (int, float, NoneType)
_ANYTHING: Shape = {}

FILE: Shape = {"id": _TEXT, "?filename": _MAYBE_TEXT, "?status": _MAYBE_TEXT, "?bytes": _MAYBE_NUMBER}
BATCH: Shape = {
    "id": _TEXT,
    "status": _TEXT,
    "?request_counts": {"?total": _MAYBE_NUMBER, "?completed": _MAYBE_NUMBER, "?failed": _MAYBE_NUMBER},
    "?errors": {"?data": [_ANYTHING]},
    "?metadata": _ANYTHING,
    "?input_file_id": _MAYBE_TEXT,
    "?output_file_id": _MAYBE_TEXT,
    "?error_file_id": _MAYBE_TEXT,
}
TUNING: Shape = {
    "id": _TEXT,
    "status": _TEXT,
    "?training_file": _MAYBE_TEXT,
    "?fine_tuned_model": _MAYBE_TEXT,
    "?result_files": (list, NoneType),
    "?trained_tokens": _MAYBE_NUMBER,
    "?hyperparameters": _ANYTHING,
    "?error": _ANYTHING,
}
EVENT: Shape = {"id": _TEXT, "created_at": _MAYBE_NUMBER, "level": _TEXT, "message": _TEXT}
CHECKPOINT: Shape = {"id": _TEXT, "step_number": (int,), "fine_tuned_model_checkpoint": _TEXT, "metrics": _ANYTHING}
COMPLETION: Shape = {
    "choices": [{"?message": _ANYTHING}],
    "?usage": {"?prompt_tokens": _MAYBE_NUMBER, "?completion_tokens": _MAYBE_NUMBER},
}
DEPLOYMENT: Shape = {"name": _TEXT, "?properties": {"?model": _ANYTHING}, "?sku": _ANYTHING, "?systemData": _ANYTHING}

_CALLS: tuple[tuple[str, str, str, Shape], ...] = (
    # method, path, key of a list ("" for one object), shape
    ("POST", r"/chat/completions", "", COMPLETION),
    ("GET", r"/files", "data", FILE),
    ("POST", r"/files", "", FILE),
    ("GET", r"/files/[^/]+", "", FILE),
    ("GET", r"/batches", "data", BATCH),
    ("POST", r"/batches(/[^/]+/cancel)?", "", BATCH),
    ("GET", r"/batches/[^/]+", "", BATCH),
    ("GET", r"/fine_tuning/jobs", "data", TUNING),
    ("GET", r"/fine_tuning/jobs/[^/]+/events", "data", EVENT),
    ("GET", r"/fine_tuning/jobs/[^/]+/checkpoints", "data", CHECKPOINT),
    ("GET", r"/fine_tuning/jobs/[^/]+", "", TUNING),
    ("POST", r"/fine_tuning/jobs(/[^/]+/(cancel|pause|resume))?", "", TUNING),
    ("GET", r"/models", "data", {"id": _TEXT}),
    ("GET", r"/Microsoft\.CognitiveServices/accounts/[^/]+/deployments", "value", DEPLOYMENT),
    ("GET", r"/Microsoft\.CognitiveServices/accounts/[^/]+/deployments/[^/]+", "", DEPLOYMENT),
    ("PUT", r"/Microsoft\.CognitiveServices/accounts/[^/]+/deployments/[^/]+", "", DEPLOYMENT),
    ("GET", r"/Microsoft\.Authorization/permissions", "value", _ANYTHING),
)
_SHAPES = [(method, re.compile(f".*{path}/?", re.IGNORECASE), key, shape) for method, path, key, shape in _CALLS]
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_CONTENT = re.compile(r".*/files/[^/]+/content/?")


def is_content(path: str) -> bool:
    """Return whether a path is that of a file's content, which has no shape."""
    return _CONTENT.fullmatch(path) is not None


def is_page(content_type: str, body: bytes) -> bool:
    """Return whether an answer is a web page."""
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return "html" in content_type.lower() or start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def page(body: bytes) -> str:
    """Return a web page in words, with its title where it has one."""
    found = _TITLE.search(body[:65536])
    title = " ".join(html.unescape(found[1].decode("utf-8", "replace")).split()) if found else ""
    title = "".join(character for character in title if character.isprintable())[:100]
    return f"a web page titled '{title}'" if title else "a web page"


def problem(method: str, path: str, status: int, content_type: str, body: bytes) -> str:
    """Return what is wrong with the answer to a call that succeeded, in words; "" where it is the service's.

    Args:
        method: of the request.
        path: of the request, without the query.
        status: 200 to 299.
        content_type: of the answer.
        body: of the answer, whole.

    """
    if is_page(content_type, body):
        return page(body)
    call = next((row for row in _SHAPES if row[0] == method and row[1].fullmatch(path)), None)
    if not body.strip():
        return "" if method == "DELETE" or status in (202, 204) else "an empty answer"
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(found, dict):
        return f"JSON of another shape: {_kind(found)}"
    if call is None:
        return ""
    _, _, key, shape = call
    wrong = _wrong(found, {key: [shape]} if key else shape)
    if not wrong and key and found[key] is None:
        wrong = f"{key!r} is null"
    return f"JSON of another shape: {wrong}" if wrong else ""


def _wrong(found: dict[str, Any], shape: Shape) -> str:
    """Return the first field that is not as it should be, in words."""
    for name, kinds in shape.items():
        field = name.removeprefix("?")
        if field not in found:
            if name == field:
                return f"{field!r} is missing"
            continue
        value = found[field]
        if isinstance(kinds, tuple):
            fits = isinstance(value, kinds) and not isinstance(value, bool)
        else:
            fits = value is None or isinstance(value, type(kinds))
        if not fits:
            return f"{field!r} is {_kind(value)}"
        if isinstance(kinds, dict) and value is not None and (wrong := _wrong(value, kinds)):
            return wrong
        if isinstance(kinds, list):
            for entry in value or ():
                if not isinstance(entry, dict):
                    return f"an entry of {field!r} is {_kind(entry)}"
                if wrong := _wrong(entry, kinds[0]):
                    return wrong
    return ""


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
