"""What a chat request asks: all its text, its picture, and the form that the answer should have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.emulator.brain.vision import image_facts
from engine.emulator.errors import ApiError, invalid, unsupported
from engine.emulator.images import DETAILS, NotAPicture, decode, image_tokens, text_tokens
from engine.emulator.listing import categories
from engine.emulator.state import Object

MAX_IMAGE_BYTES = 20_000_000
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8")
MAX_IMAGES = 50
READ = (
    "messages", "model", "response_format", "max_tokens", "max_completion_tokens", "logprobs", "top_logprobs",
    "temperature", "seed",
)  # fmt: skip
WITHOUT_EFFECT = ("user", "metadata", "safety_identifier", "prompt_cache_key", "service_tier")
NEUTRAL = {"n": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0}
"""Parameters that the emulator takes at the value at which they change nothing."""
MAX_ALTERNATIVES = 20
CONFIDENCE = ("confidence", "probability")
"""Names under which a schema may ask for a number beside the label: how probable it is."""


@dataclass(frozen=True)
class Question:
    """A parsed chat request.

    Attributes:
        text: of all messages.
        pictures: encoded.
        prompt_tokens: of text and pictures.
        labels: the categories to choose from; empty where none are listed.
        closed: whether the answer must be one of them (an enum of a strict schema).
        fields: of the JSON object that is wanted, in order; empty for plain text.
        max_tokens: of the answer.
        alternatives: how many other tokens to show with each; None without log probabilities.
        temperature: None or 0, the most probable answer.
        seed: of the choice at a temperature.

    """

    text: str
    pictures: tuple[bytes, ...]
    prompt_tokens: int
    labels: list[str]
    closed: bool
    fields: tuple[str, ...]
    max_tokens: int | None
    alternatives: int | None
    temperature: float | None
    seed: int | None


def parse(body: Object, model: str) -> Question:
    """Read a chat request.

    Args:
        body: of the request.
        model: the full name of the model that is asked.

    Raises:
        ApiError: 400 for what the service refuses, 501 for what the emulator cannot do.

    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("[] is too short - 'messages'", "messages")
    if others := [name for name, value in body.items() if not _taken(name, value)]:
        raise unsupported(f"the chat parameter {', '.join(map(repr, others))}")
    texts: list[str] = []
    pictures: list[tuple[bytes, int]] = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("system", "user", "assistant", "developer"):
            raise invalid(f"Invalid role {role!r} of a message.", "messages")
        _read_content(message.get("content"), role, model, texts, pictures)
    if len(pictures) > MAX_IMAGES:
        raise invalid(f"Too many images in request. Max is {MAX_IMAGES}.", "messages")
    text = "\n".join(texts)
    fields, enum = _answer_form(body.get("response_format"), text)
    if not pictures and fields:
        raise unsupported("structured answers to requests without a picture")
    return Question(
        text=text,
        pictures=tuple(data for data, _ in pictures),
        prompt_tokens=text_tokens(text) + sum(tokens for _, tokens in pictures),
        labels=enum or list(categories(tuple(texts))),
        closed=bool(enum),
        fields=fields,
        max_tokens=_max_tokens(body),
        alternatives=_alternatives(body),
        temperature=_number(body, "temperature", 0, 2),
        seed=_whole(body, "seed"),
    )


def _taken(name: str, value: Any) -> bool:
    """Tell whether a parameter is read, or changes nothing."""
    if name in READ or name in WITHOUT_EFFECT or value is None or value is False:
        return True
    return name in NEUTRAL and not isinstance(value, bool) and bool(value == NEUTRAL[name])


def _number(body: Object, name: str, low: float, high: float) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise invalid(f"{value!r} is not a number from {low} to {high} - '{name}'", name)
    return float(value)


def _whole(body: Object, name: str, low: int | None = None, high: int | None = None) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f"{value!r} is not of type 'integer' - '{name}'", name)
    if (low is not None and value < low) or (high is not None and value > high):
        raise invalid(f"{value} is out of range - '{name}'", name)
    return value


def _max_tokens(body: Object) -> int | None:
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise invalid("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    return _whole(body, "max_tokens", 1) or _whole(body, "max_completion_tokens", 1)


def _alternatives(body: Object) -> int | None:
    wanted = body.get("logprobs")
    if wanted not in (None, True, False):
        raise invalid(f"{wanted!r} is not of type 'boolean' - 'logprobs'", "logprobs")
    top = _whole(body, "top_logprobs", 0, MAX_ALTERNATIVES)
    if top is not None and not wanted:
        raise invalid("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs")
    return (top or 0) if wanted else None


def _read_content(content: Any, role: str, model: str, texts: list[str], pictures: list[tuple[bytes, int]]) -> None:
    if isinstance(content, str):
        texts.append(content)
        return
    if not isinstance(content, list) or not content:
        raise invalid("A message has no content.", "messages")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and isinstance(part.get("image_url"), dict):
            if role != "user":
                raise invalid(f"Image URLs are only allowed for messages with role 'user', not {role!r}.", "messages")
            pictures.append(_picture(part["image_url"], model))
        else:
            raise invalid(f"Invalid content part of type {kind!r}: neither 'text' nor 'image_url'.", "messages")


def _picture(image: Object, model: str) -> tuple[bytes, int]:
    """Return a picture's bytes and tokens."""
    url, detail = image.get("url"), image.get("detail", "auto")
    if detail not in DETAILS:
        raise invalid(f"{detail!r} is not one of {list(DETAILS)} - 'detail'", "messages")
    if isinstance(url, str) and url.lower().startswith(("http://", "https://")):
        raise unsupported("pictures that must be fetched; send a data URL")
    try:
        data = decode(url)
    except NotAPicture as error:
        raise invalid(f"Invalid image URL. {error}", "messages", "invalid_image_url") from None
    if len(data) > MAX_IMAGE_BYTES:
        raise invalid("The image is over 20 MB.", "messages", "image_too_large")
    if detail == "low" and data.startswith(_SIGNATURES):  # looked at more closely by whoever looks
        return data, image_tokens(1, 1, detail, model)
    try:
        _, _, width, height = image_facts(data)
    except ValueError:
        raise not_an_image() from None
    return data, image_tokens(width, height, detail, model)


def not_an_image() -> ApiError:
    """Return the refusal of bytes that are no picture."""
    return invalid("Invalid image data: it is not a valid image.", "messages", "invalid_image_format")


def _answer_form(wanted: Any, text: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the fields of the object that is asked for, and the values that its label may have."""
    if wanted is None or wanted == {"type": "text"}:
        return (), []
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object":
        if "json" not in text.lower():
            raise invalid(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                "messages",
            )
        return ("label",), []
    if kind != "json_schema":
        raise invalid(f"{kind!r} is not one of ['json_object', 'json_schema', 'text'] - 'response_format.type'")
    form = wanted.get("json_schema")
    if not isinstance(form, dict) or not isinstance(form.get("name"), str):
        raise invalid("Missing required parameter: 'response_format.json_schema.name'.", "response_format")
    schema = form.get("schema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(schema, dict) or not isinstance(properties, dict) or schema.get("type") != "object":
        raise invalid(f"Invalid schema for response_format {form['name']!r}: it is no object.", "response_format")
    if form.get("strict"):
        _check_strict(form["name"], schema, properties)
    labels = [name for name, inner in properties.items() if isinstance(inner, dict) and inner.get("type") == "string"]
    others = [name for name in properties if name not in labels]
    if len(labels) != 1 or any(name not in CONFIDENCE or properties[name] != {"type": "number"} for name in others):
        raise unsupported("schemas of anything but one string, and a number named confidence")
    enum = properties[labels[0]].get("enum") or []
    return tuple(properties), [str(value) for value in enum]


def _check_strict(name: str, schema: Object, properties: Object) -> None:
    place = f"Invalid schema for response_format {name!r}: In context=(), "
    if schema.get("additionalProperties") is not False:
        raise invalid(f"{place}'additionalProperties' is required to be supplied and to be false.", "response_format")
    if set(schema.get("required") or []) != set(properties):
        raise invalid(
            f"{place}'required' is required to be supplied and to be an array including every key in properties.",
            "response_format",
        )
