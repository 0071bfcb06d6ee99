"""Stands before every route: the key, the size and pace of bodies, and the headers of every answer."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.emulator.errors import ApiError, no_resource, unauthorized, unsupported
from engine.emulator.service import Service

MAX_JSON = 32 * 2**20
"""Bytes of a body that is no upload: a chat request with a picture of the largest size fits."""
MAX_UPLOAD = 520 * 2**20
GRACE_SECONDS = 60.0
MIN_RATE = 50_000.0
"""A body that comes slower than so many bytes a second, after the grace, is not waited for."""
FIRST_VERSION = "2024-10-21"
_VERSION = re.compile(r"(?:^|&)api-version=([^&]*)")
_UPLOADS = re.compile(r"(/api/projects/[^/]+)?/openai(/v1)?(/files|/uploads/[^/]+/parts)")


def mint(key: str, expires: float) -> str:
    """Return a bearer token that is good until then."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return f"emulator.{claims}.{_signature(key, claims)}"


def _signature(key: str, claims: str) -> str:
    return hmac.new(key.encode(), claims.encode(), hashlib.sha256).hexdigest()


def _token_holds(key: str, token: str, now: float) -> bool:
    parts = token.split(".")
    if len(parts) != 3 or not hmac.compare_digest(parts[2].encode(), _signature(key, parts[1]).encode()):
        return False
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    return bool(now < claims["exp"])


class Door:
    """Lets nobody in without the key: as `api-key`, as a bearer token, or a minted token that still holds."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, and pass it on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        service = self._service
        if scope["path"] != "/emulator/health":  # a screen that only looks keeps nobody awake
            service.last_request = time.monotonic()
        headers = dict(scope["headers"])
        more = [(b"apim-request-id", str(uuid.uuid4()).encode()), (b"x-request-id", str(uuid.uuid4()).encode())]
        more.append((b"x-ms-region", b"Emulator"))
        if client_id := headers.get(b"x-ms-client-request-id"):
            more.append((b"x-ms-client-request-id", client_id))
        if active := service.control.active:
            more.append((b"x-emulator-faults", ", ".join(active).encode()))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        try:
            self._check(scope, headers)
            limited = _Body(receive, headers, _limit(scope["path"]))
        except ApiError as error:
            await error.response()(scope, receive, answer)
            return
        service.sweep()
        await self._app(scope, limited, answer)

    def _check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Check who calls, and in which version of the API.

        Raises:
            ApiError: 401, 404 or 501.

        """
        path: str = scope["path"]
        key, now = self._service.key, self._service.clock.now()
        scheme, _, bearer = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if b"api-key" in headers and not path.startswith("/subscriptions/"):
            allowed = hmac.compare_digest(headers[b"api-key"], key.encode())
        elif scheme.lower() == "bearer":  # the control plane knows no other way
            allowed = hmac.compare_digest(bearer.encode(), key.encode()) or _token_holds(key, bearer, now)
        else:
            allowed = False
        if not allowed or not key:
            raise unauthorized()
        found = _VERSION.search(scope["query_string"].decode("latin-1"))
        version = found[1] if found else ""
        if path.startswith("/subscriptions/"):
            if not version:
                message = "The api-version query parameter (?api-version=) is required for all requests."
                raise ApiError(400, "MissingApiVersionParameter", message)
        elif path.startswith("/openai/") and not path.startswith("/openai/v1/"):
            if not re.match(r"\d{4}-\d\d-\d\d", version):
                raise no_resource()
            if version[:10] < FIRST_VERSION:
                raise unsupported(f"api-version {version}; {FIRST_VERSION} is the oldest that it knows")


def _limit(path: str) -> int:
    return MAX_UPLOAD if _UPLOADS.fullmatch(path) else MAX_JSON


class _Body:
    """Receives a body, and refuses one that is too large or too slow.

    Raises:
        ApiError: 413 or 408; at once where the size is told beforehand.

    """

    def __init__(self, receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> None:
        told = headers.get(b"content-length", b"0")
        if not told.isdigit() or int(told) > limit:
            raise _too_large(limit)
        self._receive = receive
        self._limit = limit
        self._since = time.monotonic()
        self._got = 0
        self._more = True

    async def __call__(self) -> Message:
        if not self._more:  # what is waited for now is that the client leaves
            return await self._receive()
        left = self._since + GRACE_SECONDS + self._got / MIN_RATE - time.monotonic()
        try:
            async with asyncio.timeout(left):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(408, "Timeout", "The request's body did not come in time.") from None
        self._got += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        if self._got > self._limit:
            raise _too_large(self._limit)
        return message


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"The request's body has more than {limit:,} bytes.")
