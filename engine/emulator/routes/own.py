"""What the real service has not: the settings, the ledger, tokens that expire, a sign of life."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.emulator.door import mint
from engine.emulator.errors import bad_request
from engine.emulator.service import json_body, service_of


async def ledger(request: Request) -> Response:
    """Return everything that was paid for, by client and time."""
    return JSONResponse(service_of(request).ledger.shown())


async def settings(request: Request) -> Response:
    """Return speed, brain, quota and faults."""
    return JSONResponse(service_of(request).control.shown())


async def change(request: Request) -> Response:
    """Change them by a JSON merge patch; null restores a default."""
    service = service_of(request)
    service.control.patch(await json_body(request, "application/merge-patch+json"))
    service.quota.reset()
    return JSONResponse(service.control.shown())


async def token(request: Request) -> Response:
    """Return a bearer token that is good for so many seconds."""
    service = service_of(request)
    seconds = (await json_body(request)).get("seconds", 3600)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 86_400:
        raise bad_request("seconds must be more than 0 and at most 86400.")
    expires = service.clock.now() + seconds
    shown = {"access_token": mint(service.key, expires), "token_type": "Bearer", "expires_on": int(expires)}
    return JSONResponse(shown)


async def health(request: Request) -> Response:
    """Say that it lives, and at what pace."""
    service = service_of(request)
    shown = service.control.shown()
    return JSONResponse(
        {
            "status": "ok",
            "emulator": True,
            "speed": shown["speed"],
            "under_way": len(service.tasks),
            "active": shown["active"],
        }
    )


ROUTES = [
    Route("/emulator/ledger", ledger),
    Route("/emulator/settings", settings, methods=["GET"]),
    Route("/emulator/settings", change, methods=["PATCH"]),
    Route("/emulator/token", token, methods=["POST"]),
    Route("/emulator/health", health),
]
