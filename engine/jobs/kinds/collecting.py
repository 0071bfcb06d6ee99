"""What ended batches have left: fetched until it is whole, stored, and charged."""

from __future__ import annotations

import asyncio
import time
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from engine.azure import batches
from engine.azure.batches import BatchStatus
from engine.azure.chat import ASSUMED_ANSWER
from engine.azure.connection import Azure
from engine.errors import JobError
from engine.jobs.kinds import outputs
from engine.jobs.kinds.asking import Asking
from engine.quantities import counted
from engine.states import Split
from engine.store.predictions import Prediction

CHUNK = 1000
TRANSIENT = ("key", "batch", "done", "tries", "since", "again")
"""Fields of a request file that the manifest does not keep."""


@dataclass
class File:
    """A request file. `attempt` counts its batches: one that found no room after all is made again."""

    name: str
    requests: int
    bytes: int
    tokens: int
    sha256: str = ""
    attempt: int = 1
    input_id: str = ""
    state: str = "open"
    """`open`, `over` (its batch has ended, and what came is stored), `split` (others replace it) or `unread` (its batch
    has ended, and its files could not be fetched whole; another attempt fetches them again)."""
    problem: str = ""
    lost: int = 0
    """Answers that were paid for and no longer exist on the service."""
    tries: int = field(default=0, compare=False)
    """Fetches of its batch's files that were not whole, the first of them at `since`; the next at `again`."""
    since: float = field(default=0.0, compare=False)
    again: float = field(default=0.0, compare=False)
    key: str = field(default="", compare=False)
    """Of the call that makes its batch, where its place in the manifest does not give it."""
    batch: str | None = field(default=None, compare=False)
    done: int = field(default=0, compare=False)


class Collector:
    """Fetches and stores the answers of one round's batches."""

    def __init__(self, asking: Asking, azure: Azure, folder: Path, wait: float) -> None:
        self._asking = asking
        self._context = asking.context
        self._azure = azure
        self._folder = folder
        self._wait = wait
        self.cut_short = False
        """Whether a batch ended before all of its requests were tried."""

    async def fetch(self, file: File, state: BatchStatus, *, last: bool = False) -> bool:
        """Fetch the files of an ended batch once, and store what they have; return whether the batch is settled.

        What is not whole is fetched again later: it is paid for. With `last` it is left as it is.
        """
        context = self._context
        requested = await asyncio.to_thread(outputs.requested, self._folder / file.name)
        found = await outputs.fetch(
            self._azure,
            state,
            self._folder,
            lambda name: name in requested if requested else self._image(name) is not None,
            tries=file.tries,
            say=context.say,
        )
        await asyncio.to_thread(self.store, found.paths, requested)
        self._charge(file, state, found)
        if not found.whole and not last:
            self._put_off(file, state, found)
            return False
        file.problem = ""
        if found.missing:
            if found.gone:
                file.lost = found.missing
            what = "no longer exist" if found.gone else "cannot be read" if found.problem else "are in neither file"
            problem = f"batch {state.id}: {found.missing:,} of {counted(found.promised, 'answer')} {what}"
            context.say(problem, "warning")
            if found.gone or found.problem:
                file.problem = problem
        if state.status != "completed":
            self.cut_short |= state.status != "failed"
            file.problem = f"a batch ended {state.status} {state.problem}".rstrip()
            context.say(f"batch {state.id} ended {state.status} {state.problem}".rstrip(), "warning")
        file.state = "over"
        return True

    def _charge(self, file: File, state: BatchStatus, found: outputs.Fetched) -> None:
        """Charge a batch by the tokens of its answers; what was answered and cannot be read is estimated."""
        prompt, completion, unread = (
            found.prompt_tokens,
            found.completion_tokens,
            max(0, state.completed - found.answered),
        )
        if unread:
            of = (prompt, completion) if found.answered else (file.tokens, ASSUMED_ANSWER * file.requests)
            count = found.answered or max(1, file.requests)
            prompt, completion = (n + round(unread * m / count) for n, m in zip((prompt, completion), of, strict=True))
        charge = self._asking.charge(f"batch:{state.id}", prompt, completion, batch=True, estimated=unread > 0)
        self._context.store.jobs.record(self._context.job.id, self._asking.contestant_id, charge)

    def _put_off(self, file: File, state: BatchStatus, found: outputs.Fetched) -> None:
        """Plan the next fetch of files that are not whole, or give up for this attempt at the job."""
        now, emulated = time.monotonic(), self._azure.endpoint.emulated
        patience = outputs.EMULATED_PATIENCE_SECONDS if emulated else outputs.PATIENCE_SECONDS
        if not file.tries:
            file.since = now
        problem = f"batch {state.id}: {found.problem}"
        if problem != file.problem:
            file.problem = problem
            self._context.say(f"{problem}; its files are fetched again", "warning")
        file.tries += 1
        longest = outputs.EMULATED_LONGEST_SECONDS if emulated else outputs.LONGEST_SECONDS
        file.again = now + min(self._wait * 2 ** (file.tries - 1), longest)
        if now - file.since > patience:
            file.state = "unread"

    @cached_property
    def _ids(self) -> array[int]:
        return self._context.store.datasets.ids(self._asking.dataset, Split.TEST)

    def _image(self, name: str) -> int | None:
        """Return the image of ours that a `custom_id` names."""
        number = name.removeprefix("image-")
        if not (number.isascii() and number.isdigit() and len(number) < 19) or name != f"image-{int(number)}":
            return None
        at = bisect_left(self._ids, int(number))
        return int(number) if at < len(self._ids) and self._ids[at] == int(number) else None

    def store(self, paths: list[Path], requested: frozenset[str] = frozenset()) -> None:
        """Store the answers to what was requested, a chunk in memory at a time; the store decides which line counts."""
        store, asking = self._context.store.predictions, self._asking
        chunk: list[Prediction] = []
        for answer in batches.read_output(paths):
            if self._image(answer.custom_id) is None or (requested and answer.custom_id not in requested):
                continue
            chunk.append(asking.prediction(answer))
            if len(chunk) == CHUNK:
                store.add(asking.contestant_id, chunk)
                chunk = []
        store.add(asking.contestant_id, chunk)


def raise_unread(files: Sequence[File]) -> None:
    """End an attempt that could not fetch the files of ended batches whole.

    Raises:
        JobError: there are such; another attempt fetches them again.

    """
    if unread := [file for file in files if file.state == "unread"]:
        raise JobError(
            f"{'; '.join(file.problem for file in unread)[:500]}. The answers are paid for.",
            "Resume the job to fetch them again, which costs nothing. To query these images again instead, which is"
            " paid again, cancel the job and resume it.",
        )


def raise_lost(files: Sequence[File]) -> None:
    """End a round whose answers have been lost on the service.

    Raises:
        JobError: there are such.

    """
    if lost := sum(file.lost for file in files):
        raise JobError(
            f"{counted(lost, 'answer')} that were paid for no longer exist on the service.",
            "Resume the job to query these images again, which is paid again.",
        )
