"""Predictions made elsewhere: read, evaluated as everybody's, and refused with file, line and cure."""

import json

import pytest

from engine.errors import InputError
from engine.evaluation import exports, report
from engine.evaluation.given import read_labels, read_predictions
from engine.evaluation.page import page
from engine.jobs.scoring import score

HEAD = "contestant,image,truth,answer"


def written(tmp_path, text, name="p.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(*lines, head=HEAD):
    return "\n".join((head, *lines)) + "\n"


def scored(tmp_path, text, labels=None, **more):
    return score(written(tmp_path, text), labels, tmp_path / "none.toml", **more)


GOOD = rows(
    "a,1.jpg,cat,cat,10,0.9", 'a,2.jpg,dog,"It is a cat, I think",20,0.6', "a,3.jpg,dog,Dog.,30,1", "",
    "b,3.jpg,dog,wolf,,", "b,1.jpg,cat,,,", "b,2.jpg,dog,dog,,0", head=f"{HEAD},latency_ms,probability",
)  # fmt: skip


def test_answers_are_read_by_the_same_rules_and_everything_is_reckoned(tmp_path):
    found = scored(tmp_path, GOOD)
    a, b = found.analysis.contestants
    assert a.predictions == ("cat", "cat", "dog") and a.quality.leniency.lenient.k == 2
    assert b.predictions == (None, "dog", None)
    assert [str(outcome) for outcome in b.outcomes] == ["missing", "answered", "unknown_label"]
    assert a.latency.single.mean.value == 20 and a.quality.calibration.n == 3
    assert found.provenance.dataset["rows"] == 6
    text = report.table_of(found)
    assert "$" not in text and "one after another" not in text and "Latencies are as given" in text
    assert "labels are those of the truths" in text
    assert page(found) and exports.images_csv(found) and report.markdown_of(found)


def test_json_is_shaped_as_that_of_results_with_differences(tmp_path):
    value = json.loads(exports.as_text(exports.plain_json(scored(tmp_path, GOOD))))
    assert list(value) == [
        "experiment", "dataset", "split", "contestants", "measure", "baselines", "against_baseline", "other_measures",
        "differences", "provenance",
    ]  # fmt: skip
    assert list(value["contestants"][0]) == [
        "name", "kind", "model", "n", "correct", "accuracy", "accuracy_low", "accuracy_high", "macro_f1",
        "outcomes", "latency_ms", "cost_usd", "train_seconds", "emulated",
        "value", "value_low", "value_high", "never_predicts",
    ]  # fmt: skip
    assert value["contestants"][0]["cost_usd"] is None
    (difference,) = value["differences"]
    assert (difference["a"], difference["b"], difference["n"], difference["only_a"]) == ("a", "b", 3, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("is empty", "contestant,image,truth,answer")),
        ("\n\n  \n", ("is empty",)),
        (HEAD + "\n", ("no predictions",)),
        ("contestant,image\na,1\n", ("line 1", "truth, answer are missing", "there are: contestant, image")),
        ("contestant:image:truth:answer\na:1:x:x\n", ("line 1", "are missing", "contestant:image")),
        ("contestant,image,truth,answer,truth\n", ("line 1", "truth is there twice")),
        (rows("a,1,cat,cat", "a,2,dog"), ("line 3", "3 fields, the header has 4")),
        (rows("a,1,cat,cat,x"), ("line 2", "5 fields")),
        (rows("a,1,cat,cat", "b,1,dog,cat"), ("line 3", "'1' is 'dog' here and 'cat' in line 2")),
        (rows("a,1,cat,cat", "a,2,cat,cat", "a,1,cat,dog"), ("line 4", "answered about '1' already, in line 2")),
        (rows("a,1,cat,cat", "a,,cat,cat"), ("line 3", "no image")),
        (rows(",1,cat,cat"), ("line 2", "no contestant")),
        (rows("a,1,,cat"), ("line 2", "no truth")),
        (rows("a,1,cat,cat", "a,2,cat,cat", "b,1,cat,cat"), ("b has 1 of 2", "'2' (line 3)", "1 are common", "--common")),
        (rows("a,1,cat,cat", "b,2,cat,cat"), ("0 are common",)),
        (rows("a,1,cat,cat,1.5", head=f"{HEAD},probability"), ("line 2", "probability '1.5'", "from 0 to 1")),
        (rows("a,1,cat,cat,-0.1", head=f"{HEAD},probability"), ("line 2", "'-0.1'")),
        (rows("a,1,cat,cat,nan", head=f"{HEAD},probability"), ("line 2", "'nan'")),
        (rows("a,1,cat,cat,soon", head=f"{HEAD},latency_ms"), ("line 2", "latency_ms 'soon'", "milliseconds")),
        (rows("a,1,cat,cat,inf", head=f"{HEAD},latency_ms"), ("line 2", "'inf'")),
        (rows("a,1,cat,cat").encode() + b"a,2,cat,\xff\n", ("line 3", "not UTF-8", "iconv")),
        (rows('a,"1,cat,cat'), ("line 2", "CSV")),
        (rows("a,1,cat," + "x" * 200_000), ("line 2", "field larger")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_and_a_cure(tmp_path, text, words):
    with pytest.raises(InputError) as error:
        scored(tmp_path, text)
    told = f"{error.value} {error.value.cure}"
    assert str(tmp_path / "p.csv") in told and error.value.cure
    for word in words:
        assert word in told


def test_a_row_of_several_lines_is_told_by_its_first(tmp_path):
    with pytest.raises(InputError, match="line 4"):
        scored(tmp_path, rows('a,1,cat,"a\ncat"', "a,1,cat,cat"))


def test_a_mark_at_the_beginning_and_names_in_capitals_are_no_matter(tmp_path):
    found = read_predictions(
        written(tmp_path, b"\xef\xbb\xbf Contestant ,IMAGE,Truth,Answer,note\r\na,1,cat,cat,x\r\n")
    )
    assert found.truths == {"1": "cat"} and found.ignored == ("note",)


def test_on_the_common_images_alone_it_says_how_many_were_left_out(tmp_path):
    found = scored(tmp_path, rows("a,1,cat,cat", "a,2,dog,cat", "b,1,cat,cat", "b,3,dog,dog"), common=True)
    assert found.analysis.n == 1
    assert "Partial: 2 images were left out" in report.table_of(found)
    with pytest.raises(InputError, match="no image is common"):
        scored(tmp_path, rows("a,1,cat,cat", "b,2,cat,cat"), common=True)


def test_labels_of_a_file(tmp_path):
    labels = written(tmp_path, "cat\n\n dog \nwolf\n", "labels.txt")
    assert list(read_labels(labels)) == ["cat", "dog", "wolf"]
    assert list(read_labels(written(tmp_path, "Label\r\ncat\r\ndog\r\n".encode("utf-16"), "own.txt"))) == ["cat", "dog"]
    found = scored(tmp_path, GOOD, labels)
    assert found.analysis.of("b").predictions == (None, "dog", "wolf")
    for text, words in (("cat\ncat\n", "line 2"), ("\n", "no label"), (b"\xff", "line 1")):
        with pytest.raises(InputError, match=words):
            read_labels(written(tmp_path, text, "labels.txt"))
    with pytest.raises(InputError, match="line 2: the truth 'cat' is not among"):
        scored(tmp_path, GOOD, written(tmp_path, "dog\n", "labels.txt"))
    with pytest.raises(InputError, match="No such file"):
        scored(tmp_path, GOOD, tmp_path / "nowhere.txt")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a,1,cat,cat", "a,2,cat,cat"], "one class"),
        (["a,1,cat,cat"], "1 of 1"),
        (["a,1,cat,?", "a,2,dog,?"], "named no label in any answer"),
        (["a,1,cat,", "a,2,dog,"], "2 missing of 2"),
    ],
)
def test_hardly_anything_is_still_something(tmp_path, lines, words):
    found = scored(tmp_path, rows(*lines))
    assert words in report.table_of(found)
    for write in (report.markdown_of, page, exports.contestants_csv, exports.classes_csv, exports.images_csv):
        assert write(found)
    assert exports.as_text(exports.full_json(found))
