"""The secrets of this process, and the filter that keeps them out of every message, log, store and traceback.

Whoever reads or is given a secret registers it: settings, the embedded emulator's launcher, the sign-in, the
proxies' addresses. The filter knows the values themselves and no patterns, so that text that only looks like a
key stays whole and a key that looks like nothing is found.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from io import TextIOBase
from typing import Any, TextIO, cast
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from engine import errors
from engine.streams import print_anything

HIDDEN = "…"
SHORTEST = 4
"""Characters below which nothing is a secret: hiding every `k` of a text would leave no text."""
STDOUT = "stdout"
"""The file that an error of printing names."""
WHOLE_WORDS = 12
"""Characters below which a secret is hidden only where it is a word: it may be a part of an ordinary one."""
ENVIRONMENT = (
    "AZURE_OPENAI_API_KEY",
    "OPENAI_API_KEY",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

_lock = threading.Lock()
_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def register(secret: str | None) -> None:
    """Hide a secret from now on, in every form that a message may have it in: as it is, quoted, escaped, base64.

    Args:
        secret: None and what is shorter than `SHORTEST` characters are passed over.

    """
    global _pattern
    text = (secret or "").strip()
    if len(text) < SHORTEST or text in _known:
        return
    with _lock:
        _known.update(form for form in _forms(text) if len(form) >= SHORTEST)
        parts = [_part(form) for form in sorted(_known, key=len, reverse=True)]
        _pattern = re.compile("|".join(parts))


def _forms(text: str) -> set[str]:
    data = text.encode("utf-8", "surrogatepass")
    forms = {text, quote(text, safe="", errors="replace"), quote_plus(text, errors="replace")}
    forms |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1], repr(data)[2:-1]}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(data).decode()
        forms |= {whole, whole.rstrip("=")}
    return forms


def _part(form: str) -> str:
    if len(form) >= WHOLE_WORDS:
        return re.escape(form)
    return rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])"


def register_url(url: str) -> None:
    """Hide what a URL holds of secrets: a password, and the values of its query (signatures, keys, tokens)."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url if "//" in url else f"//{url}")
        if parts.password is not None:
            name, password = unquote(parts.username or ""), unquote(parts.password)
            register(password)
            register(parts.password)
            register(f"{name}:{password}")  # base64 of the two is how a proxy is sent them
        for name, value in parse_qsl(parts.query):
            if name.lower() in _SIGNING or len(value) >= 2 * WHOLE_WORDS:
                register(value)


_SIGNING = frozenset({"sig", "signature", "key", "api-key", "api_key", "apikey", "code", "token", "access_token"})


def register_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Hide the secrets that are in the environment, whether this process uses them or not."""
    for name in ENVIRONMENT:
        register(environment.get(name))
    for name in PROXIES:
        register_url(environment.get(name, ""))


def redact(text: str) -> str:
    """Return text with every known secret replaced."""
    return text if _pattern is None else _pattern.sub(HIDDEN, text)


def redacted(value: Any) -> Any:
    """Return a JSON value with every known secret in its strings replaced."""
    if _pattern is None:
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redacted(key): redacted(inner) for key, inner in value.items()}
    return [redacted(inner) for inner in value] if isinstance(value, list | tuple) else value


class _Redacting(TextIOBase):
    """A text stream before another one, which gets no secret. Everything but writing is the other's."""

    def __init__(self, stream: TextIO, *, narrates: bool) -> None:
        """`narrates`: what is printed is no data, and a full disk loses some of it rather than what is at work."""
        self._stream, self._narrates = stream, narrates

    def write(self, text: str) -> int:
        with self._losses():
            self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._losses():
            self._stream.flush()

    @contextlib.contextmanager
    def _losses(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # the reader has left: an end, and no loss
            raise
        except OSError as error:
            if not self._narrates:
                error.filename = STDOUT
                raise

    def close(self) -> None:
        self._stream.close()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def __getattribute__(self, name: str) -> Any:
        if name in ("encoding", "errors", "newlines", "buffer", "mode", "name", "line_buffering", "reconfigure"):
            return getattr(self._stream, name)
        return super().__getattribute__(name)


def guard_streams() -> None:
    """Let nothing that this process prints hold a secret, tracebacks included, or fail for a character.

    Stdout and stderr are filtered; see `engine.streams`.
    """
    register_environment()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Redacting):
            print_anything(stream)
            setattr(sys, name, cast(TextIO, _Redacting(stream, narrates=name == "stderr")))


@contextlib.contextmanager
def forgotten() -> Iterator[None]:
    """Forget what is registered meanwhile; for tests."""
    global _pattern
    kept, pattern = set(_known), _pattern
    try:
        yield
    finally:
        _known.clear()
        _known.update(kept)
        _pattern = pattern


errors.filters.append(redact)
