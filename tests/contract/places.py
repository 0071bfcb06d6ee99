"""Where the contract is checked, an emulator or a resource of Azure's, and the plain clients that go there."""

import os
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import openai
from azure.core.credentials import AccessToken
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient
from azure.mgmt.cognitiveservices.aio import CognitiveServicesManagementClient as AsyncManagementClient

from tests.contract import coverage

API_VERSION = "2025-04-01-preview"
FLAVOURS = ("dated", "v1")
CLIENTS = ("sync", "async")

# Read when this is imported: the tests' own conftest takes such names away before each test.
ENVIRONMENT = dict(os.environ)
ON_AZURE = ENVIRONMENT.get("DOGCLS_CONTRACT") == "azure"

NEEDED = {
    "endpoint": "AZURE_OPENAI_ENDPOINT",
    "deployment": "AZURE_OPENAI_DEPLOYMENT_NAME",
    "batch_deployment": "AZURE_OPENAI_BATCH_DEPLOYMENT_NAME",
    "subscription": "AZURE_SUBSCRIPTION_ID",
    "resource_group": "AZURE_RESOURCE_GROUP",
    "account": "AZURE_OPENAI_ACCOUNT",
}


class Token:
    """A credential that gives one token."""

    def __init__(self, text):
        self._text = text

    def get_token(self, *_, **__):
        return AccessToken(self._text, int(time.time()) + 3600)


class AsyncCredential:
    """Any credential, for the async client."""

    def __init__(self, credential):
        self._credential = credential

    async def get_token(self, *scopes, **options):
        return self._credential.get_token(*scopes, **options)

    async def close(self):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


@dataclass(frozen=True)
class Place:
    """One service, and how patiently to look at it."""

    endpoint: str
    api_key: str | None
    deployment: str
    batch_deployment: str
    subscription: str
    resource_group: str
    account: str
    arm_endpoint: str | None
    emulated: bool
    look: float = 0.02  # seconds between two looks at a file, a job or a deployment
    look_at_batch: float = 0.02
    patience: float = 60.0

    @classmethod
    def of(cls, emulator):
        """Return an emulator that the tests have started."""
        names = ("endpoint", "api_key", "arm_endpoint", *(name for name in NEEDED if name != "endpoint"))
        return cls(**{name: getattr(emulator, name) for name in names}, emulated=True)

    @classmethod
    def configured(cls, environment=ENVIRONMENT):
        """Return the resource that the environment names."""
        missing = [variable for variable in NEEDED.values() if not environment.get(variable)]
        if missing:
            raise SystemExit(f"DOGCLS_CONTRACT=azure needs {', '.join(missing)}")
        every = environment.get("DOGCLS_CONTRACT_LOOK")  # for a stand-in that is quicker than Azure
        return cls(
            **{name: environment[variable] for name, variable in NEEDED.items()},
            api_key=environment.get("AZURE_OPENAI_API_KEY") or None,
            arm_endpoint=environment.get("AZURE_ARM_ENDPOINT") or None,
            emulated=False,
            look=float(every or 30),
            look_at_batch=float(every or 60),
            patience=26 * 3600,
        )

    @property
    def plain_arm(self):
        """True where ARM is spoken without TLS, which only a loopback address may."""
        parts = urlsplit(self.arm_endpoint or "https://management.azure.com")
        return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")

    @property
    def arm_options(self):
        """Options for each call of the management client."""
        return {"enforce_https": False} if self.plain_arm else {}

    def credential(self):
        """Return what signs in without a key."""
        if self.plain_arm:
            return Token(self.api_key)
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential()

    def token_provider(self):
        """Return a function that gives tokens for the data plane."""
        credential = self.credential()
        return lambda: credential.get_token("https://cognitiveservices.azure.com/.default").token

    def client(self, flavour, kind="sync", *, key=None, provider=None, **options):
        """Return a plain openai client, which notes what it asks."""
        key = key or (None if provider else self.api_key)
        provider = provider or (None if key else self.token_provider())
        noted = coverage.hooks(flavour, kind)
        http = (openai.DefaultHttpxClient if kind == "sync" else openai.DefaultAsyncHttpxClient)(event_hooks=noted)
        if flavour == "dated":
            made = openai.AzureOpenAI if kind == "sync" else openai.AsyncAzureOpenAI
            sign_in = {"api_key": key} if key else {"azure_ad_token_provider": provider}
            return made(azure_endpoint=self.endpoint, api_version=API_VERSION, http_client=http, **sign_in, **options)
        if kind == "sync":
            return openai.OpenAI(
                base_url=f"{self.endpoint}/openai/v1/", api_key=key or provider, http_client=http, **options
            )

        async def token():
            return provider()

        return openai.AsyncOpenAI(
            base_url=f"{self.endpoint}/openai/v1/", api_key=key or token, http_client=http, **options
        )

    def management(self, kind="sync", *, token=None, subscription=None):
        """Return Azure's management client."""
        credential = Token(token) if token else self.credential()
        made = CognitiveServicesManagementClient if kind == "sync" else AsyncManagementClient
        options = {}
        if self.arm_endpoint:
            options = {"base_url": self.arm_endpoint, "credential_scopes": [f"{self.arm_endpoint}/.default"]}
        return made(
            credential if kind == "sync" else AsyncCredential(credential),
            subscription or self.subscription,
            polling_interval=self.look,
            raw_request_hook=coverage.arm_hook(kind),
            **options,
        )
