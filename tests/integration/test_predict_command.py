"""`dogcls-tui predict` and `export`, with a CNN that a real worker trained, and with deployments of an emulator."""

import json
import shutil

import pytest

from engine.evaluation.exports import to_json
from engine.evaluation.report import notes
from engine.jobs.comparing import comparison
from engine.jobs.paths import Home
from engine.states import JobState
from engine.store import Store
from engine.store.experiments import NewContestant, NewJob
from tests.conftest import Emulator


@pytest.fixture(scope="module")
def made(tmp_path_factory, backbones):
    """A home in which a CNN was trained once; copied for each test that changes it."""
    return tmp_path_factory.mktemp("trained") / "home"


@pytest.fixture
def trained(made, dogs, dogcls, backbones):
    if not made.exists():
        home = Home(made)
        made.mkdir(mode=0o700)
        shutil.copytree(backbones / "backbones", home.cache / "backbones")
        split = ("--train", "9", "--val", "2", "--test", "5")
        assert dogcls(made, "data", "add", dogs, "--name", "dogs", *split)[0] == 0
        code, out, err = dogcls(made, "train", "--dataset", "dogs", "--epochs", "2", "--json")
        assert code == 0, err
        found = json.loads(out)
        assert [row["per_class"] for row in found["learning_curve"]] == [5, 9]
        assert found["labels_doubled"]["sentence"].startswith("twice the labels: about ")
        assert "caution" not in found
    return made


@pytest.fixture
def mine(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "mine", symlinks=True)


def test_pictures_and_folders_are_predicted_and_a_bad_one_stops_no_other(trained, dogs, dogcls, tmp_path):
    bad = tmp_path / "bad\x1b[31m.jpg"
    bad.write_bytes(b"no picture")
    torn = tmp_path / "torn.jpg"
    torn.write_bytes((dogs / "pug" / "000.jpg").read_bytes()[:3000])
    code, out, err = dogcls(trained, "predict", bad, dogs / "pug", torn, "/nowhere.jpg", "--with", "dogs", "--json")
    assert code == 1
    rows = json.loads(out)
    assert [row["image"] for row in rows] == [
        str(bad), *(str(dogs / "pug" / f"{n:03}.jpg") for n in range(16)), str(torn), "/nowhere.jpg"
    ]  # fmt: skip
    right = rows[1:17]
    assert sum(row["label"] == "pug" for row in right) >= 10
    assert all(0 < row["probability"] <= 1 and row["ms"] > 0 and row["error"] is None for row in right)
    assert all(row["label"] is None and row["error"] for row in (rows[0], *rows[17:]))
    assert "\x1b" not in err and "torn.jpg: " in err and "/nowhere.jpg: No such file or directory" in err


def test_the_table_has_as_many_labels_as_asked_for(trained, dogs, dogcls):
    code, out, _ = dogcls(trained, "predict", dogs / "pug" / "007.jpg", "--with", "dogs/cnn", "--top", "3")
    assert code == 0
    head, first, *more = out.splitlines()
    assert head.split() == ["image", "label", "probability", "ms"]
    assert first.startswith(str(dogs / "pug" / "007.jpg"))
    assert len(more) == 2 and all(line.startswith(" ") for line in more)
    code, out, _ = dogcls(trained, "--readonly", "predict", dogs / "pug" / "007.jpg", "--with", "dogs", "--top", "9")
    assert (code, len(out.splitlines())) == (0, 5)  # a CNN is asked for nothing; there are four labels


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--with", "cats"), 2, "no experiment 'cats'"),
        (("--with", "dogs/fine-tuned"), 2, "no contestant 'fine-tuned'. It has: cnn."),
        (("--with", "dogs", "--deployment", "x"), 2, "Leave --deployment out"),
        (("--with", "dogs", "--top", "0"), 2, "top"),
        ((), 2, "--with"),
    ],
)
def test_bad_targets(trained, dogs, dogcls, options, code, told):
    found, out, err = dogcls(trained, "predict", dogs / "pug" / "000.jpg", *options)
    assert (found, out) == (code, "")
    assert told in err


def test_an_empty_folder(trained, dogcls, tmp_path):
    code, _, err = dogcls(trained, "predict", tmp_path, "--with", "dogs")
    assert code == 2 and "there is no picture in this folder" in err


def test_checkpoints_that_are_damaged_or_gone(mine, dogs, dogcls, tmp_path):
    picture, folder = dogs / "pug" / "007.jpg", Home(mine).job(1) / "checkpoints"
    before = folder / "best-0.before.pt"
    shutil.copyfile(folder / "best-0.pt", before)
    (folder / "best-0.pt").write_bytes(b"PK\x03\x04 torn")
    code, out, err = dogcls(mine, "predict", picture, "--with", "dogs", "--json")
    assert code == 0 and json.loads(out)[0]["label"]
    assert "best-0.pt is damaged; the best before it is used" in err
    before.unlink()
    for command in (("predict", picture, "--with", "dogs"), ("export", "dogs", "--to", tmp_path / "out")):
        code, out, err = dogcls(mine, *command)
        assert (code, out) == (1, "") and "no checkpoint that can be read" in err
    shutil.rmtree(folder)
    for command in (("predict", picture, "--with", "dogs"), ("export", "dogs", "--to", tmp_path / "out")):
        code, _, err = dogcls(mine, *command)
        assert code == 1 and "the checkpoints are gone" in err
    assert not (tmp_path / "out").exists()


def test_export_writes_files_for_others(trained, dogcls, tmp_path):
    code, out, err = dogcls(trained, "export", "dogs", "--to", tmp_path / "out")
    assert code == 0, err
    names = ["model.onnx", "model.safetensors", "README.md"]
    assert out.splitlines() == [str(tmp_path / "out" / name) for name in names]
    assert {(tmp_path / "out" / name).stat().st_mode & 0o777 for name in names} == {0o644}
    card = (tmp_path / "out" / "README.md").read_text()
    assert "36 training, 8 validation and 20 test images" in card and " | 20 |" in card
    code, _, err = dogcls(trained, "export", "dogs", "--to", tmp_path / "out")
    assert code == 2 and "model.onnx is there already" in err
    code, _, err = dogcls(trained, "export", "dogs", "--contestant", "zero-shot", "--to", tmp_path / "new")
    assert code == 2 and "It has: cnn." in err


def test_a_caution_stands_among_the_notes_and_changes_no_key(mine):
    store = Store(Home(mine).store)
    try:
        before = comparison(store, "dogs")
        job = store.jobs.get(1)
        told = {**job.result, "caution": "ImageNet weights meet\x1b[31m pictures"}
        store.jobs.change(1, JobState.SUCCEEDED, expected=(JobState.SUCCEEDED,), message="", result=told)
        after = comparison(store, "dogs")
    finally:
        store.close()
    assert "cnn: ImageNet weights meet[31m pictures" in notes(after)
    assert len(notes(after)) == len(notes(before)) + 1
    assert to_json(after) == to_json(before)


def test_what_is_not_trained_yet(store, home, dogcls, dogs):
    split = [(f"{s}{n}.jpg", n % 2, s, 1, 9, 9, f"{s}{n}") for s in ("train", "val", "test") for n in range(4)]
    store.datasets.add("dogs", source="/d", root="/d", split="stratified", seed=1, digest="0" * 64,
                       labels=["a", "b"], images=split)  # fmt: skip
    store.experiments.add("new", dataset="dogs", profile="demo", spec="",
                          contestants=[NewContestant("cnn", "cnn", "quick", False, "", "class")],
                          jobs=[NewJob("train", {"dataset": "dogs", "recipe": "quick"}, 0)])  # fmt: skip
    code, _, err = dogcls(home.root, "predict", dogs / "pug" / "000.jpg", "--with", "new")
    assert code == 1 and "new/cnn is not trained: job 1 is waiting" in err


# -- deployments


@pytest.fixture(scope="module")
def place(tmp_path_factory, backbones):
    emulator = Emulator(tmp_path_factory.mktemp("predict"), backbones, "instant")
    yield emulator
    emulator.stop()


@pytest.fixture
def asked(place, home, store, dogs, dogcls, monkeypatch):
    """A home with a zero-shot and a fine-tuned contestant, whose jobs are written down and were never run."""
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    split = ("--train", "9", "--val", "2", "--test", "5")
    assert dogcls(home.root, "data", "add", dogs, "--name", "dogs", *split)[0] == 0
    words = {"dataset": "dogs", "profile": "azure", "model": "gpt-4o-2024-08-06", "probe": 0,
             "prompt": "Which of these is it: [{labels}]?", "detail": "low"}  # fmt: skip
    store.experiments.add(
        "both",
        dataset="dogs",
        profile="azure",
        spec="",
        contestants=[
            NewContestant("zero-shot", "zero-shot", "gpt-4o-2024-08-06", True, words["prompt"], "json"),
            NewContestant("fine-tuned", "fine-tuned", "gpt-4o-2024-08-06", True, words["prompt"], "text"),
        ],
        jobs=[
            NewJob("batch", {**words, "answer": "json", "deployment": place.batch_deployment}, 0),
            NewJob("fine-tune", {**words, "answer": "text"}, 1),
            NewJob("deploy", {**words, "answer": "text"}, 1, needs=(1,)),
            NewJob("score", {**words, "answer": "text"}, 1, needs=(2,)),
        ],
    )
    return home


def test_a_deployment_is_asked_with_its_own_prompt_and_the_price_is_said(asked, place, dogs, dogcls, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    before = place.ledger()["chat_requests"]["total"]
    pictures = [dogs / "dalmatian" / f"{n:03}.jpg" for n in range(3)]
    code, out, err = dogcls(asked.root, "predict", *pictures, bad, "--with", "both/zero-shot", "--json")
    assert code == 1
    assert "both/zero-shot: 4 images to ask, about $0.00" in err and "(the emulator's: nobody charges it)" in err
    rows = json.loads(out)
    assert [row["error"] is None for row in rows] == [True, True, True, False]
    assert all(json.loads(row["answer"])["label"] == row["label"] for row in rows[:3])
    assert all(row["probability"] is None and row["ms"] > 0 for row in rows[:3])
    assert rows[3]["error"] == "the image cannot be read: it is no picture"
    assert place.ledger()["chat_requests"]["total"] == before + 3
    code, _, err = dogcls(asked.root, "--readonly", "predict", pictures[0], "--with", "both/zero-shot")
    assert code == 2 and "--readonly" in err
    code, _, err = dogcls(asked.root, "predict", pictures[0], "--with", "both")
    assert code == 2 and "Name one of: zero-shot, fine-tuned." in err


def test_real_money_needs_a_yes(asked, dogs, dogcls, monkeypatch, place):
    monkeypatch.setattr("engine.jobs.service.is_emulated", lambda _home, _profile: False)
    before = place.ledger()["chat_requests"]["total"]
    picture = dogs / "pug" / "000.jpg"
    code, out, err = dogcls(asked.root, "predict", picture, "--with", "both/zero-shot")
    assert (code, out) == (2, "") and "Add --yes" in err
    assert place.ledger()["chat_requests"]["total"] == before
    assert dogcls(asked.root, "predict", picture, "--with", "both/zero-shot", "--yes")[0] in (0, 1)
    assert place.ledger()["chat_requests"]["total"] == before + 1


def test_a_deployment_that_is_gone(asked, dogs, dogcls, place):
    picture = dogs / "pug" / "000.jpg"
    code, out, err = dogcls(asked.root, "predict", picture, "--with", "both/fine-tuned")
    assert (code, out) == (1, "")
    assert "was deleted, or never made" in err and "launch deploy --tuned-model" in err
    code, _, err = dogcls(asked.root, "predict", picture, "--with", "both/fine-tuned", "--deployment", "no-such")
    assert code == 1 and "The deployment no-such of both/fine-tuned is gone" in err
    code, _, err = dogcls(asked.root, "predict", picture, "--with", "both/zero-shot", "--deployment", "no-such")
    assert code == 2 and "There is no deployment 'no-such'" in err
    code, out, _ = dogcls(
        asked.root, "predict", picture, "--with", "both/fine-tuned", "--deployment", place.deployment, "--json"
    )
    row = json.loads(out)[0]
    assert row["answer"] and not row["answer"].startswith("{")  # asked for plain answers, as the tuned model is
