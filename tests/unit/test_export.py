"""Exported models: run, not believed."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from safetensors import safe_open

from engine.errors import InputError, JobError
from engine.evaluation.metrics import latency
from engine.training import export
from engine.training.card import Facts
from engine.training.export import export_model
from engine.training.keeping import load_best
from engine.training.loop import train
from engine.training.predict import load_predictor
from engine.training.recipes import Phase, Recipe, get_recipe
from tests.forms import BLACK, GREY, LOSSLESS, shape
from tests.pictures import KENNEL
from tests.unit.test_training import BLOCKS, Watch, examples

LABELS = ("dalmatian", "pug `x`", "German shepherd", "Bernese\nmountain [dog]")
FACTS = Facts(
    experiment="exp", contestant="cnn", dataset="dogs *of* <mine>", digest="d" * 64,
    split={"train": 24, "val": 8, "test": 16}, seed=42, val_accuracy=0.875, correct=12, tested=16,
    latency=latency([7.0, 8.0, 9.0]), device="cpu", caution="ImageNet weights meet ImageNet pictures: 1 of 1.",
)  # fmt: skip
TWO = BLOCKS.model_copy(update={"backbones": ("efficientnet-lite0", "efficientnet-lite1"), "phases": BLOCKS.phases[:1]})
WHOLE = Recipe(
    name="whole",
    about="every weight",
    backbones=("efficientnet-lite0",),
    head="random",
    phases=(Phase(train="all", epochs=1, batch_size=8, learning_rate=1e-3),),
)
RECIPES = {"quick": get_recipe("quick", epochs=1), "blocks": BLOCKS, "two": TWO, "whole": WHOLE}


@pytest.fixture(scope="module")
def runs(dogs, backbones, tmp_path_factory):
    """Train a recipe once; return the folder of its checkpoints."""
    folder, done = tmp_path_factory.mktemp("runs"), set()

    def run(name):
        if name not in done:
            training = examples(dogs, range(2 if name == "whole" else 6))
            options = {"folder": folder / name, "cache": backbones, "seed": 42, "watch": Watch(), "device": "cpu"}
            train(RECIPES[name], LABELS, training, examples(dogs, range(10, 12)), **options)
            done.add(name)
        return folder / name

    return run


@pytest.fixture
def pictures(dogs):
    return [e.path for e in examples(dogs, range(12, 14))]


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_exported_says_what_the_checkpoints_say(name, runs, backbones, pictures, tmp_path):
    made = export_model(runs(name), backbones, tmp_path / "new" / "out", FACTS, pictures)
    models = ["model-1.onnx", "model-2.onnx"] if name == "two" else ["model.onnx"]
    assert [path.name for path in made] == [*models, "model.safetensors", "README.md"]
    assert sorted(p.name for p in (tmp_path / "new").rglob("*")) == sorted(["out", *(p.name for p in made)])
    predictor = load_predictor(runs(name), backbones)
    found = []
    for file, member in zip(models, predictor.members, strict=True):
        session = onnxruntime.InferenceSession(made[0].parent / file, providers=["CPUExecutionProvider"])
        assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == list(LABELS)
        for n in (1, 3, len(pictures)):
            pixels = np.stack([member.picture(path) for path in pictures[:n]])
            (probabilities,) = session.run(["probabilities"], {"pixels": pixels})
            assert probabilities.shape == (n, 4)
        found.append(probabilities)
    expected = predictor.predict(pictures)
    np.testing.assert_allclose(np.mean(found, axis=0), expected, atol=1e-3)
    with safe_open(made[-2], "pt") as file:
        told = file.metadata()
        best = load_best(runs(name), 0, print)
        names = {f"1.{key}" if name == "two" else key for key in best["model"]}
        assert names <= set(file.keys())
        key = next(iter(best["model"]))
        assert np.array_equal(file.get_tensor(f"1.{key}" if name == "two" else key), best["model"][key])
    assert json.loads(told["labels"]) == list(LABELS)
    assert json.loads(told["recipe"])["name"] == RECIPES[name].name
    assert told["weights_sha256"].startswith(best["origin"]["sha256"])


@pytest.mark.parametrize("name", ["two", "whole"])
def test_the_cards_program_really_runs(name, runs, backbones, pictures, tmp_path):
    made = export_model(runs(name), backbones, tmp_path / "out", FACTS, pictures)
    code = made[-1].read_text().partition("```python\n")[2].partition("```")[0]
    with Image.open(pictures[0]) as picture:
        forms = [LOSSLESS["16 bits, opaque alpha"](picture), LOSSLESS["EXIF 6, WEBP"](picture)]
    pictures = pictures[:1]
    for number, data in enumerate([*forms, BLACK["P with an index"](shape()), GREY["I;16"](shape())]):
        pictures.append(tmp_path / f"{number}.picture")
        pictures[-1].write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, pictures)], cwd=tmp_path / "out", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = load_predictor(runs(name), backbones).predict(pictures)
    # A label may have a line's end in it.
    for path, row in zip(pictures, expected, strict=True):
        said, probability = done.stdout.partition(f"{path} ")[2].partition("\n/")[0].rsplit(maxsplit=1)
        assert said == LABELS[row.argmax()]
        assert float(probability) == pytest.approx(row.max(), abs=0.02)


def test_the_card_tells_what_it_is(runs, backbones, pictures, tmp_path):
    card = export_model(runs("two"), backbones, tmp_path / "out", FACTS, pictures)[-1].read_text()
    for told in (
        "2 networks, whose probabilities are averaged",
        r"dogs \*of\* \<mine\>",
        f"digest `{'d' * 64}`",
        "24 training, 8 validation and 16 test images",
        "recipe `blocks`, seed 42",
        "| validation | 87.50% | 52.9%–97.8% | 8 |",
        "| test | 75.00% | 50.5%–89.8% | 16 |",
        "p50 8.0 ms",
        "**Caution.** ImageNet weights meet ImageNet pictures",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0",
        json.dumps(list(LABELS)),
    ):
        assert told in card
    other = replace(FACTS, caution="", val_accuracy=None, tested=0, correct=0, latency=None, device="")
    card = export_model(runs("quick"), backbones, tmp_path / "other", other, pictures)[-1].read_text()
    assert "| test | – | – | 0 |" in card
    assert "Caution" not in card and "p50" not in card and "averaged" not in card


def test_nothing_is_left_where_the_onnx_says_something_else(runs, backbones, pictures, tmp_path, monkeypatch):
    wrong = export.whole_network

    def other(best, cache):
        network, size = wrong(best, cache)
        network.network._fc.bias.data[0] += 1
        return network, size

    monkeypatch.setattr(export, "whole_network", other)
    with pytest.raises(JobError, match=r"model.onnx: a probability is 0\.\d+ off"):
        export_model(runs("quick"), backbones, tmp_path / "out", FACTS, pictures)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(runs, backbones, pictures, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match=r"README.md is there already"):
        export_model(runs("quick"), backbones, tmp_path, FACTS, pictures)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["README.md"]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Choose another folder"):
        export_model(runs("quick"), backbones, tmp_path / "file" / "x", FACTS, pictures)
    with pytest.raises(InputError, match="no picture"):
        export_model(runs("quick"), backbones, tmp_path / "new", FACTS, [])


def test_a_damaged_checkpoint_falls_back_to_the_one_before(runs, backbones, pictures, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    whole = (runs("quick") / "best-0.pt").read_bytes()
    (folder / "best-0.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(JobError, match="no checkpoint that can be read"):
        export_model(folder, backbones, tmp_path / "out", FACTS, pictures)
    (folder / "best-0.before.pt").write_bytes(whole)
    said = []
    export_model(folder, backbones, tmp_path / "out", FACTS, pictures, say=lambda message, _level: said.append(message))
    assert any("damaged" in message for message in said)


def test_labels_are_those_of_the_run(runs, backbones):
    assert load_predictor(runs("quick"), backbones).labels == list(LABELS) != list(KENNEL)
