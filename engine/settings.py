"""Settings: the environment, `.env`, TOML files; and the profile that follows from them.

The TOML file is `settings.toml` in the platform's settings folder; one in `--home` goes on top of it.
Secrets live in `SecretStr` and are handed to `engine.azure` alone.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from platformdirs import user_config_path
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from engine import secrets
from engine.endpoints import clean_endpoint, clean_key, clean_name, tidy
from engine.errors import ConfigurationError, InputError
from engine.places import home_folder as home_folder
from engine.settings_sources import DOTENV, ENVIRONMENT, Source, combine
from engine.text_files import read_text, read_toml_if_there

API_VERSION = "2025-04-01-preview"
ARM_ENDPOINT = "https://management.azure.com"
MODEL = "gpt-4o-2024-08-06"


class Resource(BaseModel):
    """One Azure OpenAI resource, as a `[profiles.NAME]` table of the settings file describes it."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str
    api_key: SecretStr | None = None
    api_version: str = API_VERSION
    deployment: str | None = None
    batch_deployment: str | None = None
    ft_deployment: str | None = None
    subscription: str | None = None
    resource_group: str | None = None
    account: str | None = None
    arm_endpoint: str = ARM_ENDPOINT


class Variables(BaseSettings):
    """Each setting that has a variable: its alias, for the environment and `.env`."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

    endpoint: str | None = Field(default=None, validation_alias="AZURE_OPENAI_ENDPOINT")
    api_key: SecretStr | None = Field(default=None, validation_alias="AZURE_OPENAI_API_KEY")
    api_version: str = Field(default=API_VERSION, validation_alias="AZURE_OPENAI_API_VERSION")
    deployment: str | None = Field(default=None, validation_alias="AZURE_OPENAI_DEPLOYMENT_NAME")
    batch_deployment: str | None = Field(default=None, validation_alias="AZURE_OPENAI_BATCH_DEPLOYMENT_NAME")
    ft_deployment: str | None = Field(default=None, validation_alias="AZURE_OPENAI_FT_DEPLOYMENT_NAME")
    account: str | None = Field(default=None, validation_alias="AZURE_OPENAI_ACCOUNT")
    subscription: str | None = Field(default=None, validation_alias="AZURE_SUBSCRIPTION_ID")
    resource_group: str | None = Field(default=None, validation_alias="AZURE_RESOURCE_GROUP")
    arm_endpoint: str = Field(default=ARM_ENDPOINT, validation_alias="AZURE_ARM_ENDPOINT")
    profile: str | None = Field(default=None, validation_alias="DOGCLS_PROFILE")


class Settings(Variables):
    """Everything that can be set from outside. See `engine.settings_sources` for what may be used together."""

    profiles: dict[str, Resource] = Field(default_factory=dict)
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _notes: tuple[str, ...] = PrivateAttr(default=())
    _refused: tuple[str, str] | None = PrivateAttr(default=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what is given: `load_settings` has read and combined the sources."""
        return (init_settings,)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was set and is not used, a sentence each."""
        return self._notes

    def origin(self, profile: str) -> str:
        """Return where a profile's endpoint and key come from, in words; empty for the demo."""
        if profile in self.profiles:
            return f"[profiles.{profile}] of {self._origins.get(f'profiles.{profile}', 'the settings')}"
        if profile != "azure" or "endpoint" not in self._origins:
            return ""
        key = self._origins.get("api_key")
        return f"endpoint from {self._origins['endpoint']}, {f'key from {key}' if key else 'no key'}"

    def resource(self, profile: str) -> Resource:
        """Return the resource that a profile other than `demo` means.

        Raises:
            InputError: there is no such profile.
            ConfigurationError: the profile `azure` has no endpoint, or one that no key or token is sent to.

        """
        if profile in self.profiles:
            return _cleaned(self.profiles[profile], f"profiles.{profile}.")
        if profile != "azure":
            known = ", ".join(["demo", "azure", *sorted(self.profiles)])
            raise InputError(f"There is no profile {profile!r}.", f"Known are: {known}.")
        if self._refused is not None:
            raise ConfigurationError(*self._refused)
        if not self.endpoint:
            raise ConfigurationError(
                "The profile 'azure' has no endpoint.", "Set AZURE_OPENAI_ENDPOINT, or use --profile demo."
            )
        resource = Resource(
            endpoint=self.endpoint,
            api_key=self.api_key,
            api_version=self.api_version,
            deployment=self.deployment,
            batch_deployment=self.batch_deployment,
            ft_deployment=self.ft_deployment,
            subscription=self.subscription,
            resource_group=self.resource_group,
            account=self.account,
            arm_endpoint=self.arm_endpoint,
        )
        return _cleaned(resource, "")

    def pasted_endpoint(self, profile: str) -> str:
        """Return a profile's endpoint as it was set, and not as it is used."""
        return self.profiles[profile].endpoint if profile in self.profiles else self.endpoint or ""

    def default_profile(self) -> str:
        """Return `azure` as soon as an endpoint is configured, else `demo`."""
        return self.profile or ("azure" if self.endpoint else "demo")


def _cleaned(found: Resource, prefix: str) -> Resource:
    """Return a resource as it is used: what was pasted around the values is left out.

    Args:
        found: as it was set.
        prefix: of a named profile's settings, for messages; "" for those of the environment.

    Raises:
        ConfigurationError: a value cannot be used; the setting is named, and a key is not shown.

    """

    def named(field: str) -> str:
        return f"{prefix}{field}" if prefix else str(Settings.model_fields[field].validation_alias)

    key = clean_key(found.api_key.get_secret_value() if found.api_key else None, named("api_key"))
    names = ("deployment", "batch_deployment", "ft_deployment", "subscription", "resource_group", "account")
    return found.model_copy(
        update={
            "endpoint": clean_endpoint(found.endpoint, named("endpoint")),
            "api_key": SecretStr(key) if key else None,
            "api_version": clean_name(found.api_version, named("api_version")) or API_VERSION,
            "arm_endpoint": clean_endpoint(found.arm_endpoint, named("arm_endpoint")),
            **{name: clean_name(getattr(found, name), named(name)) for name in names},
        }
    )


def _keep_secret(found: Iterable[Mapping[str, Any]]) -> None:
    """Register the keys and what an endpoint holds of secrets, whether they are used or not."""
    secrets.register_environment()
    for values in found:
        secrets.register_url(str(values.get("endpoint") or ""))
        if key := str(values.get("api_key") or ""):
            secrets.register(key)
            secrets.register(tidy(key))


def load_settings(home: Path) -> Settings:
    """Read all sources, and combine them by the rules of `engine.settings_sources`.

    Raises:
        InputError: a settings file cannot be read, or has a wrong value (which is not repeated in the message).

    """
    files = [home / "settings.toml"]
    with contextlib.suppress(RuntimeError):  # the user has no home folder
        files.append(user_config_path("dogcls-tui", appauthor=False) / "settings.toml")
    sources, tables, notes = _read(files)
    profiles = [table for source in tables for table in source.values.values() if isinstance(table, dict)]
    _keep_secret([*(source.values for source in sources), *profiles])
    found = combine(sources, tables)
    named = {str(Settings.model_fields[name].validation_alias or name): value for name, value in found.values.items()}
    try:
        settings = Settings(**named)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"Setting {where}: {first['msg']}.", "Correct it in the settings file or the environment."
        ) from None
    settings._origins, settings._notes, settings._refused = found.origins, (*found.notes, *notes), found.refused
    return settings


def _read(files: Sequence[Path]) -> tuple[list[Source], list[Source], list[str]]:
    """Return the sources of single settings (first wins), those of profiles, and notes; an empty value is none."""
    fields = {str(field.validation_alias): name for name, field in Variables.model_fields.items()}

    def source(name: str, values: Mapping[str, Any]) -> Source:
        return Source(name, {fields[alias]: v for alias, v in values.items() if alias in fields and not _is_blank(v)})

    environment = EnvSettingsSource(Variables)()
    sources = [source(ENVIRONMENT, environment), source(DOTENV, _dotenv(Path(DOTENV), fields))]
    tables = []
    notes: list[str] = []
    for file in files:
        found = read_toml_if_there(file) or {}
        for key, value in found.items():
            if key in fields.values() and not isinstance(value, str):
                raise InputError(f"{file}: {key} is {value!r}, which is no text.", f'As in: {key} = "…"')
            if key not in (*fields.values(), "profiles"):
                notes.append(f"{file}: {key} is no setting, and is not used.")
        mine = {name: value for name, value in found.items() if name in fields.values() and not _is_blank(value)}
        sources.append(Source(str(file), mine))
        profiles = found.get("profiles", {})
        if not isinstance(profiles, dict):
            raise InputError(f"{file}: profiles is no table.", "Write [profiles.NAME] and its settings below.")
        tables.append(Source(str(file), profiles))
    return sources, tables, notes


def _dotenv(path: Path, names: Iterable[str]) -> dict[str, str | None]:
    """Return what the working folder's `.env` sets of some variables.

    The file is rarely written for this program: only what concerns these variables is an error. A folder or a pipe of
    this name is another tool's, and no settings file.

    Raises:
        InputError: the file cannot be read, or a line that concerns one of the variables is not in the file's format.

    """
    if not path.is_file():
        return {}
    text = read_text(path, lenient=True)
    ours = tuple(names)
    for binding in parse_stream(io.StringIO(text)):
        line, named = binding.original, next((n for n in ours if n in binding.original.string.upper()), None)
        if named is not None and (binding.error or not _is_unicode(binding.value or "")):
            what = "not in the form NAME=VALUE" if binding.error else "not UTF-8"
            raise InputError(f"{DOTENV}, line {line.line}: {named}: {what}.", "Correct the line, and save it as UTF-8.")
    logging.getLogger("dotenv.main").setLevel(logging.ERROR)  # it warns of each other line that it cannot read
    return {name.upper(): value for name, value in dotenv_values(stream=io.StringIO(text)).items()}


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
