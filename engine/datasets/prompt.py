"""The question about one image, and the answer that is asked for. One prompt serves every contestant."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.errors import InputError

# The article's system message; it fits any labels.
ARTICLE_PROMPT = "Classify the following input image into one of the following categories: [{labels}]."
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))


@dataclass(frozen=True)
class Prompt:
    """A system message (`{labels}` stands for the classes), the form of the answer, the image's detail."""

    system: str
    answer: Literal["json", "text"]
    detail: Literal["low", "high"]

    @classmethod
    def default(cls) -> Prompt:
        """Return the article's prompt."""
        return cls(ARTICLE_PROMPT, "json", "low")

    @classmethod
    def from_file(cls, path: Path) -> Prompt:
        """Read a system message from a file.

        Raises:
            InputError: it cannot be read, is empty, or never names the labels.

        """
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: {error}.", "Give a text file (UTF-8).") from None
        if "{labels}" not in text:
            raise InputError(f"{path}: the prompt never says {{labels}}.", "Put {labels} where the classes go.")
        return cls(text, "json", "low")

    def render(self, labels: Sequence[str]) -> str:
        """Return the system message with the labels in it."""
        return self.system.replace("{labels}", ", ".join(labels))

    def messages(self, labels: Sequence[str], url: str) -> list[dict[str, Any]]:
        """Return the system and the user message; the image is its data URL."""
        image = {"type": "image_url", "image_url": {"url": url, "detail": self.detail}}
        return [
            {"role": "system", "content": self.render(labels)},
            {"role": "user", "content": [image]},
        ]

    def body(self, model: str, labels: Sequence[str], data: bytes, mime: str) -> dict[str, Any]:
        """Return a chat request about one image."""
        return self.request(model, labels, data_url(data, mime))

    def request(self, model: str, labels: Sequence[str], url: str) -> dict[str, Any]:
        """Return a chat request about an image that is given by its URL."""
        body: dict[str, Any] = {"model": model, "messages": self.messages(labels, url)}
        if self.answer == "json":
            schema = {
                "type": "object",
                "properties": {"label": {"type": "string"}},
                "required": ["label"],
                "additionalProperties": False,
            }
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "classification", "strict": True, "schema": schema},
            }
        return body

    def example(self, labels: Sequence[str], label: str, url: str) -> dict[str, Any]:
        """Return one line of a fine-tuning file."""
        answer = {"role": "assistant", "content": label}
        return {"messages": [*self.messages(labels, url), answer]}


def data_url(data: bytes, mime: str) -> str:
    """Return an image as a data URL."""
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def image_mime(data: bytes) -> str:
    """Return an image's media type by its first bytes; names lie."""
    for magic, mime in _MAGIC:
        if data.startswith(magic):
            return mime
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise InputError("This image is neither JPEG, PNG nor WEBP.", "Convert it.")
