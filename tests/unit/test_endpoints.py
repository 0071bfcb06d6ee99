"""Endpoints and names as people paste them: the resource's base, or a refusal that names the setting."""

import pytest
from pydantic import SecretStr

from engine.endpoints import clean_endpoint, clean_name, deployment_in
from engine.errors import ConfigurationError
from engine.settings import Resource, Settings, load_settings

BASE = "https://dogs.openai.azure.com"
FOUNDRY = "https://dogs.services.ai.azure.com"


@pytest.mark.parametrize(
    ("pasted", "used"),
    [
        (BASE, BASE),
        (f"{BASE}/", BASE),
        (f"{BASE}//", BASE),
        (f"  {BASE}/ \r\n", BASE),
        (f'"{BASE}"', BASE),
        (f"“{BASE}”", BASE),
        (f"<{BASE}>", BASE),
        (f"AZURE_OPENAI_ENDPOINT='{BASE}'", BASE),
        ("HTTPS://Dogs.OpenAI.Azure.com/", BASE),
        ("dogs.openai.azure.com", BASE),
        ("https//dogs.openai.azure.com", BASE),
        ("https:dogs.openai.azure.com", BASE),
        (f"{BASE}:443/", BASE),
        (f"{BASE}:8443/", f"{BASE}:8443"),
        (f"{BASE}./", BASE),
        (f"{BASE}/openai", BASE),
        (f"{BASE}/openai/", BASE),
        (f"{BASE}/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01-preview", BASE),
        (f"{BASE}/openai/deployments/gpt-4o", BASE),
        (f"{BASE}/openai/files?api-version=2025-01-01-preview&api-key=abc", BASE),
        (f"{BASE}/?x=1#y", BASE),
        (f"{BASE}/openai/v1", f"{BASE}/openai/v1"),
        (f"{BASE}/openai/v1/", f"{BASE}/openai/v1"),
        (f"{BASE}/OpenAI/V1/chat/completions", f"{BASE}/openai/v1"),
        (f"{FOUNDRY}/api/projects/kennel", FOUNDRY),
        (f"{FOUNDRY}/models/chat/completions?api-version=2024-05-01-preview", FOUNDRY),
        ("https://gateway.example/azure/openai/deployments/gpt-4o", "https://gateway.example/azure"),
        ("https://gateway.example/azure/", "https://gateway.example/azure"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("localhost:8080/openai", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_pasted_endpoints(pasted, used):
    assert clean_endpoint(pasted) == used
    assert clean_endpoint(used) == used


@pytest.mark.parametrize(
    ("pasted", "reason"),
    [
        ("", "is empty"),
        (" '' ", "is empty"),
        ("https://", "is no"),
        ("my-resource", "is no address"),
        ("/subscriptions/1/resourceGroups/kennel", "is no address"),
        ("https://dogs openai.azure.com", "is no host"),
        ("https://dögs.openai.azure.com", "is no host"),
        (f"{BASE}:port", "cannot be read"),
        (f"{BASE}:99999", "cannot be read"),
        ("https://[::1", "cannot be read"),
        ("ftp://dogs.openai.azure.com", "is not https"),
        ("wss://dogs.openai.azure.com/openai/realtime", "is not https"),
        ("http://dogs.openai.azure.com", "unencrypted"),
        ("http://127.0.0.1.evil.example", "unencrypted"),
        ("http://localhost.evil.example", "unencrypted"),
        ("http://10.0.0.1:8080", "unencrypted"),
        ("https://me:sesame@dogs.openai.azure.com", "name or password"),
        ("https://portal.azure.com/#@tenant/resource", "portal's address"),
        ("https://ai.azure.com/build", "portal's address"),
    ],
)
def test_what_is_no_endpoint_is_refused_by_name(pasted, reason):
    with pytest.raises(ConfigurationError, match=reason) as caught:
        clean_endpoint(pasted, "profiles.x.endpoint")
    assert caught.value.message.startswith("profiles.x.endpoint")
    assert caught.value.cure
    assert "sesame" not in str(caught.value)


def test_the_deployment_of_a_pasted_address_is_known():
    assert deployment_in(f" '{BASE}/openai/deployments/gpt-4o%20mini/chat/completions?x=1'") == "gpt-4o mini"
    assert deployment_in(BASE) is None


@pytest.mark.parametrize("pasted", [" gpt-4o ", '"gpt-4o"', "gpt-4o\n", "‘gpt-4o’"])
def test_pasted_names(pasted):
    assert clean_name(pasted, "AZURE_OPENAI_DEPLOYMENT_NAME") == "gpt-4o"


@pytest.mark.parametrize(("pasted", "what"), [("gpt 4o", "a space"), ("a/b", "solidus"), ("a?b", "question mark")])
def test_a_name_that_none_has_is_refused(pasted, what):
    with pytest.raises(ConfigurationError, match=f"^AZURE_OPENAI_DEPLOYMENT_NAME: .* holds {what}"):
        clean_name(pasted, "AZURE_OPENAI_DEPLOYMENT_NAME")


def test_empty_names_are_none():
    assert clean_name(" '' ", "x") is None
    assert clean_name(None, "x") is None


def test_settings_are_cleaned_where_they_are_used(monkeypatch, tmp_path):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f" '{BASE}/openai/deployments/gpt-4o/chat/completions?api-version=1' ")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "0123456789abcdef\r\n")
    monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENT_NAME", '"gpt-4o"')
    monkeypatch.setenv("AZURE_ARM_ENDPOINT", "https://management.azure.com/")
    found = load_settings(tmp_path).resource("azure")
    assert (found.endpoint, found.api_key.get_secret_value(), found.deployment, found.arm_endpoint) == (
        BASE,
        "0123456789abcdef",
        "gpt-4o",
        "https://management.azure.com",
    )


def test_a_bad_value_of_a_profile_is_named_and_hurts_no_other_profile():
    settings = Settings.model_construct(
        endpoint=BASE,
        profiles={"x": Resource(endpoint=BASE, api_key=SecretStr("a key")), "y": Resource(endpoint="nowhere")},
    )
    with pytest.raises(ConfigurationError, match=r"^profiles\.x\.api_key: character 2"):
        settings.resource("x")
    with pytest.raises(ConfigurationError, match=r"^profiles\.y\.endpoint"):
        settings.resource("y")
    assert settings.resource("azure").endpoint == BASE
