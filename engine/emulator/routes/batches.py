"""`/batches`."""

from __future__ import annotations

import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.emulator import batch_life
from engine.emulator.batch_file import short
from engine.emulator.errors import bad_request, conflict, not_found, unsupported
from engine.emulator.odata import matching, ordered
from engine.emulator.routes.calls import operation
from engine.emulator.routes.files import expiry
from engine.emulator.routes.files import find as find_file
from engine.emulator.service import DAY, Service, client_of, json_body, location, paging, service_of
from engine.emulator.state import Object, page, public

_TIMES = ("in_progress", "expires", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
OTHER_ENDPOINTS = ("/completions", "/embeddings", "/responses")


async def create(request: Request) -> Response:
    """Create a batch."""
    service = service_of(request)
    body = await json_body(request)
    endpoint = short(str(body.get("endpoint", "")))
    if endpoint in OTHER_ENDPOINTS:
        raise unsupported(f"batches of {endpoint}")
    if endpoint != "/chat/completions":
        raise bad_request("The endpoint of a batch must be /chat/completions.")
    if body.get("completion_window") != "24h":
        raise bad_request("The completion_window of a batch must be 24h.")
    if not isinstance(body.get("input_file_id"), str):
        raise bad_request("input_file_id must name a file.")
    file = find_file(service, body["input_file_id"])
    if file["purpose"] != "batch":
        raise bad_request("The purpose of the input file is not batch.")
    if file["status"] != "processed":
        raise bad_request(f"The input file is {file['status']}, not processed.")
    metadata = body.get("metadata") or {}
    if not _metadata_holds(metadata):
        raise bad_request("metadata has at most 16 entries, keys of 64 and texts of 512 characters.")
    keep = body.get("output_expires_after") or {}
    if not isinstance(keep, dict):
        raise bad_request("output_expires_after must be an object.")
    expiry(keep.get("seconds"), keep.get("anchor"))
    now = int(service.clock.now())
    batch: Object = {
        "id": f"batch_{uuid.uuid4()}",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "errors": None,
        "input_file_id": file["id"],
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": "",
        "error_file_id": "",
        "created_at": now,
        **{f"{name}_at": None for name in _TIMES},
        "expires_at": now + DAY,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": metadata,
        "_keep": keep,
        "_tokens": 0,
        "_deployment": await batch_life.first_deployment(service, file["id"]),
        "_serial": service.state.serial(),
    }
    service.state.batches.put(batch["id"], batch)
    service.ledger.write("batch", batch["id"], client=client_of(request))
    headers = {"Location": location(request, batch["id"]), **_enqueued(service, batch)}
    batch_life.start(service, batch)
    return JSONResponse(public(batch), 201, headers)


def _metadata_holds(metadata: object) -> bool:
    return (
        isinstance(metadata, dict)
        and len(metadata) <= 16
        and all(isinstance(v, str) and len(v) <= 512 and len(k) <= 64 for k, v in metadata.items())
    )


def _enqueued(service: Service, batch: Object) -> dict[str, str]:
    """Return how many tokens wait on a batch's deployment, and how many may."""
    deployment = service.state.deployments.get(batch["_deployment"])
    if deployment is None:
        return {}
    return {
        "deployment-enqueued-tokens": str(batch_life.enqueued_tokens(service, batch["_deployment"])),
        "deployment-maximum-enqueued-tokens": str(deployment["sku"]["capacity"] * 1000),
    }


def _find(request: Request) -> Object:
    batch = service_of(request).state.batches.get(request.path_params["id"])
    if batch is None:
        raise not_found("batch", request.path_params["id"])
    return batch


async def get(request: Request) -> Response:
    """Return one batch."""
    return JSONResponse(public(_find(request)))


async def list_(request: Request) -> Response:
    """List batches, newest first unless told."""
    after, limit = paging(request)
    found = matching(service_of(request).state.batches.all(), request.query_params.get("$filter"))
    return JSONResponse(page(ordered(found, request.query_params.get("$orderby")), after, limit))


async def cancel(request: Request) -> Response:
    """Cancel a batch; what was answered is kept and paid for."""
    service, batch = service_of(request), _find(request)
    if batch["status"] not in ("validating", "in_progress", "cancelling"):
        raise conflict(f"A batch that is {batch['status']} cannot be cancelled.")
    if batch["status"] != "cancelling":
        batch_life.enter(service, batch, "cancelling")
    return JSONResponse(public(batch))


ROUTES = [
    operation("batches.create", "POST", "/batches", create),
    operation("batches.list", "GET", "/batches", list_),
    operation("batches.get", "GET", "/batches/{id}", get),
    operation("batches.cancel", "POST", "/batches/{id}/cancel", cancel),
]
