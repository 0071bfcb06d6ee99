"""Where settings come from, and which of them may be used together.

Sources, first wins: the environment, `.env` of the working folder, `settings.toml` of the home, that of the platform.

- A source that names an endpoint belongs to it: nothing of it is used with the endpoint of another source, unless both
  are the same resource. So no key is sent to a host that another source names.
- The environment and the settings files are the user's own, and complete each other where they name no other endpoint.
- `.env` came with the folder. Its endpoint is used with its own key only, or with a sign-in where the host is one of
  Azure OpenAI. With an endpoint of the user's own, only its deployments are used, and its key where there is no other.
- A profile's table is one file's, by the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from engine.endpoints import clean_endpoint
from engine.errors import ConfigurationError

DOTENV = "./.env"
ENVIRONMENT = "the environment"
DEPLOYMENTS = ("deployment", "batch_deployment", "ft_deployment")
SELECTION = ("profile",)
"""May come from anywhere: it chooses among what is configured."""

_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_NATIONAL_HOSTS = (".openai.azure.us", ".cognitiveservices.azure.us", ".openai.azure.cn", ".cognitiveservices.azure.cn")
_AZURE = re.compile(
    rf"https://[a-z0-9-]+({'|'.join(map(re.escape, _AZURE_HOSTS + _NATIONAL_HOSTS))})(:443)?(/[\w./-]*)?", re.IGNORECASE
)
_ARM = re.compile(
    r"https://management\.(azure\.com|usgovcloudapi\.net|chinacloudapi\.cn)/?|http://(127\.0\.0\.1|localhost):\d+/?"
)
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Source:
    """One source: its name for messages, and its values by the names of `Settings`' fields."""

    name: str
    values: Mapping[str, Any]

    @property
    def endpoint(self) -> str:
        """The endpoint that it names; empty where it names none."""
        return str(self.values.get("endpoint") or "")


@dataclass
class Combined:
    """The settings that are used.

    Attributes:
        values: by the names of `Settings`' fields.
        origins: the source of each value, by the same names, and of each profile as `profiles.NAME`.
        notes: what was set and is not used, a sentence each.
        refused: why the profile `azure` cannot be used (message, hint).

    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    refused: tuple[str, str] | None = None

    def take(self, source: Source, names: Iterable[str]) -> None:
        """Take those of these values that a source has and that no source before it had."""
        for name in names:
            if name in source.values and name not in self.values:
                self.values[name] = source.values[name]
                self.origins[name] = source.name


def resource_of(endpoint: str) -> str:
    """Return what decides which resource an endpoint belongs to: the name at Azure, else scheme, host and port."""
    try:
        url = urlsplit(clean_endpoint(endpoint))
    except ConfigurationError:
        return endpoint  # no address: its first use reports that
    host = url.hostname or ""
    for end in _AZURE_HOSTS:
        if host.endswith(end) and url.port is None:
            return f"azure:{host.removesuffix(end)}"
    return f"{url.scheme}://{host}:{url.port or _PORTS[url.scheme]}"


def _shown(endpoint: str) -> str:
    """Return an endpoint for messages: without what it may hold of secrets."""
    try:
        return clean_endpoint(endpoint)
    except ConfigurationError:
        return "that is no address"


def combine(sources: Sequence[Source], tables: Sequence[Source]) -> Combined:
    """Return the settings that are used.

    Args:
        sources: of single settings, first wins; that of `.env` is named `DOTENV`.
        tables: of the settings files, in the same order; their values are profiles' tables by name.

    """
    found = Combined()
    for source in sources:
        found.take(source, SELECTION)
    owner = next((source for source in sources if source.endpoint), None)
    if owner is not None and owner.name == DOTENV:
        _of_the_folder(found, owner, sources)
    else:
        _of_the_user(found, owner, sources)
    found.values["profiles"] = _profiles(found, tables)
    return found


def _of_the_user(found: Combined, owner: Source | None, sources: Sequence[Source]) -> None:
    """Use what completes the user's own endpoint, or no endpoint."""
    late = []
    for source in sources:
        if owner is not None and source.endpoint and resource_of(source.endpoint) != resource_of(owner.endpoint):
            found.notes.append(
                f"{source.name} names the endpoint {_shown(source.endpoint)}, which {owner.name} replaces: its other"
                " settings are not used."
            )
        elif source.name == DOTENV:
            found.take(source, DEPLOYMENTS)
            late.append(source)
        else:
            found.take(source, source.values)
    for source in late:
        found.take(source, ("api_key",))
        left = [name for name in source.values if found.origins.get(name) != source.name and name not in SELECTION]
        if unused := [name for name in left if found.values.get(name) != source.values[name]]:
            found.notes.append(f"{DOTENV}: {', '.join(unused)} is not used, because its endpoint is not used.")


def _of_the_folder(found: Combined, folder: Source, sources: Sequence[Source]) -> None:
    """Use what `.env` has; of the rest only the environment's choice of deployments, which leads nowhere else."""
    environment = next((source for source in sources if source.name == ENVIRONMENT), None)
    if environment is not None:
        found.take(environment, DEPLOYMENTS)
    found.take(folder, folder.values)
    elsewhere = next((s.name for s in sources if s is not folder and s.values.get("api_key")), None)
    arm = folder.values.get("arm_endpoint")
    if not folder.values.get("api_key") and (elsewhere is not None or not _AZURE.fullmatch(_shown(folder.endpoint))):
        key = f"the key of {elsewhere}" if elsewhere is not None else "a sign-in token"
        found.refused = (
            f"{DOTENV} names the endpoint {_shown(folder.endpoint)} without a key: {key} is not sent to a host that the"
            f" working folder names.",
            f"Put AZURE_OPENAI_API_KEY into {DOTENV} too, or set the endpoint in the environment or settings.toml.",
        )
    elif arm is not None and not _ARM.fullmatch(str(arm).strip()):
        found.refused = (
            f"{DOTENV} sets AZURE_ARM_ENDPOINT to {arm}, which is no control plane of Azure: no token is sent there.",
            f"Remove it from {DOTENV}, or set it in the environment or settings.toml.",
        )


def _profiles(found: Combined, tables: Sequence[Source]) -> dict[str, Any]:
    """Return each profile's table, completed by a later file's only where that is of the same resource."""
    profiles: dict[str, Any] = {}
    for source in tables:
        for name, table in source.values.items():
            if not isinstance(table, dict) or not isinstance(profiles.get(name, {}), dict):
                profiles.setdefault(name, table)  # a wrong value: the check of the settings names it
                continue
            mine = profiles.get(name)
            endpoints = [str(each["endpoint"]) for each in (mine or {}, table) if each.get("endpoint")]
            if mine is None:
                profiles[name] = dict(table)
                found.origins[f"profiles.{name}"] = source.name
            elif len({resource_of(endpoint) for endpoint in endpoints}) == 1:
                profiles[name] = {**table, **mine}
                found.origins[f"profiles.{name}"] += f" and {source.name}"
            else:
                found.notes.append(f"[profiles.{name}] of {source.name} is not used: another file's replaces it.")
    return profiles
