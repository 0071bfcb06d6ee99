"""Bad input on the command line: one line that names the thing and the cure, and the promised exit code."""

import json
import sys
from functools import partial

import pytest

from engine.jobs import embedded
from engine.jobs.paths import Home
from tests.pictures import class_folders, plain


@pytest.fixture
def cli(tmp_path, dogcls):
    """Run a command in a home of its own."""
    yield partial(dogcls, tmp_path / "home")
    embedded.stop(Home(tmp_path / "home"))


def refused(result, code, *words):
    found, out, err = result
    assert (found, out) == (code, ""), err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    for word in words:
        assert word in line
    return line


@pytest.fixture
def birds(cli, tmp_path):
    source = class_folders(tmp_path / "birds", ["finch", "wren"], 12)
    assert cli("data", "add", source, "--name", "birds")[0] == 0
    return source


def nothing_left(tmp_path):
    datasets = tmp_path / "home" / "datasets"
    return not datasets.exists() or not any(datasets.iterdir())


def test_sources(cli, tmp_path):
    refused(cli("data", "add", tmp_path / "none", "--name", "x"), 2, "none: no such file or folder", "Give a folder")
    (tmp_path / "empty").mkdir()
    refused(cli("data", "add", tmp_path / "empty", "--name", "x"), 2, "empty: no images in class folders")
    few = class_folders(tmp_path / "few", ["a", "b"], 2)
    refused(cli("data", "add", few, "--name", "x"), 2, "The class 'a' has 2 images, and 3 are needed", "Add images")
    refused(cli("data", "add", few, "--name", "x", "--split", "article"), 2, "and 50 are needed")
    same = class_folders(tmp_path / "same", ["n02110958-pug", "Pug"], 5)
    refused(cli("data", "add", same, "--name", "x"), 2, "'Pug' and 'n02110958-pug'", "Rename or merge")
    refused(cli("data", "add", few, "--name", "x", "--split", "thirds"), 2, "thirds", "Choose article, stratified")
    refused(cli("data", "add", few, "--name", "../x"), 2, "'../x' cannot be a dataset's name")
    assert nothing_left(tmp_path)
    assert json.loads(cli("data", "list", "--json")[1]) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"text", "this is no image"), (plain(size=(400, 400))[:-500], "it cannot be decoded")],
)
def test_images(cli, tmp_path, data, words):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    (source / "a" / "bad.jpg").write_bytes(data)
    refused(cli("data", "add", source, "--name", "x"), 2, "set/a/bad.jpg", words, "Remove it, or replace it")
    assert nothing_left(tmp_path)


def test_a_name_is_taken_once(cli, birds):
    refused(cli("data", "add", birds, "--name", "birds"), 2, "There is a dataset 'birds' already")


def test_what_is_not_there_is_named(cli, birds):
    refused(cli("data", "show", "cats"), 2, "cats")
    refused(cli("run", "--dataset", "cats", "--yes"), 2, "cats")
    refused(cli("run", "--yes"), 2, "--dataset")
    refused(cli("results"), 2, "no experiment yet")
    refused(cli("results", "x"), 2, "x")
    refused(cli("cancel", "7"), 2, "7")
    refused(cli("resume", "7"), 2, "7")
    refused(cli("logs", "7"), 2, "7")
    refused(cli("experiment", "x"), 2, "x")


def test_parameters(cli, birds, tmp_path):
    run = ("run", "--dataset", "birds", "--yes")
    refused(cli(*run, "--epochs", "0"), 2, "epochs")
    refused(cli(*run, "--contestants", "zero-shot,gpt"), 2, "contestants")
    refused(cli(*run, "--detail", "medium"), 2, "detail")
    refused(cli(*run, "--contestants", "cnn", "--recipe", "slow"), 2, "'slow'", "quick, article")
    refused(cli(*run, "--file", tmp_path / "none.toml"), 2, "none.toml: No such file")
    (tmp_path / "bad.toml").write_text('dataset = "birds"\nepochs = \n')
    refused(cli(*run, "--file", tmp_path / "bad.toml"), 2, "bad.toml", "line 2")
    (tmp_path / "bad.toml").write_text('dataset = "birds"\nepoch = 2\n')
    refused(cli(*run, "--file", tmp_path / "bad.toml"), 2, "bad.toml: epoch")
    (tmp_path / "prompt.txt").write_text("Which?")
    refused(cli(*run, "--contestants", "zero-shot", "--prompt", tmp_path / "prompt.txt"), 2, "never says {labels}")
    refused(cli(*run, "--name", "../x", "--contestants", "cnn"), 2, "'../x' cannot be an experiment's name")
    refused(cli("results", "--format", "pdf"), 2, "pdf")
    assert json.loads(cli("jobs", "--json")[1]) == []


def test_the_articles_recipe_without_its_weights_starts_nothing(cli, birds, tmp_path):
    run = ("run", "--dataset", "birds", "--yes", "--contestants", "cnn", "--recipe", "article")
    refused(cli(*run, "--weights", tmp_path / "none.pth"), 2, "none.pth: no such file")
    assert json.loads(cli("jobs", "--json")[1]) == []


def test_profiles_and_sign_in(cli, birds, monkeypatch, emulator, unused_tcp_port):
    run = ("run", "--dataset", "birds", "--yes", "--contestants", "zero-shot")
    refused(cli("--profile", "moon", *run), 2, "no profile 'moon'", "demo, azure")
    refused(cli("--profile", "azure", *run), 3, "no endpoint", "AZURE_OPENAI_ENDPOINT")

    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "wrong-key-0123456789")
    line = refused(cli(*run), 3, "sign-in refused")
    assert "wrong-key-0123456789" not in line

    monkeypatch.setenv("AZURE_OPENAI_API_KEY", emulator.api_key)
    monkeypatch.setenv("AZURE_OPENAI_BATCH_DEPLOYMENT_NAME", "nowhere")
    refused(cli(*run), 3, "no deployment 'nowhere'", "AZURE_OPENAI_BATCH_DEPLOYMENT_NAME")
    monkeypatch.delenv("AZURE_OPENAI_BATCH_DEPLOYMENT_NAME")
    refused(cli(*run), 3, "No deployment for batches is configured")

    monkeypatch.setenv("AZURE_OPENAI_BATCH_DEPLOYMENT_NAME", emulator.batch_deployment)
    monkeypatch.delenv("AZURE_OPENAI_ACCOUNT")
    refused(cli(*run[:-1], "fine-tuned"), 3, "Deploying needs AZURE_OPENAI_ACCOUNT")

    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"http://127.0.0.1:{unused_tcp_port}")
    refused(cli(*run), 3, f"127.0.0.1:{unused_tcp_port}: no answer")
    assert json.loads(cli("jobs", "--json")[1]) == []


def test_no_money_is_spent_unasked(cli, birds, monkeypatch, emulator):
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    code, out, err = cli("run", "--dataset", "birds")
    assert (code, out) == (2, "")
    assert "training" in err
    assert "in all" in err
    assert "--yes" in err
    refused(cli("run", "--dataset", "birds", "--yes", "--max-cost", "0.0001"), 2, "over the limit of $0.00")
    assert json.loads(cli("jobs", "--json")[1]) == []


def test_unknown_commands_and_options_are_usage_errors(cli):
    assert cli("fly")[0] == 2
    assert cli("run", "--fly")[0] == 2
    assert cli("jobs", "x")[0] == 2
    assert cli("cancel", "x")[0] == 2


@pytest.mark.parametrize(
    "command",
    ["", "demo", "data", "data add", "data list", "data show", "run", "launch", "launch batch", "launch fine-tune",
     "launch deploy", "launch score", "launch train", "jobs", "logs", "cancel", "pause", "resume", "results",
     "score", "experiment", "emulator", "info", "train", "recipes"],
)  # fmt: skip
def test_everything_has_a_help_page(cli, command):
    code, out, _ = cli(*command.split(), "--help")
    assert code == 0
    assert "Usage:" in out


def test_info_says_where_everything_is_and_no_secret(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "sesame-0123456789")
    code, out, _ = cli("info", "--json")
    assert code == 0
    assert str(tmp_path / "home") in out
    assert "sesame" not in out
    assert json.loads(out)["profile"] == "azure"


def test_an_endpoint_without_a_key_is_never_the_emulator(cli, birds, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://x.invalid")
    _, out, _ = cli("info", "--json")
    assert json.loads(out)["profile"] == "azure"
