"""`/batches`."""

from __future__ import annotations

import time
import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.emulator import batch_life
from engine.emulator.errors import ApiError, bad_request, not_found
from engine.emulator.limits import short
from engine.emulator.routes.files import find as find_file
from engine.emulator.service import client_of, json_body, paging, service_of
from engine.emulator.state import Object, page, public

_TIMES = ("in_progress", "expires", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
DAY = 86400


async def create(request: Request) -> Response:
    """Create a batch."""
    service = service_of(request)
    body = await json_body(request)
    if short(str(body.get("endpoint", ""))) != "/chat/completions":
        raise bad_request("The endpoint of a batch must be /chat/completions.")
    if body.get("completion_window") != "24h":
        raise bad_request("The completion_window of a batch must be 24h.")
    file = find_file(service, str(body.get("input_file_id")))
    if file["purpose"] != "batch":
        raise bad_request("The purpose of the input file is not batch.")
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict) or len(metadata) > 16:
        raise bad_request("metadata has at most 16 entries.")
    now = int(time.time())
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
        "_serial": time.time_ns(),
    }
    service.state.batches.put(batch["id"], batch)
    service.state.ledger.write("batch", batch["id"], client=client_of(request))
    batch_life.start(service, batch)
    headers = {
        "Location": f"{request.url.scheme}://{request.url.netloc}/openai/batches/{batch['id']}",
        "deployment-enqueued-tokens": "0",
        "deployment-maximum-enqueued-tokens": "5000000000",
    }
    return JSONResponse(public(batch), 201, headers)


def _find(request: Request) -> Object:
    batch = service_of(request).state.batches.get(request.path_params["id"])
    if batch is None:
        raise not_found("batch", request.path_params["id"])
    return batch


async def get(request: Request) -> Response:
    """Return one batch."""
    return JSONResponse(public(_find(request)))


async def list_(request: Request) -> Response:
    """List batches, newest first."""
    after, limit = paging(request)
    return JSONResponse(page(service_of(request).state.batches.all(), after, limit))


async def cancel(request: Request) -> Response:
    """Cancel a batch; what was answered is kept and paid for."""
    service, batch = service_of(request), _find(request)
    if batch["status"] not in ("validating", "in_progress", "cancelling"):
        raise ApiError(409, "conflict", f"A batch that is {batch['status']} cannot be cancelled.")
    if batch["status"] != "cancelling":
        batch.update(status="cancelling", cancelling_at=int(time.time()))
        service.state.batches.put(batch["id"], batch)
    return JSONResponse(public(batch))


ROUTES = [
    Route("/batches", create, methods=["POST"]),
    Route("/batches", list_),
    Route("/batches/{id}", get),
    Route("/batches/{id}/cancel", cancel, methods=["POST"]),
]
