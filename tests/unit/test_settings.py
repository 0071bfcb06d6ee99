import pytest

from engine.engine import Engine
from engine.errors import ConfigurationError, InputError
from engine.settings import load_settings


def test_without_anything_the_profile_is_the_demo(tmp_path):
    assert load_settings(tmp_path).default_profile() == "demo"


def test_an_endpoint_makes_it_azure_even_without_a_key(tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com")
    settings = load_settings(tmp_path)
    assert settings.default_profile() == "azure"
    assert settings.resource("azure").api_key is None


def test_environment_over_dotenv_over_the_homes_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    (home / "settings.toml").write_text('endpoint = "https://file"\ndeployment = "file"\nsubscription = "file"\n')
    (tmp_path / ".env").write_text("AZURE_OPENAI_ENDPOINT=https://dotenv\nAZURE_OPENAI_DEPLOYMENT_NAME=dotenv\n")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://environment")
    resource = load_settings(home).resource("azure")
    assert (resource.endpoint, resource.deployment, resource.subscription) == ("https://environment", "dotenv", "file")


def test_named_profiles(tmp_path):
    (tmp_path / "settings.toml").write_text('[profiles.lab]\nendpoint = "https://lab"\napi_key = "sesame"\n')
    settings = load_settings(tmp_path)
    assert settings.resource("lab").api_key.get_secret_value() == "sesame"
    assert "sesame" not in repr(settings)
    with pytest.raises(InputError, match=r"no profile 'nowhere'.*demo, azure, lab"):
        settings.resource("nowhere")
    with pytest.raises(ConfigurationError, match="no endpoint"):
        settings.resource("azure")


def test_a_broken_settings_file_is_named_and_its_values_are_not(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("endpoint = [")
    with pytest.raises(InputError, match=r"settings\.toml"):
        load_settings(tmp_path)
    path.write_text('[profiles.lab]\nendpoint = "https://lab"\napi_kee = "sesame"\n')
    with pytest.raises(InputError) as caught:
        load_settings(tmp_path)
    assert "sesame" not in str(caught.value)
    assert "api_kee" in str(caught.value)


def test_an_unknown_profile_makes_no_engine(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        Engine(tmp_path / "home", "nowhere")
