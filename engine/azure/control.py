"""The control plane's answers, checked as those of the data plane are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy, SansIOHTTPPolicy

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


class Verifying(SansIOHTTPPolicy[Any, Any]):
    """Raises `NotTheService` for an answer that is a web page, or not the JSON that the call has for an answer."""

    def __init__(self, place: str) -> None:
        self._place = place

    def on_response(self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]) -> None:
        """Check one answer."""
        answer = response.http_response
        status = int(answer.status_code)
        body = bytes(answer.content if hasattr(answer, "content") else answer.body())
        kind = str(answer.headers.get("content-type", ""))
        if 200 <= status < 300:
            asked = request.http_request
            wrong = shapes.problem(asked.method, urlsplit(asked.url).path, status, kind, body)
            if wrong:
                raise NotTheService(self._place, wrong, status)
        elif 300 <= status < 500 and status not in (408, 409, 429) and shapes.is_page(kind, body):
            raise NotTheService(self._place, f"{status}, {shapes.page(body)}", status)
