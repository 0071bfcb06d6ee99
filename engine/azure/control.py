"""The control plane's answers, checked as those of the data plane are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import ResponseNotReadError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy

from engine.azure import shapes
from engine.azure.http import NotTheService


class Before(AsyncHTTPPolicy[Any, Any]):
    """Awaits something before each request; see `Azure`."""

    def __init__(self, before_request: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._before_request = before_request

    async def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """Send one request."""
        await self._before_request()
        return await self.next.send(request)


class Verifying(AsyncHTTPPolicy[Any, Any]):
    """Raises `NotTheService` for an answer that is a web page, or not the JSON that the call has for an answer."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self._place = place

    async def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """Send one request, and check its answer."""
        response = await self.next.send(request)
        answer, sent = response.http_response, request.http_request
        status, kind = int(answer.status_code), str(answer.headers.get("content-type", ""))
        if not (200 <= status < 500) or status in (408, 409, 429):
            return response
        try:
            body = bytes(answer.content)
        except ResponseNotReadError:  # of an operation that takes long
            if not kind or answer.headers.get("content-length") == "0":
                return response  # empty, as after DELETE: the SDK reads it itself, and can do so only once
            body = bytes(await answer.read())
        if status < 300:
            wrong = shapes.problem(sent.method, urlsplit(sent.url).path, status, kind, body)
        else:
            wrong = f"{status}, {shapes.page(body)}" if shapes.is_page(kind, body) else ""
        if wrong:
            raise NotTheService(self._place, wrong, status)
        return response
