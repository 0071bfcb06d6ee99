"""From the SDKs' exceptions to our own, in one place. No message repeats a key or a request."""

from __future__ import annotations

import email.utils
import math
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import azure.core.exceptions as arm
import httpx2
import openai

from engine import network
from engine.azure import shapes
from engine.azure.denials import denied
from engine.azure.http import NotTheService
from engine.errors import ConfigurationError, DogclsError, ServiceError, ServiceUnavailable, SignInError

RETRYABLE = frozenset({408, 409, 429, 500, 502, 503, 504})
SHORTEST_WAIT, LONGEST_WAIT = 0.1, 86400.0
"""Seconds that a service may set to wait: less would be a flood of requests, and more than a day is not meant."""
_PROXY_REFUSES = "ClientHttpProxyError"
"""Of aiohttp, which is under the control plane's client."""
REASON = 300
"""Characters that are shown of a service's own reason."""


class Limited(ServiceUnavailable):
    """The service asks to wait. `retry_after` is in seconds; None where it did not say how long."""

    def __init__(self, message: str, *, status: int, code: str, retry_after: float | None) -> None:
        super().__init__(message, "It is tried again.", status=status, code=code)
        self.retry_after = retry_after


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise our errors instead of the SDKs'; `place` is the endpoint, for the message."""
    handled = sys.exception()  # what the caller handles already is no cause of this call's errors
    try:
        yield
    except DogclsError:
        raise
    except Exception as error:
        known = translate(error, place, handled)
        if known is None:
            raise
        raise known from None  # the SDK's exception holds the request, and with it the key


def translate(error: Exception, place: str, handled: BaseException | None = None) -> DogclsError | None:
    """Return our error for an SDK's, or None for an exception that is not the service's doing.

    Args:
        error: of the SDK.
        place: the endpoint, for the message.
        handled: the exception that was being handled when the call was made.

    """
    for link in _chain(error):
        if link is handled:
            break
        if isinstance(link, DogclsError):  # raised within an SDK's call: by the transport, or while signing in
            return link
    if isinstance(error, openai.APIStatusError):
        code, message = _reason_of(error)
        return _from_status(error.status_code, code, message, place, error.response.headers)
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError | arm.ServiceRequestError):
        return _unreached(error, place)
    if isinstance(error, openai.APIResponseValidationError | httpx2.DecodingError | arm.DecodeError):
        return NotTheService(place, "it cannot be read")
    if isinstance(error, arm.ServiceResponseError):  # IncompleteReadError too
        if any(type(link).__name__ == _PROXY_REFUSES for link in _chain(error)):
            return _unreached(error, place)
        return ServiceUnavailable(f"{place}: the answer broke off.", "It is tried again.")
    if isinstance(error, arm.HttpResponseError) and getattr(error, "status_code", None):
        code = error.error.code if error.error and error.error.code else ""
        text = error.error.message if error.error and error.error.message else error.message
        headers = getattr(error.response, "headers", {})
        return _from_status(int(error.status_code or 0), code, first_line(text or ""), place, headers)
    if isinstance(error, arm.ClientAuthenticationError):
        hint = "Sign in with: az login, or set AZURE_OPENAI_API_KEY."
        return SignInError(f"{place}: not signed in ({first_line(str(error))}).", hint)
    if isinstance(error, httpx2.InvalidURL | httpx2.HTTPError | arm.AzureError | openai.OpenAIError):
        return ServiceError(f"{place}: {first_line(str(error)) or type(error).__name__}", "Check the settings.")
    return None


def _from_status(status: int, code: str, message: str, place: str, headers: Any) -> DogclsError:
    if status in (401, 403):
        return denied(place, status, code, message)
    if status == 407:
        return _proxy_refused(place, "407 Proxy Authentication Required")
    if status in RETRYABLE:
        wait = retry_after(headers)
        return Limited(f"{place}: {status} {message}", status=status, code=code, retry_after=wait)
    if 300 <= status < 400:
        return NotTheService(place, f"{status}, a redirect", status)
    named = f" {code}" if code != str(status) else ""
    return ServiceError(f"{place}: {status}{named} {message}".rstrip(), "", status=status, code=code)


def _reason_of(error: openai.APIStatusError) -> tuple[str, str]:
    """Return the service's own code and reason, from whatever body the refusal has."""
    body, code = error.body, error.code or ""
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, str):
            return code, first_line(inner)
        if isinstance(inner, dict):
            if not code and isinstance(inner.get("code"), str):
                code = inner["code"]
            if isinstance(inner.get("message"), str):
                return code, first_line(inner["message"])
    if isinstance(body, str) and shapes.is_page("", body.encode()):
        return code, shapes.page(body.encode())
    return code, first_line(body if isinstance(body, str) else str(error))


def first_line(text: str) -> str:
    """Return the first line that holds anything, without control characters, cut where it is long."""
    for line in text.splitlines():
        shown = "".join(character for character in line if character.isprintable() or character == " ").strip()
        if shown:
            return shown if len(shown) <= REASON else f"{shown[:REASON]}…"
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        yield link
        seen.add(id(link))
        link = link.__cause__ or getattr(link, "inner_exception", None) or link.__context__


def _unreached(error: Exception, place: str) -> DogclsError:
    """Return the error where no answer came: by certificate, proxy, or the network."""
    links = list(_chain(error))
    for link in links:
        found = getattr(link, "certificate_error", link)
        if isinstance(found, ssl.SSLCertVerificationError):
            return _untrusted(place, found)
        if isinstance(link, httpx2.ProxyError):
            return _proxy_refused(place, first_line(str(link)))
        if type(link).__name__ == _PROXY_REFUSES:
            return _proxy_refused(place, f"{getattr(link, 'status', '')} {getattr(link, 'message', '')}".strip())
        if isinstance(link, httpx2.LocalProtocolError):
            reason = first_line(str(link))
            return ConfigurationError(f"{place}: the request cannot be sent ({reason}).", "Check AZURE_OPENAI_API_KEY.")
    cause = error.__cause__ or error
    reason = first_line(str(cause)) or type(cause).__name__
    try:
        proxy = network.proxy_for(place)
    except ConfigurationError as wrong:
        return wrong
    if proxy is not None:
        hint = f"Check {proxy.variable} and the network, or exclude the host by NO_PROXY."
        return ServiceUnavailable(f"{place}: no answer through the proxy {proxy.shown} ({reason}).", hint)
    return ServiceUnavailable(f"{place}: no answer ({reason}).", "Check AZURE_OPENAI_ENDPOINT and the network.")


def _untrusted(place: str, error: ssl.SSLCertVerificationError) -> ServiceUnavailable:
    source = network.ca_source()
    used = f" The trusted certificates are those of {source[0]} ({source[1]})." if source else ""
    reason = getattr(error, "verify_message", "") or first_line(str(error))
    hint = f"Set SSL_CERT_FILE to a PEM file with the certificate authority of the network or its proxy.{used}"
    return ServiceUnavailable(f"{place}: its certificate is not trusted ({reason}).", hint)


def _proxy_refused(place: str, reason: str) -> ServiceUnavailable:
    try:
        proxy = network.proxy_for(place)
    except ConfigurationError:
        proxy = None
    shown, variable = (proxy.shown, proxy.variable) if proxy else ("before the service", "HTTPS_PROXY")
    hint = f"Check {variable}, or add the host to NO_PROXY."
    if "407" in reason:
        hint = f"Put the proxy's name and password into {variable}: http://NAME:PASSWORD@HOST:PORT."
    return ServiceUnavailable(f"{place}: the proxy {shown} refuses ({reason}).", hint)


_WAITS = (
    ("retry-after-ms", 0.001),
    ("retry-after", 1.0),
    ("x-ratelimit-reset-tokens", 1.0),  # Azure has at times sent nothing but one of these two
    ("x-rate-limit-reset-tokens", 1.0),
)


def retry_after(headers: Any) -> float | None:
    """Return how many seconds the service asks to wait, within bounds; None where it gives no time that can be used."""
    for name, scale in _WAITS:
        value = str(headers.get(name) or "").strip()
        try:
            seconds = float(value) * scale
        except ValueError:
            seconds = _until(value, headers)
        if 0 < seconds <= LONGEST_WAIT:
            return max(seconds, SHORTEST_WAIT)
    return None


def _until(value: str, headers: Any) -> float:
    """Return the seconds until a date, by the service's own clock where it shows it; nan for what is no date."""
    try:
        then = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return math.nan
    try:
        now = email.utils.parsedate_to_datetime(str(headers.get("date") or "")).timestamp()
    except (TypeError, ValueError, OverflowError):
        now = time.time()
    return then - now
