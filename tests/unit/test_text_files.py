"""Files that people write, in every encoding and in every state in which they are found."""

import os

import pytest

from engine.azure.prices import load_prices
from engine.datasets.prompt import Prompt
from engine.errors import DogclsError, InputError
from engine.evaluation.synonyms import load_synonyms
from engine.jobs.spec import read_spec
from engine.places import home_folder
from engine.settings import Variables, load_settings
from engine.text_files import LARGEST_BYTES, read_text, read_toml

TEXT = 'a = "Schlüssel – 犬"\r\nb = 1\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_an_encoding_that_names_itself_is_read(tmp_path, encoding):
    file = tmp_path / "a.toml"
    file.write_bytes(TEXT.encode(encoding))
    assert read_text(file) == TEXT.replace("\r\n", "\n")
    assert read_toml(file) == {"a": "Schlüssel – 犬", "b": 1}


@pytest.mark.parametrize("name", ["utf-16-be", "utf-16-le", "utf-32-be", "utf-32-le"])
def test_both_orders_of_bytes_are_read(tmp_path, name):
    file = tmp_path / "a.toml"
    for mark in ("\ufeff", ""):
        file.write_bytes((mark + TEXT).encode(name))
        assert read_toml(file)["a"] == "Schlüssel – 犬"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a = 1\n# Schl\xfcssel\n", ("a.toml, line 2: not UTF-8 (byte 0xfc).", "Save it as UTF-8")),
        ("# Schlüssel\n".encode("cp1252"), ("line 1: not UTF-8 (byte 0xfc)",)),
        (b"a = 1\nb = 2 \x00\n", ("line 2: holds a zero byte: is it a text file?",)),
        (b"a = 1\nb = \x00\n", ("line 2: holds a zero byte",)),
        (b"\xff\xfea\x00=\x00\x00\xd8\n\x00", ("line 1: not UTF-16",)),
        (b"a = [1\nb = 2\n", ("a.toml: ", "line 2", "Correct it; it is TOML.")),
        (b"a = " + b"[" * 5000, ("nested too deeply",)),
        (b"a = 1" + b"0" * 5000, ("a.toml: ", "Correct it; it is TOML.")),
        (b"a = 1 #" + b"x" * LARGEST_BYTES, ("over 4 MB",)),
    ],
    ids=[
        "latin-1",
        "cp1252",
        "a zero byte",
        "zero byte",
        "half a character",
        "no toml",
        "deep",
        "long",
        "huge",
    ],
)
def test_what_cannot_be_read_is_named_with_file_and_line(tmp_path, data, words):
    file = tmp_path / "a.toml"
    file.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_toml(file)
    assert str(caught.value).startswith(str(file)) and "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def a_folder(path):
    path.mkdir()


def a_pipe(path):
    os.mkfifo(path)


def a_dangling_link(path):
    path.symlink_to(path.with_name("gone"))


def a_circular_link(path):
    path.symlink_to(path)


def latin(path):
    path.write_bytes(b"# Schl\xfcssel\n")


IN_ITS_PLACE = {
    a_folder: "a folder, not a file",
    a_pipe: "a pipe or a device, not a file",
    a_dangling_link: "a link to a file that is not there",
    a_circular_link: "Too many levels of symbolic links",
    latin: "line 1: not UTF-8",
}


@pytest.mark.parametrize("make", IN_ITS_PLACE, ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("settings.toml", lambda path: load_settings(path.parent)),
        ("prices.toml", load_prices),
        ("synonyms.toml", load_synonyms),
    ],
    ids=["settings", "prices", "synonyms"],
)
def test_every_file_of_the_home_is_refused_by_name_and_never_waited_for(tmp_path, name, read, make):
    make(tmp_path / name)
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}") and IN_ITS_PLACE[make] in str(caught.value)


@pytest.mark.parametrize("read", [read_spec, lambda path: Prompt.from_file(path)], ids=["experiment", "prompt"])
def test_files_that_the_user_names_are_read_alike(tmp_path, read):
    file = tmp_path / "a.toml"
    file.write_bytes('system = "Éponge {labels}"\n'.encode("utf-16"))
    found = read(file)
    assert "Éponge {labels}" in (found["system"] if isinstance(found, dict) else found.system)
    latin(file)
    with pytest.raises(InputError, match="line 1: not UTF-8"):
        read(file)
    with pytest.raises(InputError, match="No such file or directory"):
        read(tmp_path / "none.toml")
    with pytest.raises(InputError, match="a folder, not a file"):
        read(tmp_path)


def test_what_the_user_names_may_be_a_pipe(tmp_path):
    reader, writer = os.pipe()
    os.write(writer, b"Sort. {labels}")
    os.close(writer)
    try:
        assert Prompt.from_file(type(tmp_path)(f"/dev/fd/{reader}")).system == "Sort. {labels}"
    finally:
        os.close(reader)


def test_files_that_are_not_there_are_none(tmp_path):
    assert load_settings(tmp_path).default_profile() == "demo"
    assert load_prices(tmp_path / "prices.toml") == load_prices()
    assert load_synonyms(tmp_path / "file" / "synonyms.toml") == load_synonyms()


# -- .env, which is rarely ours


@pytest.fixture
def dotenv(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()

    def load(data):
        (tmp_path / ".env").write_bytes(data)
        return load_settings(tmp_path / "home")

    return load


OURS = "AZURE_OPENAI_ENDPOINT=https://x.openai.azure.com\nAZURE_OPENAI_API_KEY=k1\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_dotenv_with_a_byte_order_mark_is_read(dotenv, encoding):
    settings = dotenv(OURS.encode(encoding))
    assert settings.resource("azure").endpoint == "https://x.openai.azure.com"
    assert settings.resource("azure").api_key.get_secret_value() == "k1"


@pytest.mark.parametrize(
    "data",
    [b"# Schl\xfcssel\nX=1\n", b"NAME=M\xfcller\n", b'X="open\n', b"= = =\n", b"just words\n", b"X=1\r\nY=2\r"],
)
def test_what_does_not_concern_us_in_a_dotenv_is_no_matter(dotenv, data, capfd):
    assert dotenv(data).default_profile() == "demo"
    assert dotenv(OURS.encode() + data).resource("azure").endpoint == "https://x.openai.azure.com"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"X=1\nAZURE_OPENAI_ACCOUNT=M\xfcller\n", r"\./\.env, line 2: AZURE_OPENAI_ACCOUNT: not UTF-8"),
        (b'X=1\nAZURE_OPENAI_API_KEY="open\n', r"\./\.env, line 2: AZURE_OPENAI_API_KEY: not in the form NAME=VALUE"),
        (b"X=1\nY=\0\n", r"\.env, line 2: holds a zero byte"),
    ],
)
def test_a_line_of_ours_that_cannot_be_read_is_named_without_its_value(dotenv, data, words):
    with pytest.raises(InputError, match=words) as caught:
        dotenv(data)
    assert "open" not in str(caught.value)


@pytest.mark.parametrize("make", [a_folder, a_pipe, a_dangling_link], ids=lambda make: make.__name__)
def test_a_dotenv_that_is_no_file_is_no_settings_file(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / ".env")
    assert load_settings(tmp_path).default_profile() == "demo"


# -- variables that look like ours


@pytest.mark.parametrize(
    "name", ["PROFILES", "ENDPOINT", "API_KEY", "PROFILE", "DOGCLS_X", "DOGCLS_SETTINGS", "ACCOUNT"]
)
@pytest.mark.parametrize("value", ["dev", "", "[]", "{", "a\udcffb"])
def test_a_variable_that_looks_like_ours_is_no_matter(dotenv, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    settings = dotenv(b"PROFILES=dev\nPROFILE=x\n")
    assert (settings.default_profile(), settings.profiles, settings.notes) == ("demo", {}, ())


@pytest.mark.parametrize("field", [name for name in Variables.model_fields if name != "profile"])
def test_a_variable_of_ours_that_is_not_utf8_is_named(dotenv, monkeypatch, field):
    name = str(Variables.model_fields[field].validation_alias)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com")
    monkeypatch.setenv(name, "https://a\udcffb.com" if "ENDPOINT" in name else "a\udcffb")
    with pytest.raises(DogclsError, match=name) as caught:
        dotenv(b"").resource("azure")
    str(caught.value).encode()  # it can be printed everywhere


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_variable_of_ours_that_is_blank_is_not_set(dotenv, monkeypatch, blank):
    for field in Variables.model_fields.values():
        monkeypatch.setenv(str(field.validation_alias), blank)
    settings = dotenv(b"AZURE_OPENAI_ENDPOINT=' '\n")
    assert (settings.default_profile(), settings.notes) == ("demo", ())
    monkeypatch.setenv("DOGCLS_HOME", blank)
    assert home_folder(None).name == "dogcls-tui"
