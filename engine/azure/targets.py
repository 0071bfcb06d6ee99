"""Deployments before anything is sent to them: what each one serves, by which kind of call, and in which state."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.azure.answers import same_model
from engine.azure.connection import CHECK_SECONDS
from engine.azure.errors import translated
from engine.azure.pages import distinct
from engine.errors import ConfigurationError, DogclsError, ServiceError

if TYPE_CHECKING:
    from engine.azure.connection import Azure

BATCH_SKUS, REALTIME_SKUS = "GlobalBatch or DataZoneBatch", "GlobalStandard, DataZoneStandard or Standard"
NOT_READY = frozenset({"Accepted", "Creating", "Moving"})
UNUSABLE = frozenset({"Failed", "Canceled", "Deleting", "Disabled"})
_TEXT_ONLY = re.compile(
    r"(gpt-35|gpt-3\.5|gpt-4-(0314|0613|32k|1106|0125)|o1-mini|o3-mini|gpt-oss|text-|embed|whisper|tts|dall-e|gpt-image"
    r"|sora|babbage|davinci|codex|.*-(realtime|audio|transcribe|tts)\b)",
    re.IGNORECASE,
)
"""Models that read no pictures, or hold no conversation. Unknown ones are let through: the service decides."""
_SHOWN = 5


@dataclass(frozen=True)
class Target:
    """A deployment as the control plane lists it. `chat` is None where its abilities are not listed."""

    name: str
    model: str
    sku: str
    state: str
    chat: bool | None = None

    @property
    def for_batches(self) -> bool:
        """Whether it takes batches, and no real-time calls."""
        return "batch" in self.sku.lower()

    @property
    def reads_pictures(self) -> bool:
        """Whether its model can answer about a picture, as far as that is known."""
        return self.chat is not False and not _TEXT_ONLY.match(self.model)


@dataclass(frozen=True)
class Wanted:
    """A deployment that a job is going to use, and what it must be.

    Attributes:
        name: of the deployment.
        for_batches: whether the job sends batches; else it sends real-time calls.
        model: that is compared and priced; "" where any will do.
        setting: the variable or option that names the deployment.

    """

    name: str
    for_batches: bool
    model: str
    setting: str


async def check(azure: Azure, wanted: Collection[Wanted]) -> None:
    """Check that deployments exist, take the kind of call that they are for, are ready, and serve the model.

    The control plane lists all of it. Without the control plane an empty question, which costs nothing, shows whether
    a deployment exists and whether it takes real-time calls; its model is then checked with the first answer.

    Raises:
        ConfigurationError: one does not fit; the hint names the setting, and the deployments that fit.
        ServiceError, SignInError: the service does not answer.

    """
    listed = await targets(azure) if wanted else {}
    seen: dict[str, str] = {}
    for one in wanted:
        kind = seen.get(one.name) or await probe(azure, one.name)
        seen[one.name] = kind
        problem = _problem(one, kind, listed.get(one.name.lower()))
        if problem:
            fitting = sorted(t.name for t in listed.values() if not _problem(one, "", t))
            raise ConfigurationError(problem, await _hint(azure, one, problem, fitting, listed))


async def targets(azure: Azure) -> Mapping[str, Target]:
    """Return the account's deployments by their names in lower case; none where the control plane does not answer."""
    place = azure.endpoint
    if not (place.subscription and place.resource_group and place.account):
        return {}
    try:
        arm = await azure.arm()
        with translated(place.arm_endpoint):
            found = arm.deployments.list(str(place.resource_group), str(place.account), **azure.arm_options)
            read = [_read(deployment) async for deployment in distinct(found)]
    except DogclsError:  # no role there, or another account: the data plane still answers
        return {}
    return {target.name.lower(): target for target in read}


def _read(deployment: Any) -> Target:
    properties = deployment.properties
    model = properties.model if properties else None
    name = str(model.name or "") if model else ""
    version = str(model.version or "") if model else ""
    full = name if ".ft-" in name or not version or name.endswith(version) else f"{name}-{version}"
    state = str(properties.provisioning_state or "") if properties else ""
    abilities = (properties.capabilities or {}) if properties else {}
    chat = str(abilities.get("chatCompletion", "")).lower() == "true" if abilities else None
    sku = str(deployment.sku.name or "") if deployment.sku else ""
    return Target(str(deployment.name), full, sku, state.rsplit(".", 1)[-1].title(), chat)


async def probe(azure: Azure, name: str) -> str:
    """Return `missing`, `batch`, `other` (no chat model) or `realtime`, by a question without messages: it is free."""
    client = azure.client.with_options(max_retries=0, timeout=CHECK_SECONDS)
    try:
        with translated(azure.endpoint.endpoint):
            await client.chat.completions.create(model=name, messages=[])
    except ServiceError as error:
        if error.status == 404:
            return "missing"
        if error.status != 400:
            raise
        if error.code != "OperationNotSupported":
            return "realtime"
        return "other" if "specified model" in error.message else "batch"
    return "realtime"


def _problem(one: Wanted, kind: str, target: Target | None) -> str:
    """Return what is wrong with a deployment, by a probe's result ("" for none) and by the control plane."""
    name = f"Deployment {(target.name if target else one.name)!r}"
    if kind == "missing":
        if target is not None and (target.state in NOT_READY or target.state in UNUSABLE):
            return f"{name} is {target.state}."
        return f"There is no deployment {one.name!r}."
    if target is None:
        for_batches = kind == "batch"
        if kind == "other":
            return f"{name} serves a model that takes no chat requests."
    else:
        for_batches = target.for_batches
        if not target.reads_pictures:
            return f"{name} serves {target.model}, which does not answer about pictures."
    if for_batches != one.for_batches:
        takes, wants = ("batches only", "real-time calls") if for_batches else ("real-time calls only", "batches")
        sku = f" (SKU {target.sku})" if target and target.sku else ""
        return f"{name}{sku} takes {takes}; the job sends {wants}."
    if target is None:
        return ""
    if target.state in NOT_READY or target.state in UNUSABLE:
        return f"{name} is {target.state}."
    if one.model and target.model and not same_model(one.model, target.model):
        return f"{name} serves {target.model}, not {one.model}."
    return ""


async def _hint(azure: Azure, one: Wanted, problem: str, fitting: Sequence[str], listed: Mapping[str, Target]) -> str:
    """Return what to do: the setting to change, and to what."""
    target = listed.get(one.name.lower())
    if target is not None and target.state in NOT_READY and problem.endswith(f"is {target.state}."):
        return "Wait until it is Succeeded, then start again."
    if fitting:
        more = f" (and {len(fitting) - _SHOWN} more)" if len(fitting) > _SHOWN else ""
        hint = f"Set {one.setting} to a deployment that fits: {', '.join(fitting[:_SHOWN])}{more}."
    else:
        place = azure.endpoint
        other = place.deployment if one.for_batches else place.batch_deployment
        swapped = not listed and other and other != one.name and await _is(azure, other, one.for_batches)
        skus = BATCH_SKUS if one.for_batches else REALTIME_SKUS
        if swapped:
            hint = f"Set {one.setting} to {other}: the two deployments are swapped."
        else:
            model = f" of {one.model}" if one.model else ""
            hint = f"Create a deployment{model} with the SKU {skus}, and set {one.setting} to its name."
    if target is not None and one.model and not same_model(one.model, target.model) and target.reads_pictures:
        hint += f" Or choose the model that it serves: --model {target.model.split('.ft-')[0]}."
    return hint


async def _is(azure: Azure, name: str, for_batches: bool) -> bool:
    try:
        return await probe(azure, name) == ("batch" if for_batches else "realtime")
    except DogclsError:
        return False
