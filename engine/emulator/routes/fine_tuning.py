"""`/fine_tuning/jobs`."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.emulator import tuning_life
from engine.emulator.errors import ApiError, bad_request, not_found, unsupported
from engine.emulator.routes.files import find as find_file
from engine.emulator.service import client_of, json_body, paging, service_of
from engine.emulator.state import Object, page, public

_SUFFIX = re.compile(r"[A-Za-z0-9_-]{1,40}")
_KNOBS = ("n_epochs", "batch_size", "learning_rate_multiplier")


def _knobs(body: Object) -> dict[str, Any]:
    """Return the hyperparameters, in the old form or the new; automatic ones are None."""
    given = body.get("hyperparameters") or {}
    method = body.get("method")
    if method:
        if method.get("type") != "supervised":
            raise unsupported(f"fine-tuning by {method.get('type')}")
        given = (method.get("supervised") or {}).get("hyperparameters") or given
    found: dict[str, Any] = {}
    for name in _KNOBS:
        value: Any = given.get(name)
        automatic = value in (None, "auto", -1)
        if not automatic and (not isinstance(value, int | float) or isinstance(value, bool) or value <= 0):
            raise bad_request(f"The hyperparameter {name} must be positive.")
        if not automatic and name != "learning_rate_multiplier" and int(value) != value:
            raise bad_request(f"The hyperparameter {name} must be a whole number.")
        found[name] = None if automatic else value
    return found


async def create(request: Request) -> Response:
    """Create a fine-tuning job."""
    service = service_of(request)
    body = await json_body(request)
    model = str(body.get("model"))
    if not service.knows_model(model):
        raise bad_request(f"The specified base model does not support fine-tuning: {model}.", target="model")
    suffix = body.get("suffix")
    if suffix is not None and not (isinstance(suffix, str) and _SUFFIX.fullmatch(suffix)):
        raise bad_request("The suffix has at most 40 of the characters A-Z a-z 0-9 - _.", target="suffix")
    files = {}
    for name in ("training_file", "validation_file"):
        if body.get(name) or name == "training_file":
            file = find_file(service, str(body.get(name)))
            if file["purpose"] != "fine-tune":
                raise bad_request(f"The purpose of the {name} is not fine-tune.", target=name)
            if file["status"] != "processed":
                raise ApiError(409, "conflict", f"The {name} is {file['status']}.", target=name)
            files[name] = file["id"]
    seed = body.get("seed")
    base = model.split(".ft-")[0]
    job: Object = {
        "id": f"ftjob-{secrets.token_hex(16)}",
        "object": "fine_tuning.job",
        "status": "pending",
        "model": model,
        "fine_tuned_model": None,
        "training_file": files["training_file"],
        "validation_file": files.get("validation_file"),
        "result_files": None,
        "organization_id": None,
        "method": None,
        "hyperparameters": body.get("hyperparameters") or {},
        "trained_tokens": None,
        "estimated_finish": None,
        "created_at": int(time.time()),
        "finished_at": None,
        "error": None,
        "seed": seed if isinstance(seed, int) else secrets.randbelow(2**31),
        "suffix": suffix,
        "_knobs": _knobs(body),
        "_name": f"{base}.ft-{secrets.token_hex(16)}{f'-{suffix}' if suffix else ''}",
        "_events": [],
        "_checkpoints": [],
        "_epochs_done": 0,
        "_serial": time.time_ns(),
    }
    service.state.tunings.put(job["id"], job)
    service.state.ledger.write("fine_tuning_job", job["id"], client=client_of(request), suffix=suffix, billed_tokens=0)
    tuning_life.start(service, job)
    location = f"{request.url.scheme}://{request.url.netloc}/openai/fine_tuning/jobs/{job['id']}"
    return JSONResponse(public(job), 201, {"Location": location})


def _find(request: Request) -> Object:
    job = service_of(request).state.tunings.get(request.path_params["id"])
    if job is None:
        raise not_found("fine-tuning job", request.path_params["id"])
    return job


async def get(request: Request) -> Response:
    """Return one job."""
    return JSONResponse(public(_find(request)))


async def list_(request: Request) -> Response:
    """List jobs, newest first."""
    after, limit = paging(request)
    return JSONResponse(page(service_of(request).state.tunings.all(), after, limit))


async def events(request: Request) -> Response:
    """List a job's events, newest first."""
    after, limit = paging(request)
    return JSONResponse(page(_find(request)["_events"][::-1], after, limit))


async def checkpoints(request: Request) -> Response:
    """List a job's checkpoints, newest first."""
    after, limit = paging(request, 10)
    return JSONResponse(page(_find(request)["_checkpoints"][::-1], after, limit))


def _move(request: Request, allowed: tuple[str, ...], to: str, what: str) -> Object:
    service, job = service_of(request), _find(request)
    if job["status"] not in allowed:
        raise ApiError(409, "unexpectedEntityState", f"A job that is {job['status']} cannot be {what}.")
    job["status"] = to
    service.state.tunings.put(job["id"], job)
    return job


async def cancel(request: Request) -> Response:
    """Cancel a job."""
    service = service_of(request)
    was_paused = _find(request)["status"] == "paused"
    job = _move(request, ("pending", "running", "paused"), "cancelling", "cancelled")
    if was_paused:
        tuning_life.start(service, job)
    return JSONResponse(public(job))


async def pause(request: Request) -> Response:
    """Pause a running job."""
    return JSONResponse(public(_move(request, ("running",), "pausing", "paused")))


async def resume(request: Request) -> Response:
    """Resume a paused job."""
    job = _move(request, ("paused",), "running", "resumed")
    tuning_life.start(service_of(request), job)
    return JSONResponse(public(job))


async def delete(request: Request) -> Response:
    """Delete a job that has ended."""
    job = _find(request)
    if job["status"] not in tuning_life.TERMINAL:
        raise ApiError(409, "unexpectedEntityState", f"A job that is {job['status']} cannot be deleted.")
    service_of(request).state.tunings.delete(job["id"])
    return Response(status_code=204)


ROUTES = [
    Route("/fine_tuning/jobs", create, methods=["POST"]),
    Route("/fine_tuning/jobs", list_),
    Route("/fine_tuning/jobs/{id}", get, methods=["GET"]),
    Route("/fine_tuning/jobs/{id}", delete, methods=["DELETE"]),
    Route("/fine_tuning/jobs/{id}/events", events),
    Route("/fine_tuning/jobs/{id}/checkpoints", checkpoints),
    Route("/fine_tuning/jobs/{id}/cancel", cancel, methods=["POST"]),
    Route("/fine_tuning/jobs/{id}/pause", pause, methods=["POST"]),
    Route("/fine_tuning/jobs/{id}/resume", resume, methods=["POST"]),
]
