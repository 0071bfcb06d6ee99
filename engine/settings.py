"""Settings: a TOML file, then `.env`, then the environment; and the profile that follows from them.

The TOML file is `settings.toml` in the platform's settings folder; one in `--home` goes on top of it.
Secrets live in `SecretStr` and are handed to `engine.azure` alone.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from platformdirs import user_config_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from engine import secrets
from engine.endpoints import clean_endpoint, clean_key, clean_name, tidy
from engine.errors import ConfigurationError, InputError
from engine.places import home_folder as home_folder

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


class Settings(BaseSettings):
    """Everything that can be set from outside. Names of environment variables are the fields' aliases."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore")

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
    profiles: dict[str, Resource] = Field(default_factory=dict)

    def resource(self, profile: str) -> Resource:
        """Return the resource that a profile other than `demo` means.

        Raises:
            InputError: there is no such profile.
            ConfigurationError: the profile `azure` has no endpoint.

        """
        if profile in self.profiles:
            return _cleaned(self.profiles[profile], f"profiles.{profile}.")
        if profile != "azure":
            known = ", ".join(["demo", "azure", *sorted(self.profiles)])
            raise InputError(f"There is no profile {profile!r}.", f"Known are: {known}.")
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
            "api_version": tidy(found.api_version),
            "arm_endpoint": clean_endpoint(found.arm_endpoint, named("arm_endpoint")),
            **{name: clean_name(getattr(found, name), named(name)) for name in names},
        }
    )


def _keep_secret(settings: Settings) -> Settings:
    """Register the keys of all profiles and what an endpoint holds of secrets, whether they are used or not."""
    secrets.register_environment()
    pairs = [(found.endpoint, found.api_key) for found in settings.profiles.values()]
    for endpoint, key in [(settings.endpoint, settings.api_key), *pairs]:
        secrets.register_url(endpoint or "")
        if key is not None:
            secrets.register(key.get_secret_value())
            secrets.register(tidy(key.get_secret_value()))
    return settings


class _File(TomlConfigSettingsSource):
    """A TOML file, whose names are the fields' own and not those of the environment."""

    def __call__(self) -> dict[str, Any]:
        names = {name: str(field.validation_alias or name) for name, field in Settings.model_fields.items()}
        return {names.get(name, name): value for name, value in super().__call__().items()}


def load_settings(home: Path) -> Settings:
    """Read all sources: environment over `.env` over the home's file over the platform's.

    Raises:
        InputError: a settings file is no TOML, or has a wrong value (which is not repeated in the message).

    """
    files = [home / "settings.toml", user_config_path("dogcls-tui", appauthor=False) / "settings.toml"]

    class Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return env_settings, dotenv_settings, *(_File(settings_cls, toml_file=file) for file in files)

    try:
        return _keep_secret(Sourced())
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{' or '.join(str(f) for f in files if f.is_file())}: {error}.", "Correct it.") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"Setting {where}: {first['msg']}.", "Correct it in the settings file or the environment."
        ) from None
