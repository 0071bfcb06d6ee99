"""The emulator as an ASGI application."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.emulator import batch_life, tuning_life
from engine.emulator.brain.vision import Vision
from engine.emulator.errors import ApiError, respond, unsupported
from engine.emulator.routes import arm, batches, chat, files, fine_tuning, own
from engine.emulator.service import Service
from engine.emulator.state import State


class _Door:
    """Lets nobody in without the key (`api-key`, or as a bearer token)."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._service.last_request = time.monotonic()
        headers = Request(scope).headers
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        given = headers.get("api-key") or bearer
        if hmac.compare_digest(given.encode(), self._service.key.encode()):
            await self._app(scope, receive, send)
            return
        error = ApiError(
            401,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key"
            " for an active subscription and use a correct regional API endpoint for your resource.",
        )
        await JSONResponse(error.body, 401)(scope, receive, send)


async def _not_here(request: Request) -> Response:
    raise unsupported(f"{request.method} {request.url.path}")


def create_app(state: Path, key: str, speed: str, cache: Path) -> Starlette:
    """Return the application.

    Args:
        state: the folder where everything is kept; work that was under way goes on.
        key: what every request must carry.
        speed: `real`, `fast` or `instant`.
        cache: where the exported backbone is kept.

    """
    service = Service(State(state), Vision(cache), key, speed)
    service.seed()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # The first real-time request should not have to wait for the network to be loaded.
        warming = asyncio.create_task(asyncio.to_thread(service.vision.warm_up))
        batch_life.restart_all(service)
        tuning_life.restart_all(service)
        yield
        warming.cancel()
        for task in list(service.tasks.values()):
            task.cancel()

    shared = [*files.ROUTES, *batches.ROUTES, *fine_tuning.ROUTES, *chat.ROUTES]
    rest = Route("/{path:path}", _not_here, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    app = Starlette(
        routes=[
            Mount("/openai/v1", routes=[*shared, *chat.V1, rest]),
            Mount("/openai", routes=[*shared, *chat.DATED, rest]),
            *arm.ROUTES,
            *own.ROUTES,
            rest,
        ],
        exception_handlers={ApiError: respond},
        lifespan=lifespan,
    )
    app.state.service = service
    app.add_middleware(_Door, service=service)
    return app
