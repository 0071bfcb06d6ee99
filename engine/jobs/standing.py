"""What costs money just by being there: deployments of ours that nobody has deleted."""

from __future__ import annotations

from pathlib import Path

from engine.azure.prices import load_prices
from engine.events import StandingCost
from engine.jobs.kinds.deploy import hosted_seconds, living_since, take_down
from engine.jobs.paths import Home
from engine.states import JobKind
from engine.store import Store


def standing_costs(store: Store, home: Home) -> list[StandingCost]:
    """Return the deployments that live, by the hours kept in their jobs' folders."""
    found = []
    for view in store.jobs.of_kind(JobKind.DEPLOY):
        job = store.jobs.get(view.id)
        folder = home.job(job)
        since = living_since(folder)
        if since is None:
            continue
        hourly = load_prices(home.prices).hosting_cost(str(job.parameters["model"]), 3600)
        name = f"dogcls-{job.nonce}"
        found.append(StandingCost(view.id, view.experiment, name, since, hourly, hourly * _hours(folder)))
    return found


def _hours(folder: Path) -> float:
    return hosted_seconds(folder) / 3600


async def delete_deployment(store: Store, home: Home, job_id: int) -> str:
    """Delete the deployment that a job made, and charge its hours; return its name."""
    import asyncio
    from functools import partial

    from engine.azure.connection import Azure
    from engine.jobs import service

    job = await asyncio.to_thread(store.jobs.get, job_id)
    place = await asyncio.to_thread(service.endpoint_of, home, job)

    async def work() -> None:
        async with Azure(place, client=f"job {job_id}") as azure:
            await take_down(store, home, azure, job, partial(store.jobs.log, job_id))

    # It writes to the store, which may have to wait for another process: not on the caller's event loop.
    await asyncio.to_thread(asyncio.run, work())
    return f"dogcls-{job.nonce}"
