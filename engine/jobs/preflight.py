"""Everything that can be found out before anything starts, and before anything is paid for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.jobs import service
from engine.jobs.paths import Home
from engine.states import JobKind, Split
from engine.store import Store
from engine.store.experiments import NewJob

if TYPE_CHECKING:
    from engine.azure.connection import Azure, Endpoint
    from engine.azure.targets import Wanted
    from engine.store.jobs import StoredJob
    from engine.training.recipes import Recipe

_ASKING = (JobKind.BATCH, JobKind.PROBE, JobKind.SCORE)


async def check(home: Home, profile: str, jobs: Sequence[NewJob]) -> None:
    """Check recipes and their weights, and for jobs that need it the endpoint, the sign-in, deployments and ARM.

    For fine-tuning also the model, the images, and whether the resource has room for the job.

    Raises:
        SignInError, ConfigurationError, InputError, WeightsError: name what is wrong and the cure.

    """
    from engine.training.recipes import get_recipe

    for job in jobs:
        if job.kind == JobKind.TRAIN:
            await asyncio.to_thread(_recipe, home, get_recipe(str(job.parameters["recipe"])), job.parameters)
    remote = [job for job in jobs if job.kind != JobKind.TRAIN]
    if not remote:
        return
    from engine.azure import targets
    from engine.azure.connection import Azure
    from engine.azure.connection import check as check_service

    for name in dict.fromkeys(str(job.parameters["dataset"]) for job in remote if job.kind in _ASKING):
        await asyncio.to_thread(_can_read, home, name)
    tuning = [job for job in remote if job.kind == JobKind.FINE_TUNE]
    sizes = [size for job in tuning for size in await asyncio.to_thread(_training_data, home, job)]
    place = await asyncio.to_thread(service.endpoint, home, profile)
    async with Azure(place) as azure:
        await check_service(azure, arm=any(job.kind == JobKind.DEPLOY for job in remote))
        await targets.check(azure, wanted_by(remote, place))
        if tuning:
            await _room(azure, sizes)


def wanted_by(jobs: Iterable[NewJob | StoredJob], place: Endpoint) -> list[Wanted]:
    """Return the deployments that jobs will use, each once, with what it must be."""
    found: dict[Wanted, None] = {}
    for job in jobs:
        p = job.parameters
        model = str(p.get("model") or "")
        if job.kind in _ASKING and p.get("deployment"):
            found[_wanted(str(p["deployment"]), job.kind, model, place)] = None
        if job.kind == JobKind.BATCH and p.get("retry") == "realtime" and p.get("realtime"):
            found[_wanted(str(p["realtime"]), JobKind.PROBE, model, place)] = None
    return list(found)


def _wanted(name: str, kind: str, model: str, place: Endpoint) -> Wanted:
    from engine.azure.targets import Wanted

    variable, configured = {
        JobKind.BATCH: ("AZURE_OPENAI_BATCH_DEPLOYMENT_NAME", place.batch_deployment),
        JobKind.SCORE: ("AZURE_OPENAI_FT_DEPLOYMENT_NAME", place.ft_deployment),
    }.get(JobKind(kind), ("AZURE_OPENAI_DEPLOYMENT_NAME", place.deployment))
    return Wanted(name, kind == JobKind.BATCH, model, variable if name == configured else "--deployment")


def _can_read(home: Home, dataset: str) -> None:
    """Check that answers could be read: the home's synonyms may not fit the dataset."""
    from engine.evaluation.answers import reader_of

    store = Store(home.store, readonly=home.readonly)
    try:
        reader_of(store.datasets.get(dataset).labels, home.synonyms)
    finally:
        store.close()


def _training_data(home: Home, job: NewJob) -> list[int]:
    """Check what a fine-tuning job is to be made of; return about how many bytes its files will have.

    Raises:
        InputError: names the model, or images and what is wrong with them.

    """
    from engine.datasets.prompt import Prompt
    from engine.datasets.training_file import MIN_EXAMPLES, check_image_files
    from engine.jobs import tuning_checks

    p = job.parameters
    problems = tuning_checks.check_request(str(p["model"]))
    sizes = []
    store = Store(home.store, readonly=home.readonly)
    try:
        dataset = store.datasets.get(str(p["dataset"]))
        text = len(json.dumps(Prompt.of(p).example(dataset.labels, max(dataset.labels, key=len), "")).encode())
        for split, what, least in ((Split.TRAIN, "training", MIN_EXAMPLES), (Split.VAL, "validation", 1)):
            images = store.datasets.images(str(p["dataset"]), split)
            if split == Split.VAL and not images:
                continue
            problems += check_image_files(images, least, what, any_mode=bool(p.get("convert")), every_byte=False)
            sizes.append(sum(image.bytes * 4 // 3 + text for image in images))
    finally:
        store.close()
    tuning_checks.refuse(problems, "Fine-tuning cannot start")
    return sizes


async def _room(azure: Azure, sizes: Sequence[int]) -> None:
    from engine.azure import fine_tuning
    from engine.jobs import tuning_checks

    files, jobs = await fine_tuning.training_files(azure), await fine_tuning.everything(azure)
    new = [(f"to come {number}", size) for number, size in enumerate(sizes)]
    tuning_checks.refuse(tuning_checks.check_resource(files, jobs, new), "The service has no room")


def _recipe(home: Home, recipe: Recipe, parameters: Mapping[str, Any]) -> None:
    """Check that a recipe's device is there, and that its weights can be had (which downloads them)."""
    from engine.training.device import pick_runtime
    from engine.training.models import check_weights

    pick_runtime(str(parameters.get("device") or "auto"))
    check_weights(recipe, home.cache, Path(parameters["weights"]) if parameters["weights"] else None)
