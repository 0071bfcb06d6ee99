"""Batches: created exactly once, found again by their metadata, read line by line in any order."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.azure import quota as quotas
from engine.azure.answers import Answer, from_completion, from_error
from engine.azure.errors import Limited, translated
from engine.azure.files import EXPIRY_SECONDS
from engine.azure.pages import distinct
from engine.azure.patience import FIRST_SECONDS, LONGEST_SECONDS, Say, admitted, patiently
from engine.errors import DogclsError, ServiceError, ServiceUnavailable

if TYPE_CHECKING:
    from engine.azure.connection import Azure

INTENT = "dogcls_intent"
TERMINAL = frozenset({"completed", "failed", "expired", "cancelled", "canceled"})
QUOTA_CODE = "token_limit_exceeded"
SHOW_SECONDS = 5.0
"""How long a batch may take to show in the list, once it is there."""
CREATE_TRIES = 8
"""How often creating may fail while the service answers other calls."""
LIST_FROM = 5
"""From so many batches on, a page of the list says more than a call for each."""
_LIMIT = re.compile(r"configured limit of ([\d.,]*\d)\s*([KMB]?)", re.IGNORECASE)
_SCALE = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}


class QuotaFull(ServiceError):
    """The deployment has no room for a batch. `limit` is its quota in tokens, where the service says it."""

    def __init__(self, message: str, limit: int | None) -> None:
        super().__init__(message, "Wait for other batches to end, or raise the quota.", status=400, code=QUOTA_CODE)
        self.limit = limit


@dataclass(frozen=True)
class BatchStatus:
    """A batch, read leniently: unknown states, missing counts and empty ids are all taken."""

    id: str
    status: str
    total: int
    completed: int
    failed: int
    output_file_id: str | None
    error_file_id: str | None
    problem: str
    quota_full: bool = False
    """It failed in validation because its deployment had no room; it may be made again."""
    limit: int | None = None
    """The deployment's quota of enqueued tokens, where the answer told it."""

    @property
    def terminal(self) -> bool:
        """Whether it has ended, whichever way."""
        return self.status in TERMINAL


def parse(batch: Any) -> BatchStatus:
    """Read a batch object."""
    counts = batch.request_counts
    told = (batch.errors.data or []) if batch.errors else []
    problems = [f"{e.code or ''} {e.message or ''}".strip() for e in told]
    return BatchStatus(
        id=batch.id,
        status=str(batch.status).lower(),
        total=(counts and counts.total) or 0,
        completed=(counts and counts.completed) or 0,
        failed=(counts and counts.failed) or 0,
        output_file_id=batch.output_file_id or None,
        error_file_id=batch.error_file_id or None,
        problem="; ".join(problems)[:500],
        quota_full=str(batch.status).lower() == "failed" and any(e.code == QUOTA_CODE for e in told),
        limit=limit_in("; ".join(problems)),
    )


def limit_in(message: str) -> int | None:
    """Return the quota that a refusal names ("… the configured limit of 30K for the deployment …")."""
    found = _LIMIT.search(message)
    if found is None:
        return None
    return round(float(found[1].replace(",", "")) * _SCALE[found[2].upper()])


async def get(azure: Azure, batch_id: str) -> BatchStatus:
    """Return a batch as it stands."""
    with translated(azure.endpoint.endpoint):
        return parse(await azure.client.batches.retrieve(batch_id))


async def states(azure: Azure, ids: Sequence[str]) -> list[BatchStatus]:
    """Return batches as they stand, in the order asked for."""
    found: dict[str, BatchStatus] = {}
    if len(ids) >= LIST_FROM:
        wanted = set(ids)
        with translated(azure.endpoint.endpoint):
            async for batch in distinct(await azure.client.batches.list(limit=100)):
                if batch.id in wanted:
                    found[batch.id] = parse(batch)
                    if len(found) == len(wanted):
                        break
    return [found.get(batch_id) or await get(azure, batch_id) for batch_id in ids]


async def quota(azure: Azure, deployment: str) -> int | None:
    """Return a deployment's quota of enqueued tokens as the control plane has it; None where nobody says."""
    try:
        found = await quotas.of(azure, deployment)
    except DogclsError:  # not configured, no role there, or no such deployment: the data plane will tell
        return None
    return found.capacity * quotas.TOKENS_A_CAPACITY or None


async def cancel(azure: Azure, batch_id: str) -> None:
    """Ask for a batch to be cancelled; it takes up to ten minutes, and what was done is kept and billed."""
    try:
        with translated(azure.endpoint.endpoint):
            await azure.client.with_options(max_retries=0).batches.cancel(batch_id)
    except ServiceUnavailable as error:
        if error.status != 409:  # a conflict: it is about to end, or has ended
            raise


async def if_there(azure: Azure, batch_id: str, *, say: Say | None = None) -> BatchStatus | None:
    """Return a batch; None where the service has it no longer. Outages are waited out."""
    try:
        return await patiently(lambda: get(azure, batch_id), say=say, place=azure.endpoint.endpoint)
    except ServiceError as error:
        if error.status != 404:
            raise
        return None


async def wait_ended(azure: Azure, batch_id: str, seconds: float, *, say: Say | None = None) -> BatchStatus | None:
    """Return a batch once it has ended, polled every so many seconds; None where the service has it no longer."""
    while True:
        state = await if_there(azure, batch_id, say=say)
        if state is None or state.terminal:
            return state
        await asyncio.sleep(seconds)


async def find(azure: Azure, intent: str) -> BatchStatus | None:
    """Return the batch that was created with this intent, if there is one."""
    page = await azure.client.batches.list(limit=100)
    async for batch in distinct(page):
        if (batch.metadata or {}).get(INTENT) == intent:
            return parse(batch)
    return None


async def create(azure: Azure, file_id: str, intent: str) -> BatchStatus:
    """Create a batch, without any retry. Costs money.

    Raises:
        QuotaFull: nothing was created.

    """
    client = azure.client.with_options(max_retries=0)
    try:
        with translated(azure.endpoint.endpoint):
            raw = await client.batches.with_raw_response.create(
                input_file_id=file_id,
                endpoint="/chat/completions",  # type: ignore[arg-type]  # Azure's spelling; openai's is /v1/…
                completion_window="24h",
                metadata={INTENT: intent},
                output_expires_after={"seconds": EXPIRY_SECONDS, "anchor": "created_at"},
            )
            made = raw.parse()
            if not getattr(made, "id", None):  # a page of a proxy or portal: the batch may have been created
                raise ServiceUnavailable("The answer to creating a batch is no batch.", "It is looked for.")
            batch = parse(made)
    except ServiceError as error:
        if error.code == QUOTA_CODE:
            raise QuotaFull(error.message, limit_in(error.message)) from None
        raise
    limit = raw.headers.get("deployment-maximum-enqueued-tokens", "")
    return replace(batch, limit=int(limit) or None) if limit.isdigit() else batch


async def ensure_created(
    azure: Azure, file_id: str, intent: str, *, find_first: bool, say: Say | None = None
) -> BatchStatus:
    """Create a batch exactly once.

    Args:
        azure: the connection.
        file_id: the input.
        intent: unique to this batch; it is found again by it.
        find_first: whether an earlier attempt may have created it.
        say: told of outages.

    Raises:
        QuotaFull: there is no room for it, and it was not created.
        ServiceError: the service refuses it.

    """
    look, delay, failures = find_first, FIRST_SECONDS, 0
    while True:
        if look:
            found = await patiently(lambda: find(azure, intent), say=say, place=azure.endpoint.endpoint)
            if found is not None:
                return found
        try:
            return await admitted(lambda: create(azure, file_id, intent), say=say, place=azure.endpoint.endpoint)
        except ServiceUnavailable as error:
            # It may have been created although no answer came.
            failures += look and error.status != 429  # the list has just been answered: the service lives
            if failures >= CREATE_TRIES:
                raise ServiceError(
                    f"The batch was not created in {failures} tries: {error.message}",
                    "Resume the job: a batch that was created all the same is found.",
                    status=error.status,
                    code=error.code,
                ) from None
            look = True
            if say is not None:
                say(f"waiting: {error.message}")
            wait = error.retry_after if isinstance(error, Limited) and error.retry_after is not None else delay
            shown = 0.0 if azure.endpoint.emulated else SHOW_SECONDS
            await asyncio.sleep(max(shown, wait * random.uniform(1.0, 1.25)))
            delay = min(delay * 2, LONGEST_SECONDS)


def read_output(paths: Iterable[Path]) -> Iterator[Answer]:
    """Read output and error files, one line in memory at a time.

    Lines stand in any order and in either file, and one id may stand in several: the store lets an answer
    replace a failure and nothing replace an answer. A line that is no JSON is passed over.
    """
    return (answer for answer in read_lines(paths) if answer is not None)


def read_lines(paths: Iterable[Path]) -> Iterator[Answer | None]:
    """Read files likewise, and yield None for each line that is no answer; empty lines are passed over."""
    for path in paths:
        with path.open("rb") as file:
            for raw in file:
                if raw.strip():
                    yield _read_line(raw)


def _read_line(raw: bytes) -> Answer | None:
    try:
        line = json.loads(raw)
        custom_id = line["custom_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(custom_id, str):
        return None
    response = line.get("response")
    if isinstance(response, dict):
        body, status, request = response.get("body"), response.get("status_code"), response.get("request_id")
        if status == 200 and isinstance(body, dict):
            try:
                return from_completion(custom_id, body, request_id=request)
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                usage = body.get("usage")
                used = (
                    [usage.get(f"{part}_tokens") for part in ("prompt", "completion")]
                    if isinstance(usage, dict)
                    else []
                )
                prompt, completion = [count if isinstance(count, int) else 0 for count in used] or [0, 0]
                failed = from_error(custom_id, status, "the answer is no chat completion", request)
                return replace(failed, prompt_tokens=prompt, completion_tokens=completion)
        return from_error(custom_id, status, body, request)
    return from_error(custom_id, None, line.get("error"))
