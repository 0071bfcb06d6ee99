"""`dogcls-tui train` and `recipes`, with a real worker on drawn dogs."""

import asyncio
import json
import tomllib

import pytest

from engine import Engine, make_spec
from engine.evaluation.exports import rows, to_json
from engine.evaluation.report import to_table
from engine.jobs.comparing import comparison
from engine.jobs.evidence import evidence
from engine.jobs.outline import command
from engine.learning import Learning, is_from_cache, outcome, seconds_here
from engine.states import JobState, Outcome
from engine.store.experiments import NewContestant, NewJob
from engine.store.predictions import Prediction
from tests.conftest import ROOT
from tui.commands.train import outcome_table


@pytest.fixture
def trained(warm_home, dogs, dogcls):
    """A home with the drawn dogs; trains with options, and returns (exit code, stdout, stderr)."""
    split = ("--train", "9", "--val", "2", "--test", "5")
    assert dogcls(warm_home.root, "data", "add", dogs, "--name", "dogs", *split)[0] == 0
    return lambda *options: dogcls(warm_home.root, "train", "--dataset", "dogs", *options)


def test_train_prints_one_object_and_narrates_on_stderr(trained, warm_home):
    code, out, err = trained("--recipe", "quick", "--seed", "7", "--epochs", "2", "--json")
    assert code == 0, err
    value = json.loads(out)
    assert {"recipe": "quick", "seed": 7, "dataset": "dogs", "n": 20, "state": "succeeded"}.items() <= value.items()
    assert value["accuracy"] == value["correct"] / 20
    assert value["accuracy_low"] < value["accuracy"] < value["accuracy_high"] or value["correct"] == 20
    assert value["backbone"] == "efficientnet-lite0"
    assert [set(each) for each in value["weights"]] == [{"backbone", "weights", "sha256"}]
    assert set(value["latency_ms"]) == {"mean", "p50", "p90", "p95", "p99"}
    assert value["latency_ms"]["p50"] <= value["latency_ms"]["p99"]
    assert isinstance(value["seconds_to_accuracy"], dict)
    assert value["train_seconds"] > 0
    assert value["images_per_second"] > 0
    assert value["device"].startswith(("cpu", "cuda", "mps", "NVIDIA"))
    assert 0 <= value["val_accuracy"] <= 1
    assert "$" not in err  # it costs nothing: no price, no question
    assert "epoch 1/2" in err

    async def look():
        engine = Engine(warm_home.root)
        learning = engine.browse.learning
        found = await learning.run(value["job"]), await learning.worst(value["job"]), await learning.recipes("dogs")
        engine.close()
        return found

    told, worst, (quick, *_) = asyncio.run(look())
    assert (told.recipe, told.device, told.val_accuracy) == ("quick", value["device"], value["val_accuracy"])
    assert len(worst) == 8  # every validation image, four breeds of two
    assert [w.truth_sure for w in worst] == sorted(w.truth_sure for w in worst)
    assert {w.name for w in worst} <= {f"{w.truth}/{n:03}.jpg" for w in worst for n in range(16)}
    assert (quick.name, quick.seconds) == ("quick", None)  # with other epochs than the recipe's it says nothing of it


def test_train_prints_a_table_for_people(trained):
    code, out, err = trained("--epochs", "1")
    assert code == 0, err
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["recipe"] == "quick, seed 42"
    assert " of 20: " in lines["right"]
    assert "job 1" in lines["experiment"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--recipe", "nope"), "Choose one of: quick, article, best."),
        (("--device", "abacus"), "device"),
        (("--epochs", "0"), "epochs"),
        (("--weights", "/nowhere/w.pth"), "/nowhere/w.pth"),
    ],
)
def test_bad_options_start_nothing(trained, warm_home, dogcls, options, told):
    code, out, err = trained(*options, "--json")
    assert (code, out) == (2, "")
    assert told in err
    assert json.loads(dogcls(warm_home.root, "jobs", "--json")[1]) == []


def test_a_dataset_that_is_not_there(dogcls, home):
    code, out, err = dogcls(home.root, "train", "--dataset", "cats", "--json")
    assert (code, out) == (2, "")
    assert "cats" in err


def test_recipes_are_listed(dogcls, home):
    code, out, _ = dogcls(home.root, "recipes")
    assert code == 0
    assert all(f"{name}\n" in out for name in ("quick", "article", "best"))
    assert "phase 2: the last 3 blocks and the last layer" in out
    found = json.loads(dogcls(home.root, "recipes", "--json")[1])
    assert [each["name"] for each in found] == ["quick", "article", "best"]
    for each in found:
        told = tomllib.loads((ROOT / "assets" / "recipes" / f"{each['name']}.toml").read_text())
        assert (each["about"], each["backbones"]) == (told["about"], told["backbones"])
        assert [phase["epochs"] for phase in each["phases"]] == [phase["epochs"] for phase in told["phases"]]
        assert each["seconds"] is None


@pytest.fixture
def ended(store):
    """Tell how a training job ended: a function of its parameters, state and result gives its number."""
    images = [(f"{s}{n}.jpg", n % 2, s, 1, 9, 9, f"{s}{n}") for s in ("train", "val", "test") for n in range(10)]
    store.datasets.add("dogs", source="/dogs", root="/dogs", split="stratified", seed=1, digest="0" * 64,
                       labels=["a", "b"], images=images)  # fmt: skip

    def end(parameters, state=JobState.SUCCEEDED, result=None):
        name = f"run-{len(store.jobs.views())}"
        who = [NewContestant("cnn", "cnn", "quick", False, "", "class")]
        jobs = [NewJob("train", {"dataset": "dogs", **parameters}, 0)]
        store.experiments.add(name, dataset="dogs", profile="demo", spec="", contestants=who, jobs=jobs)
        number = store.jobs.views()[-1].id
        store.jobs.change(
            number, state, expected=(JobState.WAITING,), message="", result=result,
            error="no room" if state == JobState.FAILED else None,
        )  # fmt: skip
        return number

    return end


async def test_a_run_that_failed_says_why_instead(ended, store):
    found = await Learning(store).outcome(ended({"recipe": "quick", "seed": 1}, JobState.FAILED))
    assert (found["state"], found["error"]) == ("failed", "no room")
    assert "accuracy" not in found


async def test_a_run_with_features_from_the_cache_reports_it_wherever_its_time_stands(ended, store, home):
    """15 minutes became 3 seconds: the time is a lower bound, no estimate uses it, and there is no rate of images."""
    ended({"recipe": "quick", "seed": 1}, result={"seconds": 903.0, "from_cache": 0.0})
    about = {"model": "quick", "seconds": 3.0, "images_per_second": 9000.0, "device": "cpu"}
    for share, name in ((1.0, "run-1"), (0.0, "run-2")):
        job = ended({"recipe": "quick", "seed": 1, "probe": 0}, result={**about, "from_cache": share})
        (cnn,) = store.experiments.contestants(name)
        store.experiments.describe_contestant(cnn.id, train_seconds=3.0)
        for image in store.datasets.images("dogs", "test"):
            store.predictions.add(cnn.id, [Prediction(image.id, "a", 0, Outcome.ANSWERED)])
        found, made = await Learning(store).outcome(job), comparison(store, name)
        assert found["train_seconds"] == 3.0 and found["train_from_cache"] == share
        assert found["images_per_second"] == (None if share else 9000.0)
        (row,), (line,) = made.contestants, [line for line in to_table(made).splitlines() if line.startswith("cnn  ")]
        assert row.train_from_cache == share and line.endswith("≥ 3 s" if share else "  3 s")
        note = "cnn: trained in 3 s with the features of 100% of its images from the cache; a first run takes longer."
        assert (note in to_table(made)) == bool(share)
        assert to_json(made)["contestants"][0].get("train_from_cache") == (share or None)
        assert rows(made)[0]["train_from_cache"] == (share or None)
        (cost,) = evidence(store, home, name).economics
        assert cost.machine_once_seconds == 3.0 + 900 * share  # that of the first run, which computed its features
        found["weights"], found["seconds_to_accuracy"] = [], {}
        assert ("features of 100% of its images from the cache" in outcome_table(found)) == bool(share)


def test_the_time_of_a_recipe_is_that_of_its_last_run_by_its_images(ended, store):
    assert seconds_here(store, "quick", 10) is None
    ended({"recipe": "quick"}, result={"seconds": 4.0})
    ended({"recipe": "best"}, result={"seconds": 400.0})
    ended({"recipe": "quick", "train_epochs": 1}, result={"seconds": 1.0})
    ended({"recipe": "quick"}, JobState.FAILED)
    assert seconds_here(store, "quick", None) == 4.0
    assert seconds_here(store, "quick", 30) == 12.0
    assert seconds_here(store, "article", 30) is None
    ended({"recipe": "quick"}, result={"seconds": 0.1, "from_cache": 0.98})  # its features lay in the cache
    assert seconds_here(store, "quick", 30) == 12.0
    ended({"recipe": "article"}, result={"seconds": 3.0, "from_cache": 1.0})
    assert seconds_here(store, "article", 30) is None
    assert not is_from_cache({}) and not is_from_cache({"from_cache": 0.0}) and is_from_cache({"from_cache": 1.0})


async def test_a_curve_is_read_and_what_is_not_known_is_left_out(ended, store):
    curve = [{"per_class": 5, "images": 10, "accuracy": 0.5, "low": 0.4, "high": 0.6}, {"per_class": 10}]
    number = ended({"recipe": "quick"}, result={"learning_curve": curve, "caution": "seen before", "weights": None})
    told = await Learning(store).run(number)
    assert [(point.per_class, point.accuracy) for point in told.curve] == [(5, 0.5)]
    assert (told.caution, told.device, told.weights) == ("seen before", "", ())
    found = outcome(store.jobs.view(number), {}, {"learning_curve": curve}, None)
    assert found["learning_curve"] == curve
    assert "caution" not in found
    assert await Learning(store).worst(number) == []


def test_the_command_of_an_experiment_names_its_device():
    assert command(make_spec({"dataset": "dogs", "device": "cpu"})) == "dogcls-tui run --dataset dogs --device cpu"
