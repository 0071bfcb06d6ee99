"""What can be found out of a resource for nothing: what answers, who is let in, what may be done, what has room."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from engine.azure.connection import CHECK_SECONDS
from engine.azure.errors import translated
from engine.azure.pages import distinct
from engine.errors import DogclsError, ServiceError

if TYPE_CHECKING:
    from engine.azure.connection import Azure

WRITE_DEPLOYMENTS = "Microsoft.CognitiveServices/accounts/deployments/write"
FINE_TUNE = "Microsoft.CognitiveServices/accounts/OpenAI/fine-tunes/write"


@dataclass(frozen=True)
class Reached:
    """What the first answer told: how long it took, and by how much our clock is ahead of the service's."""

    milliseconds: float
    ahead_seconds: float | None


@dataclass(frozen=True)
class Capacity:
    """A deployment as ARM tells it."""

    name: str
    model: str
    sku: str
    capacity: int
    state: str


async def reach(azure: Azure) -> Reached:
    """Make one call that costs nothing; raises SignInError, ServiceError as every call does."""
    client = azure.client.with_options(max_retries=0, timeout=CHECK_SECONDS)
    started = time.perf_counter()
    with translated(azure.endpoint.endpoint):
        raw = await client.files.with_raw_response.list(limit=1)
    took = (time.perf_counter() - started) * 1000
    told = raw.headers.get("date")
    try:
        ahead = None if told is None else time.time() - email.utils.parsedate_to_datetime(told).timestamp()
    except (TypeError, ValueError):  # no date
        ahead = None
    return Reached(took, ahead)


async def capacities(azure: Azure) -> list[Capacity]:
    """Return all deployments of the account with their SKUs."""
    place = azure.endpoint
    arm = await azure.arm()
    found = []
    with translated(place.arm_endpoint):
        async for d in distinct(
            arm.deployments.list(str(place.resource_group), str(place.account), **azure.arm_options)
        ):
            model = d.properties.model if d.properties else None
            state = str(d.properties.provisioning_state) if d.properties else ""
            sku, capacity = (d.sku.name, d.sku.capacity) if d.sku else ("", 0)
            name = f"{model.name}" if model else ""
            found.append(Capacity(str(d.name), name, str(sku), int(capacity or 0), state.rsplit(".", 1)[-1].title()))
    return found


async def is_batch(azure: Azure, deployment: str) -> bool | None:
    """Tell whether a deployment is for batches; None where there is none of this name.

    One for batches says that it takes no real-time calls before it says anything of the request.
    """
    client = azure.client.with_options(max_retries=0, timeout=CHECK_SECONDS)
    try:
        with translated(azure.endpoint.endpoint):
            await client.chat.completions.create(model=deployment, messages=[])
    except ServiceError as error:
        if error.status == 404:
            return None
        if error.status != 400:
            raise
        return error.code == "OperationNotSupported"
    return False


async def permissions(azure: Azure) -> Permissions | None:
    """Return what may be done on the account; None where the control plane does not tell."""
    import httpx2

    from engine.azure import http

    place = azure.endpoint
    path = (
        f"/subscriptions/{place.subscription}/resourceGroups/{place.resource_group}"
        f"/providers/Microsoft.CognitiveServices/accounts/{place.account}"
        "/providers/Microsoft.Authorization/permissions"
    )
    try:
        with translated(place.arm_endpoint):
            credential = await azure.arm_credential()
            token = await credential.get_token(azure.arm_scope)
            headers = {"Authorization": f"Bearer {token.token}"}
            async with http.client(place.arm_endpoint, CHECK_SECONDS) as client:
                url = place.arm_endpoint.rstrip("/") + path
                answer = await client.get(url, params={"api-version": "2022-04-01"}, headers=headers)
        body = answer.json() if answer.status_code == httpx2.codes.OK else {}
    except (DogclsError, ValueError):
        return None
    rows = body.get("value") if isinstance(body, dict) else None
    return Permissions(rows) if isinstance(rows, list) else None


class Permissions:
    """Azure's lists of what is allowed and what is taken from it again, with * for anything."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self._rows = [row for row in rows if isinstance(row, dict)]

    def allow(self, action: str, *, data: bool = False) -> bool:
        """Tell whether an action (of the data plane, with `data`) is allowed."""
        yes, no = ("dataActions", "notDataActions") if data else ("actions", "notActions")
        return any(_any(row, yes, action) and not _any(row, no, action) for row in self._rows)


def _any(row: dict[str, Any], name: str, action: str) -> bool:
    patterns: Iterator[str] = (str(pattern).lower() for pattern in row.get(name) or ())
    return any(fnmatchcase(action.lower(), pattern) for pattern in patterns)


@dataclass(frozen=True)
class Room:
    """How much of the resource's quotas of files and jobs is used."""

    tuning_files: int
    tuning_bytes: int
    batch_files: int
    tuning_jobs: int


async def room(azure: Azure) -> Room:
    """Count files and fine-tuning jobs; raises as every call does."""
    tuning_files = tuning_bytes = batch_files = tuning_jobs = 0
    with translated(azure.endpoint.endpoint):
        async for file in distinct(await azure.client.files.list(limit=1000)):
            if file.purpose == "fine-tune":
                tuning_files += 1
                tuning_bytes += file.bytes or 0
            elif file.purpose in ("batch", "batch_output"):
                batch_files += 1
        async for _ in distinct(await azure.client.fine_tuning.jobs.list(limit=100)):
            tuning_jobs += 1
    return Room(tuning_files, tuning_bytes, batch_files, tuning_jobs)
