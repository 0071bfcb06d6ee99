"""`/files`."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from engine.emulator.errors import ApiError, bad_request, not_found
from engine.emulator.service import Service, paging, service_of
from engine.emulator.state import Object, page, public

PURPOSES = ("batch", "fine-tune")
MAX_BYTES = {"batch": 200_000_000, "fine-tune": 512_000_000}
EXPIRY = range(1_209_600, 2_592_001)


def _settled(service: Service, file: Object) -> Object:
    """Return a file, `processed` once its moment has come."""
    if file["status"] == "pending" and time.time() >= file["_processed_at"]:
        file["status"] = "processed"
        service.state.files.put(file["id"], file)
    return file


def find(service: Service, file_id: str) -> Object:
    """Return a file.

    Raises:
        ApiError: 404.

    """
    file = service.state.files.get(file_id)
    if file is None:
        raise not_found("file", file_id)
    return _settled(service, file)


async def upload(request: Request) -> Response:
    """Take a file over."""
    service = service_of(request)
    if "multipart/form-data" not in request.headers.get("content-type", ""):
        raise ApiError(415, "unsupportedMediaType", "A file is uploaded as multipart/form-data.")
    async with request.form(max_files=1, max_fields=10) as form:
        content, purpose = form.get("file"), form.get("purpose")
        if not isinstance(content, UploadFile):
            raise bad_request("The part 'file' is missing.")
        if purpose not in PURPOSES:
            raise bad_request(f"The purpose must be one of {', '.join(PURPOSES)}.")
        if (content.size or 0) > MAX_BYTES[str(purpose)]:
            raise ApiError(413, "quotaExceeded", f"A {purpose} file has at most {MAX_BYTES[str(purpose)]} bytes.")
        extra = {}
        seconds = form.get("expires_after[seconds]")
        if isinstance(seconds, str):
            if not seconds.isdigit() or int(seconds) not in EXPIRY:
                raise bad_request("expires_after[seconds] must be 1209600 to 2592000.")
            extra["expires_at"] = int(time.time()) + int(seconds)
        descriptor, name = tempfile.mkstemp(dir=service.state.blobs)
        with os.fdopen(descriptor, "wb") as out:
            shutil.copyfileobj(content.file, out)
        filename = Path(content.filename or "file").name
        file = service.state.add_file(Path(name), filename, str(purpose), service.dwell, **extra)
    location = f"{request.url.scheme}://{request.url.netloc}/openai/files/{file['id']}"
    return JSONResponse(public(file), 201, {"Location": location})


async def list_(request: Request) -> Response:
    """List files, newest first unless told."""
    service = service_of(request)
    after, limit = paging(request, 10_000)
    purpose = request.query_params.get("purpose")
    files = [_settled(service, f) for f in service.state.files.all() if purpose in (None, f["purpose"])]
    if request.query_params.get("order") == "asc":
        files.reverse()
    return JSONResponse(page(files, after, limit))


async def get(request: Request) -> Response:
    """Return one file."""
    return JSONResponse(public(find(service_of(request), request.path_params["id"])))


async def content(request: Request) -> Response:
    """Stream a file's content."""
    service = service_of(request)
    file = find(service, request.path_params["id"])
    return FileResponse(service.state.blob(file["id"]), media_type="application/octet-stream")


async def delete(request: Request) -> Response:
    """Delete a file."""
    service = service_of(request)
    file = find(service, request.path_params["id"])
    service.state.files.delete(file["id"])
    service.state.blob(file["id"]).unlink(missing_ok=True)
    return JSONResponse({"id": file["id"], "object": "file", "deleted": True})


ROUTES = [
    Route("/files", upload, methods=["POST"]),
    Route("/files", list_),
    Route("/files/{id}", get, methods=["GET"]),
    Route("/files/{id}", delete, methods=["DELETE"]),
    Route("/files/{id}/content", content),
]
