"""What a text means as a label, on every road in: the same module decides, so that here each road is one of a list."""

import base64
import csv
import json
import re
import shutil
import unicodedata

import numpy as np
import pytest

from engine.datasets.labels import Labels, canonical, number
from engine.errors import InputError
from engine.evaluation.costs import parse_costs
from engine.evaluation.given import read_labels, read_predictions
from engine.evaluation.reading import Rule, read
from tests.pictures import plain, tar_of, zip_of
from tests.unit.cataloguing import catalog

E_ACUTE = "\u00c9pagneul"


def met(*texts, given=True, **more):
    labels = Labels(given=given, source="set.csv" if given else "", **more)
    found = [labels.of(text, f"line {line}" if given else "") for line, text in enumerate(texts, start=2)]
    labels.check()
    return found


TWINS = [
    (E_ACUTE, unicodedata.normalize("NFD", E_ACUTE), "Épagneul"),
    ("toy poodle", "toy\u00a0poodle", "toy poodle"),
    ("toy poodle", "toy  poodle", "toy poodle"),
    ("toy poodle", "toy\u3000poodle", "toy poodle"),
    ("pug", "pug\u200b", "pug"),
    ("pug", "p\u00adug", "pug"),
    ("pug", "\ufeffpug", "pug"),
    ("pug", "pug\u200d", "pug"),
    ("Pug", "pug", "pug"),
    ("STRASSE", "Straße", "Straße"),
    ("ABC", "ＡＢＣ", "ＡＢＣ"),
    ("fish", "\ufb01sh", "\ufb01sh"),
    ("Pug", "\u0420ug", "\u0420ug"),
    ("cocker-spaniel", "cocker_spaniel", "cocker_spaniel"),
    ("cocker spaniel", "cocker - spaniel", "cocker - spaniel"),
    ("cocker-spaniel", "cocker\u2013spaniel", "cocker\u2013spaniel"),
    ("-1", "\u22121", "\u22121"),
    ("1", "1.0", "1"),
    ("01", "1", "1"),
    ("1000", "1e3", "1000"),
    ("TRUE", "true", "true"),
]


@pytest.mark.parametrize(("one", "two", "means"), TWINS)
def test_two_spellings_of_one_label_are_refused_with_both_lines(one, two, means):
    for first, second in ((one, two), (two, one)):
        with pytest.raises(InputError) as error:
            met("other", first, second)
        assert error.value.message.startswith("set.csv: line 4: the labels ")
        assert "both mean" in error.value.message and error.value.message.endswith("(see line 3).")
        assert error.value.cure == "Rename one, or write both alike."
    with pytest.raises(InputError, match=re.escape(f"both mean {number(means) or means!r}")):
        met(one, two)
    assert met(two) == [canonical(two)]


@pytest.mark.parametrize(
    "texts",
    [
        ("A+", "A-", "A"), ("-1", "0", "1"), ("C", "C++", "C#"), ("m²", "m2"), ("1.1", "1.10"), ("0.5", "0.50"),
        ("resume", "résumé"), ("O", "0", "l", "I", "1"), ("TRUE", "FALSE"), ("none", "some"),
        ("2024-01-03", "2024-01-04"), ("1.2.20", "1.3"), ("#1", "#2"), ("[unknown]", "{", "[", '"'), ("Spaniel, Cocker", "x"),
    ],
)  # fmt: skip
def test_what_is_different_stays_different(texts):
    assert met(*texts) == list(texts)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" Pug\t", "Pug"),
        ("Pug\u00a0", "Pug"),
        ("toy\u00a0\u2009 poodle", "toy poodle"),
        (unicodedata.normalize("NFD", E_ACUTE), E_ACUTE),
        ("p\u200bug\ufeff", "pug"),
        ('{"label": 1}', "1"),
        ('{"label": 1.0}', "1"),
        ('{"label": 0.5}', "0.5"),
        ('{"label": true}', "true"),
        ('{"breed": " Pug "}', "Pug"),
        ('{"answer": {"label": "Pug"}}', "Pug"),
        ('{"label": "Pug", "confidence": 0.93}', "Pug"),
        ('{"confidence": 1, "Breed": "Pug"}', "Pug"),
        ('["Pug"]', "Pug"),
        ('"Pug"', "Pug"),
        ('```json\n{"label": "Pug"}\n```', "Pug"),
        ("```\nPug\n```", "Pug"),
    ],
)
def test_a_label_is_read_as_meant(text, label):
    assert met(text) == [label]


def test_one_label_in_several_forms_of_json_is_one_label():
    forms = ['{"label": 1}', "1", '{"label":1.0}', '{"class": "1", "confidence": 0.1}', '```json\n{"label": "1"}\n```']
    assert met(*forms) == ["1"] * len(forms)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"label": null}', "has no label in it"),
        ('{"label": ""}', "has no label in it"),
        ("{}", "has no label in it"),
        ('{"label": NaN}', "has no label in it"),
        ('{"label": {"label": {"label": {"label": {"label": {"label": {"label": 1}}}}}}}', "has no label in it"),
        ('["a", "b"]', "has 2 labels"),
        ('{"a": 1, "b": 2}', "as the label are named: none"),
        ('{"class": "dog", "breed": "Pug"}', "as the label are named: 'class', 'breed'"),
        ('{"label": "Pug", "label": "Chow"}', "has a member twice"),
        ('{"label": "Pu', "is no readable JSON"),
        ("{'label': 'Pug'}", "is no readable JSON"),
        ("Pug\nChow", "control characters"),
        ("Pug\u202e", "control characters"),
        ("Pug\U000e0041", "control characters"),
        ("Pug\ud800", "control characters"),
        ("\u200b", "no visible character"),
        ("It is a pug. " * 30, "has 389 characters, and a label has at most 300"),
        ("{label: Pug}", "is no readable JSON"),
        ("['Pug']", "is no readable JSON"),
        ("nan", "missing value"), ("NaN", "missing value"), ("None", "missing value"), ("null", "missing value"),
        ("NA", "missing value"), ("N/A", "missing value"), ("<NA>", "missing value"), (r"\N", "missing value"),
        ('{"label": "None"}', "missing value"),
        ("#N/A", "error of a spreadsheet"), ("#REF!", "error of a spreadsheet"), ("####", "error of a spreadsheet"),
        ("1.23457E+12", "a spreadsheet has shortened"), ("1E+05", "a spreadsheet has shortened"),
    ],
)  # fmt: skip
def test_what_is_no_label_is_refused_with_its_line(text, words):
    with pytest.raises(InputError) as error:
        met("other", text)
    assert error.value.message.startswith("set.csv: line 3: the label ") and words in error.value.message
    assert error.value.cure and str(error.value).isprintable()


@pytest.mark.parametrize("date", ["2024-01-03", "2024-05-06 00:00:00", "3-Jan", "Mar-01", "1/3/2024", "3.1.2024"])
def test_a_date_among_other_labels_is_questioned(date):
    with pytest.raises(InputError, match=rf"line 3: the label '{date}' is a date, and '5-6' is not") as error:
        met("5-6", date)
    assert error.value.cure == "Write it as text, or rename it."
    assert met(date) == [date]


@pytest.mark.parametrize(
    ("text", "plain"), [("1.0", "1"), ("01", "1"), ("1e3", "1000"), ("-0.50", "-0.5"), ("-0", "0"), (".5", "0.5")]
)
def test_numbers_have_one_shortest_form(text, plain):
    assert number(text) == plain
    assert number(plain) == plain


@pytest.mark.parametrize("text", ["", "1,0", "1e999", "a", "１", "1" * 99, "1.0.0", "--1"])
def test_what_is_no_number(text):
    assert number(text) is None


def test_names_of_folders_are_never_merged():
    with pytest.raises(
        InputError, match=r"^The class folders 'pug' and 'pug ' both mean 'pug'\. Rename or merge one\."
    ):
        met("pug", "pug ", given=False)
    with pytest.raises(InputError, match=r"^The class folder 'nan' is how programs write a missing value\."):
        met("nan", given=False)
    assert met('{"label": 1}', '{"breed": "Toy_Poodle"}', given=False) == ["1", "Toy Poodle"]
    assert met("toy_poodle", "n02085620-Chihuahua", "n02085620", given=False) == [
        "toy poodle",
        "Chihuahua",
        "n02085620",
    ]


def test_what_is_doubted_may_be_meant(tmp_path):
    root = folder(tmp_path, ["None", "2024-01-03", "pug"] * 8)
    with pytest.raises(InputError, match="'None' is how programs write a missing value") as error:
        catalog(root, tmp_path)
    assert error.value.cure == "Write the label, or rename it; if it is a class, add --accept-classes."
    assert catalog(root, tmp_path, accept_classes=True).labels == ["2024-01-03", "None", "pug"]
    shutil.rmtree(root / "None")
    with pytest.raises(InputError, match=r"'2024-01-03' is a date, and 'pug' is not: .* add --accept-classes"):
        catalog(root, tmp_path)


# -- roads


def url(n):
    return "data:image/jpeg;base64," + base64.b64encode(plain(n)).decode()


def request(n, **more):
    content = [{"type": "image_url", "image_url": {"url": url(n)}}]
    return {"messages": [{"role": "user", "content": content}, *more.pop("messages", [])], **more}


def folder(tmp_path, names):
    for n, name in enumerate(names):
        (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name / f"{n:03d}.jpg").write_bytes(plain(n))
    return tmp_path / "set"


def table(tmp_path, names, separator=",", name="set.csv"):
    folder(tmp_path, ["x"] * len(names))
    with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, delimiter=separator)
        rows.writerow(("path", "label"))
        rows.writerows((f"set/x/{n:03d}.jpg", label) for n, label in enumerate(names))
    return tmp_path / name


def lines(tmp_path, names):
    answers = ({"role": "assistant", "content": name} for name in names)
    text = "".join(json.dumps(request(n, messages=[answer])) + "\n" for n, answer in enumerate(answers))
    (tmp_path / "set.jsonl").write_text(text)
    return tmp_path / "set.jsonl"


def batch(tmp_path, names):
    text = "".join(json.dumps({"custom_id": f"r{n}", "body": request(n)}) + "\n" for n in range(len(names)))
    (tmp_path / "set.jsonl").write_text(text)
    rows = ["custom_id,label", *(f'r{n},"{name}"' for n, name in enumerate(names))]
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path / "set.jsonl"


def scored(tmp_path, names, column=2):
    rows = ["contestant,image,truth,answer"]
    for n, name in enumerate(names):
        rows.append(",".join((*("a", f"{n}.jpg", "x", "y")[:column], f'"{name}"', *("x", "y")[column - 1 :])))
    (tmp_path / "p.csv").write_text("\n".join(rows), encoding="utf-8")
    return read_predictions(tmp_path / "p.csv")


def listed(tmp_path, names):
    (tmp_path / "labels.txt").write_text("\n".join(names), encoding="utf-8")
    return read_labels(tmp_path / "labels.txt")


ROADS = {
    "folder": lambda tmp_path, names: catalog(folder(tmp_path, names), tmp_path),
    "tar": lambda tmp_path, names: catalog(tar_of(folder(tmp_path, names), tmp_path / "set.tar"), tmp_path),
    "zip": lambda tmp_path, names: catalog(zip_of(folder(tmp_path, names), tmp_path / "set.zip"), tmp_path),
    "csv": lambda tmp_path, names: catalog(table(tmp_path, names), tmp_path),
    "tsv": lambda tmp_path, names: catalog(table(tmp_path, names, "\t", "set.tsv"), tmp_path),
    "jsonl": lambda tmp_path, names: catalog(lines(tmp_path, names), tmp_path),
    "batch": lambda tmp_path, names: catalog(batch(tmp_path, names), tmp_path, labels=tmp_path / "labels.csv"),
    "score": scored,
    "list": listed,
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([E_ACUTE] * 6 + [unicodedata.normalize("NFD", E_ACUTE)] * 6 + ["pug"] * 12, "both mean 'Épagneul'"),
        (["toy poodle"] * 6 + ["toy\u00a0poodle"] * 6 + ["pug"] * 12, "both mean 'toy poodle'"),
        (["1", "2"] * 6 + ["1.0", "2.0"] * 6, "both mean '1'"),
        (["pug", "nan"] * 12, "'nan' is how programs write a missing value"),
    ],
    ids=["composed", "space", "float", "missing"],
)
def test_every_road_refuses_the_same(tmp_path, road, names, words):
    if road == "list":
        names = list(dict.fromkeys(names))
        if "nan" in names:  # a list names classes: there it is one
            assert list(listed(tmp_path, names)) == names
            return
    with pytest.raises(InputError) as error:
        ROADS[road](tmp_path, names)
    assert words in error.value.message
    assert ("line " in error.value.message) == (road not in ("folder", "tar", "zip"))
    assert "rename" in error.value.cure.lower()


@pytest.mark.parametrize(
    ("labels", "read"),
    [
        (["0.0", "1.0", "2"], ["0", "1", "2"]),
        (["-1.0", "1.00"], ["-1", "1"]),
        (["0.5", "1.0"], ["0.5", "1.0"]),
        (["1.0", "pug"], ["1.0", "pug"]),
        (["01", "02"], ["01", "02"]),
    ],
)
@pytest.mark.parametrize("road", [road for road in ROADS if road != "list"])
def test_whole_numbers_that_became_floats_are_whole_on_every_road(tmp_path, road, labels, read):
    found = ROADS[road](tmp_path, labels * (24 // len(labels)))
    assert sorted(set(found.truths.values()) if road == "score" else found.labels) == read


@pytest.mark.parametrize("road", [road for road in ROADS if road not in ("score", "list")])
def test_every_road_reads_the_same_labels(tmp_path, road):
    names = [unicodedata.normalize("NFD", E_ACUTE), "toy\u00a0poodle"] * 10
    assert ROADS[road](tmp_path, names).labels == ["toy poodle", E_ACUTE]


def test_truths_are_those_of_the_list_however_they_are_written(tmp_path):
    labels = listed(tmp_path, ["0", "1", "None", E_ACUTE])
    (tmp_path / "p.csv").write_text(
        "contestant,image,truth,answer\na,1,0.0,x\na,2,01,x\na,3,None,x\n"
        + f"a,4,{unicodedata.normalize('NFD', E_ACUTE).upper()},x\n"
    )
    assert read_predictions(tmp_path / "p.csv", labels).truths == {"1": "0", "2": "1", "3": "None", "4": E_ACUTE}
    (tmp_path / "p.csv").write_text("contestant,image,truth,answer\na,1,0.5,x\n")
    with pytest.raises(InputError, match=r"line 2: the truth '0\.5' is not among the labels"):
        read_predictions(tmp_path / "p.csv", labels)


def test_other_files_name_labels_in_any_spelling():
    labels = [E_ACUTE, "toy poodle", "1"]
    decomposed = unicodedata.normalize("NFD", E_ACUTE)
    text = f"""["{decomposed.lower()}"]
"Toy-Poodle" = 2
"1.0" = 3
["toy\u00a0poodle"]
"{E_ACUTE.upper()}" = 1
1 = 1
[1]
"*" = 4
"""
    costs = parse_costs(text, labels)
    truths, answers = np.repeat(range(3), 3), np.tile(range(3), 3)
    assert costs.of(truths, answers).tolist() == [0, 2, 3, 1, 0, 1, 4, 4, 0]
    assert read("a spaniel", labels, {decomposed: ["spaniel"]}).label == E_ACUTE


# -- answers


@pytest.mark.parametrize(
    ("answer", "labels", "label", "rule"),
    [
        ("1.0", "0 1 2 3", "1", Rule.SPELLING),
        ("0.0", "0 1 2 3", "0", Rule.SPELLING),
        ('{"label": 2.0}', "0 1 2 3", "2", Rule.SPELLING),
        ('{"label": 0, "confidence": 1.0}', "0 1", "0", Rule.WRAPPED),
        ('{"label": 0, "confidence": 1}', "0 1", "0", Rule.WRAPPED),
        ('{"label": true}', "True False", "True", Rule.WRAPPED),
        ("Class 2.0", "0 1 2 3", "2", Rule.SENTENCE),
        ("1e3", "10 1000", "1000", Rule.SPELLING),
        ("1.00E+03", "1 3 1000", "1000", Rule.SPELLING),
        ("Class 1.5E+01", "1 5 15", "15", Rule.SENTENCE),
        ("7", "007 008", "007", Rule.SPELLING),
        ("0.50", "0.25 0.5", "0.5", Rule.SPELLING),
        ("-1.0", "-1 0 1", "-1", Rule.SPELLING),
        ("-1", "1 2", None, Rule.NO_LABEL),
        ("2.5", "1 2 3", None, Rule.NO_LABEL),
        ("It is 2.5.", "1 2 3", None, Rule.NO_LABEL),
        ("1,5", "1 2 3 15", None, Rule.NO_LABEL),
        ("1 0", "0 1 10", None, Rule.SEVERAL),
        ("1.", "0 1 10", "1", Rule.SPELLING),
        ("737-800", "boeing-737-800 a320", None, Rule.NO_LABEL),
        ("Boeing 737 800", "boeing-737-800 a320", "boeing-737-800", Rule.SPELLING),
        (unicodedata.normalize("NFD", E_ACUTE), f"{E_ACUTE} x", E_ACUTE, Rule.AS_TEXT),
        ("pug\u200b", "pug x", "pug", Rule.AS_TEXT),
        (f'{{"label": "{unicodedata.normalize("NFD", E_ACUTE)}"}}', f"{E_ACUTE} x", E_ACUTE, Rule.AS_JSON),
        ("ｐｕｇ", "pug x", "pug", Rule.SPELLING),
    ],
)
def test_answers_are_read_as_meant_or_not_at_all(answer, labels, label, rule):
    found = read(answer, labels.split())
    assert (found.label, found.rule) == (label, rule)
