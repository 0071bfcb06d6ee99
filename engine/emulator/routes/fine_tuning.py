"""`/fine_tuning/jobs`."""

from __future__ import annotations

import re
import secrets
import shutil
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.emulator import tuning_life
from engine.emulator.errors import bad_request, conflict, not_found, quota_exceeded, unsupported
from engine.emulator.routes.calls import operation
from engine.emulator.routes.files import find as find_file
from engine.emulator.service import BASE_MODELS, TUNABLE, Service, client_of, json_body, location, paging, service_of
from engine.emulator.state import Object, page, public

_SUFFIX = re.compile(r"[A-Za-z0-9_-]{1,40}")
TRAINING_TYPES = ("Standard", "GlobalStandard", "Developer")
MAX_QUEUED = 20
MAX_JOBS = 100
_KNOBS = ("n_epochs", "batch_size", "learning_rate_multiplier")


def _knobs(body: Object) -> dict[str, Any]:
    """Return the hyperparameters, in the old form or the new; automatic ones are None."""
    given = body.get("hyperparameters") or {}
    method = body.get("method")
    if method is not None:
        if not isinstance(method, dict) or method.get("type") != "supervised":
            raise unsupported(f"fine-tuning by {method.get('type') if isinstance(method, dict) else method!r}")
        given = (method.get("supervised") or {}).get("hyperparameters") or given
    if not isinstance(given, dict):
        raise bad_request("hyperparameters must be an object.")
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
    if not service.knows_model(model) or (model in BASE_MODELS and model not in TUNABLE):
        raise bad_request(f"The specified base model does not support fine-tuning: {model}.", target="model")
    suffix = body.get("suffix")
    if suffix is not None and not (isinstance(suffix, str) and _SUFFIX.fullmatch(suffix)):
        raise bad_request("The suffix has at most 40 of the characters A-Z a-z 0-9 - _.", target="suffix")
    if body.get("integrations"):
        raise unsupported("integrations of fine-tuning jobs")
    if body.get("trainingType") not in (None, *TRAINING_TYPES):
        raise bad_request(f"The trainingType is one of {', '.join(TRAINING_TYPES)}.", target="trainingType")
    seed = body.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31):
        raise bad_request("The seed must be a whole number from 0 to 2147483647.", target="seed")
    knobs = _knobs(body)
    training = _file(service, body, "training_file")
    validation = _file(service, body, "validation_file") if body.get("validation_file") else None
    jobs = service.state.tunings.all()
    if len(jobs) >= MAX_JOBS:
        raise quota_exceeded(f"A resource has at most {MAX_JOBS} fine-tuning jobs; delete some.")
    waiting = sum(job["status"] == "pending" for job in jobs)
    if waiting - (not any(job["status"] == "running" for job in jobs)) >= MAX_QUEUED:
        raise quota_exceeded(f"A resource has at most {MAX_QUEUED} fine-tuning jobs in its queue.")
    base = model.split(".ft-")[0]
    job: Object = {
        "id": f"ftjob-{secrets.token_hex(16)}",
        "object": "fine_tuning.job",
        "status": "pending",
        "model": model,
        "fine_tuned_model": None,
        "training_file": training,
        "validation_file": validation,
        "result_files": None,
        "organization_id": None,
        "method": None,
        "hyperparameters": {name: -1 if value is None else value for name, value in knobs.items()},
        "trainingType": body.get("trainingType") or "Standard",
        "trained_tokens": None,
        "estimated_finish": None,
        "created_at": int(service.clock.now()),
        "finished_at": None,
        "error": None,
        "seed": secrets.randbelow(2**31) if seed is None else seed,
        "suffix": suffix,
        "_knobs": knobs,
        "_name": f"{base}.ft-{secrets.token_hex(16)}{f'-{suffix}' if suffix else ''}",
        "_checkpoints": [],
        "_billed": 0,
        "_seen": 0,
        "_settled": False,
        "_steps": 0,
        "_total_steps": 0,
        "_serial": service.state.serial(),
    }
    service.state.tunings.put(job["id"], job)
    service.ledger.write("fine_tuning_job", job["id"], client=client_of(request), suffix=suffix, billed_tokens=0)
    tuning_life.start(service, job)
    return JSONResponse(public(job), 201, {"Location": location(request, job["id"])})


def _file(service: Service, body: Object, name: str) -> str:
    """Return the id of a file that may be trained on.

    Raises:
        ApiError: 404, 400 or 409.

    """
    if not isinstance(body.get(name), str):
        raise bad_request(f"{name} must name a file.", target=name)
    file = find_file(service, body[name])
    if file["purpose"] != "fine-tune":
        raise bad_request(f"The purpose of the {name} is not fine-tune.", target=name)
    if file["status"] != "processed":
        raise conflict(f"The {name} is {file['status']}.", target=name)
    return str(file["id"])


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
    job = _find(request)
    after, limit = paging(request)
    journal = tuning_life.journal_of(service_of(request), job["id"])
    return JSONResponse(page(journal.newest_first(), after, limit))


async def checkpoints(request: Request) -> Response:
    """List a job's checkpoints, newest first."""
    after, limit = paging(request, 10)
    return JSONResponse(page(_find(request)["_checkpoints"][::-1], after, limit))


def _move(request: Request, allowed: tuple[str, ...], to: str, what: str) -> Object:
    service, job = service_of(request), _find(request)
    if job["status"] not in allowed:
        raise conflict(f"A job that is {job['status']} cannot be {what}.", "unexpectedEntityState")
    job["status"] = to
    service.state.tunings.put(job["id"], job)
    service.clock.changed()
    return job


async def cancel(request: Request) -> Response:
    """Cancel a job; what it has trained is paid for."""
    service = service_of(request)
    job = _move(request, ("pending", "running", "pausing", "paused", "resuming"), "cancelled", "cancelled")
    job["finished_at"] = int(service.clock.now())
    if job["id"] not in service.tasks:  # nobody works on it who would see to that
        tuning_life.start(service, job)
    return JSONResponse(public(job))


async def pause(request: Request) -> Response:
    """Pause a running job."""
    return JSONResponse(public(_move(request, ("running",), "pausing", "paused")))


async def resume(request: Request) -> Response:
    """Resume a paused job."""
    job = _move(request, ("paused",), "resuming", "resumed")
    tuning_life.start(service_of(request), job)
    return JSONResponse(public(job))


async def delete(request: Request) -> Response:
    """Delete a job that has ended; its model stays."""
    service, job = service_of(request), _find(request)
    if job["status"] not in tuning_life.TERMINAL:
        raise conflict(f"A job that is {job['status']} cannot be deleted.", "unexpectedEntityState")
    service.state.tunings.delete(job["id"])
    service.journals.pop(job["id"], None)
    shutil.rmtree(tuning_life.folder_of(service, job["id"]), ignore_errors=True)
    return Response(status_code=204)


_JOB = "/fine_tuning/jobs/{id}"
ROUTES = [
    operation("fine_tuning.create", "POST", "/fine_tuning/jobs", create),
    operation("fine_tuning.list", "GET", "/fine_tuning/jobs", list_),
    operation("fine_tuning.get", "GET", _JOB, get),
    operation("fine_tuning.delete", "DELETE", _JOB, delete),
    operation("fine_tuning.events", "GET", f"{_JOB}/events", events),
    operation("fine_tuning.checkpoints", "GET", f"{_JOB}/checkpoints", checkpoints),
    operation("fine_tuning.cancel", "POST", f"{_JOB}/cancel", cancel),
    operation("fine_tuning.pause", "POST", f"{_JOB}/pause", pause),
    operation("fine_tuning.resume", "POST", f"{_JOB}/resume", resume),
]
