"""`/files`."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from engine.emulator.errors import ApiError, bad_request, not_found, quota_exceeded, unsupported
from engine.emulator.routes.calls import operation
from engine.emulator.service import Service, location, paging, service_of
from engine.emulator.state import Object, page, public

PURPOSES = ("batch", "fine-tune")
OTHER_PURPOSES = ("assistants", "vision", "user_data", "evals")
MAX_BYTES = {"batch": 200_000_000, "fine-tune": 512_000_000}
EXPIRY = range(1_209_600, 2_592_001)
MAX_TUNING_FILES = 50
MAX_TUNING_BYTES = 1_000_000_000
MAX_BATCH_FILES = 500
MAX_EXPIRING_BATCH_FILES = 10_000


def _settled(service: Service, file: Object) -> Object:
    """Return a file, `processed` once its moment has come."""
    if file["status"] == "pending" and service.clock.passed(file["_since"], "file"):
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


def check_purpose(purpose: Any) -> str:
    """Return the purpose of a new file.

    Raises:
        ApiError: 400 or 501.

    """
    if purpose in OTHER_PURPOSES:
        raise unsupported(f"files with the purpose {purpose!r}")
    if purpose not in PURPOSES:
        raise bad_request(f"The purpose must be one of {', '.join(PURPOSES)}.")
    return str(purpose)


def expiry(seconds: Any, anchor: Any) -> int | None:
    """Return after how many seconds a new file expires; None where it does not.

    Raises:
        ApiError: 400.

    """
    if seconds is None and anchor is None:
        return None
    if anchor != "created_at":
        raise bad_request("expires_after[anchor] must be created_at.")
    if not str(seconds).isascii() or not str(seconds).isdigit() or int(seconds) not in EXPIRY:
        raise bad_request(f"expires_after[seconds] must be {EXPIRY.start} to {EXPIRY.stop - 1}.")
    return int(seconds)


def check_quota(service: Service, purpose: str, size: int, expires: bool) -> None:
    """Check that the resource has room for one more file.

    Raises:
        ApiError: 413 or 400, `quotaExceeded`.

    """
    if size > MAX_BYTES[purpose]:
        raise quota_exceeded(f"A {purpose} file has at most {MAX_BYTES[purpose]:,} bytes.", 413)
    files = service.state.files.all()
    if purpose == "fine-tune":
        sizes = [file["bytes"] for file in files if file["purpose"] == "fine-tune"]
        if len(sizes) >= MAX_TUNING_FILES:
            raise quota_exceeded(f"A resource has at most {MAX_TUNING_FILES} fine-tune files.")
        if sum(sizes) + size > MAX_TUNING_BYTES:
            raise quota_exceeded("The fine-tune files of a resource have at most 1 GB in all.")
        return
    others = sum(file["purpose"] in ("batch", "batch_output") for file in files)
    if others >= (MAX_EXPIRING_BATCH_FILES if expires else MAX_BATCH_FILES):
        raise quota_exceeded(
            f"A resource has at most {MAX_BATCH_FILES} batch files, {MAX_EXPIRING_BATCH_FILES:,} where each expires."
        )


def form_of(request: Request) -> AbstractAsyncContextManager[FormData]:
    """Return a multipart form, to be entered; what is large lies on disk.

    Raises:
        ApiError: 415, it is none.

    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise ApiError(415, "unsupportedMediaType", "A file is uploaded as multipart/form-data.")
    return request.form(max_files=1, max_fields=10)


async def to_disk(service: Service, part: UploadFile) -> Path:
    """Write an uploaded part beside the blobs; return where."""

    def copy() -> Path:
        descriptor, name = tempfile.mkstemp(dir=service.state.blobs)
        with os.fdopen(descriptor, "wb") as out:
            shutil.copyfileobj(part.file, out, 2**20)
        return Path(name)

    return await asyncio.to_thread(copy)


def plain_name(filename: str | None) -> str:
    """Return the last part of a file's name; nothing of it is ever used as a path."""
    return (filename or "").replace("\\", "/").rpartition("/")[2] or "file"


async def upload(request: Request) -> Response:
    """Take a file over."""
    service = service_of(request)
    async with form_of(request) as form:
        content = form.get("file")
        if not isinstance(content, UploadFile):
            raise bad_request("The part 'file' is missing.")
        purpose = check_purpose(form.get("purpose"))
        expires_in = expiry(form.get("expires_after[seconds]"), form.get("expires_after[anchor]"))
        check_quota(service, purpose, content.size or 0, expires_in is not None)
        path = await to_disk(service, content)
        name = plain_name(content.filename)
        file = service.state.add_file(path, name, purpose, ready=False, expires_in=expires_in)
    return JSONResponse(public(file), 201, {"Location": location(request, file["id"])})


async def list_(request: Request) -> Response:
    """List files, newest first unless told."""
    service = service_of(request)
    after, limit = paging(request, 10_000, 10_000)
    purpose = request.query_params.get("purpose")
    files = [_settled(service, f) for f in service.state.files.all() if purpose in (None, f["purpose"])]
    order = request.query_params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise bad_request("order must be asc or desc.")
    if order == "asc":
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
    service.state.drop_file(file["id"])
    return JSONResponse({"id": file["id"], "object": "file", "deleted": True})


ROUTES = [
    operation("files.create", "POST", "/files", upload),
    operation("files.list", "GET", "/files", list_),
    operation("files.get", "GET", "/files/{id}", get),
    operation("files.delete", "DELETE", "/files/{id}", delete),
    operation("files.content", "GET", "/files/{id}/content", content),
]
