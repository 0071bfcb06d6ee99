"""From a profile's name to the service that its jobs talk to."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.azure.connection import PUBLIC_ARM, Endpoint, cloud_of
from engine.errors import DogclsError, ForeignResource, ServiceError
from engine.events import WAITS_FOR_SETTINGS
from engine.jobs import embedded
from engine.jobs.binding import DEMO, ResourceBinding
from engine.jobs.paths import Home
from engine.settings import load_settings
from engine.store.jobs import StoredJob

if TYPE_CHECKING:
    from engine.azure.connection import Azure
    from engine.jobs.context import Context

GUARD_SECONDS = 0.5


def endpoint(home: Home, profile: str) -> Endpoint:
    """Return a profile's endpoint, starting the embedded emulator for `demo`. May block for a minute.

    Raises:
        InputError, ConfigurationError: see `Settings.resource`.
        ServiceUnavailable: the emulator would not start.

    """
    if profile == DEMO:
        service = embedded.ensure(home)
        return Endpoint(
            endpoint=service.endpoint,
            api_key=service.api_key,
            deployment=service.deployment,
            batch_deployment=service.batch_deployment,
            subscription=service.subscription,
            resource_group=service.resource_group,
            account=service.account,
            arm_endpoint=service.arm_endpoint,
            emulated=True,
        )
    resource = load_settings(home.root).resource(profile)
    return Endpoint(
        endpoint=resource.endpoint,
        api_key=resource.api_key.get_secret_value() if resource.api_key else None,
        api_version=resource.api_version,
        deployment=resource.deployment,
        batch_deployment=resource.batch_deployment,
        ft_deployment=resource.ft_deployment,
        subscription=resource.subscription,
        resource_group=resource.resource_group,
        account=resource.account,
        arm_endpoint=cloud_of(resource.endpoint).arm if resource.arm_endpoint == PUBLIC_ARM else resource.arm_endpoint,
        emulated=is_emulated(home, profile),
    )


def is_emulated(home: Home, profile: str) -> bool:
    """Tell whether a profile's service is an emulator, without talking to it.

    Azure OpenAI is never on the loopback interface, so whatever is there is an emulator, and every
    result says so.
    """
    if profile == DEMO:
        return True
    host = urlsplit(load_settings(home.root).resource(profile).endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def endpoint_of(home: Home, job: StoredJob) -> Endpoint:
    """Return the endpoint of a job's own resource, with the credential of the settings that mean the same resource.

    Those are the job's profile or, where that means another resource by now, any other profile. A job of an older
    version, which did not keep its resource, is where its profile is.

    Raises:
        ForeignResource: no profile means the job's resource.
        InputError, ConfigurationError, ServiceUnavailable: see `endpoint`.

    """
    profile, binding = str(job.parameters["profile"]), ResourceBinding.read(job.parameters)
    if profile == DEMO or binding is None:
        return endpoint(home, profile)
    return binding.apply(endpoint(home, _profile_of(home, job, binding)))


def _profile_of(home: Home, job: StoredJob, binding: ResourceBinding) -> str:
    settings = load_settings(home.root)
    own, now, problem = str(job.parameters["profile"]), "", ""
    for profile in dict.fromkeys((own, "azure", *settings.profiles)):
        try:
            meant = settings.resource(profile).endpoint
        except DogclsError as error:
            problem = problem or error.message
            continue
        if binding.matches(meant):
            return profile
        now = now or meant
    means = f"; the settings now mean {now}." if now else f". {problem}"
    raise ForeignResource(
        f"Job {job.id} belongs to {binding.describe()}{means}",
        f"Set AZURE_OPENAI_ENDPOINT to {binding.describe()}, with its key, and resume.",
    )


def unreachable(home: Home, job: StoredJob) -> ForeignResource | None:
    """Return why a worker that this process starts could not reach a job's resource; None where it can.

    Nothing is connected to or started.
    """
    profile, binding = job.parameters.get("profile"), ResourceBinding.read(job.parameters)
    if profile is None or profile == DEMO or binding is None:
        return None
    try:
        _profile_of(home, job, binding)
    except ForeignResource as error:
        return error
    except DogclsError as error:
        return ForeignResource(error.message, error.cure)
    return None


def waits_for(job: StoredJob) -> str:
    """Return the note of a job that waits for a process that can reach its resource."""
    binding = ResourceBinding.read(job.parameters)
    return f"{WAITS_FOR_SETTINGS} of {binding.describe() if binding else 'its resource'}"


def job_is_emulated(home: Home, job: StoredJob) -> bool:
    """Whether a job's resource is an emulator, without connecting to it."""
    binding = ResourceBinding.read(job.parameters)
    return is_emulated(home, str(job.parameters["profile"])) if binding is None else binding.emulated


@asynccontextmanager
async def connected(context: Context) -> AsyncIterator[Azure]:
    """Connect a job to its own resource, and keep the embedded emulator alive for as long as it is open.

    Raises:
        ForeignResource: the settings of this process mean another resource; the worker leaves the job waiting.

    """
    from engine.azure.connection import Azure

    job = context.job
    demo = job.parameters["profile"] == DEMO
    place = await asyncio.to_thread(endpoint_of, context.home, job)
    if ResourceBinding.read(job.parameters) is None:
        context.store.bindings.bind(job.id, ResourceBinding.of(place).plain())
        context.say(f"bound to {place.endpoint}: the version that started this job did not keep its resource")
    guard = asyncio.create_task(_guard(context.home)) if demo else None
    try:
        async with Azure(place, client=f"job {job.id}", before_request=context.await_lease) as azure:
            yield azure
    finally:
        if guard is not None:
            guard.cancel()
            with contextlib.suppress(asyncio.CancelledError, ServiceError):
                await guard


async def _guard(home: Home) -> None:
    """Start the embedded emulator again whenever it has died; requests meanwhile wait and retry."""
    while True:
        await asyncio.to_thread(embedded.ensure, home)
        await asyncio.sleep(GUARD_SECONDS)
