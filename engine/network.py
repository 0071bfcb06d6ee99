"""The way out of this machine: the proxy and the certificates that the environment names, checked before their use.

Standard library only. What is wrong is named with its variable and file; a proxy's password is never shown.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from engine import secrets
from engine.errors import ConfigurationError

CA_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Of these the first one that is set names the certificates; SSL_CERT_DIR counts where SSL_CERT_FILE is not set."""


def is_loopback(url: str) -> bool:
    """Return whether a URL's host is this machine."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost") if "[" not in url else False


@dataclass(frozen=True)
class Proxy:
    """A proxy that the environment names.

    Attributes:
        url: its address, with name and password where it has them.
        variable: where it is set.

    """

    url: str = field(repr=False)
    variable: str

    @property
    def shown(self) -> str:
        """The address without name and password, and the variable."""
        url = urlsplit(self.url)
        port = f":{url.port}" if url.port else ""
        return f"{url.scheme}://{url.hostname}{port} ({self.variable})"


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy before a URL; None where there is none, and for this machine always.

    Raises:
        ConfigurationError: the proxy's address is no http or https URL; names the variable.

    """
    if is_loopback(url):
        return None
    scheme, found = urlsplit(url).scheme, urllib.request.getproxies()
    kind = scheme if found.get(scheme) else "all"
    value = found.get(kind, "").strip().strip("\"'")
    if not value or _is_excluded(urlsplit(url).hostname or "", found):
        return None
    variable = _variable(kind)
    secrets.register_url(value)
    value = value if "://" in value else f"http://{value}"
    fix = f"Set {variable} to http://HOST:PORT, unset it, or add the host to NO_PROXY."
    try:
        parts = urlsplit(value)
        port, host = parts.port, parts.hostname
    except ValueError:
        port, host = None, None
    if not host or any(character.isspace() for character in value) or port == 0:
        raise ConfigurationError(f"{variable} is no proxy's address.", fix)
    if parts.scheme.startswith("socks"):
        raise ConfigurationError(f"{variable} names a SOCKS proxy ({host}), and those are not supported.", fix)
    if parts.scheme not in ("http", "https"):
        raise ConfigurationError(f"{variable} names a proxy of an unknown kind ({parts.scheme}).", fix)
    return Proxy(value, variable)


def _variable(kind: str) -> str:
    for name in (f"{kind}_proxy", f"{kind}_proxy".upper()):
        if os.environ.get(name):
            return name
    return "the system's proxy settings"


def _is_excluded(host: str, found: Mapping[str, str]) -> bool:
    if urllib.request.proxy_bypass(host):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in found.get("no", "").split(","):
        try:
            if address in ipaddress.ip_network(entry.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


def opener(url: str) -> urllib.request.OpenerDirector:
    """Return what opens a URL with the proxy and the certificates of the environment.

    Raises:
        ConfigurationError: one of them cannot be used.

    """
    proxy = proxy_for(url)
    scheme = urlsplit(url).scheme
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler({} if proxy is None else {scheme: proxy.url})
    ]
    if scheme == "https":
        handlers.append(urllib.request.HTTPSHandler(context=tls_context()))
    return urllib.request.build_opener(*handlers)


def ca_source() -> tuple[str, Path] | None:
    """Return (variable, path) of the certificates that the environment names; None where it names none."""
    named = ["SSL_CERT_FILE", "SSL_CERT_DIR", *CA_FILES[1:]]
    for variable in named:
        if value := os.environ.get(variable, "").strip():
            return variable, Path(value)
    return None


def tls_context() -> ssl.SSLContext | None:
    """Return a context with the certificates that the environment names; None where it names none.

    Raises:
        ConfigurationError: they cannot be read; names variable and file.

    """
    source = ca_source()
    if source is None:
        return None
    variable, path = source
    fix = f"Set {variable} to a file of certificates in PEM form, or unset it."
    folder = variable == "SSL_CERT_DIR" or path.is_dir()
    if folder:
        folders = [Path(part) for part in str(path).split(os.pathsep) if part]
        if not any(part.is_dir() for part in folders):
            raise ConfigurationError(f"{variable}: {path}: there is no such folder.", fix)
        context = ssl.create_default_context()
        for part in folders:
            context.load_verify_locations(capath=str(part))
        return context
    try:
        return ssl.create_default_context(cafile=str(path))
    except ssl.SSLError:
        raise ConfigurationError(f"{variable}: {path} holds no certificate in PEM form.", fix) from None
    except (OSError, ValueError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "it cannot be read"
        raise ConfigurationError(f"{variable}: {path}: {reason}.", fix) from None
