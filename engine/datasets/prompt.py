"""The question about one image, and the answer that is asked for. One template serves every contestant.

Unless the template says `answer`, each contestant has the article's way: zero-shot answers in JSON, and a tuned
model is trained on, and answers with, the bare label.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from engine.errors import InputError
from engine.quantities import agrees, counted
from engine.text_files import parse_toml, read_text

# The article's system message; it fits any labels.
ARTICLE_PROMPT = "Classify the following input image into one of the following categories: [{labels}]."
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))


@dataclass(frozen=True)
class Prompt:
    """The question, as a template: `{labels}` stands for the classes, in the system message or in the user's.

    Attributes:
        system: the system message; none is sent where it is empty.
        answer: a JSON object, or the bare label.
        detail: in which the model sees the image.
        user: text beside the image; none unless given.
        labels_as: how the classes are listed: with commas between them, one a line, or as a JSON list, which
            stays unambiguous where labels themselves have commas, quotes or line breaks.
        key: of a JSON answer.

    """

    system: str
    answer: Literal["json", "text"]
    detail: Literal["low", "high"]
    user: str = ""
    labels_as: Literal["commas", "lines", "json"] = "commas"
    key: str = "label"

    @classmethod
    def default(cls) -> Prompt:
        """Return the article's prompt."""
        return cls(ARTICLE_PROMPT, "json", "low")

    @classmethod
    def from_file(
        cls,
        path: Path,
        answer: Literal["json", "text"] = "json",
        detail: Literal["low", "high"] = "low",
        *,
        forced: bool = False,
    ) -> Prompt:
        """Read a system message from a text file, or a whole template from a `.toml` file.

        Args:
            path: the file. TOML has `system`, `user`, `labels` (commas, lines or json), `answer` and `key`.
            answer: unless the file says it.
            detail: see `Prompt`.
            forced: the answer, whatever the file says.

        Raises:
            InputError: it cannot be read, has other keys or values, or never names the labels.

        """
        text = read_text(path, wait=True)
        found = _template(path, text) if path.suffix == ".toml" else {"system": text}
        system, user = found.get("system", "").strip(), found.get("user", "").strip()
        if "{labels}" not in system + user:
            raise InputError(f"{path}: the prompt never says {{labels}}.", "Put {labels} where the classes go.")
        said: Any = {"answer": answer, **({} if forced else _of(found, "answer"))}
        more: Any = {"labels_as": found.get("labels", "commas"), **_of(found, "key")}
        return cls(system, detail=detail, user=user, **said, **more)

    def to_toml(self, *, with_answer: bool = False) -> str:
        """Return the text of a `.toml` file that `from_file` reads as this prompt, outer white space aside.

        Args:
            with_answer: bind all contestants to this prompt's answer. Without, each keeps its own way: JSON
                where it is asked zero-shot, the bare label where it is tuned.

        """
        import tomli_w  # a command that writes files has little time to start

        values = {"system": self.system, "user": self.user, "labels": self.labels_as, "key": self.key}
        if with_answer:
            values["answer"] = self.answer
        # Lines are for a person to read; there, TOML would take a carriage return for the end of one.
        lines = not any("\r" in value for value in values.values())
        return tomli_w.dumps({key: value for key, value in values.items() if value}, multiline_strings=lines)

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Prompt:
        """Return the prompt in a job's parameters; older ones have a system message, answer and detail alone."""
        names = {name: parameters[name] for name in ("user", "labels_as", "key") if name in parameters}
        return cls(parameters["prompt"], parameters["answer"], parameters["detail"], **names)

    def parameters(self) -> dict[str, str]:
        """Return all of it as a job's parameters; `of` reads them."""
        values = asdict(self)
        return {"prompt": values.pop("system"), **values}

    @property
    def words(self) -> str:
        """The template's text, for people: the system message, then the user's."""
        return "\n\n".join(text for text in (self.system, self.user) if text)

    @property
    def form(self) -> str:
        """The form of an answer, as it is kept with who was asked: `text`, `json`, or `json:KEY` for another key."""
        return f"json:{self.key}" if self.answer == "json" and self.key != "label" else self.answer

    def render(self, labels: Sequence[str]) -> str:
        """Return the system message with the labels in it."""
        return self.system.replace("{labels}", self._listed(labels))

    def text(self, labels: Sequence[str]) -> str:
        """Return all the text that a request has, with the labels in it."""
        return self.render(labels) + self.user.replace("{labels}", self._listed(labels))

    def caution(self, labels: Sequence[str]) -> str:
        """Return why the list of these labels cannot be read back as it is; "" where it can."""
        apart = {"commas": ',"\n\r[]', "lines": "\n\r", "json": ""}[self.labels_as]
        odd = [label for label in labels if any(sign in label for sign in apart)]
        if not odd:
            return ""
        many = f"{counted(len(odd), 'label')} {agrees(len(odd), 'has', 'have')}"
        what = "commas, quotes, brackets or line breaks" if self.labels_as == "commas" else "line breaks"
        return (
            f"{many} {what}, the first is {odd[0]!r}: a list by {self.labels_as} cannot be read back;"
            ' labels = "json" in a prompt file keeps them apart'
        )

    def _listed(self, labels: Sequence[str]) -> str:
        if self.labels_as == "json":
            return json.dumps(list(labels), ensure_ascii=False)
        return ("\n" if self.labels_as == "lines" else ", ").join(labels)

    def messages(self, labels: Sequence[str], url: str) -> list[dict[str, Any]]:
        """Return the system and the user message; the image is its data URL."""
        content: list[dict[str, Any]] = []
        if self.user:
            content.append({"type": "text", "text": self.user.replace("{labels}", self._listed(labels))})
        content.append({"type": "image_url", "image_url": {"url": url, "detail": self.detail}})
        system = [{"role": "system", "content": self.render(labels)}] if self.system else []
        return [*system, {"role": "user", "content": content}]

    def body(self, model: str, labels: Sequence[str], data: bytes, mime: str) -> dict[str, Any]:
        """Return a chat request about one image."""
        return self.request(model, labels, data_url(data, mime))

    def request(self, model: str, labels: Sequence[str], url: str) -> dict[str, Any]:
        """Return a chat request about an image that is given by its URL."""
        body: dict[str, Any] = {"model": model, "messages": self.messages(labels, url)}
        if self.answer == "json":
            schema = {
                "type": "object",
                "properties": {self.key: {"type": "string"}},
                "required": [self.key],
                "additionalProperties": False,
            }
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "classification", "strict": True, "schema": schema},
            }
        return body

    def example(self, labels: Sequence[str], label: str, url: str) -> dict[str, Any]:
        """Return one line of a fine-tuning file."""
        text = json.dumps({self.key: label}, ensure_ascii=False) if self.answer == "json" else label
        return {"messages": [*self.messages(labels, url), {"role": "assistant", "content": text}]}


def _template(path: Path, text: str) -> dict[str, str]:
    found = parse_toml(text, str(path))
    known = ("system", "user", "labels", "answer", "key")
    for key, value in found.items():
        if key not in known or not isinstance(value, str):
            raise InputError(f"{path}: {key!r} is no text that a prompt has.", f"Known are: {', '.join(known)}.")
    for key, allowed in (("labels", ("commas", "lines", "json")), ("answer", ("json", "text"))):
        if key in found and found[key] not in allowed:
            raise InputError(f"{path}: {key} = {found[key]!r}.", f"Choose {' or '.join(allowed)}.")
    if found.get("key") == "":
        raise InputError(f"{path}: the key of the answer is empty.", "Name it, or leave it out.")
    return found


def _of(found: dict[str, str], key: str) -> dict[str, str]:
    return {key: found[key]} if key in found else {}


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
