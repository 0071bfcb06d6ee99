"""Settings as people paste them: endpoints, keys and names of deployments, cleaned or refused by name."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote, urlsplit

from engine.errors import ConfigurationError
from engine.network import is_loopback

QUOTES = "\"'`“”‘’„«»‹›<>"
PORTALS = frozenset({"portal.azure.com", "ai.azure.com", "oai.azure.com", "portal.azure.us", "portal.azure.cn"})
PORTAL = "Copy it again from the Azure portal: Keys and Endpoint."
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)


def tidy(text: str) -> str:
    """Return pasted text without the spaces, line ends, quotes and invisible characters around it."""
    found = text.translate(_INVISIBLE)
    while True:
        stripped = found.strip()
        if len(stripped) > 1 and stripped[0] in QUOTES and stripped[-1] in QUOTES:
            stripped = stripped[1:-1]
        if stripped == found:
            return found
        found = stripped


def clean_key(key: str | None, name: str = "AZURE_OPENAI_API_KEY") -> str | None:
    """Return an API key as it is sent; None for one that is empty.

    Args:
        key: as it was pasted.
        name: of the setting, for messages.

    Raises:
        ConfigurationError: it holds a character that no key has. The key is not in the message.

    """
    found = tidy(key or "")
    if not found:
        return None
    for place, character in enumerate(found, start=1):
        if not "!" <= character <= "~":
            what = unicodedata.name(character, f"U+{ord(character):04X}").lower()
            raise ConfigurationError(f"{name}: character {place} is no part of a key ({what}).", PORTAL)
    return found


def clean_name(name: str | None, setting: str) -> str | None:
    """Return the name of a deployment or a resource; None for an empty one.

    Raises:
        ConfigurationError: it holds a character that no name has.

    """
    found = tidy(name or "")
    if not found:
        return None
    if not re.fullmatch(r"[\w.()-]+", found):
        bad = next(character for character in found if not re.fullmatch(r"[\w.()-]", character))
        what = "a space" if bad.isspace() else unicodedata.name(bad, f"U+{ord(bad):04X}").lower()
        raise ConfigurationError(f"{setting}: {_short(found)} holds {what}, which no such name has.", "Correct it.")
    return found


def clean_endpoint(endpoint: str, name: str = "AZURE_OPENAI_ENDPOINT") -> str:
    """Return the base address of a resource from whatever the portal, an SDK's example or a person gave.

    Paths of single calls, queries and trailing slashes are left out; `/openai/v1` stays, because it chooses the API.

    Args:
        endpoint: as it was pasted.
        name: of the setting, for messages.

    Raises:
        ConfigurationError: it is no http or https address, holds a password, would send the key in clear over a
            network, or is of another service.

    """
    text = tidy(endpoint)
    fix = f"Set {name} to https://YOUR-RESOURCE.openai.azure.com."
    if not text:
        raise ConfigurationError(f"{name} is empty.", fix)
    text = tidy(re.sub(r"^[A-Z_]+\s*=", "", text)).rstrip("\\")  # of a whole line of a settings file
    text = re.sub(r"(?i)^(https?)(:/?|//?)(?=[\w\[])", r"\1://", text)
    if "://" not in text:
        if not is_loopback(f"//{text}") and "." not in text.partition("/")[0]:
            raise ConfigurationError(f"{name}: {_short(text)} is no address.", fix)
        text = f"{'http' if is_loopback(f'//{text}') else 'https'}://{text}"
    try:
        url = urlsplit(text)
        host, port = (url.hostname or "").rstrip("."), url.port
    except ValueError:
        raise ConfigurationError(f"{name} is no address: its host or port cannot be read.", fix) from None
    scheme = url.scheme.lower()
    if scheme not in ("http", "https"):
        raise ConfigurationError(f"{name} begins with {_short(scheme)}://, which is not https://.", fix)
    if url.username is not None or url.password is not None:
        raise ConfigurationError(f"{name} holds a name or password before the host.", f"Leave it out. {fix}")
    if not _is_host(host):
        raise ConfigurationError(f"{name}: {_short(host or text.partition('?')[0])} is no host.", fix)
    if scheme == "http" and not is_loopback(text):
        raise ConfigurationError(
            f"{name} begins with http://, which would send the key unencrypted to {host}.", "Begin it with https://."
        )
    if host in PORTALS:
        raise ConfigurationError(f"{name}: {host} is a portal's address, not a resource's.", fix)
    path = re.sub(r"/+", "/", unquote(url.path))
    if re.search(r"/api/projects(/|$)", path, re.IGNORECASE):
        path = ""  # an AI Foundry project: its resource answers at the host
    path = "/openai/v1" if re.match(r"/openai/v1(/|$)", path, re.IGNORECASE) else _base(path)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}{f':{port}' if port and port != {'http': 80, 'https': 443}[scheme] else ''}{path}"


def _base(path: str) -> str:
    """Return what stands before the service's own paths: usually nothing, a gateway's prefix at times."""
    return re.split(r"/(?:openai|models)(?:/|$)", path, maxsplit=1, flags=re.IGNORECASE)[0].rstrip("/")


def _is_host(host: str) -> bool:
    if ":" in host:
        return True  # an IPv6 address, which `urlsplit` has read
    labels = host.rstrip(".").split(".")
    if any(not label for label in labels):
        return False
    if all(ord(c) < 128 for c in host):
        return all(_LABEL.fullmatch(label) for label in labels)
    return False  # a letter that only looks like one: no address of Azure has it


def deployment_in(endpoint: str) -> str | None:
    """Return the deployment that a pasted address names, for a hint; None where it names none."""
    found = _DEPLOYMENT.search(tidy(endpoint).partition("?")[0])
    return unquote(found[1]) if found else None


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
