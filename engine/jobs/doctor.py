"""Is everything ready? One check after another, each with what was found and, where it helps, the cure."""

from __future__ import annotations

import asyncio
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine import network
from engine.azure.connection import Endpoint
from engine.endpoints import deployment_in, tidy
from engine.errors import ConfigurationError, DogclsError, ServiceError, SignInError
from engine.events import Checkup
from engine.jobs import service
from engine.jobs.binding import DEMO
from engine.jobs.paths import Home
from engine.orphans import can_share
from engine.quantities import counted
from engine.settings import load_settings
from engine.store import reserve

if TYPE_CHECKING:
    from engine.azure.connection import Azure
    from engine.azure.diagnosis import Capacity

CLOCK_SECONDS = 120.0
"""A clock that is further off than this makes sign-in fail, and expiries wrong."""
SLOW_MILLISECONDS = 3000.0
HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".azure.us", ".azure.cn")
TUNED_DEPLOYMENTS = 5
TUNING_FILES, TUNING_BYTES = 50, 1_000_000_000
BATCH_FILES = 500
TUNING_JOBS = 100
ROLE = "Cognitive Services OpenAI Contributor"


async def examine(home: Home, profile: str) -> list[Checkup]:
    """Check a profile from its settings to its quota. What cannot be asked because of an earlier problem is left out.

    Raises:
        DogclsError: the profile itself does not exist, or is not configured at all.

    """
    place = await asyncio.to_thread(service.endpoint, home, profile)
    pasted = "" if profile == DEMO else load_settings(home.root).pasted_endpoint(profile)
    machine = await asyncio.to_thread(_machine, home)
    return [*_settings(home, profile), *machine, *[checkup async for checkup in _examine(place, pasted)]]


def _machine(home: Home) -> list[Checkup]:
    """Check what jobs need of this machine: room in the home, shared memory, a place for temporary files."""
    room = reserve.free(home.root)
    if room is None or room >= reserve.PLENTY:
        shown = "" if room is None else f", {room / 1e9:,.1f} GB free"
        found = [Checkup("home", "ok", f"{home.root}{shown}")]
    else:
        found = [Checkup("home", "warning", f"{home.root}: {room / 1e6:,.1f} MB free.", "Free some space on its disk.")]
    if not can_share():
        slower = "Training augments pictures in one process without it, which is slower: mount /dev/shm."
        found.append(Checkup("shared memory", "warning", "There is none (/dev/shm), or it is full.", slower))
    try:
        tempfile.gettempdir()
    except OSError:
        found.append(Checkup("temporary files", "problem", "No folder takes them.", "Set TMPDIR to one that does."))
    return found


def _settings(home: Home, profile: str) -> list[Checkup]:
    """Show where the endpoint and the key come from, and what was set and is not used."""
    settings = load_settings(home.root)
    origin = settings.origin(profile)
    used = [Checkup("settings", "ok", origin)] if origin else []
    return used + [Checkup("settings", "warning", note) for note in settings.notes]


async def _examine(place: Endpoint, pasted: str) -> AsyncIterator[Checkup]:
    from engine.azure.connection import Azure

    ways = [_endpoint(place, pasted), _proxy(place), *_certificates(place)]
    for checkup in ways:
        yield checkup
    if any(checkup.state == "problem" for checkup in ways[1:]):
        return
    async with Azure(place, client="doctor") as azure:
        reached = True
        async for checkup in _reach(azure):
            reached &= checkup.state != "problem"
            yield checkup
        if not reached:
            return
        async for checkup in _deployments(azure):
            yield checkup
        async for checkup in _room(azure):
            yield checkup


def _endpoint(place: Endpoint, pasted: str = "") -> Checkup:
    url = urlsplit(place.endpoint)
    flavour = "v1 API" if place.is_v1 else f"dated API, {place.api_version}"
    found = f"{place.endpoint} ({flavour})"
    if pasted and urlsplit(tidy(pasted)).path.rstrip("/").lower() not in ("", url.path.lower()):
        named = deployment_in(pasted)
        deployment = f" The address names the deployment {named!r}." if named else ""
        return Checkup(
            "endpoint",
            "warning",
            f"{found}: used in place of a longer address, which is that of one call",
            f"Set the endpoint to {place.endpoint}.{deployment}",
        )
    if place.emulated:
        return Checkup("endpoint", "ok", f"{found}, an emulator: nothing is charged")
    if not (url.hostname or "").endswith(HOSTS):
        return Checkup(
            "endpoint",
            "warning",
            f"{found}: no address that Azure gives",
            "Compare it with the portal: Keys and Endpoint.",
        )
    return Checkup("endpoint", "ok", found)


def _proxy(place: Endpoint) -> Checkup:
    host = urlsplit(place.endpoint).hostname or ""
    try:
        used = network.proxy_for(place.endpoint)
    except ConfigurationError as error:
        return Checkup("proxy", "problem", error.message, error.cure)
    if used is not None:
        return Checkup("proxy", "ok", f"{used.shown} is before {host}")
    proxies = urllib.request.getproxies()
    if not (proxies.get(urlsplit(place.endpoint).scheme) or proxies.get("all")):
        return Checkup("proxy", "ok", "none")
    return Checkup("proxy", "ok", f"not used for {host}")


def _certificates(place: Endpoint) -> list[Checkup]:
    """Check what the environment names, if it names anything and it is used."""
    source = network.ca_source()
    if source is None or urlsplit(place.endpoint).scheme != "https":
        return []
    try:
        network.tls_context()
    except ConfigurationError as error:
        return [Checkup("certificates", "problem", error.message, error.cure)]
    return [Checkup("certificates", "ok", f"those of {source[0]} ({source[1]})")]


async def _reach(azure: Azure) -> AsyncIterator[Checkup]:
    from engine.azure import diagnosis

    way = "API key" if azure.endpoint.api_key else "Entra ID"
    try:
        reached = await diagnosis.reach(azure)
    except SignInError as error:
        yield Checkup("sign-in", "problem", f"{way}: {error.message}", error.cure)
        return
    except ServiceError as error:
        cure = error.cure or "Check AZURE_OPENAI_ENDPOINT and the network."
        if error.status == 404:
            cure = "Compare AZURE_OPENAI_ENDPOINT with the portal: Keys and Endpoint."
        yield Checkup("network", "problem", error.message, cure)
        return
    except ConfigurationError as error:
        yield Checkup("network", "problem", error.message, error.cure)
        return
    slow = reached.milliseconds > SLOW_MILLISECONDS
    yield Checkup("network", "warning" if slow else "ok", f"an answer in {reached.milliseconds:,.0f} ms")
    yield Checkup("sign-in", "ok", way)
    ahead = reached.ahead_seconds
    if ahead is None:
        yield Checkup("clock", "unknown", "the service did not tell its time")
    elif abs(ahead) > CLOCK_SECONDS:
        side = "ahead of" if ahead > 0 else "behind"
        yield Checkup(
            "clock", "problem", f"{abs(ahead):,.0f} s {side} the service's", "Set this machine's clock (NTP)."
        )
    else:
        yield Checkup("clock", "ok", f"within {max(1.0, abs(ahead)):.0f} s of the service's")


async def _deployments(azure: Azure) -> AsyncIterator[Checkup]:
    place = azure.endpoint
    listed: dict[str, Capacity] | None = None
    if place.subscription and place.resource_group and place.account:
        async for checkup in _control_plane(azure):
            if isinstance(checkup, Checkup):
                yield checkup
            else:
                listed = checkup
    else:
        yield Checkup(
            "control plane",
            "warning",
            "not configured: nothing can be deployed, so no tuned model scored",
            "Set AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and AZURE_OPENAI_ACCOUNT.",
        )
    for what, name, variable, for_batches in (
        ("deployment", place.deployment, "AZURE_OPENAI_DEPLOYMENT_NAME", False),
        ("batch deployment", place.batch_deployment, "AZURE_OPENAI_BATCH_DEPLOYMENT_NAME", True),
    ):
        yield await _deployment(azure, what, name, variable, for_batches, listed)


async def _deployment(
    azure: Azure, what: str, name: str | None, variable: str, for_batches: bool, listed: dict[str, Capacity] | None
) -> Checkup:
    from engine.azure import diagnosis

    if not name:
        return Checkup(what, "warning", "not configured", f"Set {variable}.")
    try:
        is_batch = await diagnosis.is_batch(azure, name)
    except DogclsError as error:
        return Checkup(what, "problem", f"{name}: {error.message}", error.cure)
    if is_batch is None:
        return Checkup(
            what, "problem", f"there is no deployment {name!r}", f"Make it in the portal, or set {variable}."
        )
    told = listed.get(name) if listed else None
    unit = "enqueued tokens" if is_batch else "tokens a minute"
    found = f"{name}: {told.model}, {told.sku}, {told.capacity * 1000:,} {unit}" if told else name
    if is_batch != for_batches:
        kind = "is for batches" if is_batch else "is for real-time calls"
        cure = f"Set {variable} to one of the SKU {'GlobalBatch' if for_batches else 'GlobalStandard'}."
        return Checkup(what, "problem", f"{found}: {kind}", cure)
    return Checkup(what, "ok", found)


async def _control_plane(azure: Azure) -> AsyncIterator[Checkup | dict[str, Capacity]]:
    from engine.azure import diagnosis

    try:
        listed = await diagnosis.capacities(azure)
    except DogclsError as error:
        yield Checkup("control plane", "problem", error.message, error.cure or f"You need the role {ROLE}.")
        return
    yield Checkup("control plane", "ok", f"{counted(len(listed), 'deployment')}")
    yield {d.name: d for d in listed}
    tuned = [d for d in listed if ".ft-" in d.model]
    if tuned:
        full = len(tuned) >= TUNED_DEPLOYMENTS
        names = ", ".join(d.name for d in tuned)
        yield Checkup(
            "tuned models",
            "problem" if full else "warning",
            f"{len(tuned)} of {TUNED_DEPLOYMENTS} deployments stand and cost money each hour: {names}",
            "Delete what nobody needs: dogcls-tui clean",
        )
    allowed = await diagnosis.permissions(azure)
    if allowed is None:
        yield Checkup("roles", "unknown", "the control plane does not tell", f"To fine-tune and deploy: {ROLE}.")
        return
    lacking = [] if allowed.allow(diagnosis.WRITE_DEPLOYMENTS) else ["deploy"]
    # With a key everybody may fine-tune; signed in, one needs the role.
    if not azure.endpoint.api_key and not allowed.allow(diagnosis.FINE_TUNE, data=True):
        lacking.append("fine-tune")
    if lacking:
        yield Checkup("roles", "problem", f"you may not {' or '.join(lacking)}", f"Ask for the role {ROLE}.")
    else:
        yield Checkup("roles", "ok", "you may fine-tune and deploy")


async def _room(azure: Azure) -> AsyncIterator[Checkup]:
    from engine.azure import diagnosis

    try:
        room = await diagnosis.room(azure)
    except DogclsError as error:
        yield Checkup("quota", "problem", error.message, error.cure)
        return
    for name, used, most, unit in (
        ("fine-tune files", room.tuning_files, TUNING_FILES, "files"),
        ("fine-tune bytes", room.tuning_bytes, TUNING_BYTES, "bytes"),
        ("batch files", room.batch_files, BATCH_FILES, "files (10,000 where each expires)"),
        ("fine-tuning jobs", room.tuning_jobs, TUNING_JOBS, "jobs"),
    ):
        cure = "Delete what nobody needs: dogcls-tui clean" if used >= 0.8 * most else ""
        state = "problem" if used >= most else "warning" if cure else "ok"
        yield Checkup(name, state, f"{used:,} of {most:,} {unit}", cure)
