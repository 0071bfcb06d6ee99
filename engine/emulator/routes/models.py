"""`/models`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.emulator.errors import conflict, not_found
from engine.emulator.routes.calls import operation
from engine.emulator.service import BASE_MODELS, TUNABLE, Service, model_of, service_of, tuned
from engine.emulator.state import Object


def _models(service: Service) -> list[Object]:
    found = [(name, 0) for name in BASE_MODELS] + service.tuned_models()
    return [
        {
            "id": name,
            "object": "model",
            "status": "succeeded",
            "created": created,
            "created_at": created,
            "owned_by": "organization-owner" if tuned(name) else "system",
            "lifecycle_status": "generally-available",
            "capabilities": {
                "fine_tune": name in TUNABLE or tuned(name),
                "inference": True,
                "chat_completion": True,
                "completion": False,
            },
        }
        for name, created in found
    ]


def _find(request: Request) -> Object:
    name = request.path_params["id"]
    for found in _models(service_of(request)):
        if found["id"] == name:
            return found
    raise not_found("model", name)


async def list_(request: Request) -> Response:
    """List models."""
    return JSONResponse({"object": "list", "data": _models(service_of(request))})


async def get(request: Request) -> Response:
    """Return one model."""
    return JSONResponse(_find(request))


async def delete(request: Request) -> Response:
    """Delete a tuned model that no deployment has."""
    service, name = service_of(request), _find(request)["id"]
    if not tuned(name):
        raise conflict(f"The model {name} is not a fine-tuned one.", "unexpectedEntityState")
    if any(model_of(d) == name for d in service.state.deployments.all()):
        raise conflict(f"The model {name} is deployed.", "unexpectedEntityState")
    service.model_path(name).unlink()
    return JSONResponse({"id": name, "object": "model", "deleted": True})


ROUTES = [
    operation("models.list", "GET", "/models", list_),
    operation("models.get", "GET", "/models/{id}", get),
    operation("models.delete", "DELETE", "/models/{id}", delete),
]
