"""What costs money just by being there: deployments of ours that nobody has deleted."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from engine.azure.prices import if_known, load_prices
from engine.errors import DogclsError
from engine.events import StandingCost
from engine.jobs import service
from engine.jobs.kinds.deploy import charge_hours, close_life, hosted_seconds, living_since, take_down
from engine.jobs.paths import Home
from engine.states import ACTIVE, JobKind
from engine.store import Store

if TYPE_CHECKING:
    from engine.azure.connection import Endpoint


def standing_costs(store: Store, home: Home) -> list[StandingCost]:
    """Return the deployments that live, by the hours kept in their jobs' folders."""
    found = []
    for view in store.jobs.of_kind(JobKind.DEPLOY):
        job = store.jobs.get(view.id)
        folder = home.job(job)
        since = living_since(folder)
        if since is None:
            continue
        prices, model = load_prices(home.prices), str(job.parameters["model"])
        hourly = if_known(partial(prices.hosting_cost, model, 3600))
        name, hours = f"dogcls-{job.nonce}", hosted_seconds(folder) / 3600
        found.append(
            StandingCost(
                view.id, view.experiment, name, since, hourly or 0.0, (hourly or 0.0) * hours, hourly is not None
            )
        )
    return found


def close_gone(store: Store, home: Home, place: Endpoint, costing: Collection[str]) -> None:
    """Stop counting the hours of deployments that are gone from a resource, or have failed there.

    Args:
        store: has their jobs.
        home: has their folders, where the hours are kept.
        place: the resource.
        costing: the names of all deployments that it has and that have not failed.

    """
    for view in store.jobs.of_kind(JobKind.DEPLOY):
        job = store.jobs.get(view.id)
        name, folder = f"dogcls-{job.nonce}", home.job(job)
        if living_since(folder) is None or name in costing:
            continue
        if any(other.state in ACTIVE for other in store.jobs.views(view.experiment)):
            continue  # it may be in the making
        try:
            bound = service.endpoint_of(home, job)
        except DogclsError:
            continue
        if (bound.endpoint, bound.account) == (place.endpoint, place.account):
            close_life(partial(store.jobs.log, job.id), folder)
            charge_hours(store, home, job)


async def delete_deployment(store: Store, home: Home, job_id: int) -> str:
    """Delete the deployment that a job made, and charge its hours; return its name."""
    import asyncio

    from engine.azure.connection import Azure

    job = await asyncio.to_thread(store.jobs.get, job_id)
    place = await asyncio.to_thread(service.endpoint_of, home, job)

    async def work() -> None:
        async with Azure(place, client=f"job {job_id}") as azure:
            await take_down(store, home, azure, job, partial(store.jobs.log, job_id))

    # It writes to the store, which may have to wait for another process: not on the caller's event loop.
    await asyncio.to_thread(asyncio.run, work())
    return f"dogcls-{job.nonce}"
