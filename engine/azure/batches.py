"""Batches: created exactly once, found again by their metadata, read line by line in any order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.azure.answers import Answer, from_completion, from_error
from engine.azure.errors import translated
from engine.azure.patience import Say, patiently
from engine.errors import ServiceError, ServiceUnavailable

if TYPE_CHECKING:
    from engine.azure.connection import Azure

INTENT = "dogcls_intent"
TERMINAL = frozenset({"completed", "failed", "expired", "cancelled", "canceled"})
QUOTA_FIRST_SECONDS = 5.0
QUOTA_TRIES = 10


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

    @property
    def terminal(self) -> bool:
        """Whether it has ended, whichever way."""
        return self.status in TERMINAL


def parse(batch: Any) -> BatchStatus:
    """Read a batch object."""
    counts = batch.request_counts
    problems = [f"{e.code or ''} {e.message or ''}".strip() for e in (batch.errors.data or [])] if batch.errors else []
    return BatchStatus(
        id=batch.id,
        status=str(batch.status).lower(),
        total=(counts and counts.total) or 0,
        completed=(counts and counts.completed) or 0,
        failed=(counts and counts.failed) or 0,
        output_file_id=batch.output_file_id or None,
        error_file_id=batch.error_file_id or None,
        problem="; ".join(problems)[:500],
    )


async def get(azure: Azure, batch_id: str) -> BatchStatus:
    """Return a batch as it stands."""
    with translated(azure.endpoint.endpoint):
        return parse(await azure.client.batches.retrieve(batch_id))


async def cancel(azure: Azure, batch_id: str) -> None:
    """Ask for a batch to be cancelled; it takes up to ten minutes, and what was done is kept and billed."""
    with translated(azure.endpoint.endpoint):
        await azure.client.batches.cancel(batch_id)


async def find(azure: Azure, intent: str) -> BatchStatus | None:
    """Return the batch that was created with this intent, if there is one."""
    page = await azure.client.batches.list(limit=100)
    async for batch in page:
        if (batch.metadata or {}).get(INTENT) == intent:
            return parse(batch)
    return None


async def create(azure: Azure, file_id: str, intent: str) -> BatchStatus:
    """Create a batch, without any retry. Costs money."""
    client = azure.client.with_options(max_retries=0)
    with translated(azure.endpoint.endpoint):
        batch = await client.batches.create(
            input_file_id=file_id,
            endpoint="/chat/completions",  # type: ignore[arg-type]  # Azure's spelling; openai's is /v1/…
            completion_window="24h",
            metadata={INTENT: intent},
        )
    return parse(batch)


async def ensure_created(
    azure: Azure, file_id: str, intent: str, *, find_first: bool, say: Say | None = None
) -> BatchStatus:
    """Create a batch exactly once.

    Args:
        file_id: the input.
        intent: unique to this batch; it is found again by it.
        find_first: whether an earlier attempt may have created it.
        say: told of outages and of quota.

    Raises:
        ServiceError: the service refuses it, or its quota stayed full for too long.

    """
    quota_wait, quota_tries = QUOTA_FIRST_SECONDS, 0
    look = find_first
    while True:
        if look:
            found = await patiently(lambda: find(azure, intent), say=say, place=azure.endpoint.endpoint)
            if found is not None:
                return found
        try:
            return await create(azure, file_id, intent)
        except ServiceUnavailable as error:
            # It may have been created although no answer came.
            look = True
            if say is not None:
                say(f"waiting: {error.message}")
            await asyncio.sleep(1.0)
        except ServiceError as error:
            quota_tries += 1
            if error.code != "token_limit_exceeded" or quota_tries > QUOTA_TRIES:
                raise
            if say is not None:
                say(f"the quota of enqueued tokens is full; next try in {quota_wait:.0f} s")
            await asyncio.sleep(quota_wait)
            quota_wait *= 2


def read_output(paths: Sequence[Path], ids: set[str]) -> Iterator[Answer]:
    """Read output and error files, one line in memory at a time.

    Lines stand in any order and in either file; a line that is no JSON, or names an unknown id, is
    passed over. Each id is answered at most once, by its first answered line; one that only failed,
    by its first failure, at the end. What is not yielded is missing.
    """
    answered: set[str] = set()
    failures: dict[str, Answer] = {}
    for path in paths:
        with path.open("rb") as file:
            for raw in file:
                answer = _read_line(raw)
                if answer is None or answer.custom_id not in ids or answer.custom_id in answered:
                    continue
                if answer.error is not None and not answer.filtered:
                    failures.setdefault(answer.custom_id, answer)
                    continue
                answered.add(answer.custom_id)
                yield answer
    for custom_id, answer in failures.items():
        if custom_id not in answered:
            yield answer


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
            return from_completion(custom_id, body, request_id=request)
        return from_error(custom_id, status, body, request)
    return from_error(custom_id, None, line.get("error"))
