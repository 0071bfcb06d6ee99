"""Everything that can be found out before anything starts, and before anything is paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.jobs import service
from engine.jobs.paths import Home
from engine.states import JobKind
from engine.store.experiments import NewJob

if TYPE_CHECKING:
    from engine.training.recipes import Recipe

_ASKING = (JobKind.BATCH, JobKind.PROBE, JobKind.SCORE)


async def check(home: Home, profile: str, jobs: Sequence[NewJob]) -> None:
    """Check recipes and their weights, and for jobs that need it the endpoint, the sign-in, deployments and ARM.

    Raises:
        SignInError, ConfigurationError, InputError, WeightsError: name what is wrong and the cure.

    """
    from engine.training.recipes import get_recipe

    for job in jobs:
        if job.kind == JobKind.TRAIN:
            recipe = get_recipe(str(job.parameters["recipe"]))
            if recipe.kind == "full":
                await asyncio.to_thread(_weights, home, recipe, str(job.parameters["weights"]))
    remote = [job for job in jobs if job.kind != JobKind.TRAIN]
    if not remote:
        return
    from engine.azure.connection import Azure
    from engine.azure.connection import check as check_service

    place = await asyncio.to_thread(service.endpoint, home, profile)
    names = dict.fromkeys(
        str(job.parameters["deployment"]) for job in remote if job.kind in _ASKING and job.parameters.get("deployment")
    )
    async with Azure(place) as azure:
        await check_service(azure, deployments=tuple(names), arm=any(job.kind == JobKind.DEPLOY for job in remote))


def _weights(home: Home, recipe: Recipe, weights: str) -> None:
    from engine.training.models import full_weights

    full_weights(recipe, home.cache, Path(weights) if weights else None)
