"""One route: an operation by its name, and the faults that may befall a call of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from engine.emulator.faults import BEFORE, refusal
from engine.emulator.operations import OPERATIONS
from engine.emulator.service import service_of

Handler = Callable[[Request], Awaitable[Response]]


def operation(name: str, method: str, path: str, handler: Handler) -> Route:
    """Return a route."""
    assert name in OPERATIONS, name

    async def endpoint(request: Request) -> Response:
        fault = service_of(request).control.call(name)
        if fault is None:
            return await _answered(request)
        if fault in BEFORE:
            raise refusal(fault)
        if fault == "refuse":
            return _Broken()
        request.state.filtered = fault == "filtered_answer"
        response = await _answered(request)
        if fault == "hang":
            return _Silent()
        return _Torn(response) if fault == "drop" else response

    async def _answered(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientDisconnect:  # the client has gone before the end of its body
            return _Silent()

    endpoint.__doc__ = handler.__doc__
    return Route(path, endpoint, methods=[method])


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Broken(Response):
    """Closes the connection instead of answering."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"]["close"]()
        await _until_gone(receive)


class _Silent(Response):
    """Never answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _until_gone(receive)


class _Torn(Response):
    """Sends the first half of another answer's first piece, and closes the connection."""

    def __init__(self, whole: Response) -> None:
        super().__init__()
        self._whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        torn = False

        async def half(message: Message) -> None:
            nonlocal torn
            if torn:
                return
            if message["type"] == "http.response.body":
                torn = True
                body = message.get("body", b"")
                message = {**message, "body": body[: len(body) // 2], "more_body": True}
            await send(message)
            if torn:
                scope["extensions"]["close"]()

        await self._whole(scope, receive, half)
        await _until_gone(receive)
