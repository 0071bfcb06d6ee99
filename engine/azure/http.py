"""The HTTP under the data plane's client: the right proxy, checked certificates, and answers that are the service's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2

from engine import network
from engine.azure import shapes
from engine.errors import ServiceUnavailable

HINT = "Sign in to the network's portal, or let the company's proxy pass this address. It is tried again."
_KEYS = ("api-key", "authorization")


class NotTheService(ServiceUnavailable):
    """Something between here and the service answered in its place: a portal, a proxy, a gateway."""

    def __init__(self, place: str, what: str, status: int | None = None) -> None:
        super().__init__(f"{place}: the answer is not the service's ({what}).", HINT, status=status)


class Transport(httpx2.AsyncBaseTransport):
    """Sends each request through the proxy that the environment names for its host, and never keys to another host."""

    def __init__(self, endpoint: str) -> None:
        self._origin = _origin(endpoint)
        self._ways: dict[tuple[str, bool], httpx2.AsyncHTTPTransport] = {}
        self._way(endpoint)  # what is wrong with proxy or certificates is raised here, and named

    def _way(self, url: str) -> httpx2.AsyncHTTPTransport:
        proxy = network.proxy_for(url)
        encrypted = urlsplit(url).scheme == "https" or (proxy is not None and proxy.url.startswith("https:"))
        known = (proxy.url if proxy else "", encrypted)
        if known not in self._ways:
            context = network.tls_context() if encrypted else None
            given: Any = {"limits": httpx2.Limits(max_connections=1000, max_keepalive_connections=100)}
            if context is not None:
                given["verify"] = context
            if proxy is not None:
                own = context if proxy.url.startswith("https:") else None
                given["proxy"] = httpx2.Proxy(proxy.url, ssl_context=own)
            self._ways[known] = httpx2.AsyncHTTPTransport(trust_env=False, **given)
        return self._ways[known]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        url = str(request.url)
        if _origin(url) != self._origin:
            for name in _KEYS:  # a redirect: keys are for the endpoint alone
                request.headers.pop(name, None)
        return await self._way(url).handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for way in self._ways.values():
            await way.aclose()


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)


async def verify(response: httpx2.Response) -> None:
    """Check that an answer is the service's; a hook of the client.

    Raises:
        NotTheService: it is a web page, or not the JSON that the call has for an answer.
        ReadTimeout: it comes in drips; the whole of it has as long as each part of a file.

    """
    if shapes.is_content(response.request.url.path):
        await _verify(response)
        return
    try:
        async with asyncio.timeout((response.request.extensions.get("timeout") or {}).get("read")):
            await _verify(response)
    except TimeoutError:
        raise httpx2.ReadTimeout("the answer comes too slowly", request=response.request) from None


async def _verify(response: httpx2.Response) -> None:
    status, request = response.status_code, response.request
    place = f"{request.url.scheme}://{request.url.netloc.decode()}"
    kind = response.headers.get("content-type", "")
    if 200 <= status < 300:
        if shapes.is_content(request.url.path):
            if shapes.is_page(kind, b""):
                raise NotTheService(place, shapes.page(await response.aread()), status)
            return
        wrong = shapes.problem(request.method, request.url.path, status, kind, await response.aread())
        if wrong:
            raise NotTheService(place, wrong, status)
    elif 400 <= status < 500 and status not in (408, 409, 429):
        body = await response.aread()
        if shapes.is_page(kind, body):
            raise NotTheService(place, f"{status}, {shapes.page(body)}", status)


def client(
    endpoint: str, timeout: float, before_request: Callable[[], Awaitable[None]] | None = None
) -> httpx2.AsyncClient:
    """Return a client for an endpoint, which awaits `before_request` before each request.

    Raises:
        ConfigurationError: the environment's proxy or certificates cannot be used; named with variable and file.

    """

    async def before(_: httpx2.Request) -> None:
        if before_request is not None:
            await before_request()

    return httpx2.AsyncClient(
        transport=Transport(endpoint),
        trust_env=False,
        follow_redirects=True,
        timeout=timeout,
        event_hooks={"request": [before], "response": [verify]},
    )
