"""From the SDKs' exceptions to our own, in one place. No message repeats a key or a request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import azure.core.exceptions as arm
import httpx2
import openai

from engine.errors import DogclsError, ServiceError, ServiceUnavailable, SignInError

RETRYABLE = frozenset({408, 409, 429, 500, 502, 503, 504})
_KEY_CURE = "Set AZURE_OPENAI_API_KEY to the resource's key, or unset it and sign in with: az login"
_SECRET = re.compile(r"(?i)(api[-_ ]?key|bearer|authorization)\S*\s*[:=]?\s*\S+")


class Limited(ServiceUnavailable):
    """The service asks to wait. `retry_after` is in seconds; None where it did not say how long."""

    def __init__(self, message: str, *, status: int, code: str, retry_after: float | None) -> None:
        super().__init__(message, "It is tried again.", status=status, code=code)
        self.retry_after = retry_after


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise our errors instead of the SDKs'; `place` is the endpoint, for the message."""
    try:
        yield
    except DogclsError:
        raise
    except Exception as error:
        known = translate(error, place)
        if known is None:
            raise
        raise known from None  # the SDK's exception holds the request, and with it the key


def translate(error: Exception, place: str) -> DogclsError | None:
    """Return our error for an SDK's, or None for an exception that is not the service's doing."""
    if isinstance(error, openai.APIStatusError):
        return _from_status(error.status_code, error.code or "", _message(error), place, error.response.headers)
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError | arm.ServiceRequestError):
        return ServiceUnavailable(f"{place}: no answer ({_reason(error)}).", "Check the endpoint and the network.")
    if isinstance(error, arm.ServiceResponseError | arm.DecodeError):  # of the latter, IncompleteReadError too
        return ServiceUnavailable(f"{place}: the answer broke off.", "It is tried again.")
    if isinstance(error, arm.ClientAuthenticationError):
        return SignInError(f"{place}: not signed in ({_first_line(str(error))}).", "Sign in with: az login")
    if isinstance(error, arm.HttpResponseError):
        code = error.error.code if error.error and error.error.code else ""
        headers = getattr(error.response, "headers", {})
        return _from_status(error.status_code or 0, code, _first_line(error.message), place, headers)
    if isinstance(error, openai.OpenAIError):
        return ServiceError(f"{place}: {_first_line(str(error))}", "Check the settings.")
    return None


def _from_status(status: int, code: str, message: str, place: str, headers: Any) -> DogclsError:
    if status in (401, 403):
        return SignInError(f"{place}: sign-in refused ({status}).", _KEY_CURE)
    if status in RETRYABLE:
        wait = _retry_after(headers)
        return Limited(f"{place}: {status} {message}", status=status, code=code, retry_after=wait)
    return ServiceError(f"{place}: {status} {code} {message}".strip(), "", status=status, code=code)


def _message(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, dict) and isinstance(inner.get("message"), str):
            return _first_line(inner["message"])
    return _first_line(str(error))


def _first_line(text: str) -> str:
    return _SECRET.sub("…", text.strip().splitlines()[0] if text.strip() else "")[:300]


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    return _first_line(str(cause)) or type(cause).__name__


_WAITS = (
    ("retry-after-ms", 0.001),
    ("retry-after", 1.0),
    ("x-ratelimit-reset-tokens", 1.0),  # Azure has at times sent nothing but one of these two
    ("x-rate-limit-reset-tokens", 1.0),
)


def _retry_after(headers: Any) -> float | None:
    for name, scale in _WAITS:
        try:
            seconds = float(headers[name]) * scale
        except (KeyError, TypeError, ValueError):
            continue
        if seconds > 0 or "reset" not in name:
            return seconds
    return None
