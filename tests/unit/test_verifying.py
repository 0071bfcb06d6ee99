"""Whether results still hold: whatever is changed afterwards is found, and named."""

import json
import sqlite3
from types import SimpleNamespace

import pytest

from engine.datasets.prompt import Prompt
from engine.datasets.splits import assign
from engine.errors import InputError
from engine.jobs import comparing, origins
from engine.jobs.verifying import SAMPLE, verify
from engine.store.experiments import NewJob
from tests.outcomes import PROMPT, experiment


@pytest.fixture
def pets(store, tmp_path):
    return experiment(store, tmp_path / "pets")


def changed(home, sql, *parameters):
    """Change the store behind everybody's back."""
    with sqlite3.connect(home.store) as db:
        assert db.execute(sql, parameters).rowcount > 0
    db.close()


def wrong(store, home, **more):
    return {check.what: check.differs for check in verify(store, home, "pets", **more).checks if check.held is False}


def test_what_nobody_touched_holds(store, home, pets):
    found = verify(store, home, "pets")
    assert found.holds and found.sentence == "pets holds."
    assert {check.what for check in found.checks} == {
        "catalog", "files", "answers of zero-shot", "figures of zero-shot", "costs of zero-shot", "answers of cnn",
        "figures of cnn", "differences",
    }  # fmt: skip
    assert "sha256 of all 24 of 24 files" in "\n".join(found.lines())
    assert found.plain()["holds"] is True


def test_a_changed_prediction_is_named(store, home, pets):
    changed(home, "UPDATE predictions SET label = 1 - label WHERE contestant_id = 1 AND image_id = ?", pets[1].id)
    ((what, differs),) = wrong(store, home).items()
    assert what == "answers of zero-shot" and pets[1].path.name in differs[0] and "reads" in differs[0]
    assert "does not hold: answers of zero-shot" in verify(store, home, "pets").sentence


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE predictions SET raw = 'dog' WHERE contestant_id = 1 AND label = 0", "reads dog, cat is stored"),
        ("UPDATE predictions SET outcome = 'unknown_label' WHERE contestant_id = 1 AND label = 0", "stored as unknown"),
        ("UPDATE predictions SET label = 0 WHERE outcome = 'failed'", "failed, and yet it has the label cat"),
        (
            "UPDATE predictions SET ranking = '[[1, 0.9]]' WHERE contestant_id = 2 AND label = 0",
            "likeliest label is dog",
        ),
        ("UPDATE predictions SET ranking = '[[0, 0.5]]' WHERE contestant_id = 2 AND label = 0", "0.5000 is stored"),
        ("UPDATE predictions SET label = 99, ranking = NULL WHERE contestant_id = 2 AND label = 0", "label 99"),
    ],
)
def test_an_answer_and_what_was_made_of_it_belong_together(store, home, pets, sql, words):
    changed(home, sql)
    found = wrong(store, home)
    assert any(words in line for differs in found.values() for line in differs)


def test_a_prediction_for_an_image_that_the_split_does_not_have(store, home, pets):
    changed(home, "UPDATE predictions SET image_id = 1 WHERE contestant_id = 2 AND image_id = ?", pets[0].id)
    assert any("image 1 is not in the test split" in line for line in wrong(store, home)["answers of cnn"])


def test_a_label_that_is_none_is_no_traceback_anywhere(store, home, pets):
    changed(home, "UPDATE predictions SET label = -1 WHERE contestant_id = 2 AND label = 0")
    with pytest.raises(InputError, match="cnn has label -1, and there are 2"):
        comparing.comparison(store, "pets")
    assert "answers of cnn" in wrong(store, home)


def test_changed_prices_are_named_with_their_date(store, home, pets):
    home.root.mkdir(exist_ok=True)
    home.prices.write_text('as_of = "2030-01-01"\n[models."gpt-4o-2024-08-06"]\nbatch_input = 2.5\n')
    ((what, (line,)),) = wrong(store, home).items()
    assert what == "costs of zero-shot" and "by the prices of 2030-01-01" in line and "is stored" in line


def test_a_changed_cost_is_named(store, home, pets):
    changed(home, "UPDATE charges SET usd = usd + 0.01")
    assert list(wrong(store, home)) == ["costs of zero-shot"]


def test_changed_and_missing_files_are_named(store, home, pets, tmp_path):
    pets[0].path.write_bytes(b"another picture")
    pets[1].path.unlink()
    ((what, differs),) = wrong(store, home, every_file=True).items()
    assert what == "files" and len(differs) == 2
    assert "has changed" in "".join(differs) and "No such file" in "".join(differs)


def test_many_files_are_looked_at_by_sample(store, home, tmp_path):
    experiment(store, tmp_path / "pets", each=SAMPLE // 4)
    found = {c.what: c.detail for c in verify(store, home, "pets").checks}
    assert found["files"] == f"sha256 of a sample of {SAMPLE} of {SAMPLE // 4 * 6} files, the size of all"
    assert any("the size alone" in limit for limit in verify(store, home, "pets").limits)
    for image in store.datasets.images("pets", "train"):
        image.path.write_bytes(image.path.read_bytes() + b"!")
    assert len(wrong(store, home)["files"]) == SAMPLE // 2  # whose size has changed are found all the same
    every = {c.what: c.detail for c in verify(store, home, "pets", every_file=True).checks}
    assert every["files"].startswith("sha256 of all")


def test_a_changed_label_in_the_catalog_is_found(store, home, pets):
    with sqlite3.connect(home.store) as db:  # not even then
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
    db.close()
    changed(home, "UPDATE images SET split = 'val' WHERE id = ?", pets[0].id)
    assert "catalog" in wrong(store, home)


def test_what_was_paid_for_training_and_hosting_is_reckoned_where_it_is_known(store, home, pets):
    jobs = [NewJob("fine-tune", {"model": "gpt-4o-2024-08-06"}, 0), NewJob("deploy", {"model": "gpt-4o-2024-08-06"}, 0)]
    store.experiments.add(
        "tuned", dataset="pets", profile="demo", spec="", jobs=jobs,
        contestants=[type(store.experiments.contestants("pets")[0])(0, "ft", "fine-tuned", "gpt-4o-2024-08-06", 0, "p", "text", None)],
    )  # fmt: skip
    (ft,) = store.experiments.contestants("tuned")
    first = min(view.id for view in store.jobs.views("tuned"))
    store.jobs.charge(first, ft.id, "training", 157.4375)
    folder = home.job(first) / "round-1"
    folder.mkdir(parents=True)
    (folder / "billed").write_text("5725000")
    found = {c.what: c for c in verify(store, home, "tuned").checks}
    assert found["costs of ft"].held and "training $157.4375" in found["costs of ft"].detail
    assert found["hosting of ft"].held is None
    hosted = home.job(first + 1)
    hosted.mkdir(parents=True)
    (hosted / "hosted.json").write_text("[[0, 3600]]")
    found = {c.what: c for c in verify(store, home, "tuned").checks}
    assert "hosting is $1.7000" in found["costs of ft"].differs[0]


ASKED = {"model": "gpt-4o-2024-08-06", **Prompt(PROMPT, "json", "low").parameters()}


@pytest.fixture
def asked(store, home, tmp_path):
    """The same, with a job that knows what it asked and a file as the service wrote it."""
    test = experiment(store, tmp_path / "pets")
    changed(home, "UPDATE jobs SET parameters = ? WHERE id = 1", json.dumps(ASKED))
    folder = home.job(1) / "round-1"
    folder.mkdir(parents=True)
    lines = []
    for number, p in store.predictions.of(1).items():
        body = {"choices": [{"message": {"content": p.raw}, "finish_reason": "stop"}], "usage": {}}
        response = {"status_code": 200, "body": body} if p.raw is not None else {"status_code": 500, "body": {}}
        lines.append(json.dumps({"custom_id": f"image-{number}", "response": response}))
    (folder / "output-1.jsonl").write_text("\n".join(lines))
    example = {"messages": [{"role": "system", "content": "Which of [cat, dog]?"}, {"role": "user", "content": []}]}
    (folder / "train.jsonl").write_text(json.dumps(example))
    return test


def test_prompt_and_the_services_files_are_looked_at_where_they_are_there(store, home, asked):
    found = verify(store, home, "pets")
    told = {check.what: check.detail for check in found.checks}
    assert found.holds and told["files of zero-shot"] == "7 answers as in 1 file of the service"
    assert told["prompt of zero-shot"] == "what 1 job asked, and the examples that were trained on"
    assert not any("in the store alone" in limit for limit in found.limits)


def test_it_says_what_it_cannot_reckon_again(store, home, pets):
    found = verify(store, home, "pets")
    for words in (
        "Latencies",
        "zero-shot is in the store alone",
        "The CNN is not run again",
        "The split",
    ):
        assert any(words in limit for limit in found.limits), words
    assert found.limits[0] in "\n".join(found.lines()) and found.plain()["limits"] == list(found.limits)
    assert not any("the size alone" in limit for limit in found.limits)  # so few are all looked at


@pytest.mark.parametrize(
    ("sql", "what", "words"),
    [
        ("UPDATE contestants SET prompt = 'Say dog: {labels}' WHERE id = 1", "prompt of zero-shot", "batch 1 was told"),
        ("UPDATE contestants SET answer_format = 'text' WHERE id = 1", "prompt of zero-shot", "answers as json"),
        (
            "UPDATE jobs SET parameters = json_set(parameters, '$.prompt', 'x {labels}') WHERE id = 1",
            "prompt of zero-shot",
            "round-1/train.jsonl of batch 1 has another",
        ),
        (
            """UPDATE predictions SET raw = '{"label": "dog"}', label = 1 WHERE contestant_id = 1 AND label = 0""",
            "files of zero-shot",
            "the service wrote",
        ),
    ],
)
def test_a_changed_prompt_and_an_answer_that_was_changed_with_its_label_are_named(store, home, asked, sql, what, words):
    changed(home, sql)
    found = wrong(store, home)
    assert any(words in line for line in found[what])


def test_a_split_is_drawn_again():
    items = {label: [f"{label}/{n}.jpg" for n in range(20)] for label in ("cat", "dog")}
    for kind, more in (("stratified", {"seed": 7}), ("article", {"train": 8, "val": 2, "test": 2, "seed": None})):
        rows = [(path, label, str(part), "") for path, label, part in assign(items, kind, **more)]
        view = SimpleNamespace(split=kind, seed=more["seed"])
        assert origins.split(view, rows).held is True
        moved = [(path, label, "val" if n == 0 else part, "") for n, (path, label, part, _) in enumerate(rows)]
        assert "comes out otherwise" in origins.split(view, moved)
    assert "comes out otherwise" in origins.split(SimpleNamespace(split="stratified", seed=8), rows)
    assert "as the source says" in origins.split(SimpleNamespace(split="official", seed=None), rows)
