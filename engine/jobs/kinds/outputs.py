"""The output and error files of an ended batch: fetched again until they are whole, because they are paid for.

A download may be answered by something else (a captive portal, a proxy, another batch's file) or break off. What the
service promises in `request_counts`, and the size that it gives for each file, show whether a download is whole.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.azure import batches, files
from engine.azure.batches import BatchStatus
from engine.azure.connection import Azure
from engine.azure.patience import LIMIT_SECONDS, Say, patiently
from engine.errors import ServiceError
from engine.quantities import counted

PATIENCE_SECONDS = LIMIT_SECONDS
"""How long a batch's files are fetched again while they are not whole."""
EMULATED_PATIENCE_SECONDS = 60.0
LONGEST_SECONDS = 600.0
EMULATED_LONGEST_SECONDS = 3.0
SERVED_TRIES = 3
"""A file of the service's own size that lacks answers is accepted after so many downloads: the service has no more."""
OTHER_TRIES = 8
"""One with all answers but of another size than the service gives is accepted after so many."""
GONE_TRIES = 5
"""A file that the service does not know is given up after so many."""
_GONE = (404, 410)
_ID = re.compile(rb'\{\s*"custom_id"\s*:\s*"([^"\\]*)"')


@dataclass
class Fetched:
    """What one fetch of a batch's files has brought."""

    paths: list[Path] = field(default_factory=list)
    answers: int = 0
    """Requests of the batch that have a line."""
    answered: int = 0
    """Those of them that took tokens."""
    promised: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    problem: str = ""
    """Why it is not whole; empty where it is, or where the service has no more."""
    gone: bool = False
    """Whether a file with answers no longer exists on the service."""

    @property
    def whole(self) -> bool:
        """Whether there is nothing more to fetch."""
        return not self.problem

    @property
    def missing(self) -> int:
        """How many requests the service has counted, and returned no line for."""
        return max(0, self.promised - self.answers)


@dataclass
class _Part:
    path: Path
    size: int | None = None
    """In bytes, as the service gives it."""
    there: bool = True
    """Whether it was downloaded."""
    gone: bool = False

    @property
    def fits(self) -> bool | None:
        """Whether the download has the size that the service gives; None where it gives none."""
        if not self.there or self.size is None:
            return None
        return self.path.stat().st_size == self.size

    def is_kept(self, tries: int) -> bool:
        """Whether an earlier download can be used; one that was not whole is removed."""
        if not self.path.exists():
            return False
        if tries or self.fits is False:
            self.path.unlink()
            return False
        return True


def requested(path: Path) -> frozenset[str]:
    """Return the `custom_id` of each request of a file; empty where the file is gone."""
    if not path.exists():
        return frozenset()
    with path.open("rb") as file:
        return frozenset(found[1].decode() for line in file if (found := _ID.match(line)))


async def fetch(
    azure: Azure, state: BatchStatus, folder: Path, expected: Callable[[str], bool], *, tries: int, say: Say
) -> Fetched:
    """Download the files of an ended batch, and compare them with what the service promises.

    Args:
        azure: the connection.
        state: of the batch.
        folder: for the files.
        expected: whether a `custom_id` is one of the batch's requests.
        tries: how many fetches of this batch were not whole before.
        say: is called with each outage.

    Raises:
        ServiceError: the service refuses it.

    """
    parts = []
    for name, file_id in (("output", state.output_file_id), ("errors", state.error_file_id)):
        if file_id is not None:
            parts.append(await _part(azure, file_id, folder / f"{name}-{state.id}.jsonl", tries, say))
    found = Fetched([part.path for part in parts if part.there], promised=state.completed + state.failed)
    junk = await asyncio.to_thread(_scan, found, expected)
    fits = [part.fits for part in parts if part.there]
    if any(not part.there for part in parts):
        found.gone = all(part.there or part.gone for part in parts)
        final = found.gone and tries + 1 >= GONE_TRIES
        found.problem = "" if final else "the service does not find one of its files"
    elif state.completed and state.output_file_id is None:
        found.problem = "the service names no output file"
    elif (
        (not junk and not found.missing and False not in fits)
        or (fits and all(fits) and tries + 1 >= SERVED_TRIES)
        or (not junk and not found.missing and tries + 1 >= OTHER_TRIES)
    ):
        pass
    elif found.missing or junk:
        found.problem = f"{found.answers:,} of {counted(found.promised, 'answer')} can be read"
    else:
        found.problem = "the size of the download is not the file's"
    return found


async def _part(azure: Azure, file_id: str, path: Path, tries: int, say: Say) -> _Part:
    part = _Part(path)
    try:
        part.size = await files.size(azure, file_id, say=say)
    except ServiceError as error:
        if error.status not in _GONE:
            raise
        part.gone = True
    if not part.is_kept(tries):
        try:
            await patiently(lambda: files.download(azure, file_id, path), say=say, place=azure.endpoint.endpoint)
        except ServiceError as error:
            if error.status not in _GONE:
                raise
            part.there = False
    return part


def _scan(found: Fetched, expected: Callable[[str], bool]) -> int:
    """Count answers and tokens of what was downloaded; return how many lines cannot be read."""
    tokens: dict[str, tuple[int, int]] = {}
    junk = 0
    for line in batches.read_lines(found.paths):
        if line is None:
            junk += 1
        elif expected(line.custom_id):
            used = (line.prompt_tokens, line.completion_tokens)
            tokens[line.custom_id] = max(tokens.get(line.custom_id, (0, 0)), used)
    found.answers = len(tokens)
    found.answered = sum(any(used) for used in tokens.values())
    found.prompt_tokens = sum(used[0] for used in tokens.values())
    found.completion_tokens = sum(used[1] for used in tokens.values())
    return junk
