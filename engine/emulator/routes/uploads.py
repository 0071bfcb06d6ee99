"""`/uploads`: a large file in parts."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import shutil
import tempfile
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.emulator import durable
from engine.emulator.errors import ApiError, bad_request, conflict, not_found, quota_exceeded
from engine.emulator.routes.calls import operation
from engine.emulator.routes.files import check_purpose, check_quota, form_of, plain_name, to_disk
from engine.emulator.service import Service, json_body, location, service_of
from engine.emulator.state import Object, public

MAX_BYTES = 9 * 2**30
MAX_PART = 64 * 2**20
SECONDS = 7200


async def create(request: Request) -> Response:
    """Begin an upload."""
    service = service_of(request)
    body = await json_body(request)
    size = body.get("bytes")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise bad_request("bytes must be a positive number.")
    if size > MAX_BYTES:
        raise quota_exceeded(f"An upload has at most {MAX_BYTES:,} bytes.")
    if not isinstance(body.get("filename"), str):
        raise bad_request("filename must be a string.")
    purpose = check_purpose(body.get("purpose"))
    now = int(service.clock.now())
    upload: Object = {
        "id": f"upload_{secrets.token_hex(16)}",
        "object": "upload",
        "bytes": size,
        "created_at": now,
        "expires_at": now + SECONDS,
        "filename": plain_name(body["filename"]),
        "purpose": purpose,
        "status": "pending",
        "file": None,
        "_parts": {},
        "_serial": service.state.serial(),
    }
    service.state.uploads.put(upload["id"], upload)
    return JSONResponse(public(upload), 201, {"Location": location(request, upload["id"])})


def _find(request: Request) -> Object:
    """Return an upload that is open.

    Raises:
        ApiError: 404 or 409.

    """
    upload = service_of(request).state.uploads.get(request.path_params["id"])
    if upload is None:
        raise not_found("upload", request.path_params["id"])
    if upload["status"] != "pending":
        raise conflict(f"The upload is {upload['status']}.")
    return upload


async def part(request: Request) -> Response:
    """Take one part over."""
    service, upload = service_of(request), _find(request)
    async with form_of(request) as form:
        data = form.get("data")
        if not isinstance(data, UploadFile):
            raise bad_request("The part 'data' is missing.")
        size = data.size or 0
        if size > MAX_PART:
            raise ApiError(413, "RequestEntityTooLarge", f"A part has at most {MAX_PART:,} bytes.")
        if sum(upload["_parts"].values()) + size > upload["bytes"] + MAX_PART:  # which are joined is told later
            raise bad_request("The parts have more bytes than the upload was said to have.")
        path = await to_disk(service, data)
    part_id = f"part_{secrets.token_hex(16)}"
    await asyncio.to_thread(durable.keep, path, service.state.blob(part_id))
    upload["_parts"][part_id] = size
    service.state.uploads.put(upload["id"], upload)
    now = int(service.clock.now())
    shown = {"id": part_id, "object": "upload.part", "created_at": now, "upload_id": upload["id"]}
    return JSONResponse(shown, 201)


async def complete(request: Request) -> Response:
    """Join the parts, in the order that is named, to a file."""
    service, upload = service_of(request), _find(request)
    body = await json_body(request)
    parts = body.get("part_ids")
    if not isinstance(parts, list) or not parts or len(set(map(str, parts))) != len(parts):
        raise bad_request("part_ids must name each part once.")
    for name in parts:
        if name not in upload["_parts"]:
            raise bad_request(f"The upload has no part {name!r}.")
    size = sum(upload["_parts"][name] for name in parts)
    if size != upload["bytes"]:
        raise bad_request(f"The parts have {size} bytes, and the upload was said to have {upload['bytes']}.")
    check_quota(service, upload["purpose"], size, expires=False)
    path, digest = await asyncio.to_thread(_join, service, parts)
    if body.get("md5") not in (None, digest):
        path.unlink()
        raise bad_request("The file's md5 is not the one that was named.")
    file = service.state.add_file(path, upload["filename"], upload["purpose"], ready=False)
    upload.update(status="completed", file=public(file))
    service.state.uploads.put(upload["id"], upload)
    service.state.drop_parts(upload)
    return JSONResponse(public(upload))


def _join(service: Service, parts: list[str]) -> tuple[Path, str]:
    digest = hashlib.md5(usedforsecurity=False)
    with tempfile.NamedTemporaryFile(dir=service.state.blobs, delete=False) as out:
        for name in parts:
            with service.state.blob(name).open("rb") as part_file:
                shutil.copyfileobj(part_file, out, 2**20)
    with Path(out.name).open("rb") as whole:
        while piece := whole.read(2**20):
            digest.update(piece)
    return Path(out.name), digest.hexdigest()


async def cancel(request: Request) -> Response:
    """Give an upload up."""
    service, upload = service_of(request), _find(request)
    upload["status"] = "cancelled"
    service.state.uploads.put(upload["id"], upload)
    service.state.drop_parts(upload)
    return JSONResponse(public(upload))


ROUTES = [
    operation("uploads.create", "POST", "/uploads", create),
    operation("uploads.part", "POST", "/uploads/{id}/parts", part),
    operation("uploads.complete", "POST", "/uploads/{id}/complete", complete),
    operation("uploads.cancel", "POST", "/uploads/{id}/cancel", cancel),
]
