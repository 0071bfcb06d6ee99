"""The emulator as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from engine.emulator import batch_life, tuning_life
from engine.emulator.door import Door
from engine.emulator.errors import ApiError, no_resource, respond, unsupported
from engine.emulator.routes import arm, batches, chat, files, fine_tuning, models, own, uploads
from engine.emulator.service import Service

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


async def _not_here(request: Request) -> Response:
    raise unsupported(f"{request.method} {request.url.path}")


async def _not_there(request: Request) -> Response:
    # The service has nothing but inference below a deployment: files and batches are asked for without one.
    raise no_resource()


def create_app(service: Service) -> Starlette:
    """Return the application; work that was under way goes on when it starts."""

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
        service.vision.close()
        service.ledger.close()

    shared = [*files.ROUTES, *batches.ROUTES, *fine_tuning.ROUTES, *uploads.ROUTES, *models.ROUTES]
    rest = Route("/{path:path}", _not_here, methods=_METHODS)
    below = [
        Route(f"/deployments/{{deployment}}/{what}{{path:path}}", _not_there, methods=_METHODS)
        for what in ("files", "batches", "fine_tuning", "models", "uploads")
    ]
    app = Starlette(
        routes=[
            Mount("/openai/v1", routes=[*chat.V1, *shared, rest]),
            Mount("/api/projects/{project}/openai/v1", routes=[*chat.V1, *shared, rest]),
            Mount("/openai", routes=[*chat.DATED, *shared, *below, rest]),
            *arm.ROUTES,
            *own.ROUTES,
            rest,
        ],
        exception_handlers={ApiError: respond, HTTPException: respond, Exception: respond},
        lifespan=lifespan,
    )
    app.state.service = service
    app.add_middleware(Door, service=service)
    return app
