"""What a plan will meet on the service: the quota of whom it asks, and the files that a batch becomes.

Nothing is started and nothing is written; the control plane is asked, and need not let us in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.azure import deployments
from engine.azure import quota as quotas
from engine.azure.connection import Endpoint
from engine.azure.prices import estimate_text_tokens, tokens_of_image
from engine.azure.quota import Quota
from engine.datasets.jsonl import measure_batch_shards
from engine.datasets.prompt import Prompt
from engine.errors import ConfigurationError, DogclsError
from engine.jobs import service
from engine.jobs.kinds.asking import custom_id
from engine.jobs.paths import Home
from engine.quantities import counted
from engine.states import JobKind, Split
from engine.store import Store

if TYPE_CHECKING:
    from engine.jobs.plan import Plan
    from engine.store.experiments import NewJob

PATIENCE_SECONDS = 20.0
"""Somebody sits there and waits, or does not, for the price is there already."""
FRESH_SECONDS = 60.0
"""A quota that is known is not asked for again with each change of a parameter."""
Known = dict[tuple[str, str], tuple[float, "Quota | str"]]
"""By (endpoint, deployment): when it was asked for, and the quota, or why it is not known."""


@dataclass(frozen=True)
class Outlook:
    """One job that asks a deployment.

    Attributes:
        contestant: for whom.
        kind: of the job.
        deployment: whom it asks; "" for one that is yet to be made.
        quota: of it, in words.
        files: what a batch will be sent as: how many files.
        requests: in them; `bytes` and `tokens` likewise, all about.
        enqueued: the deployment's quota of enqueued tokens, where it is known.

    """

    contestant: str
    kind: str
    deployment: str
    quota: str
    files: int = 0
    requests: int = 0
    bytes: int = 0
    tokens: int = 0
    enqueued: int | None = None

    @property
    def sentence(self) -> str:
        """All of it, in one line."""
        whom = self.deployment or "a deployment to be made"
        if not self.files:
            return f"{whom}: {self.quota}"
        size = f"{self.bytes / 1e6:,.1f} MB"
        sent = f"{counted(self.files, 'file')}, {size}"
        if self.enqueued is None:
            return f"{sent}, {counted(self.tokens, 'token')} to enqueue; {whom}: {self.quota}"
        turns = ", so they take turns" if self.tokens > self.enqueued else ""
        return f"{sent}, {self.tokens:,} of {counted(self.enqueued, 'enqueued token')}{turns}"


async def outlook(store: Store, home: Home, profile: str, plan: Plan, known: Known) -> tuple[Outlook, ...]:
    """Return what a plan's jobs will meet, those that ask a deployment.

    Args:
        store: has the images.
        home: has the settings.
        profile: whose service it is.
        plan: the jobs.
        known: what was asked for before; what is asked for now is added to it.

    """
    asking = [job for job in plan.jobs if job.kind in (JobKind.BATCH, JobKind.PROBE, JobKind.SCORE)]
    if not asking:
        return ()
    place = await asyncio.to_thread(service.endpoint, home, profile)
    names = dict.fromkeys(str(job.parameters.get("deployment") or "") for job in asking)
    await _learn(place, [name for name in names if name], known)
    return await asyncio.to_thread(lambda: tuple(_one(store, plan, job, place, known) for job in asking))


async def _learn(place: Endpoint, names: Iterable[str], known: Known) -> None:
    wanted = [
        name
        for name in names
        if (place.endpoint, name) not in known or time.monotonic() - known[place.endpoint, name][0] > FRESH_SECONDS
    ]
    if wanted:
        for name, found in (await look_up(place, wanted)).items():
            known[place.endpoint, name] = (time.monotonic(), found)


async def look_up(place: Endpoint, names: list[str]) -> dict[str, Quota | str]:
    """Return the quota of each deployment, or why it is not known."""
    from engine.azure.connection import Azure

    found: dict[str, Quota | str] = {}
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), Azure(place, client="outlook") as azure:
            for name in names:
                try:
                    found[name] = await quotas.of(azure, name)
                except ConfigurationError as error:
                    found[name] = f"{error.message} ({error.cure.removeprefix('Set ').removesuffix('.')})"
                except DogclsError as error:
                    found[name] = error.message.removesuffix(".")
    except TimeoutError:
        return {name: found.get(name, f"no answer within {PATIENCE_SECONDS:.0f} seconds") for name in names}
    except DogclsError as error:
        return {name: found.get(name, error.message.removesuffix(".")) for name in names}
    return found


def _one(store: Store, plan: Plan, job: NewJob, place: Endpoint, known: Known) -> Outlook:
    p: dict[str, Any] = job.parameters
    name = str(p.get("deployment") or "")
    quota = known[place.endpoint, name][1] if name else quotas.read(deployments.SKU, deployments.CAPACITY)
    who = plan.contestants[job.contestant].name if job.contestant is not None else ""
    told = f"quota not known: {quota}" if isinstance(quota, str) else _in_words(quota)
    if job.kind != JobKind.BATCH:
        return Outlook(who, job.kind, name, told)
    limit = None if isinstance(quota, str) else quota.enqueued_tokens
    labels, prompt = store.datasets.get(str(p["dataset"])).labels, Prompt.of(p)
    text = estimate_text_tokens(prompt.text(labels))
    images = store.datasets.images(str(p["dataset"]), Split.TEST)
    items = (
        (custom_id(i), i.path, i.bytes, text + tokens_of_image(i.width, i.height, p["detail"], p["model"]))
        for i in images
    )
    shards = measure_batch_shards(items, prompt, labels, name, max_tokens=limit)
    size, tokens = sum(shard.bytes for shard in shards), sum(shard.tokens for shard in shards)
    return Outlook(who, job.kind, name, told, len(shards), len(images), size, tokens, limit)


def _in_words(quota: Quota) -> str:
    kind = f" ({quota.sku})" if quota.sku else ""
    if quota.enqueued_tokens is not None:
        return f"{counted(quota.enqueued_tokens, 'enqueued token')}{kind}"
    told = [
        f"{number:,} {what}"
        for number, what in ((quota.tokens_a_minute, "tokens"), (quota.requests_a_minute, "requests"))
        if number
    ]
    if not told:
        return f"the service tells no quota by the minute{kind}"
    return f"{' and '.join(told)} a minute{kind}"
