"""One round of a batch job: request files, the batches that are made of them, and what came back.

The round's folder holds the request files and a manifest. The store holds the intent of each batch and, once
the service has answered, its id; a round that was cut off anywhere goes on from these two.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.azure import batches, files
from engine.azure.batches import BatchStatus, QuotaFull
from engine.azure.connection import Azure
from engine.azure.patience import patiently
from engine.azure.prices import estimate_text_tokens, tokens_of_image
from engine.datasets.jsonl import Item, Shard, retarget, split_shard, write_batch_shards
from engine.errors import JobError, ServiceError
from engine.jobs.identity import sha256_of
from engine.jobs.kinds.asking import Asking, custom_id
from engine.jobs.kinds.collecting import Collector, File, raise_lost, raise_unread
from engine.jobs.kinds.kept import kept_files, own_manifest, write_manifest
from engine.quantities import counted
from engine.states import Split
from engine.store.files import write_atomic

POLL_SECONDS = 60.0
EMULATED_POLL_SECONDS = 0.3
QUOTA_FIRST_SECONDS = 5.0
QUOTA_TRIES = 10
ASK_QUOTA_FROM = 1_000_000
"""Rounds of fewer tokens do not ask the control plane for the quota: the first batch tells it for nothing."""
CANCEL_TRIES = 4
"""How often the files of a cancelled batch are fetched; what cannot be read then stays on the service."""


class Round:
    """Brings all requests of one round to their end, whatever end it is."""

    def __init__(self, asking: Asking, azure: Azure, folder: Path) -> None:
        self._asking = asking
        self._context = asking.context
        self._azure = azure
        self._folder = folder
        self._files: list[File] = []
        self._limit: int | None = None
        self._deployment = str(asking.context.job.parameters["deployment"])
        """The deployment that the files name."""
        self._tries = 0
        self._closed_until = 0.0
        self._poll_at = 0.0
        self._said: dict[str, str] = {}
        self.requests = 0
        """How many were written: none where no image could be read."""
        emulated = azure.endpoint.emulated
        self._wait = EMULATED_POLL_SECONDS if emulated else POLL_SECONDS
        self._first_wait = EMULATED_POLL_SECONDS / 8 if emulated else QUOTA_FIRST_SECONDS
        self._collector = Collector(asking, azure, folder, self._wait)

    @property
    def cut_short(self) -> bool:
        """Whether a batch ended before all of its requests were tried: asking again may well help."""
        return self._collector.cut_short

    async def finish(self) -> None:
        """Write the files, submit them as quota allows, and store what comes back, until all have ended."""
        await self._prepare()
        while self._open():
            await self._submit()
            if time.monotonic() >= self._poll_at:
                self._poll_at = time.monotonic() + self._wait * random.uniform(1.0, 1.25)
                await self._poll()
            self._tell()
            if self._open():
                await self._context.sleep(self._pause())
        raise_unread(self._files)
        self._end("")
        raise_lost(self._files)

    async def cancel(self) -> None:
        """Cancel each batch of the job that has not ended, and keep what it answered: that was paid for.

        The store's calls decide what there is: a batch ends here although its request file is gone.
        """
        context = self._context
        context.say("cancelling on the service; requests already answered are kept")
        if (kept := own_manifest(context, self._folder)) is not None:
            self._take(kept)
        calls = context.store.jobs.open_calls(context.job.id, "batch")
        if None in calls.values():  # a call was cut off: its batch may be there
            await asyncio.sleep(min(self._wait, batches.SHOW_SECONDS))
        known = {self._key(file): file for file in self._open()}
        made = []
        for key, batch_id in calls.items():
            file = known.get(key) or File(f"{key}.jsonl", 0, 0, 0)
            file.key, file.batch = key, batch_id
            if await self._request_end(file):
                made.append(file)
        for file in made:
            state = await batches.wait_ended(self._azure, str(file.batch), self._wait, say=context.say)
            if state is None:
                context.say(f"batch {file.batch} is gone from the service", "warning")
                context.store.jobs.ended(context.job.id, "batch", self._key(file))
            else:
                await self._collect(file, state)
        unsent = self._open()  # perhaps uploaded, and without a batch
        self._end("cancelled")  # first: a round that is not over needs its request files
        for file in unsent:
            await self._drop(file)

    async def _request_end(self, file: File) -> bool:
        """Cancel a file's batch unless it has ended; return whether there is one."""
        context = self._context
        if file.batch is None:
            intent = f"{context.job.nonce}-{self._key(file)}"
            found = await patiently(lambda: batches.find(self._azure, intent), say=context.say)
            if found is None:
                context.store.jobs.ended(context.job.id, "batch", self._key(file))
                return False
            self._made(file, found)
        state = await batches.if_there(self._azure, str(file.batch), say=context.say)
        if state is not None and not state.terminal:
            await patiently(lambda: batches.cancel(self._azure, str(file.batch)), say=context.say)
            context.say(f"batch {file.batch}: cancel sent to the service")
        return True

    def _end(self, how: str) -> None:
        problems = dict.fromkeys(file.problem for file in self._files if file.problem)
        error = "; ".join(problems)[:500] or (how and f"the job was {how}") or "the service returned no line for it"
        asking = self._asking
        self._context.store.predictions.add_missing(asking.contestant_id, asking.dataset, Split.TEST, error)
        write_atomic(self._folder / "over", how)

    # -- files

    def _open(self) -> list[File]:
        return [file for file in self._files if file.state == "open"]

    def _running(self) -> list[File]:
        return [file for file in self._open() if file.batch is not None]

    def _key(self, file: File) -> str:
        if file.key:
            return file.key
        key = f"{self._folder.name}-{self._files.index(file)}"
        return key if file.attempt == 1 else f"{key}-{file.attempt}"

    async def _prepare(self) -> None:
        intents = self._context.store.jobs.intents(self._context.job.id, "batch")
        kept = await asyncio.to_thread(kept_files, self._context, self._folder, intents)
        if kept is not None:
            self._take(kept)
        else:
            self._limit = await self._quota()
            shards = await asyncio.to_thread(self._write)
            self._files = [File(s.path.name, s.requests, s.bytes, s.tokens, s.sha256) for s in shards]
            many, size = counted(sum(s.requests for s in shards), "request"), sum(s.bytes for s in shards)
            self._context.say(f"wrote {many} in {counted(len(shards), 'file')}, {size / 1e6:.1f} MB")
            self._save()
        for file in self._open():
            file.batch = intents.get(self._key(file))
        await self._retarget()
        self.requests = sum(file.requests for file in self._files)

    async def _retarget(self) -> None:
        """Rewrite files that were written for another deployment, before the job's was corrected, and have no batch."""
        deployment = str(self._context.job.parameters["deployment"])
        if self._deployment == deployment:
            return
        say = self._context.say
        intents = self._context.store.jobs.intents(self._context.job.id, "batch")
        if any(self._key(file) in intents for file in self._waiting()):  # a call was cut off: its batch may be there
            await asyncio.sleep(min(self._wait, batches.SHOW_SECONDS))
        for file in self._waiting():
            if self._key(file) in intents:
                intent = f"{self._context.job.nonce}-{self._key(file)}"
                made = await patiently(lambda i=intent: batches.find(self._azure, i), say=say)  # type: ignore[misc]
                if made is not None:
                    self._made(file, made)
                    continue
            name = self._name(file)
            sent = await patiently(lambda n=name: files.find(self._azure, n, "batch"), say=say)  # type: ignore[misc]
            if sent is not None:
                await patiently(lambda f=sent: files.delete(self._azure, f), say=say)  # type: ignore[misc]
            file.input_id = ""
            file.bytes = await asyncio.to_thread(retarget, self._folder / file.name, deployment)
            file.sha256 = await asyncio.to_thread(sha256_of, self._folder / file.name)
            say(f"{file.name} now names deployment {deployment}")
        self._deployment = deployment
        self._save()

    def _name(self, file: File) -> str:
        """Return the name of a request file on the service."""
        return f"dogcls-{self._context.job.nonce}-{self._folder.name}-{self._files.index(file)}.jsonl"

    def _take(self, kept: Mapping[str, Any]) -> None:
        self._limit = kept["limit"]
        self._deployment = kept.get("deployment", self._deployment)
        self._files = [File(**value) for value in kept["files"]]
        for file in self._files:
            if file.state == "unread":
                file.state = "open"

    def _save(self) -> None:
        write_manifest(self._context, self._folder, self._limit, self._deployment, self._files)

    async def _quota(self) -> int | None:
        parameters = self._context.job.parameters
        most = self._text_tokens + tokens_of_image(2048, 4096, parameters["detail"], parameters["model"])
        if self._asking.left() * most < ASK_QUOTA_FROM:
            return None
        return await batches.quota(self._azure, parameters["deployment"])

    @cached_property
    def _text_tokens(self) -> int:
        return estimate_text_tokens(self._asking.prompt.text(self._asking.labels))

    def _items(self) -> Iterator[Item]:
        parameters = self._context.job.parameters
        for image in self._asking.remaining():
            self._context.check()
            picture = tokens_of_image(image.width, image.height, parameters["detail"], parameters["model"])
            yield custom_id(image), image, self._text_tokens + picture

    def _write(self) -> list[Shard]:
        asking = self._asking
        model = self._context.job.parameters["deployment"]
        whom = (asking.prompt, asking.labels, model, self._folder, "requests")
        return write_batch_shards(self._items(), *whom, max_tokens=self._limit, failed=asking.leave_out)

    async def _split(self, file: File, parts: int) -> None:
        """Let several smaller files stand for one that the quota has no room for."""
        if file.requests == 1:
            raise JobError(
                f"One request takes about {counted(file.tokens, 'token')}; the deployment's quota of enqueued tokens"
                f" has no room for it ({'unknown' if self._limit is None else f'{self._limit:,}'}).",
                "Raise the batch deployment's quota, or wait for other batches on it to end; then resume.",
            )
        parts = min(max(parts, 2), file.requests)
        whole = Shard(self._folder / file.name, file.requests, file.bytes, "", file.tokens)
        pieces = await asyncio.to_thread(split_shard, whole, parts)
        self._files += [File(s.path.name, s.requests, s.bytes, s.tokens, s.sha256) for s in pieces]
        file.state = "split"
        self._closed_until = 0.0
        self._save()
        await self._drop(file)
        self._context.say(f"{file.name} is over the quota of enqueued tokens; split in {parts}")

    async def _drop(self, file: File) -> None:
        """Remove a request file that is needed no more, here and on the service, where files are counted."""
        (self._folder / file.name).unlink(missing_ok=True)
        if file.input_id:
            try:
                await files.delete(self._azure, file.input_id)
            except ServiceError as error:
                self._context.say(f"{file.input_id} was not deleted: {error.message}", "warning")

    # -- submitting

    def _room(self, file: File) -> bool:
        """Tell whether the quota may have room for one more batch. Only our own are known."""
        if time.monotonic() < self._closed_until:
            return False
        used = sum(other.tokens for other in self._running())
        return not used or self._limit is None or used + file.tokens <= self._limit

    def _waiting(self) -> list[File]:
        return [file for file in self._open() if file.batch is None]

    async def _submit(self) -> None:
        """Create the next batch that there is room for; its file is sized before it is sent."""
        while file := next((file for file in self._waiting() if self._room(file)), None):
            if self._limit is not None and file.tokens > self._limit and file.requests > 1:
                await self._split(file, math.ceil(file.tokens / self._limit))
                continue
            try:
                await self._create(file)
            except QuotaFull as full:  # nothing was created
                self._context.store.jobs.ended(self._context.job.id, "batch", self._key(file))
                await self._refused(file, full.limit)
            return  # those that are under way have a look taken at them between two uploads

    async def _create(self, file: File) -> None:
        """Make the batch of a file, or find what an earlier attempt has made of it."""
        context, azure = self._context, self._azure
        jobs, job = context.store.jobs, context.job
        key = self._key(file)
        intended, _ = jobs.intend(job.id, "batch", key)
        look, name, path = intended or context.known, self._name(file), self._folder / file.name
        if file.input_id:
            try:
                await files.wait_processed(azure, file.input_id, say=context.say)
            except ServiceError as error:
                if error.status != 404:
                    raise
                file.input_id = ""  # it has expired
        if not file.input_id:
            file.input_id = await files.ensure_uploaded(azure, path, "batch", name, look=look, say=context.say)
            self._save()
            await files.wait_processed(azure, file.input_id, say=context.say)
        context.check()
        state = await batches.ensure_created(
            azure, file.input_id, f"{job.nonce}-{key}", find_first=look, say=context.say
        )
        self._made(file, state)
        context.say(f"{'found' if intended else 'created'} batch {state.id}")
        if state.limit:
            self._limit = state.limit

    def _made(self, file: File, state: BatchStatus) -> None:
        self._context.store.jobs.made(self._context.job.id, "batch", self._key(file), state.id)
        file.batch = state.id

    async def _refused(self, file: File, limit: int | None) -> None:
        """Stand back after the quota had no room: a while, then until a batch of ours ends, then with less."""
        self._limit = limit or self._limit
        self._save()
        running = bool(self._running())
        if not running and self._limit is not None and file.tokens > self._limit:
            await self._split(file, math.ceil(file.tokens / self._limit))
            return
        self._tries += 1
        if self._tries > QUOTA_TRIES:
            if running:
                self._closed_until = math.inf
                self._context.say("the quota of enqueued tokens is full; waiting for a batch to end")
                return
            self._tries = QUOTA_TRIES // 2
            await self._split(file, 2)
            return
        wait = self._first_wait * 2 ** (self._tries - 1)
        if self._azure.endpoint.emulated:
            wait = min(wait, self._wait)
        self._context.say(f"the quota of enqueued tokens is full; next try in {wait:.0f} s")
        self._closed_until = time.monotonic() + wait

    # -- watching

    def _pause(self) -> float:
        """Return how long there is nothing to do."""
        until = self._poll_at
        if waiting := self._waiting():
            if any(self._room(file) for file in waiting):
                return 0.0
            until = min(until, self._closed_until) if self._closed_until > time.monotonic() else until
        return max(0.0, until - time.monotonic())

    async def _states(self, running: list[File]) -> list[BatchStatus]:
        ids = [file.batch for file in running if file.batch]
        return await patiently(lambda: batches.states(self._azure, ids), say=self._context.say)

    async def _poll(self) -> None:
        running = self._running()
        for file, state in zip(running, await self._states(running), strict=True):
            if self._said.get(state.id) != state.status:
                self._said[state.id] = state.status
                self._context.say(f"batch {state.id} is {state.status}")
            file.done = state.completed
            if state.quota_full:
                self._context.store.jobs.ended(self._context.job.id, "batch", self._key(file))
                file.attempt, file.batch, file.done = file.attempt + 1, None, 0
                self._save()
                await self._refused(file, state.limit)
            elif state.terminal and time.monotonic() >= file.again:
                await self._fetch(file, state)
                self._tries, self._closed_until = 0, 0.0

    def _tell(self) -> None:
        files = [file for file in self._files if file.state != "split"]
        over = sum(file.state == "over" for file in files)
        count = self._asking.count
        done = count - self._asking.left() + sum(file.done for file in files if file.state == "open")
        states = dict.fromkeys(self._said[file.batch] for file in self._running() if file.batch in self._said)
        many = f"{over} of {counted(len(files), 'batch')} ended, {len(self._running())} under way"
        self._context.progress(min(done, count), count, many if len(files) > 1 else ", ".join(states))

    async def _collect(self, file: File, state: BatchStatus) -> None:
        """Fetch what an ended batch left, and settle with what can be read after a few tries: the job is cancelled."""
        for number in range(1, CANCEL_TRIES + 1):
            if await self._fetch(file, state, last=number == CANCEL_TRIES):
                return
            await asyncio.sleep(max(0.0, file.again - time.monotonic()))

    async def _fetch(self, file: File, state: BatchStatus, *, last: bool = False) -> bool:
        """Fetch the files of an ended batch once, and store what they have; return whether the batch is settled."""
        settled = await self._collector.fetch(file, state, last=last)
        if file.state != "open":
            self._save()
        if settled:
            self._context.store.jobs.ended(self._context.job.id, "batch", self._key(file))
        if settled and state.status != "failed":  # what was wrong with it can still be read
            await self._drop(file)
        return settled
