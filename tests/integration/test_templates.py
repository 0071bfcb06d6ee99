"""Whole templates in experiments: from a file to requests, training lines, answers and results."""

import io
import json
import runpy
import subprocess
from contextlib import redirect_stdout

import pytest

from engine import Engine, Spec
from engine.datasets.prompt import Prompt
from engine.jobs.bought import Question
from engine.jobs.sample_code import sample_code
from engine.jobs.verifying import verify
from engine.states import Outcome
from engine.store import Store
from tests.conftest import Emulator
from tests.pictures import catalogued, class_folders, plain
from tui.screens.pilot import pilot_question
from tui.widgets.price import price_lines, price_text

HOSTILE = ["cat, tabby", 'the "other"', "two\nlines", "[brackets]", "no cat", "ünï 猫", "it's", "{labels}"]
JSON_LIST = 'user = "Which one is it?\\n{labels}"\nlabels = "json"\nkey = "animal"\n'


class Blind(Emulator):
    """An emulator that answers with any category that it finds in the prompt."""

    def start(self):
        self.command.append("--no-brain")
        super().start()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Blind(tmp_path_factory.mktemp("templates"), tmp_path_factory.mktemp("no-cache"), "instant")
    yield place
    place.stop()


@pytest.fixture
def cli(dogcls, home, place, monkeypatch):
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments, code=0):
        found, out, err = dogcls(home.root, *arguments)
        assert found == code, (out, err)
        return out if code == 0 else err

    return run


@pytest.fixture
def template(tmp_path):
    def write(text):
        path = tmp_path / "prompt.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def cats(cli, tmp_path):
    cli("data", "add", class_folders(tmp_path / "cats", ["cat", "no cat"], 24), "--name", "cats")


def said(home, experiment):
    """Return contestants by kind, each with its predictions."""
    store = Store(home.store)
    try:
        return {
            str(c.kind): (c, list(store.predictions.of(c.id).values()))
            for c in store.experiments.contestants(experiment)
        }
    finally:
        store.close()


def holds(home, experiment):
    store = Store(home.store)
    try:
        found = verify(store, home, experiment)
        assert found.holds, found.lines()
        return True
    finally:
        store.close()


@pytest.mark.parametrize("bound", [False, True])
def test_a_binary_task_with_a_json_list_in_the_users_text(cli, home, cats, template, bound):
    file = template(JSON_LIST + ('answer = "json"\n' if bound else ""))
    kinds = "zero-shot,fine-tuned"
    cli("run", "--dataset", "cats", "--name", "c", "--contestants", kinds, "--prompt", file, "--plain", "--yes")
    file.unlink()  # all of it is in the store
    found = said(home, "c")
    for kind, answers in (("zero-shot", "json"), ("fine-tuned", "json" if bound else "text")):
        contestant, predictions = found[kind]
        assert {p.outcome for p in predictions} == {Outcome.ANSWERED} and len(predictions) == 4
        assert contestant.prompt == "Which one is it?\n{labels}"
        assert contestant.answer_format == ("json:animal" if answers == "json" else "text")
        for p in predictions:
            assert (json.loads(p.raw).keys() == {"animal"}) if answers == "json" else p.raw in ("cat", "no cat")
    result = json.loads(cli("results", "c", "--format", "full-json"))
    for c in result["provenance"]["contestants"]:
        assert c["template"]["user"] == c["prompt"] == "Which one is it?\n{labels}"
        assert (c["template"]["system"], c["template"]["labels_as"], c["template"]["key"]) == ("", "json", "animal")
    assert '"lenient": {"k": 0, "n": 4' in json.dumps(result) and '"lenient": {"k": 4' not in json.dumps(result)
    assert holds(home, "c")


def test_the_code_that_calls_a_tuned_model_asks_as_it_was_trained(cli, home, cats, template, tmp_path, monkeypatch):
    file = template("system = \"Say it\\n'so'.\"\n" + JSON_LIST + 'answer = "json"\n')
    spec = tmp_path / "spec.toml"
    spec.write_text("keep_deployment = true\nprobe = 0\n")
    options = ("--dataset", "cats", "--name", "c", "--contestants", "fine-tuned", "--prompt", file, "--file", spec)
    cli("run", *options, "--plain", "--yes")
    store = Store(home.store)
    code = sample_code(store, home, "c")
    store.close()
    curl, python = code.split("# Python", 1)
    body = curl.split("<<EOF\n")[1]
    shown = subprocess.run(["bash", "-c", f"IMAGE=eA==\ncat <<EOF\n{body}"], capture_output=True, check=True).stdout
    body = json.loads(shown)
    assert body["messages"][1]["content"][0]["text"] == 'Which one is it?\n["cat", "no cat"]'
    (tmp_path / "IMAGE.jpg").write_bytes(plain(3))
    (tmp_path / "call.py").write_text("# " + python)
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    with redirect_stdout(out):
        runpy.run_path("call.py")
    assert json.loads(out.getvalue())["animal"] in ("cat", "no cat")


@pytest.mark.parametrize(
    ("count", "listed"), [(len(HOSTILE), "json"), (2000, "json"), (2000, "lines"), (2000, "commas")]
)
def test_hostile_labels_and_two_thousand_come_back(cli, home, store, place, template, tmp_path, count, listed):
    labels = (HOSTILE if count < 2000 else []) + [
        f"kind {n} of thing" for n in range(count - len(HOSTILE) * (count < 2000))
    ]
    rows = []
    for n in range(12):
        path = tmp_path / f"{n}.jpg"
        path.write_bytes(plain(n))
        image = catalogued(path)
        rows += [(path.name, n % len(labels), "test", image.bytes, 32, 24, image.sha256)]
    store.datasets.add(
        "set", source="x", root=tmp_path, split="given", seed=None, digest="d", labels=labels, images=rows
    )
    file = template(f'system = "One of these:\\n{{labels}}\\nSay nothing else, please."\nlabels = "{listed}"\n')
    cli("launch", "batch", "--dataset", "set", "--name", "b", "--prompt", file, "--yes")
    cli(
        "launch",
        "score",
        "--dataset",
        "set",
        "--name",
        "s",
        "--prompt",
        file,
        "--deployment",
        place.deployment,
        "--yes",
    )
    for name in ("b", "s"):
        ((_, predictions),) = said(home, name).values()
        assert len(predictions) == 12 and all(p.outcome == Outcome.ANSWERED for p in predictions), predictions
    assert len({p.label for p in predictions}) > 1


async def test_estimates_count_all_of_the_text(cli, home, cats, template):
    engine = Engine(home.root)
    try:
        usd, files = [], []
        for more in ("", "word " * 2000):
            spec = Spec(dataset="cats", prompt=str(template(f'user = "{{labels}} {more}"')))
            plan, price = await engine.plan(spec)
            usd.append({line.item: line.usd for line in price.lines})
            files.append({one.kind: one for one in await engine.remote.outlook(plan)}["batch"])
        assert usd[1]["inference"] > 5 * usd[0]["inference"] and usd[1]["training"] > 5 * usd[0]["training"]
        assert files[1].tokens - files[0].tokens > files[0].requests * 2500
        assert files[1].bytes > files[0].bytes + files[0].requests * 9_900
    finally:
        engine.close()


@pytest.fixture
def torn(store, tmp_path):
    """A dataset `set` of few images, whose labels a list with commas tears apart."""
    rows = []
    for n, split in enumerate(["train"] * 2 + ["val"] * 10 + ["test"]):
        path = tmp_path / f"{n}.jpg"
        path.write_bytes(plain(n))
        image = catalogued(path)
        rows.append((path.name, 0, split, image.bytes, 32, 24, image.sha256))
    store.datasets.add(
        "set", source="x", root=tmp_path, split="given", seed=None, digest="d", labels=HOSTILE, images=rows
    )


@pytest.mark.parametrize("command", [("run", "--contestants", "zero-shot"), ("pilot",)])
def test_labels_that_a_list_tears_apart_are_told_before_the_money(cli, torn, command):
    err = cli(*command, "--dataset", "set", code=2)
    assert "warning: 4 labels have commas, quotes, brackets or line breaks, the first is 'cat, tabby'" in err
    assert "Add --yes to accept this price" in err


@pytest.mark.parametrize(("listed", "odd"), [("commas", True), ("json", False)])
async def test_they_are_told_beside_the_price_in_the_app(home, place, torn, template, monkeypatch, listed, odd):
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    engine = Engine(home.root)
    try:
        file = template(f'system = "One of {{labels}}"\nlabels = "{listed}"\n')
        spec = Spec(dataset="set", prompt=str(file))
        _, price = await engine.plan(spec)
        assert bool(price.cautions) == odd
        assert ("! 4 labels have" in price_text(price, None, None, tall=False).plain) == odd
        assert any("labels have commas" in line for line in price_lines(price, None)) == odd
        asked = "\n".join(pilot_question(await engine.pilots.cost(spec, 10), "set"))
        assert ("4 labels have" in asked) == odd and "Ask 10 validation images of set" in asked
    finally:
        engine.close()


def test_a_pilots_file_is_known_again_by_the_whole_template(home):
    old = Question("d", "azure", "e", "live", "low", "Which of {labels}?", "json")
    assert Question.of("d", "azure", "e", "live", Prompt("Which of {labels}?", "json", "low")).path(home) == old.path(
        home
    )
    assert Question.of("d", "azure", "e", "live", Prompt("Which of {labels}?", "json", "low", key="k")).path(
        home
    ) != old.path(home)


def test_the_homes_synonyms_are_read_by_jobs_as_by_results(cli, home, cats, template):
    (home.root / "synonyms.toml").write_text('"no cat" = ["dog"]\n', encoding="utf-8")
    file = template('system = "One of [cat, dog], as in {labels}."')  # the first list that it finds
    cli("launch", "batch", "--dataset", "cats", "--name", "b", "--prompt", file, "--yes")
    ((_, predictions),) = said(home, "b").values()
    assert {p.outcome for p in predictions} == {Outcome.ANSWERED}
    assert {p.label for p in predictions if "dog" in p.raw} == {1}
    assert holds(home, "b")
    (home.root / "synonyms.toml").write_text('"no cat" = 3\n', encoding="utf-8")
    err = cli("launch", "batch", "--dataset", "cats", "--name", "c", "--prompt", file, "--yes", code=2)
    assert "synonyms.toml, line 1" in err
