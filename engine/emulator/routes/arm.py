"""The control plane's deployments (Azure Resource Manager)."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.emulator.errors import ApiError
from engine.emulator.service import (
    ACCOUNT,
    GROUP,
    SUBSCRIPTION,
    TUNED_DEPLOYMENTS,
    Service,
    client_of,
    json_body,
    service_of,
)
from engine.emulator.state import Object, public

_PATH = (
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.CognitiveServices"
    "/accounts/{account}/deployments"
)
SKUS = ("Standard", "GlobalStandard", "DataZoneStandard", "GlobalBatch", "DataZoneBatch", "DeveloperTier")


def _scoped(request: Request) -> Service:
    """Return the service, if the request is for its account."""
    p = request.path_params
    wanted = (p["subscription"], p["group"].lower(), p["account"].lower())
    if wanted != (SUBSCRIPTION, GROUP, ACCOUNT):
        raise ApiError(404, "ResourceNotFound", f"The Resource 'accounts/{p['account']}' was not found.")
    return service_of(request)


def _shown(deployment: Object) -> Object:
    shown = public(deployment)
    state = "Succeeded" if time.time() >= deployment["_ready_at"] else "Accepted"
    return {**shown, "properties": {**shown["properties"], "provisioningState": state}}


def _find(request: Request) -> Object:
    deployment = _scoped(request).state.deployments.get(request.path_params["name"])
    if deployment is None:
        raise ApiError(404, "DeploymentNotFound", f"The deployment {request.path_params['name']} was not found.")
    return deployment


async def put(request: Request) -> Response:
    """Create a deployment, or return it if it is there already with the same model."""
    service = _scoped(request)
    name = request.path_params["name"]
    body = await json_body(request)
    model = str(((body.get("properties") or {}).get("model") or {}).get("name"))
    sku = body.get("sku") or {}
    if sku.get("name") not in SKUS:
        raise ApiError(400, "InvalidResourceProperties", f"The SKU {sku.get('name')!r} is not supported.")
    if not service.knows_model(model):
        raise ApiError(400, "DeploymentModelNotSupported", f"The model {model!r} does not exist.")
    there = service.state.deployments.get(name)
    if there is not None:
        if there["properties"]["model"]["name"] != model:
            raise ApiError(400, "InvalidResourceProperties", "The model of a deployment cannot be changed.")
        return JSONResponse(_shown(there), 200)
    tuned = [d for d in service.state.deployments.all() if ".ft-" in d["properties"]["model"]["name"]]
    if ".ft-" in model:
        if "Batch" in sku["name"]:
            raise ApiError(400, "DeploymentModelNotSupported", "A fine-tuned model cannot be used in batches.")
        if len(tuned) >= TUNED_DEPLOYMENTS:
            raise ApiError(400, "InsufficientQuota", f"A resource has at most {TUNED_DEPLOYMENTS} of these.")
    deployment = service.add_deployment(name, model, sku["name"], int(sku.get("capacity") or 1), client_of(request))
    service.state.ledger.write(
        "deployment",
        f"{name}@{deployment['_serial']}",
        name=name,
        model=model,
        client=client_of(request),
        deleted_at=None,
    )
    return JSONResponse(_shown(deployment), 201)


async def get(request: Request) -> Response:
    """Return one deployment."""
    return JSONResponse(_shown(_find(request)))


async def list_(request: Request) -> Response:
    """List deployments."""
    return JSONResponse({"value": [_shown(d) for d in _scoped(request).state.deployments.all()]})


async def delete(request: Request) -> Response:
    """Delete a deployment; one that is not there is no error (204)."""
    service = _scoped(request)
    deployment = service.state.deployments.get(request.path_params["name"])
    if deployment is None:
        return Response(status_code=204)
    service.state.deployments.delete(deployment["name"])
    key = f"{deployment['name']}@{deployment['_serial']}"
    service.state.ledger.write("deployment", key, deleted_at=time.time())
    return Response(status_code=200)


ROUTES = [
    Route(_PATH, list_),
    Route(_PATH + "/{name}", put, methods=["PUT"]),
    Route(_PATH + "/{name}", get, methods=["GET"]),
    Route(_PATH + "/{name}", delete, methods=["DELETE"]),
]
