"""`dogcls-tui results` and `score`: every form, to the terminal and to a file, and what they exit with."""

import csv
import io
import json
import sqlite3

import pytest

from engine.backbones.images import READING
from engine.store import Store
from tests.outcomes import HOSTILE, experiment

GOOD = "contestant,image,truth,answer\na,1,cat,cat\na,2,dog,cat\nb,1,cat,cat\nb,2,dog,dog\n"


@pytest.fixture
def pets(home, store, tmp_path):
    experiment(store, tmp_path / "pets")
    return home.root


def test_the_table_has_the_verdict_on_top(dogcls, pets):
    code, out, err = dogcls(pets, "results")
    assert (code, err) == (0, "")
    assert out.startswith("No contestant is better than the majority class (always cat, by the training labels: 50.0%)")
    assert "zero-shot (emulated) – cnn" in out and "published" not in out
    assert "zero-shot GPT-4o (published)" in dogcls(pets, "results", "pets", "--references")[1]


def test_costs_are_reckoned_for_the_volume_that_is_asked_for(dogcls, pets):
    out = dogcls(pets, "results", "--volume", 250, "--months", 2, "--value", 0.1, "--hosting-hours", 8, "--batch")[1]
    assert "For 250 images a month over 2 months; in batches where possible, a tuned model hosted 8 hours a day" in out
    assert "worth $0.1" in out
    out = dogcls(pets, "results", "--machine", 0.5, "--machine-hours", 24)[1]
    assert "the local machine kept 24 hours a day at $0.5 an hour" in out and "$4,380.00" in out
    code, _, err = dogcls(pets, "results", "--volume", 0)
    assert code == 2 and "images a month is above 0" in err
    code, _, err = dogcls(pets, "results", "--machine-hours", "always")
    assert code == 2 and "--machine-hours always: not a number of hours. Give 0 to 24, or in-use." in err


def test_the_homes_terms_hold_where_no_option_says_otherwise(dogcls, pets):
    (pets / "terms.toml").write_text('volume = 500\nmachine_hours = "in use"\nlabel_price = 0.05\n')
    out = dogcls(pets, "results", "--months", 3)[1]
    assert "For 500 images a month over 3 months; in real time" in out
    assert "the local machine kept only while it answers at $0.192 an hour, a label at $0.05" in out
    (pets / "terms.toml").write_text("volume = 0\n")
    code, _, err = dogcls(pets, "results")
    assert code == 2 and "terms.toml: The number of images a month is above 0, not 0." in err


def test_json_keeps_its_promise(dogcls, pets):
    value = json.loads(dogcls(pets, "results", "--format", "json")[1])
    assert list(value) == [
        "experiment", "dataset", "split", "contestants", "measure", "baselines", "against_baseline", "other_measures",
        "provenance",
    ]  # fmt: skip
    full = json.loads(dogcls(pets, "results", "--format", "full-json")[1])
    assert full["provenance"]["experiment"]["name"] == "pets" and len(full["differences"]) == 1


@pytest.mark.parametrize(("form", "rows"), [("csv", 4), ("csv-classes", 8), ("csv-images", 16)])
def test_csv(dogcls, pets, form, rows):
    assert len(list(csv.DictReader(io.StringIO(dogcls(pets, "results", "--format", form)[1])))) == rows


def test_html_goes_to_the_named_file_and_nowhere_else(dogcls, pets, tmp_path):
    before = set(tmp_path.rglob("*"))
    target = tmp_path / "report.html"
    code, out, err = dogcls(pets, "results", "--format", "html", "--output", target)
    assert (code, out) == (0, "") and "wrote" in err
    text = target.read_text()
    assert text.startswith("<!DOCTYPE html>") and "data:image/jpeg;base64," in text and "<script" not in text
    new = {path for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert {p.name for p in new} <= {
        "report.html",
        f"brightness-{READING}.json",
        "reserve",
        "store.db-wal",
        "store.db-shm",
    }
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("results", "--format", "pdf"), 2, "Choose one of: table, json"),
        (("results", "nothing"), 2, "no experiment 'nothing'"),
        (("results", "--output", "/nowhere/x"), 2, "/nowhere/x: No such file or directory. Choose another place"),
        (("score", "/nowhere.csv"), 2, "No such file"),
        (("score", "/nowhere.csv", "--format", "pdf"), 2, "Choose one of"),
    ],
)
def test_bad_usage_exits_with_two(dogcls, pets, arguments, code, words):
    found, out, err = dogcls(pets, *arguments)
    assert found == code and out == "" and words in err


def test_verify_exits_with_one_where_it_does_not_hold(dogcls, pets, tmp_path):
    code, out, _ = dogcls(pets, "results", "--verify")
    assert code == 0 and out.splitlines()[-1] == "pets holds."
    next((tmp_path / "pets" / "test").iterdir()).write_bytes(b"changed")
    code, out, _ = dogcls(pets, "results", "pets", "--verify", "--all-files", "--format", "json")
    value = json.loads(out)
    assert code == 1 and value["holds"] is False
    assert [c["what"] for c in value["checks"] if c["held"] is False] == ["files"]


def test_without_an_experiment_it_says_what_to_do(dogcls, home):
    Store(home.store).close()
    for more in ((), ("--verify",), ("--format", "html")):
        code, _, err = dogcls(home.root, "results", *more)
        assert code == 2 and "dogcls-tui demo" in err


def test_score_needs_no_experiment(dogcls, home, tmp_path):
    file = tmp_path / "p.csv"
    file.write_text(GOOD)
    code, out, err = dogcls(home.root, "score", file)
    assert (code, err) == (0, "") and out.startswith("No contestant is better") and "a – b" in out
    value = json.loads(dogcls(home.root, "score", file, "--format", "json")[1])
    assert [c["correct"] for c in value["contestants"]] == [1, 2] and value["differences"][0]["n"] == 2
    assert dogcls(home.root, "score", file, "--format", "html", "--output", tmp_path / "p.html")[0] == 0
    assert "<svg" in (tmp_path / "p.html").read_text()


def test_score_shows_text_from_outside_as_text(dogcls, home, tmp_path):
    file = tmp_path / "p.csv"
    file.write_text(GOOD.replace("cat", f'"{HOSTILE}"').replace("a,", '"\x1b[31ma",'))
    assert "\x1b" not in dogcls(home.root, "score", file)[1]
    text = dogcls(home.root, "score", file, "--format", "html")[1]
    assert "\x1b" not in text and HOSTILE not in text and "&lt;script&gt;" in text


def test_score_of_different_images_is_refused_or_partial(dogcls, home, tmp_path):
    file = tmp_path / "p.csv"
    file.write_text(GOOD + "a,3,cat,cat\n")
    code, out, err = dogcls(home.root, "score", file)
    assert code == 2 and out == "" and "b has 2 of 3" in err and "--common" in err
    assert "Partial: 1 image was left out" in dogcls(home.root, "score", file, "--common")[1]


def test_a_terminal_is_given_no_orders_and_a_pipe_gets_what_is_there(dogcls, home, tmp_path, monkeypatch):
    file = tmp_path / "p.csv"
    file.write_text(GOOD.replace(",1,", ",1\x1b[31m,"))
    assert "\x1b[31m" in dogcls(home.root, "score", file, "--format", "csv-images")[1]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "\x1b[31m" not in dogcls(home.root, "score", file, "--format", "csv-images")[1]


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE predictions SET label = 1 - label WHERE contestant_id = 1 AND label = 0", "answers of zero-shot"),
        ("UPDATE charges SET usd = usd * 2", "costs of zero-shot"),
    ],
)
def test_verify_names_on_the_last_line_what_was_changed(dogcls, pets, home, sql, what):
    with sqlite3.connect(home.store) as db:
        db.execute(sql)
    db.close()
    code, out, _ = dogcls(pets, "results", "--verify")
    assert code == 1 and out.splitlines()[-1].startswith(f"pets does not hold: {what}")


RARE = [("constant", 0, 0), ("careful", 50, 95)]


def written_rare(folder):
    lines = ["contestant,image,truth,answer"]
    for name, found, mistaken in RARE:
        lines += [f"{name},d{n},defect,{'defect' if n < found else 'ok'}" for n in range(50)]
        lines += [f"{name},o{n},ok,{'defect' if n < mistaken else 'ok'}" for n in range(950)]
    path = folder / "rare.csv"
    path.write_text("\n".join(lines) + "\n")
    (folder / "costs.toml").write_text("[ok]\ndefect = 1\n[defect]\nok = 20\n")
    return path


def test_score_judges_by_the_measure_that_is_picked(dogcls, home, tmp_path):
    file, form = written_rare(tmp_path), ("--format", "json")
    none = json.loads(dogcls(home.root, "score", file, *form)[1])
    assert none["measure"]["name"] == "accuracy"
    assert [(b["name"], b["label"], b["labels_of"], b["measures"][0]["value"]) for b in none["baselines"]] == [
        ("majority class", "ok", "test labels", 0.95), ("chance", None, None, 0.5),
    ]  # fmt: skip
    assert [e["better"] for e in none["against_baseline"]] == [False, False]
    assert [c["never_predicts"] for c in none["contestants"]] == [["defect"], []]
    assert {m["measure"]["name"]: m["ahead"] for m in none["other_measures"]} == {
        "balanced accuracy": "careful", "macro-F1": "careful",
    }  # fmt: skip
    for more, name, value in (
        (("--measure", "balanced-accuracy"), "balanced accuracy", 0.95),
        (("--measure", "recall:defect"), "recall of defect", 1.0),
        (("--costs", tmp_path / "costs.toml"), "cost of mistakes", 0.095),
    ):
        found = json.loads(dogcls(home.root, "score", file, *form, *more)[1])
        assert (found["measure"]["name"], found["contestants"][1]["value"]) == (name, pytest.approx(value))
        assert [e["better"] for e in found["against_baseline"]] == [False, True]
        for written_as in ("table", "markdown", "html"):
            text = dogcls(home.root, "score", file, "--format", written_as, *more)[1]
            assert f"careful is the best by {name}: " in text and "majority class (test labels)" in text.replace(
                "\\", ""
            )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--measure", "precision"), "there is no such measure"),
        (("--measure", "cost"), "Add --costs costs.toml"),
        (("--measure", "recall:wolf"), "'wolf' is not among the labels"),
        (("--costs", "nowhere.toml"), "nowhere.toml: No such file"),
    ],
)
def test_measures_that_cannot_be_used_are_refused_in_one_line(dogcls, home, tmp_path, more, words):
    code, out, err = dogcls(home.root, "score", written_rare(tmp_path), *more)
    assert (code, out) == (2, "") and words in err and len(err.strip().splitlines()) == 1


def test_the_measure_is_kept_with_the_experiment(dogcls, pets, tmp_path):
    accuracy = dogcls(pets, "results", "--verify", "--format", "json")[1]
    before = json.loads(dogcls(pets, "results", "--format", "json")[1])
    assert before["measure"]["name"] == "accuracy" and before["baselines"][0]["labels_of"] == "training labels"
    code, out, err = dogcls(pets, "results", "--format", "json", "--measure", "recall:cat")
    assert code == 0 and "pets is judged by recall of cat from now on" in err
    assert json.loads(out)["measure"]["classes"] == ["cat"]
    assert json.loads(dogcls(pets, "results", "--format", "json")[1])["measure"]["name"] == "recall of cat"
    read_only = dogcls(pets, "--readonly", "results", "--format", "json", "--measure", "macro-f1")
    assert json.loads(read_only[1])["measure"]["name"] == "macro-F1"
    (tmp_path / "costs.toml").write_text("[cat]\ndog = 3\n[dog]\ncat = 1\n")
    assert json.loads(dogcls(pets, "results", "--format", "json")[1])["measure"]["name"] == "recall of cat"
    found = json.loads(dogcls(pets, "results", "--format", "json", "--costs", tmp_path / "costs.toml")[1])
    assert found["measure"]["name"] == "cost of mistakes" and found["measure"]["costs"].startswith("[cat]")
    (tmp_path / "costs.toml").unlink()  # its text is kept
    again = json.loads(dogcls(pets, "results", "--format", "json", "--measure", "cost")[1])
    assert again["measure"] == found["measure"]
    checks = json.loads(dogcls(pets, "results", "--verify", "--format", "json")[1])
    assert "differences" in json.dumps(checks) and checks == json.loads(accuracy)
