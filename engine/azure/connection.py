"""An Azure OpenAI resource: where it is, how one signs in, and the clients that talk to it.

`Endpoint` is light; the SDKs are imported when a connection is opened.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine import network, secrets
from engine.errors import ConfigurationError, ServiceError, ServiceUnavailable
from engine.network import is_loopback as is_loopback

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.mgmt.cognitiveservices.aio import CognitiveServicesManagementClient
    from openai import AsyncOpenAI

PUBLIC_ARM = "https://management.azure.com"
TIMEOUT_SECONDS = 120.0
CHECK_SECONDS = 15.0
ARM_SECONDS = 60.0
"""Of the control plane, which would otherwise be waited for five minutes, several times."""


@dataclass(frozen=True)
class Cloud:
    """One of Microsoft's clouds: for whom tokens are, where ARM is, where one signs in."""

    scope: str
    arm: str
    authority: str


_WAYS = (
    "environment",
    "workload_identity",
    "shared_token_cache",
    "visual_studio_code",
    "cli",
    "developer_cli",
    "powershell",
)
"""Of signing in, the machine's own identity apart."""
PUBLIC = Cloud("https://cognitiveservices.azure.com/.default", PUBLIC_ARM, "login.microsoftonline.com")
NATIONAL = {
    ".azure.us": Cloud(
        "https://cognitiveservices.azure.us/.default",
        "https://management.usgovcloudapi.net",
        "login.microsoftonline.us",
    ),
    ".azure.cn": Cloud(
        "https://cognitiveservices.azure.cn/.default",
        "https://management.chinacloudapi.cn",
        "login.chinacloudapi.cn",
    ),
}
"""By the end of the endpoint's host (azure-identity's AzureAuthorityHosts; Azure's lists of national endpoints)."""


def cloud_of(endpoint: str) -> Cloud:
    """Return the cloud that an endpoint is in."""
    host = urlsplit(endpoint).hostname or ""
    return next((cloud for end, cloud in NATIONAL.items() if host.endswith(end)), PUBLIC)


@dataclass(frozen=True)
class Endpoint:
    """Everything needed to reach a resource. Without a key one signs in with Entra ID."""

    endpoint: str
    api_key: str | None = field(default=None, repr=False)
    api_version: str = "2025-04-01-preview"
    deployment: str | None = None
    batch_deployment: str | None = None
    ft_deployment: str | None = None
    subscription: str | None = None
    resource_group: str | None = None
    account: str | None = None
    arm_endpoint: str = PUBLIC_ARM
    emulated: bool = False

    def __post_init__(self) -> None:
        secrets.register(self.api_key)

    @property
    def is_v1(self) -> bool:
        """Whether the endpoint speaks the v1 API (`…/openai/v1`) rather than the dated one."""
        return urlsplit(self.endpoint).path.rstrip("/").endswith("/openai/v1")


def _pipeline_options(url: str) -> dict[str, Any]:
    """Return the options of an Azure SDK's client: the proxy and the certificates of the environment for a URL.

    Raises:
        ConfigurationError: they cannot be used; named with variable and file.

    """
    proxy = network.proxy_for(url)
    options: dict[str, Any] = {"use_env_settings": False}
    if proxy is not None:
        options["proxies"] = {urlsplit(url).scheme: proxy.url}
    source = network.ca_source() if url.startswith("https:") else None
    if source is not None and network.tls_context() is not None and source[1].is_file():
        options["connection_verify"] = str(source[1])
    return options


class _StaticToken:
    """The emulator's key as a bearer token. Made for loopback addresses only."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *_: str, **__: Any) -> Any:
        from azure.core.credentials import AccessToken

        return AccessToken(self._token, 2**31 - 1)

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> _StaticToken:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class _SignIn:
    """Entra ID: the ways of `DefaultAzureCredential`, the machine's own identity last; its tokens are kept secret.

    The identity of an Azure machine is at an address of the local network, which is not called unless all else failed.
    """

    def __init__(self, first: AsyncTokenCredential, last: AsyncTokenCredential | None) -> None:
        self._first = first
        self._last = last
        self._stack = AsyncExitStack()

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        from azure.core.exceptions import ClientAuthenticationError

        try:
            token = await self._first.get_token(*scopes, **options)
        except ClientAuthenticationError as error:
            if self._last is None:
                raise
            try:
                token = await self._last.get_token(*scopes, **options)
            except ClientAuthenticationError:
                raise error from None
        secrets.register(token.token)
        return token

    async def close(self) -> None:
        await self._stack.aclose()

    async def __aenter__(self) -> _SignIn:
        for credential in (self._first, self._last):
            if credential is not None:
                await self._stack.enter_async_context(credential)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Azure:
    """An open connection: `client` for the data plane, `arm()` for deployments. An async context manager.

    The SDK's own retries are off, because they wait unseen; `patiently` waits, and shows it.
    """

    def __init__(
        self, endpoint: Endpoint, client: str = "", before_request: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Prepare a connection; it opens as a context manager.

        Args:
            endpoint: of the resource.
            client: for the User-Agent.
            before_request: awaited before each request to the resource. A job's raises LostClaim, which as a
                BaseException comes out of the SDKs as itself and is never tried again.

        """
        self.endpoint = endpoint
        self._before_request = before_request
        self._agent = f"dogcls-tui/{version('dogcls-tui')}{f' ({client})' if client else ''}"
        self._stack = AsyncExitStack()
        self._credential: AsyncTokenCredential | None = None
        self._arm: CognitiveServicesManagementClient | None = None
        self.client: AsyncOpenAI

    async def __aenter__(self) -> Azure:
        from openai import AsyncAzureOpenAI, AsyncOpenAI

        from engine.azure import http

        place = self.endpoint
        common: dict[str, Any] = {
            "timeout": TIMEOUT_SECONDS,
            "max_retries": 0,
            "default_headers": {"User-Agent": self._agent},
            "http_client": http.client(place.endpoint, TIMEOUT_SECONDS, self._before_request),
        }
        if place.is_v1:
            key: Any = place.api_key or await self._token_provider()
            self.client = AsyncOpenAI(base_url=place.endpoint.rstrip("/") + "/", api_key=key, **common)
        elif place.api_key:
            self.client = AsyncAzureOpenAI(
                azure_endpoint=place.endpoint, api_key=place.api_key, api_version=place.api_version, **common
            )
        else:
            self.client = AsyncAzureOpenAI(
                azure_endpoint=place.endpoint,
                azure_ad_token_provider=await self._token_provider(),
                api_version=place.api_version,
                **common,
            )
        await self._stack.enter_async_context(self.client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _entra(self) -> AsyncTokenCredential:
        if self._credential is None:
            from azure.identity.aio import DefaultAzureCredential

            authority = cloud_of(self.endpoint.endpoint).authority
            common = {"authority": authority, **_pipeline_options(f"https://{authority}")}
            if os.environ.get("AZURE_TOKEN_CREDENTIALS"):  # it chooses the ways that are tried
                credential = _SignIn(DefaultAzureCredential(**common), None)
            else:
                others = {f"exclude_{name}_credential": True for name in _WAYS}
                credential = _SignIn(
                    DefaultAzureCredential(exclude_managed_identity_credential=True, **common),
                    DefaultAzureCredential(**others, **common),
                )
            self._credential = credential
            await self._stack.enter_async_context(credential)
        return self._credential

    async def _token_provider(self) -> Any:
        from azure.identity.aio import get_bearer_token_provider

        return get_bearer_token_provider(await self._entra(), cloud_of(self.endpoint.endpoint).scope)

    async def arm(self) -> CognitiveServicesManagementClient:
        """Return the control plane's client.

        Raises:
            ConfigurationError: subscription, resource group or account is not configured.

        """
        place = self.endpoint
        for name, value in (
            ("AZURE_SUBSCRIPTION_ID", place.subscription),
            ("AZURE_RESOURCE_GROUP", place.resource_group),
            ("AZURE_OPENAI_ACCOUNT", place.account),
        ):
            if not value:
                raise ConfigurationError(f"Deploying needs {name}.", f"Set {name} to your resource's.")
        if self._arm is None:
            from azure.mgmt.cognitiveservices.aio import CognitiveServicesManagementClient

            from engine.azure.control import Before, Verifying

            before = [] if self._before_request is None else [Before(self._before_request)]
            self._arm = await self._stack.enter_async_context(
                CognitiveServicesManagementClient(
                    await self.arm_credential(),
                    str(place.subscription),
                    base_url=place.arm_endpoint,
                    credential_scopes=[self.arm_scope],
                    user_agent=self._agent,
                    connection_timeout=CHECK_SECONDS,
                    read_timeout=ARM_SECONDS,
                    retry_total=0,
                    per_call_policies=before,
                    per_retry_policies=[Verifying(place.arm_endpoint)],
                    **_pipeline_options(place.arm_endpoint),
                )
            )
        return self._arm

    async def arm_credential(self) -> Any:
        """Return who signs in at the control plane."""
        if is_loopback(self.endpoint.arm_endpoint):
            return _StaticToken(self.endpoint.api_key or "none")
        return await self._entra()

    @property
    def arm_scope(self) -> str:
        """What a token for the control plane is for."""
        return f"{self.endpoint.arm_endpoint.rstrip('/')}/.default"

    @property
    def arm_options(self) -> dict[str, Any]:
        """Options of each ARM operation: plain http is allowed to this machine, and nowhere else."""
        plain = self.endpoint.arm_endpoint.startswith("http://") and is_loopback(self.endpoint.arm_endpoint)
        return {"enforce_https": False} if plain else {}


async def check(azure: Azure, *, deployments: Sequence[str] = (), arm: bool = False) -> None:
    """Find out what can be found out for nothing: endpoint, sign-in, deployments, control plane.

    A deployment is asked with no messages at all: the service looks the deployment up before it reads
    the request, so a 404 means there is none and a 400 that there is one, and nothing is generated.

    Raises:
        SignInError: the key or sign-in was not accepted.
        ConfigurationError: nobody answers at the endpoint, or a deployment does not exist.

    """
    from engine.azure.errors import translated

    place = azure.endpoint
    client = azure.client.with_options(max_retries=0, timeout=CHECK_SECONDS)
    try:
        with translated(place.endpoint):
            await client.files.list(limit=1)
    except ServiceUnavailable as error:
        raise ConfigurationError(error.message, error.cure) from error
    for name in deployments:
        try:
            await empty_chat(azure, name)
        except ServiceError as error:
            if error.status == 404:
                raise ConfigurationError(
                    f"There is no deployment {name!r} at {place.endpoint}.",
                    "Set AZURE_OPENAI_DEPLOYMENT_NAME and AZURE_OPENAI_BATCH_DEPLOYMENT_NAME to yours.",
                ) from error
            raise
    if arm:
        from engine.azure.deployments import list_deployments

        await list_deployments(azure)


async def empty_chat(azure: Azure, deployment: str) -> None:
    """Ask a deployment nothing; return if it exists. Costs nothing.

    Raises:
        ServiceError: 404 where there is no such deployment (yet).

    """
    from engine.azure.errors import translated

    client = azure.client.with_options(max_retries=0, timeout=CHECK_SECONDS)
    try:
        with translated(azure.endpoint.endpoint):
            await client.chat.completions.create(model=deployment, messages=[])
    except ServiceError as error:
        # A deployment that is only just there answers BadRequestForDependentService for its first minutes.
        if error.status == 400 and error.code != "BadRequestForDependentService":
            return
        raise
