"""The control plane (Azure Resource Manager): an account's deployments, and what the SDKs need beside them."""

from __future__ import annotations

import datetime
import re
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.emulator.errors import ApiError
from engine.emulator.routes.calls import operation
from engine.emulator.service import (
    ACCOUNT,
    BASE_MODELS,
    GROUP,
    SUBSCRIPTION,
    Service,
    client_of,
    json_body,
    model_of,
    service_of,
    tuned,
)
from engine.emulator.state import Object, public

_PROVIDER = "/providers/Microsoft.CognitiveServices"
_ACCOUNT = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}{_PROVIDER}/accounts/{{account}}"
_DEPLOYMENTS = f"{_ACCOUNT}/deployments"
_LOCATION = f"/subscriptions/{{subscription}}{_PROVIDER}/locations/{{location}}"
REGION = "emulator"
SKUS = ("Standard", "GlobalStandard", "DataZoneStandard", "GlobalBatch", "DataZoneBatch", "DeveloperTier")
TUNED_DEPLOYMENTS = 5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,63}")


def _refused(message: str, code: str = "InvalidResourceProperties") -> ApiError:
    return ApiError(400, code, message)


def _scoped(request: Request) -> Service:
    """Return the service, if the request is for its account (names are compared without case, as ARM does)."""
    p = request.path_params
    if p["subscription"] != SUBSCRIPTION:
        raise ApiError(404, "SubscriptionNotFound", f"The subscription '{p['subscription']}' could not be found.")
    if p.get("group", GROUP).lower() != GROUP:
        raise ApiError(404, "ResourceGroupNotFound", f"Resource group '{p['group']}' could not be found.")
    if p.get("account", ACCOUNT).lower() != ACCOUNT:
        name = f"Microsoft.CognitiveServices/accounts/{p['account']}"
        raise ApiError(404, "ResourceNotFound", f"The Resource '{name}' under resource group '{GROUP}' was not found.")
    return service_of(request)


def _state(service: Service, deployment: Object) -> str:
    if deployment["_deleting"]:
        return "Deleting"
    return "Succeeded" if service.clock.passed(deployment["_since"], "deploying") else "Accepted"


def _shown(service: Service, deployment: Object) -> Object:
    shown = public(deployment)
    properties = {
        **shown["properties"],
        "provisioningState": _state(service, deployment),
        "capabilities": {"chatCompletion": "true"},
        "rateLimits": _rate_limits(deployment["sku"]),
    }
    # One of an older state may not say when it was made; those that stand from the start are as old as it.
    since: float = deployment.get("_created") or deployment["_since"]
    created = datetime.datetime.fromtimestamp(since, datetime.UTC)
    return {
        **shown,
        "systemData": {"createdAt": created.isoformat(), "createdByType": "User"},
        "properties": properties,
    }


def _rate_limits(sku: Object) -> list[Object]:
    """Return the throttling rules of a deployment; batches are limited by what is enqueued instead."""
    if "Batch" in sku["name"]:
        return []
    return [
        {"key": "request", "renewalPeriod": 10, "count": sku["capacity"]},
        {"key": "token", "renewalPeriod": 60, "count": 1000 * sku["capacity"]},
    ]


def _get(request: Request) -> tuple[Service, Object]:
    service, name = _scoped(request), request.path_params["name"]
    deployment = service.state.deployments.get(name)
    if deployment is None:
        raise ApiError(404, "DeploymentNotFound", f"The deployment '{name}' could not be found.")
    return service, deployment


def _model(service: Service, properties: Any) -> Object:
    """Return the model that a request wants deployed.

    Raises:
        ApiError: 400.

    """
    model = properties.get("model") if isinstance(properties, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("name"), str):
        raise _refused("The deployment's model is missing: properties.model.name.")
    if model.get("format") != "OpenAI":
        raise _refused(f"The model format {model.get('format')!r} is not supported.", "DeploymentModelNotSupported")
    name, version = model["name"], str(model.get("version") or "1")
    full = name if tuned(name) or name in BASE_MODELS else f"{name}-{version}"
    if not service.knows_model(full):
        raise _refused(
            f"The specified model '{name}' version '{version}' does not exist.", "DeploymentModelNotSupported"
        )
    return {"format": "OpenAI", "name": name, "version": version}


def _sku(body: Object) -> tuple[str, int]:
    """Return the SKU that a request wants, and its capacity.

    Raises:
        ApiError: 400.

    """
    sku = body.get("sku")
    if not isinstance(sku, dict) or sku.get("name") not in SKUS:
        found = sku.get("name") if isinstance(sku, dict) else None
        raise _refused(f"The specified SKU '{found}' is not supported: {', '.join(SKUS)}.", "InvalidSku")
    capacity = sku.get("capacity", 1)
    if isinstance(capacity, bool) or not isinstance(capacity, int) or not 1 <= capacity <= 10_000_000:
        raise _refused(f"The capacity {capacity!r} must be a positive whole number.", "InvalidCapacity")
    return sku["name"], capacity


def _check_tuned(service: Service, model: str, sku: str) -> None:
    if "Batch" in sku:
        raise _refused("A fine-tuned model cannot be used in batches.", "DeploymentModelNotSupported")
    if sku == "DeveloperTier" and not model.startswith("gpt-4.1"):
        raise _refused("The developer tier has the gpt-4.1 family only.", "DeploymentModelNotSupported")
    others = [d for d in service.state.deployments.all() if tuned(model_of(d))]
    if len(others) >= TUNED_DEPLOYMENTS:
        raise _refused(f"A resource has at most {TUNED_DEPLOYMENTS} fine-tuned deployments.", "InsufficientQuota")


async def put(request: Request) -> Response:
    """Create a deployment, or change the capacity of one that is there."""
    service = _scoped(request)
    name = request.path_params["name"]
    if not _NAME.fullmatch(name):
        raise _refused(f"The deployment name {name!r} is not valid.", "InvalidResourceName")
    body = await json_body(request)
    sku, capacity = _sku(body)
    model = _model(service, body.get("properties"))
    there = service.state.deployments.get(name)
    if there is not None:
        return _changed(request, service, there, sku, capacity, model)
    if tuned(model["name"]):
        _check_tuned(service, model["name"], sku)
    elif sku == "DeveloperTier":
        raise _refused("The developer tier has fine-tuned models only.", "DeploymentModelNotSupported")
    deployment = service.add_deployment(name, model, sku, capacity)
    service.ledger.write(
        "deployment",
        f"{name}@{deployment['_serial']}",
        name=name,
        model=model["name"],
        sku=sku,
        client=client_of(request),
        deleted_at=None,
    )
    shown = _shown(service, deployment)
    shown["properties"]["provisioningState"] = "Accepted"  # at any speed
    return JSONResponse(shown, 201, _poll_here(request, deployment))


def _changed(request: Request, service: Service, there: Object, sku: str, capacity: int, model: Object) -> Response:
    if there["_deleting"]:
        raise ApiError(409, "RequestConflict", f"The deployment '{there['name']}' is being deleted.")
    if there["properties"]["model"] != model:
        raise _refused("The model of a deployment cannot be changed.")
    if there["sku"]["name"] != sku:
        raise _refused("The SKU of a deployment cannot be changed.", "InvalidSku")
    there["sku"]["capacity"] = capacity
    service.state.deployments.put(there["name"], there)
    return JSONResponse(_shown(service, there), 200, _poll_here(request, there))


async def update(request: Request) -> Response:
    """Change a deployment's capacity."""
    service, there = _get(request)
    sku, capacity = _sku({"sku": {**there["sku"], **((await json_body(request)).get("sku") or {})}})
    return _changed(request, service, there, sku, capacity, there["properties"]["model"])


def _poll_here(request: Request, deployment: Object) -> dict[str, str]:
    """Return the header that says where the operation can be followed."""
    url = request.url
    place = _LOCATION.format(subscription=SUBSCRIPTION, location=REGION)
    token = uuid.uuid5(uuid.NAMESPACE_URL, f"{deployment['name']}@{deployment['_serial']}")
    address = f"{url.scheme}://{url.netloc}{place}/operationResults/{deployment['name']}@{token}?{url.query}"
    return {"Azure-AsyncOperation": address, "Retry-After": "0"}


async def progress(request: Request) -> Response:
    """Tell how an operation on a deployment stands."""
    service = _scoped(request)
    name, _, _ = request.path_params["operation"].rpartition("@")
    deployment = service.state.deployments.get(name)
    # What is no longer there has been deleted, which is what was asked for.
    state = _state(service, deployment) if deployment else "Succeeded"
    since = deployment["_since"] if deployment else service.clock.now()
    return JSONResponse(
        {
            "id": request.url.path,
            "name": request.path_params["operation"],
            "status": "Succeeded" if state == "Succeeded" else "InProgress",
            "startTime": datetime.datetime.fromtimestamp(since, datetime.UTC).isoformat(),
        }
    )


async def get(request: Request) -> Response:
    """Return one deployment."""
    return JSONResponse(_shown(*_get(request)))


async def list_(request: Request) -> Response:
    """List deployments."""
    service = _scoped(request)
    return JSONResponse({"value": [_shown(service, d) for d in service.state.deployments.all()]})


async def delete(request: Request) -> Response:
    """Delete a deployment; one that is not there is no error (204)."""
    service = _scoped(request)
    deployment = service.state.deployments.get(request.path_params["name"])
    if deployment is None:
        return Response(status_code=204)
    if not deployment["_deleting"]:
        service.begin_deletion(deployment)
    if service.clock.passed(deployment["_deleting"], "deleting"):
        service.state.deployments.delete(deployment["name"])
        return Response(status_code=200)
    return Response(status_code=202, headers=_poll_here(request, deployment))


async def skus(request: Request) -> Response:
    """Return the SKUs that a deployment may have: its own, in any capacity."""
    _, deployment = _get(request)
    capacity = {"minimum": 1, "maximum": 10_000_000, "step": 1, "default": 1}
    sku = {"resourceType": deployment["type"], "sku": {"name": deployment["sku"]["name"]}, "capacity": capacity}
    return JSONResponse({"value": [sku]})


async def account(request: Request) -> Response:
    """Return the account, and where its data plane is."""
    _scoped(request)
    url = request.url
    return JSONResponse(
        {
            "id": _ACCOUNT.format(subscription=SUBSCRIPTION, group=GROUP, account=ACCOUNT),
            "name": ACCOUNT,
            "type": "Microsoft.CognitiveServices/accounts",
            "location": REGION,
            "kind": "OpenAI",
            "sku": {"name": "S0"},
            "properties": {"endpoint": f"{url.scheme}://{url.netloc}/", "provisioningState": "Succeeded"},
        }
    )


async def usages(request: Request) -> Response:
    """Return what of the account's quota is used: fine-tuned deployments, and tokens by model and SKU."""
    service = _scoped(request)
    deployments = service.state.deployments.all()
    used: dict[str, float] = {"OpenAI.FineTunedDeployments": sum(tuned(model_of(d)) for d in deployments)}
    for deployment in deployments:
        if not tuned(model_of(deployment)):
            name = f"OpenAI.{deployment['sku']['name']}.{deployment['properties']['model']['name']}"
            used[name] = used.get(name, 0) + deployment["sku"]["capacity"]
    return JSONResponse(
        {
            "value": [
                {
                    "name": {"value": name, "localizedValue": name},
                    "unit": "Count",
                    "currentValue": float(value),
                    "limit": float(TUNED_DEPLOYMENTS if "FineTuned" in name else 10_000_000),
                }
                for name, value in used.items()
            ]
        }
    )


ROUTES = [
    operation("account.get", "GET", _ACCOUNT, account),
    operation("account.usages", "GET", f"{_ACCOUNT}/usages", usages),
    operation("account.usages", "GET", f"{_LOCATION}/usages", usages),
    operation("deployments.operation", "GET", f"{_LOCATION}/operationResults/{{operation}}", progress),
    operation("deployments.list", "GET", _DEPLOYMENTS, list_),
    operation("deployments.put", "PUT", f"{_DEPLOYMENTS}/{{name}}", put),
    operation("deployments.update", "PATCH", f"{_DEPLOYMENTS}/{{name}}", update),
    operation("deployments.get", "GET", f"{_DEPLOYMENTS}/{{name}}", get),
    operation("deployments.delete", "DELETE", f"{_DEPLOYMENTS}/{{name}}", delete),
    operation("deployments.skus", "GET", f"{_DEPLOYMENTS}/{{name}}/skus", skus),
]
