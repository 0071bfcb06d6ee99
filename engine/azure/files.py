"""Files on the service: uploaded once, found again by name, downloaded as a stream that resumes."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.azure.connection import CHECK_SECONDS
from engine.azure.errors import translated
from engine.azure.pages import distinct
from engine.azure.patience import Say, patiently
from engine.errors import ServiceError, ServiceUnavailable
from engine.quantities import agrees, counted

if TYPE_CHECKING:
    from engine.azure.connection import Azure

Purpose = Literal["batch", "fine-tune"]
EXPIRY_SECONDS = 14 * 86400
"""Batch files carry an expiry: without one a resource holds 500 of them, with one 10,000."""
UPLOAD_SECONDS = 600.0
"""Of silence: each part of the file has so long to be taken, and then the answer to come; the whole may take hours."""
UPLOAD_TRIES = 8
"""How often an upload may fail while the service answers other calls."""
PROCESSED_SECONDS = 3600.0
"""How long a file may be processed."""
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


async def find(azure: Azure, filename: str, purpose: Purpose) -> str | None:
    """Return the id of the file of this name, if the service has one that is not deleted or broken."""
    page = await azure.client.files.list(purpose=purpose, limit=100)
    async for file in distinct(page):
        if file.filename == filename and file.status not in ("error", "deleted"):
            return file.id
    return None


async def ensure_uploaded(
    azure: Azure, path: Path, purpose: Purpose, filename: str, *, look: bool = True, say: Say | None = None
) -> str:
    """Upload a file under a name of its own, unless it is there already; return its id.

    The SDK's own retries are off: an upload whose answer was lost may have arrived, so one looks first.

    Args:
        azure: the connection.
        path: the file.
        purpose: what it is for.
        filename: its name on the service, which nothing else has.
        look: whether an earlier attempt may have uploaded it. Looking lists all files of the resource.
        say: told of outages, and of a file that will not expire.

    Raises:
        ServiceError: the service does not take the file.

    """
    from openai import Timeout

    failures = 0

    async def attempt() -> str:
        nonlocal look, failures
        found = await find(azure, filename, purpose) if look else None
        if found is not None:
            return found
        looked, look = look, True
        options: dict[str, Any] = {}
        if purpose == "batch":
            options["expires_after"] = {"seconds": EXPIRY_SECONDS, "anchor": "created_at"}
        with path.open("rb") as file:
            patience = Timeout(UPLOAD_SECONDS, connect=min(CHECK_SECONDS, UPLOAD_SECONDS))
            client = azure.client.with_options(max_retries=0, timeout=patience)
            try:
                with translated(azure.endpoint.endpoint):
                    uploaded = await client.files.create(file=(filename, file), purpose=purpose, **options)
            except ServiceUnavailable as error:
                failures += looked and error.status != 429  # the list has just been answered: the service lives
                if failures < UPLOAD_TRIES:
                    raise
                raise ServiceError(
                    f"{filename} was not uploaded in {failures} tries: {error.message}",
                    "Check the network for large uploads, then resume the job.",
                    status=error.status,
                    code=error.code,
                ) from None
        if purpose == "batch" and getattr(uploaded, "expires_at", None) is None and say is not None:
            say(f"file {uploaded.id} was given no expiry; a resource holds 500 of those")
        return uploaded.id

    try:
        return await patiently(attempt, say=say, place=azure.endpoint.endpoint)
    except ServiceError as error:
        if error.code == "quotaExceeded" and error.status == 400:
            what = "500 batch files, 10,000 where each expires" if purpose == "batch" else "50 fine-tuning files, 1 GB"
            cure = f"A resource holds {what}: delete some that are no longer needed, then resume."
            raise ServiceError(error.message, cure, status=error.status, code=error.code) from None
        raise


async def wait_processed(azure: Azure, file_id: str, *, say: Say | None = None) -> None:
    """Wait until a file can be used.

    Raises:
        ServiceError: the service could not read it.

    """
    wait = 0.2 if azure.endpoint.emulated else 5.0
    until = time.monotonic() + PROCESSED_SECONDS
    while True:
        file = await patiently(lambda: azure.client.files.retrieve(file_id), say=say, place=azure.endpoint.endpoint)
        status: str = file.status
        if status == "processed":
            return
        if status in ("error", "deleted"):
            details = getattr(file, "status_details", None) or "no reason given"
            raise ServiceError(f"File {file.filename} is {status}: {details}.", "Correct the data, then resume.")
        if time.monotonic() > until:
            raise ServiceError(
                f"File {file.filename} is still {status} after {PROCESSED_SECONDS / 60:.0f} minutes.",
                "Resume the job later.",
            )
        await asyncio.sleep(wait)


async def size(azure: Azure, file_id: str, *, say: Say | None = None) -> int | None:
    """Return how many bytes a file has, as the service gives it; None where it gives none.

    Raises:
        ServiceError: 404 where there is no such file.

    """
    file = await patiently(lambda: azure.client.files.retrieve(file_id), say=say, place=azure.endpoint.endpoint)
    found = getattr(file, "bytes", None)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


async def download_whole(azure: Azure, file_id: str, path: Path) -> None:
    """Download a file; one that does not have the size that the service gives for it is not kept.

    Raises:
        ServiceUnavailable: it broke off, or something else was sent; the next call begins anew.

    """
    expected = await size(azure, file_id)
    await download(azure, file_id, path)
    if expected is not None:
        _refuse_other_size(file_id, path, expected)


def _refuse_other_size(file_id: str, path: Path, expected: int) -> None:
    found = path.stat().st_size
    if found != expected:
        path.unlink()
        raise ServiceUnavailable(
            f"File {file_id}: {counted(found, 'byte')} {agrees(found, 'was', 'were')} sent of its {expected:,}.",
            "It is downloaded again.",
        )


async def download(azure: Azure, file_id: str, path: Path) -> None:
    """Stream a file's content to disk; the path appears only when it is whole.

    What an earlier attempt, of this process or another, has got is kept, and the rest is asked for by a
    Range header. A service that ignores it sends everything again.

    Raises:
        ServiceUnavailable: the download broke off; the next call goes on from there.

    """
    partial = path.with_name(f".{path.name}.part")
    partial.touch(mode=0o600)
    have = partial.stat().st_size
    # Compressed, neither the range nor the length would be of the file's own bytes.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        with translated(azure.endpoint.endpoint):
            async with azure.client.files.with_streaming_response.content(file_id, extra_headers=headers) as response:
                start, total = _extent(response.status_code, response.headers)
                if start > have:
                    raise ServiceUnavailable(f"File {file_id}: the service sent another part.", "It is tried again.")
                with partial.open("r+b") as file:
                    file.truncate(start)
                    file.seek(start)
                    async for chunk in response.iter_bytes():
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())  # what was paid for is on disk before it counts as there
    except ServiceError as error:
        if error.status != 416:
            raise
        # There is nothing after what is there: it is whole already, or it is not this file's.
        expected = (await azure.client.files.retrieve(file_id)).bytes
        if have == expected:
            partial.replace(path)
            return
        partial.unlink()
        raise ServiceUnavailable(f"File {file_id}: the download begins anew.", "It is tried again.") from None
    size = partial.stat().st_size
    if total is not None and size < total:
        raise ServiceUnavailable(f"File {file_id}: the download broke off at byte {size:,}.", "It is tried again.")
    if total is not None and size > total:
        partial.unlink()
        raise ServiceUnavailable(f"File {file_id}: the download was too long.", "It is tried again.")
    partial.replace(path)


def _extent(status: int, headers: Any) -> tuple[int, int | None]:
    """Return where a response's bytes begin in the file, and how long the file is if that is told."""
    if status == 206:
        told = _RANGE.fullmatch(headers.get("content-range", ""))
        if told is None:
            raise ServiceUnavailable("The service does not say which part of the file it sends.", "It is tried again.")
        return int(told[1]), int(told[2])
    if status != 200:
        raise ServiceUnavailable(f"The service answers a download with status {status}.", "It is tried again.")
    length = headers.get("content-length", "")
    return 0, int(length) if length.isdigit() and "content-encoding" not in headers else None


async def delete(azure: Azure, file_id: str) -> None:
    """Delete a file; one that is gone already is fine."""
    try:
        with translated(azure.endpoint.endpoint):
            await azure.client.files.delete(file_id)
    except ServiceError as error:
        if error.status != 404:
            raise
