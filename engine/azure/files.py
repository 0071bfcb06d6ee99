"""Files on the service: uploaded once, found again by name, downloaded as a stream."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.azure.errors import translated
from engine.azure.patience import Say, patiently
from engine.errors import ServiceError, ServiceUnavailable

if TYPE_CHECKING:
    from engine.azure.connection import Azure

Purpose = Literal["batch", "fine-tune"]
EXPIRY_SECONDS = 14 * 86400
"""Batch files carry an expiry: without one a resource holds 500 of them, with one 10,000."""
UPLOAD_SECONDS = 3600.0


async def find(azure: Azure, filename: str, purpose: Purpose) -> str | None:
    """Return the id of the file of this name, if the service has one that is not deleted or broken."""
    page = await azure.client.files.list(purpose=purpose, limit=100)
    async for file in page:
        if file.filename == filename and file.status not in ("error", "deleted"):
            return file.id
    return None


async def ensure_uploaded(azure: Azure, path: Path, purpose: Purpose, filename: str, *, say: Say | None = None) -> str:
    """Upload a file under a name of its own, unless it is there already; return its id.

    The SDK's own retries are off: an upload whose answer was lost may have arrived, so one looks first.

    Raises:
        ServiceError: the service does not take the file.

    """

    async def attempt() -> str:
        found = await find(azure, filename, purpose)
        if found is not None:
            return found
        options: dict[str, Any] = {}
        if purpose == "batch":
            options["expires_after"] = {"seconds": EXPIRY_SECONDS, "anchor": "created_at"}
        with path.open("rb") as file:
            client = azure.client.with_options(max_retries=0, timeout=UPLOAD_SECONDS)
            uploaded = await client.files.create(file=(filename, file), purpose=purpose, **options)
        return uploaded.id

    return await patiently(attempt, say=say, place=azure.endpoint.endpoint)


async def wait_processed(azure: Azure, file_id: str, *, say: Say | None = None) -> None:
    """Wait until a file can be used.

    Raises:
        ServiceError: the service could not read it.

    """
    wait = 0.2 if azure.endpoint.emulated else 5.0
    while True:
        file = await patiently(lambda: azure.client.files.retrieve(file_id), say=say, place=azure.endpoint.endpoint)
        status: str = file.status
        if status == "processed":
            return
        if status in ("error", "deleted"):
            details = getattr(file, "status_details", None) or "no reason given"
            raise ServiceError(f"File {file.filename} is {status}: {details}.", "Correct the data, then resume.")
        await asyncio.sleep(wait)


async def download(azure: Azure, file_id: str, path: Path) -> None:
    """Stream a file's content to disk; the path appears only when it is whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with translated(azure.endpoint.endpoint):
        async with azure.client.files.with_streaming_response.content(file_id) as response:
            expected = response.headers.get("content-length")
            with partial.open("wb") as file:
                async for chunk in response.iter_bytes(1 << 16):
                    file.write(chunk)
    if expected is not None and "content-encoding" not in response.headers and partial.stat().st_size != int(expected):
        raise ServiceUnavailable(f"File {file_id}: the download broke off.", "It is tried again.")
    partial.replace(path)


async def delete(azure: Azure, file_id: str) -> None:
    """Delete a file; one that is gone already is fine."""
    try:
        with translated(azure.endpoint.endpoint):
            await azure.client.files.delete(file_id)
    except ServiceError as error:
        if error.status != 404:
            raise
