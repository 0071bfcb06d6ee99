"""Proxies and certificates of the environment: never before this machine, and named with variable and file."""

import socket
import ssl
import urllib.request

import pytest

from engine import network
from engine.azure import deployments, diagnosis
from engine.azure.connection import Azure, Endpoint, check
from engine.datasets.download import fetch
from engine.errors import ConfigurationError, DogclsError, ServiceUnavailable
from engine.jobs.doctor import _certificates, _examine, _proxy
from engine.network import is_loopback, opener, proxy_for, tls_context
from tests.answering import answering

AZURE = "https://dogs.openai.azure.com"
LISTED = '{"object": "list", "data": [], "value": [], "has_more": false}'


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def closed():
    """An address where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{unused.getsockname()[1]}"


def place_of(server):
    names = {"subscription": "s", "resource_group": "g", "account": "a"}
    return Endpoint(server.url, "sesame-0123456789", deployment="d", arm_endpoint=server.url, emulated=True, **names)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
async def test_this_machine_is_never_behind_a_proxy(variable, monkeypatch, tmp_path):
    with answering(502) as proxy, answering(200, "application/json", LISTED) as server:
        monkeypatch.setenv(variable, proxy.url)
        async with Azure(place_of(server)) as azure:
            await check(azure)
            assert await deployments.list_deployments(azure) == []
            assert (await diagnosis.permissions(azure)) is not None
        fetch(f"{server.url}/f", tmp_path / "f", most=1000)
    assert proxy.requests == []
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9", True),
        ("http://localhost", True),
        ("http://LOCALHOST.:80/x", True),
        ("http://[::1]:80", True),
        ("https://x.localhost", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://10.0.0.1", False),
        ("http://[::2]", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_what_this_machine_is(url, local):
    assert is_loopback(url) is local


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({"HTTPS_PROXY": "http://proxy:3128"}, "HTTPS_PROXY"),
        ({"https_proxy": "http://proxy:3128", "HTTPS_PROXY": "http://other:1"}, "https_proxy"),
        ({"ALL_PROXY": "http://proxy:3128"}, "ALL_PROXY"),
        ({"HTTPS_PROXY": "proxy:3128"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": " 'http://proxy:3128' "}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.com,10.0.0.0/8"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".azure.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({}, None),
    ],
)
def test_the_proxy_of_an_address(environment, variable, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(AZURE)
    assert (found and (found.variable, found.shown)) == (variable and (variable, f"http://proxy:3128 ({variable})"))


def test_a_range_of_addresses_is_excluded(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
    assert proxy_for("https://10.1.2.3") is None
    assert proxy_for("https://11.1.2.3") is not None


@pytest.mark.parametrize(
    "value", ["http://", "http:// a b", "http://proxy:port", "http://[::1", "ftp://proxy:1", "not a url"]
)
def test_a_proxy_that_is_none_is_named(value, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY ") as caught:
        proxy_for(AZURE)
    assert "NO_PROXY" in caught.value.cure
    assert proxy_for("http://127.0.0.1:1") is None  # the demo needs none


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h"])
async def test_socks_is_refused_by_name_and_without_its_password(scheme, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://me:open-sesame@proxy.example:1080")
    with pytest.raises(ConfigurationError, match=r"^ALL_PROXY names a SOCKS proxy \(proxy.example\)") as caught:
        async with Azure(Endpoint(AZURE, "k")):
            pass
    assert "sesame" not in str(caught.value)
    found = [checkup async for checkup in _examine(Endpoint(AZURE, "k"), AZURE)]
    assert [(checkup.name, checkup.state) for checkup in found] == [("endpoint", "ok"), ("proxy", "problem")]


async def reach_through(proxy, monkeypatch, arm=False):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setattr("engine.azure.connection._StaticToken.get_token", _token)
    monkeypatch.setattr(Azure, "arm_credential", _credential)
    place = Endpoint(AZURE, "k", subscription="s", resource_group="g", account="a")
    async with Azure(place) as azure:
        with pytest.raises(ServiceUnavailable) as caught:
            await (deployments.list_deployments(azure) if arm else diagnosis.reach(azure))
    return caught.value


async def _token(self, *_, **__):
    from azure.core.credentials import AccessToken

    return AccessToken("t", 2**31 - 1)


async def _credential(self):
    from engine.azure.connection import _StaticToken

    return _StaticToken("t")


@pytest.mark.parametrize("arm", [False, True])
async def test_a_proxy_that_wants_a_password_is_named(arm, monkeypatch):
    with answering(407, "text/html", "<title>Who are you?</title>") as proxy:
        error = await reach_through(proxy.url.replace("//", "//me:wrong-sesame@"), monkeypatch, arm)
    assert "407" in error.message and f"{proxy.url} (HTTPS_PROXY)" in error.message
    assert "NAME:PASSWORD" in error.cure
    assert "wrong-sesame" not in f"{error}{error!r}"
    assert {method for method, _, _ in proxy.requests} == {"CONNECT"}
    assert "api-key" not in proxy.requests[0][2]


@pytest.mark.parametrize("arm", [False, True])
async def test_a_proxy_that_refuses_or_is_not_there_is_named(arm, monkeypatch, closed):
    with answering(403, "text/html", "no") as proxy:
        error = await reach_through(proxy.url, monkeypatch, arm)
    assert f"{proxy.url} (HTTPS_PROXY)" in error.message and "HTTPS_PROXY" in error.cure
    error = await reach_through(f"http://me:open-sesame@{closed}", monkeypatch, arm)
    assert f"http://{closed} (HTTPS_PROXY)" in error.message and "NO_PROXY" in error.cure
    assert "open-sesame" not in str(error)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"])
async def test_certificates_that_are_not_there_are_named(variable, monkeypatch, tmp_path):
    missing = tmp_path / "gone.pem"
    monkeypatch.setenv(variable, str(missing))
    with pytest.raises(ConfigurationError) as caught:
        async with Azure(Endpoint(AZURE, "k")):
            pass
    assert caught.value.message.startswith(f"{variable}: {missing}: ")
    assert variable in caught.value.cure
    (checkup,) = _certificates(Endpoint(AZURE))
    assert (checkup.state, checkup.found) == ("problem", caught.value.message)
    with answering(200, "application/json", LISTED) as server:  # without TLS they are not used
        async with Azure(place_of(server)) as azure:
            await check(azure)


@pytest.mark.parametrize("content", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_that_holds_no_certificate_is_named(content, monkeypatch, tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE: .*ca\.pem holds no certificate in PEM form"):
        tls_context()


def test_without_a_setting_the_system_decides():
    assert network.ca_source() is None
    assert tls_context() is None
    assert _certificates(Endpoint(AZURE)) == []


def test_certificates_of_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert isinstance(tls_context(), ssl.SSLContext)


def test_a_download_by_a_bad_proxy_is_one_error(monkeypatch, tmp_path):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example:1")
    with pytest.raises(DogclsError, match="HTTPS_PROXY"):
        fetch("https://data.example/f", tmp_path / "f", most=1000)


def test_an_opener_has_the_proxy_of_its_address(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    (handler,) = [h for h in opener("http://data.example/").handlers if isinstance(h, urllib.request.ProxyHandler)]
    assert vars(handler)["proxies"] == {"http": "http://proxy:3128"}
    assert not [h for h in opener("http://127.0.0.1/").handlers if getattr(h, "proxies", None)]


def test_the_doctor_shows_which_proxy_is_used(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:open-sesame@proxy.example:8080")
    assert _proxy(Endpoint(AZURE)).found == "http://proxy.example:8080 (HTTPS_PROXY) is before dogs.openai.azure.com"
    assert _proxy(Endpoint("https://127.0.0.1")).found == "not used for 127.0.0.1"
