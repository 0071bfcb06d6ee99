import json

import pytest

from engine.engine import Engine
from engine.errors import ConfigurationError, InputError
from engine.settings import API_VERSION, load_settings


def test_without_anything_the_profile_is_the_demo(tmp_path):
    assert load_settings(tmp_path).default_profile() == "demo"


def test_an_endpoint_makes_it_azure_even_without_a_key(tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com")
    settings = load_settings(tmp_path)
    assert settings.default_profile() == "azure"
    assert settings.resource("azure").api_key is None


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder, a home and the platform's folder; a function writes settings there and gives those in use."""
    home, platform, folder = tmp_path / "home", tmp_path / "config", tmp_path / "work"
    for each in (home, platform / "dogcls-tui", folder):
        each.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(platform))
    monkeypatch.chdir(folder)

    def write(*, environment=None, dotenv=None, home_file="", platform_file=""):
        for name, value in (environment or {}).items():
            monkeypatch.setenv(VARIABLES[name], value)
        lines = [f"{VARIABLES[name]}={value}\n" for name, value in (dotenv or {}).items()]
        (folder / ".env").write_text("".join(lines))
        for file, text in ((home, home_file), (platform / "dogcls-tui", platform_file)):
            text = text if isinstance(text, str) else "".join(f'{k} = "{v}"\n' for k, v in text.items())
            (file / "settings.toml").write_text(text)
        return load_settings(home)

    write.home, write.platform = home / "settings.toml", platform / "dogcls-tui" / "settings.toml"
    return write


VARIABLES = {
    "endpoint": "AZURE_OPENAI_ENDPOINT",
    "api_key": "AZURE_OPENAI_API_KEY",
    "api_version": "AZURE_OPENAI_API_VERSION",
    "deployment": "AZURE_OPENAI_DEPLOYMENT_NAME",
    "account": "AZURE_OPENAI_ACCOUNT",
    "subscription": "AZURE_SUBSCRIPTION_ID",
    "arm_endpoint": "AZURE_ARM_ENDPOINT",
    "profile": "DOGCLS_PROFILE",
    "profiles": "PROFILES",
    "proxy": "HTTPS_PROXY",
}
MINE = "https://mine.openai.azure.com"
THEIRS = "https://evil.example"
MY_KEY, THEIR_KEY = "MY-KEY", "THEIR-KEY"
MY = {"endpoint": MINE, "api_key": MY_KEY, "deployment": "my-model", "subscription": "my-subscription"}
ONLY_KEY = {"api_key": MY_KEY}


def key(settings, profile="azure"):
    found = settings.resource(profile).api_key
    return found and found.get_secret_value()


def test_the_first_source_that_names_an_endpoint_wins(place):
    settings = place(
        environment={"endpoint": "https://environment", "api_key": "e"},
        dotenv={"endpoint": "https://dotenv", "api_key": "d", "deployment": "dotenv"},
        home_file={"endpoint": "https://file", "api_key": "f", "subscription": "file"},
    )
    resource = settings.resource("azure")
    assert (resource.endpoint, key(settings)) == ("https://environment", "e")
    assert (resource.deployment, resource.subscription) == (None, None)  # they belong to other endpoints
    assert len(settings.notes) == 2 and "https://dotenv" in settings.notes[0] and "https://file" in settings.notes[1]


@pytest.mark.parametrize("where", ["environment", "home_file", "platform_file"])
@pytest.mark.parametrize("mine", [MY, ONLY_KEY], ids=["endpoint and key", "a key"])
@pytest.mark.parametrize("theirs", [THEIRS, "http://127.0.0.1:8080", "https://theirs.openai.azure.com"])
def test_no_key_of_the_user_goes_to_the_endpoint_of_a_folder(place, where, mine, theirs):
    settings = place(dotenv={"endpoint": theirs}, **{where: mine})
    if where == "environment" and "endpoint" in mine:
        assert (settings.resource("azure").endpoint, key(settings)) == (MINE, MY_KEY)
        return
    with pytest.raises(ConfigurationError, match=rf"\./\.env names the endpoint {theirs} without a key") as caught:
        settings.resource("azure")
    assert MY_KEY not in str(caught.value) and "AZURE_OPENAI_API_KEY into ./.env" in caught.value.cure


def test_no_sign_in_token_goes_to_a_host_of_a_folder_that_is_not_azures(place):
    for endpoint in (THEIRS, "https://x.openai.azure.com.evil.example", "https://evil.example/x.openai.azure.com",
                     "https://x.openai.azure.com@evil.example", "http://x.openai.azure.com"):  # fmt: skip
        with pytest.raises(ConfigurationError, match="a sign-in token is not sent"):
            place(dotenv={"endpoint": endpoint}).resource("azure")
    settings = place(dotenv={"endpoint": MINE, "deployment": "d"})
    assert (settings.resource("azure").endpoint, key(settings)) == (MINE, None)


def test_a_complete_dotenv_works_and_takes_nothing_from_elsewhere(place):
    settings = place(
        dotenv={"endpoint": THEIRS, "api_key": THEIR_KEY, "deployment": "d"},
        environment={"api_key": MY_KEY, "subscription": "s", "api_version": "2030-01-01"},
        home_file=MY,
        platform_file={"account": "mine"},
    )
    resource = settings.resource("azure")
    assert (resource.endpoint, key(settings), resource.deployment) == (THEIRS, THEIR_KEY, "d")
    assert (resource.subscription, resource.account, resource.api_version) == (None, None, API_VERSION)
    assert settings.origin("azure") == "endpoint from ./.env, key from ./.env"


def test_the_environment_may_choose_a_deployment_of_a_dotenvs_resource(place):
    settings = place(dotenv={"endpoint": MINE, "api_key": "k", "deployment": "d"}, environment={"deployment": "e"})
    assert settings.resource("azure").deployment == "e"


@pytest.mark.parametrize(
    ("arm", "works"),
    [
        ("https://evil.example", False),
        ("https://management.azure.com.evil.example", False),
        ("https://management.azure.com@evil.example", False),
        ("https://management.azure.com", True),
        ("http://127.0.0.1:4010", True),
    ],
)
def test_no_token_goes_to_a_control_plane_of_a_folder(place, arm, works):
    settings = place(dotenv={"endpoint": MINE, "api_key": "k", "arm_endpoint": arm})
    if works:
        assert settings.resource("azure").arm_endpoint == arm
        return
    with pytest.raises(ConfigurationError, match="no control plane of Azure"):
        settings.resource("azure")


@pytest.mark.parametrize("where", ["environment", "home_file", "platform_file"])
def test_of_a_dotenv_without_an_endpoint_only_deployments_and_the_profile_are_used(place, where):
    dotenv = {"arm_endpoint": THEIRS, "subscription": "theirs", "account": "theirs", "api_version": "1", "proxy": "p"}
    settings = place(dotenv={**dotenv, "deployment": "theirs"}, **{where: {**MY, "deployment": ""}})
    resource = settings.resource("azure")
    assert (resource.endpoint, key(settings), resource.deployment) == (MINE, MY_KEY, "theirs")
    assert (resource.arm_endpoint, resource.subscription) == ("https://management.azure.com", "my-subscription")
    assert (resource.account, resource.api_version) == (None, API_VERSION)
    (note,) = settings.notes
    assert note.startswith("./.env: ") and "arm_endpoint" in note and "deployment" not in note


def test_a_key_in_a_dotenv_is_for_the_users_endpoint_where_there_is_no_other(place):
    assert key(place(dotenv={"api_key": THEIR_KEY}, home_file={"endpoint": MINE})) == THEIR_KEY
    assert key(place(dotenv={"api_key": THEIR_KEY}, home_file=MY)) == MY_KEY


def test_a_key_of_the_environment_is_for_the_users_own_file(place):
    settings = place(environment=ONLY_KEY, home_file={"endpoint": MINE})
    assert key(settings) == MY_KEY
    assert settings.origin("azure") == f"endpoint from {place.home}, key from the environment"


def test_a_key_goes_to_no_endpoint_of_another_source_than_its_own(place):
    settings = place(environment={"endpoint": "https://other.openai.azure.com"}, home_file=MY)
    assert key(settings) is None and settings.resource("azure").subscription is None
    settings = place(home_file={"endpoint": "https://other.openai.azure.com"}, platform_file=MY)
    assert key(settings) is None
    settings = place(environment={"endpoint": f"{MINE}/openai/v1"}, home_file=MY)  # the same resource
    assert (key(settings), settings.resource("azure").endpoint) == (MY_KEY, f"{MINE}/openai/v1")


def test_a_table_of_a_profile_is_one_files(place):
    mine, theirs = (f'[profiles.lab]\nendpoint = "{e}"\n' for e in (MINE, THEIRS))
    with_key = f'{mine}api_key = "{MY_KEY}"\n'
    settings = place(home_file=theirs, platform_file=with_key)
    assert (settings.resource("lab").endpoint, key(settings, "lab")) == (THEIRS, None)
    assert "profiles.lab" in settings.notes[0]
    settings = place(home_file=mine, platform_file=with_key)
    assert key(settings, "lab") == MY_KEY
    settings = place(home_file='[profiles.lab]\ndeployment = "d"\n', platform_file=with_key)
    assert (settings.resource("lab").deployment, key(settings, "lab")) == ("d", MY_KEY)


def test_profiles_come_from_settings_files_only(place):
    table = json.dumps({"lab": {"endpoint": THEIRS}})
    lab = f'[profiles.lab]\nendpoint = "{MINE}"\napi_key = "{MY_KEY}"\n'
    for source in ("environment", "dotenv"):
        settings = place(home_file=lab, **{source: {"profiles": table}})
        assert (settings.resource("lab").endpoint, key(settings, "lab")) == (MINE, MY_KEY)
    settings = place(home_file=lab, environment={"profiles": "dev"}, dotenv={"profile": "lab", "endpoint": THEIRS})
    assert settings.default_profile() == "lab" and key(settings, "lab") == MY_KEY


def test_a_dotenv_that_is_no_text_is_named(place, tmp_path):
    place()
    (tmp_path / "work" / ".env").write_bytes(b"X=\0")
    with pytest.raises(InputError, match=r"\.env, line 1: holds a zero byte"):
        load_settings(tmp_path / "home")


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


@pytest.mark.parametrize("text", ["endpoint = 5", "api_key = true", "[deployment]\na = 1"])
def test_a_setting_that_is_no_text_is_named_with_its_file(place, text):
    with pytest.raises(InputError, match=rf"{place.home}: {text.strip('[').split(']')[0].split()[0]} is .* no text"):
        place(home_file=text)


def test_what_is_no_setting_is_noted(place):
    settings = place(home_file='endpiont = "https://x.openai.azure.com"\n')
    assert settings.notes == (f"{place.home}: endpiont is no setting, and is not used.",)
    assert settings.default_profile() == "demo"
