"""Deploys a tuned model under a name of this job's own, so that doing it twice is doing it once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine import clock
from engine.azure import deployments
from engine.azure.connection import Azure
from engine.azure.patience import Say, stoppable
from engine.azure.prices import if_known, load_prices
from engine.errors import DogclsError, JobError, ServiceError, ServiceUnavailable
from engine.jobs.context import Context
from engine.jobs.paths import Home
from engine.jobs.service import connected
from engine.states import JobKind
from engine.store import Store
from engine.store.charges import Charge
from engine.store.files import private_folder, write_atomic
from engine.store.jobs import StoredJob

OPERATION = "deployment"
GONE_SECONDS = 10.0
"""How long it is tried, after a failure, to find out whether there is a deployment."""
_ANSWERED = "answered"
"""The file that marks a deployment which has answered in its present life."""


async def run(context: Context) -> dict[str, Any]:
    """Create the deployment and wait until it answers."""
    model = context.job.parameters.get("tuned_model") or next(
        (
            n.result["model"]
            for n in context.store.jobs.needed(context.job.id)
            if n.result and n.kind == JobKind.FINE_TUNE
        ),
        None,
    )
    if model is None:
        raise JobError(f"Job {context.job.id} has no model to deploy.", "Fine-tune one first, or name it.")
    name = f"dogcls-{context.job.nonce}"
    context.store.jobs.intend(context.job.id, OPERATION, name)
    async with connected(context) as azure:
        await ensure_deployed(context, azure, name, model, context.folder)
    context.store.jobs.made(context.job.id, OPERATION, name, name)
    prices, priced = load_prices(context.home.prices), context.job.parameters["model"]
    hourly = if_known(lambda: prices.hosting_cost(priced, 3600))
    price = "an unknown sum" if hourly is None else f"${hourly:.2f}"
    context.say(f"deployment {name} answers; it costs {price} an hour until it is deleted")
    return {"deployment": name, "tuned_model": model, "job": context.job.id}


async def cancel(context: Context) -> None:
    """Delete the job's deployment and charge its hours; the tuned model stays."""
    if not context.store.jobs.open_calls(context.job.id, OPERATION):
        return
    context.say("cancelling on the service")
    async with connected(context) as azure:
        await take_down(context.store, context.home, azure, context.job, context.say)


async def take_down(store: Store, home: Home, azure: Azure, job: StoredJob, say: Say) -> None:
    """Delete the deployment that a job made, wait until it is gone, and charge its hours.

    Args:
        store: has the job.
        home: has its folder, where the hours are kept.
        azure: the connection.
        job: the deploying job, whichever job needs the deployment.
        say: receives outages and the end.

    """
    name = f"dogcls-{job.nonce}"
    # A creation whose answer was lost may show only after a while.
    lost = None in store.jobs.open_calls(job.id, OPERATION).values()
    await deployments.delete(azure, name, say=say)
    usd = charge_hours(store, home, job, ended=True)
    await deployments.wait_deleted(azure, name, lost=lost, say=say)
    store.jobs.ended(job.id, OPERATION, name)
    cost = "an unknown sum" if usd is None else f"${usd:.4f}"
    say(f"deployment {name} deleted on the service; hosting cost {cost}")


def charge_hours(store: Store, home: Home, job: StoredJob, *, ended: bool = False) -> float | None:
    """Charge each life of a job's deployment so far; `ended` closes the last one.

    Returns:
        US dollars; None where the price is not known.

    """
    folder, prices, model = home.job(job), load_prices(home.prices), str(job.parameters["model"])
    hosted_seconds(folder, ended=ended)
    lives = [(until or clock.now()) - since for since, until in _hosted(folder)]
    charges = [
        Charge("hosting", f"life:{n}", if_known(lambda s=s: prices.hosting_cost(model, s)), seconds=s)  # type: ignore[misc]
        for n, s in enumerate(lives, start=1)
    ]
    store.jobs.record_all(job.id, job.contestant_id, "hosting", charges)
    known = [charge.usd for charge in charges if charge.usd is not None]
    return sum(known) if len(known) == len(charges) else None


async def ensure_deployed(context: Context, azure: Azure, name: str, model: str, folder: Path) -> None:
    """Create a deployment unless it is there, then wait until it answers. A stop ends the wait at once.

    Args:
        context: of the job that needs it.
        azure: the connection.
        name: of the deployment.
        model: the tuned model.
        folder: of the deploying job, where the hours are kept.

    Raises:
        ServiceError: it cannot be created, has failed, or does not answer. Where there is none it costs no more.

    """
    await stoppable(_deployed(context, azure, name, model, folder), context.check)


async def _deployed(context: Context, azure: Azure, name: str, model: str, folder: Path) -> None:
    found = await deployments.wait_gone(azure, name, say=context.say, stop=context.asked)
    context.check()
    if found is not None and found.model.casefold() not in ("", model.casefold()):
        context.say(f"deployment {name} is of another model, {found.model}: deleting it", "warning")
        await deployments.delete(azure, name)
        found = await deployments.wait_gone(azure, name, say=context.say, stop=context.asked)
        context.check()
    missing = found is None or found.state in deployments.BROKEN
    if missing:
        # It was deleted, or has failed, since it was seen last.
        deploying = context.store.jobs.get(int(folder.name.partition("-")[0]))
        context.store.jobs.intend(deploying.id, OPERATION, name)  # also where it had been made and deleted before
        close_life(context.say, folder, answered=deploying.result is not None)
    hosted = _hosted(folder)
    if not hosted or hosted[-1][1] is not None:
        # Before it is created: killed in between, a deployment that may cost money is shown as one that does.
        _write_hosted(folder, [*hosted, (clock.now(), None)])
    try:
        if missing:
            context.say(f"creating deployment {name} of {model}")
            await deployments.create(azure, name, model, say=context.say)
        await deployments.wait_ready(azure, name, say=context.say, stop=context.asked)
    except ServiceUnavailable:
        raise  # nothing is known of it: it may cost
    except ServiceError as error:
        if error.status is None:  # reported as failed, or as missing
            close_life(context.say, folder)
        else:
            await close_if_gone(context, azure, name, folder)
        raise
    (folder / _ANSWERED).touch(mode=0o600)
    context.check()


async def close_if_gone(context: Context, azure: Azure, name: str, folder: Path) -> None:
    """Stop counting the hours of a deployment if the service has none of this name, or a failed one.

    While the service cannot be reached it stays shown as one that may cost.
    """
    try:
        async with asyncio.timeout(GONE_SECONDS):
            found = await deployments.get(azure, name)
    except (DogclsError, TimeoutError):
        return
    if found is None or found.state in deployments.BROKEN:
        close_life(context.say, folder)


def close_life(say: Callable[[str, str], None], folder: Path, *, answered: bool = False) -> None:
    """Stop counting the hours of a deployment that is there no longer.

    One that never answered has cost nothing. Of another it is not known when it ended: it is charged until now.
    `answered`: it has, whether it was marked so or not, as versions before this one did not.
    """
    hosted = _hosted(folder)
    if not hosted or hosted[-1][1] is not None:
        return
    if answered or (folder / _ANSWERED).exists():
        hosted_seconds(folder, ended=True)
        say("the deployment is gone; its hosting is charged until now, at most", "warning")
    else:
        _write_hosted(folder, hosted[:-1])


def hosted_seconds(folder: Path, *, ended: bool = False) -> float:
    """Return how long a deployment has lived so far, over all its lives; `ended` closes the last one."""
    hosted = [(since, until or clock.now()) for since, until in _hosted(folder)]
    if ended:
        _write_hosted(folder, hosted)
        (folder / _ANSWERED).unlink(missing_ok=True)
    return sum(max(0.0, until - since) for since, until in hosted)


def living_since(folder: Path) -> float | None:
    """Return since when a deployment has lived, or None when it is deleted or was never made."""
    hosted = _hosted(folder)
    return hosted[-1][0] if hosted and hosted[-1][1] is None else None


def _hosted(folder: Path) -> list[tuple[float, float | None]]:
    path = folder / "hosted.json"
    return [(since, until) for since, until in json.loads(path.read_text(encoding="ascii"))] if path.exists() else []


def _write_hosted(folder: Path, hosted: Sequence[tuple[float, float | None]]) -> None:
    write_atomic(private_folder(folder) / "hosted.json", json.dumps(hosted))
