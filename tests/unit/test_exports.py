"""Findings in every form in which they leave the house: the same figures, where they come from, and nothing else."""

import csv
import io
import json
import re
import sqlite3
from html.parser import HTMLParser

import pytest

from engine.datasets.data_uri import data_uri
from engine.evaluation import exports, report, sections
from engine.evaluation.economics import Terms
from engine.evaluation.findings import find
from engine.evaluation.frames import COLUMNS, frame
from engine.evaluation.markup import Markup, joined, tag
from engine.evaluation.page import page
from engine.jobs.evidence import evidence
from engine.jobs.scoring import score
from engine.states import Outcome
from engine.store.predictions import Prediction
from engine.store.validations import Validation
from tests.outcomes import HOSTILE, experiment


@pytest.fixture
def found(store, home, tmp_path):
    experiment(store, tmp_path / "pets")
    return find(evidence(store, home, "pets", measure=True), Terms(value=0.05))


class Page(HTMLParser):
    """Reads a page as a browser would: its tags, what it would load, and what it shows."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.shown = [], [], []
        self.feed(text)
        self.text = " ".join(self.shown)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.shown.append(data)


def test_frame_has_a_row_for_each_contestant_and_image(found):
    table = frame(found)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * found.analysis.n == 16
    by_name = table.groupby("contestant")["right"].sum()
    assert {c.name: c.correct for c in found.comparison.contestants} == by_name.to_dict()
    assert set(table["outcome"]) == {"answered", "unknown_label", "failed"}
    failed = table[table["outcome"] == "failed"].iloc[0]
    assert failed["error"] == "500: broken" and not failed["right"]
    cnn = table[table["contestant"] == "cnn"]
    assert cnn["probability"].tolist() == [0.9] * 8 and cnn["latency_ms"].notna().all()
    assert table["brightness"].notna().all() and not table["duplicate"].any()
    zero_shot = table[table["contestant"] == "zero-shot (emulated)"]
    assert zero_shot["rule"].dropna().unique().tolist() == ["as-json", "no-label"]


def test_json_is_as_promised_and_the_full_one_has_everything(found):
    plain = exports.plain_json(found)
    assert plain == exports.to_json(found.comparison) | {"provenance": found.provenance.plain()}
    full = json.loads(exports.as_text(exports.full_json(found)))
    assert list(full)[:4] == ["experiment", "dataset", "split", "contestants"]
    assert plain["provenance"] == full["provenance"]
    for one, more in zip(plain["contestants"], full["contestants"], strict=True):
        assert one.items() <= more.items()
    (difference,) = full["differences"]
    assert difference["only_a"] + difference["only_b"] + difference["both"] + difference["neither"] == 8
    assert full["provenance"]["dataset"]["digest"] == found.provenance.dataset["digest"]
    assert full["provenance"]["dataset"]["seed"] == 7
    assert full["provenance"]["prices"]["models"]["gpt-4o-2024-08-06"]["input"] == 2.5
    assert {"torch", "onnxruntime", "python", "dogcls-tui"} <= full["provenance"]["software"].keys()
    assert full["terms"]["value"] == 0.05
    assert full["published"][0]["comparable"] is False


@pytest.mark.parametrize(
    ("make", "rows"), [(exports.contestants_csv, 4), (exports.classes_csv, 8), (exports.images_csv, 16)]
)
def test_csv_rows_say_where_they_come_from(found, make, rows):
    read = list(csv.DictReader(io.StringIO(make(found))))
    assert len(read) == rows
    assert {row["dataset_digest"] for row in read} == {found.provenance.dataset["digest"]}
    assert all(row["dogcls_tui"] for row in read)
    assert {row["prices_as_of"] for row in read} == {found.provenance.prices["as_of"]}
    for c in found.provenance.contestants:
        own = [row for row in read if row["contestant" if "contestant" in row else "name"].startswith(c["name"])]
        assert own
        for key in ("model", "deployment", "prompt", "answer_format", "seed"):
            assert {row[key] for row in own} == {"" if c.get(key) is None else str(c[key])}


@pytest.mark.parametrize("write", [report.table_of, report.markdown_of])
def test_text_has_the_verdict_on_top_and_where_it_comes_from_at_the_end(found, write):
    text = write(found)
    plain = text.replace("\\", "")
    lines = [line for line in plain.splitlines() if line]
    assert found.analysis.verdict.sentence in "\n".join(lines[:3])
    for words in ("├", "zero-shot (emulated) – cnn", "of answered", "seed 7", "prices", "gpt-4o-2024-08-06", "torch"):
        assert words in plain
    assert "442" not in plain and "(published)" not in plain
    assert "zero-shot GPT-4o (published)" in write(found, references=True).replace("\\", "")


def test_intervals_are_drawn_on_one_scale(found):
    drawn = report.intervals(found)
    assert len({len(line) for line in drawn[1:]}) <= 2 and max(map(len, drawn)) <= 80
    assert all(line.count("●") == 1 for line in drawn[2:])


def test_page_loads_nothing_and_has_its_charts_and_pictures(found):
    text = page(found, data_uri, references=True)
    read = Page(text)
    assert "script" not in read.tags and "link" not in read.tags
    assert all(load.startswith(("#", "data:image/jpeg;base64,")) for load in read.loads)
    assert not re.search(r"url\(|@import", text)
    assert read.tags.count("svg") >= 6
    assert read.tags.count("img") == len([load for load in read.loads if load.startswith("data:")]) > 0
    for words in ("May be concluded", "Differences", "Where it comes from", "(published)"):
        assert words in read.text
    assert len(text) < 500_000
    assert read.tags.count("html") == read.tags.count("body") == 1


def test_pictures_that_are_gone_are_said_to_be(found):
    read = Page(page(found, lambda path: None))
    assert "img" not in read.tags and "no picture" in read.text


@pytest.mark.parametrize("label", [HOSTILE, "a\"b'c&d", "\x1b[31mred\x07", "‮evil", "x" * 300, "狗|`*_#"])
def test_text_from_outside_stays_text(store, home, tmp_path, label):
    experiment(store, tmp_path / "pets", labels=("cat", label))
    found = find(evidence(store, home, "pets"), Terms())
    read = Page(page(found, data_uri))
    assert "script" not in read.tags
    assert not set("\x1b\x07\u202e") & set(page(found, data_uri))
    if label == HOSTILE:
        assert HOSTILE in read.text
        assert HOSTILE not in page(found, data_uri)
        assert "<script" not in report.markdown_of(found).replace("\\<script", "")
    for text in (report.table_of(found), report.markdown_of(found)):
        assert not set("\x1b\x07\u202e") & set(text)
    rows = list(csv.DictReader(io.StringIO(exports.images_csv(found))))
    assert label in {row["truth"] for row in rows}


def test_markup_escapes_whatever_it_did_not_make():
    assert tag("p", "<b>", Markup("<i></i>"), None, ["&", 3]) == "<p>&lt;b&gt;<i></i>&amp;3</p>"
    assert tag("img", alt='"><script>') == '<img alt="&quot;&gt;&lt;script&gt;">'
    assert joined(["a\x00b", "\ud800"]) == "ab"
    with pytest.raises(ValueError, match="no attribute"):
        tag("p", **{"x onload": 1})


def test_unfinished_contestants_are_said_to_be_partial(store, home, tmp_path):
    experiment(store, tmp_path / "pets", running=True)
    found = find(evidence(store, home, "pets"), Terms())
    assert found.analysis.verdict.sentence.startswith("No finished contestant is better than the majority class")
    for text in (report.table_of(found), report.markdown_of(found), page(found)):
        assert "cnn is not finished" in text
    assert "that both were asked" in report.table_of(found)
    assert not found.break_evens and not found.cascades
    assert all(p.name != "cnn" for p in found.frontier)


def test_one_class_and_no_answers_are_no_error(store, home, tmp_path):
    experiment(store, tmp_path / "pets", labels=("cat",), each=1)
    found = find(evidence(store, home, "pets", measure=True), Terms())
    assert found.analysis.n == 1
    for form in (report.table_of, report.markdown_of, page, exports.images_csv, exports.classes_csv):
        assert form(found)
    assert "one class" in report.table_of(found)
    assert exports.as_text(exports.full_json(found))
    assert [s.title for s in sections.present([None, sections.coverage(found)])] == ["Coverage"]


def test_answers_about_images_that_are_not_tested_are_said_and_do_not_count(store, home, tmp_path):
    experiment(store, tmp_path / "pets")
    before = find(evidence(store, home, "pets"), Terms())
    stray = store.datasets.images("pets", "train")[0]
    store.predictions.add(1, [Prediction(stray.id, "cat", stray.label, Outcome.ANSWERED)])
    found = find(evidence(store, home, "pets"), Terms())
    assert found.comparison == before.comparison
    for write in (report.table_of, report.markdown_of, page):
        assert "zero-shot has 1 answer about images that are not tested" in write(found)


def test_an_experiment_in_which_nobody_answered_yet(store, home, tmp_path):
    experiment(store, tmp_path / "pets")
    with sqlite3.connect(home.store) as db:
        db.execute("DELETE FROM predictions")
        db.execute("DELETE FROM latencies")
    db.close()
    found = find(evidence(store, home, "pets"), Terms())
    for write in (report.table_of, report.markdown_of, page, exports.contestants_csv, exports.images_csv):
        assert "missing" in write(found)
    assert exports.as_text(exports.full_json(found))


FORMULAS = ("=cmd()", "+1", "-2+3", "@SUM(1)")


def test_no_text_becomes_a_formula_and_no_terminal_is_given_orders(tmp_path):
    lines = [f'"{who}",{n}.jpg,"{f}","{f}"' for who in ("=a", "\x9b31m\u2028") for n, f in enumerate(FORMULAS)]
    (tmp_path / "p.csv").write_text("contestant,image,truth,answer\n" + "\n".join(lines), encoding="utf-8")
    found = score(tmp_path / "p.csv", None, tmp_path / "none.toml")
    for make in (exports.contestants_csv, exports.classes_csv, exports.images_csv):
        for row in csv.reader(io.StringIO(make(found))):
            assert not any(cell.startswith(("=", "+", "@", "-")) for cell in row)
    assert {r["truth"] for r in csv.DictReader(io.StringIO(exports.images_csv(found)))} == {f"'{f}" for f in FORMULAS}
    text = exports.as_text(exports.full_json(found))
    assert not set("\x9b\u2028") & set(text)
    assert json.loads(text)["contestants"][1]["name"] == "\x9b31m\u2028".strip()


def test_markdown_makes_no_link_list_or_entity_of_text():
    (line,) = [report._item("1. https://x.y www.x.y @me &lt; ~~s~~ $1$")]
    assert line == "- 1\\. https\\://x.y www\\.x.y \\@me \\&lt; \\~\\~s\\~\\~ \\$1\\$"
    assert report._item("- x") == "- \\- x"


@pytest.mark.parametrize("write", [report.markdown_of, page])
def test_what_is_for_reading_at_length_has_everything(found, write):
    plain = re.sub(r"<[^>]+>|\\", " ", write(found))
    for words in (
        "Latency",
        "Quality",
        "taken for",
        "By image property",
        "precision",
        "images needed",
        "calibration",
        "How answers were read",
        "exactly a label in it: that label.",
    ):
        assert words in plain, words


def test_the_table_has_latency_quality_and_what_may_be_concluded(found):
    text = report.table_of(found)
    for words in ("May be concluded:", "May not be concluded:", "Would change it:", "Latency", "macro-F1", "too few"):
        assert words in text, words


def test_of_whom_nothing_was_answered_no_share_of_answers_is_told(store, home, tmp_path):
    experiment(store, tmp_path / "pets", running=True)
    found = find(evidence(store, home, "pets"), Terms())
    plain = exports.plain_json(found)["contestants"]
    assert "complete" not in plain[0] and plain[1]["complete"] is False
    assert "cnn (unfinished)" in report.table_of(found) and "has answered so far" in report.table_of(found)
    rows = list(csv.DictReader(io.StringIO(exports.classes_csv(found))))
    mine = [row for row in rows if row["contestant"] == "cnn"]
    assert {row["complete"] for row in mine} == {"False"} and sum(int(row["support"]) for row in mine) == 3
    with sqlite3.connect(home.store) as db:
        db.execute("DELETE FROM predictions")
    db.close()
    found = find(evidence(store, home, "pets"), Terms())
    assert sections.coverage(found).rows[0][7] == "–"
    assert "nan" not in exports.contestants_csv(found).lower()


def test_disagreeing_images_are_named_in_full_json(found):
    (d,) = exports.full_json(found)["differences"]
    assert len(d["images_only_a"]) == d["only_a"] and len(d["images_only_b"]) == d["only_b"]
    assert all(name.startswith("test/") for name in d["images_only_b"])


def with_cascade(store, home, tmp_path, **terms):
    """The same, with what the network made of its validation images, so that there are cascades."""
    experiment(store, tmp_path / "pets", each=20)
    images = store.datasets.images("pets", "val")
    store.validations.replace(2, [Validation(i.id, i.label, 0.5 + n / 100, 0.5) for n, i in enumerate(images)])
    return find(evidence(store, home, "pets"), Terms(**terms))


def test_a_cascade_is_held_against_its_better_member(store, home, tmp_path):
    found = with_cascade(store, home, tmp_path)
    (cascade,) = found.cascades
    (d,) = found.cascade_differences
    assert d.b == "cnn"  # who is right more often than zero-shot
    assert d.gain == pytest.approx((cascade.correct - found.comparison.contestants[1].correct) / 40)
    (row,) = sections.cascades(found).rows
    assert row[4].startswith(f"{100 * d.gain:+.1f} (")
    assert sections.frontier(found).rows[0][0] == "cnn"
    told = exports.full_json(found)["cascades"][0]["against_its_better_member"]
    assert (told["b"], told["n"]) == ("cnn", 40)


def test_what_an_answer_is_worth_may_make_another_choice(store, home, tmp_path):
    found = with_cascade(store, home, tmp_path)
    assert not any(line.startswith("The value:") for line in found.analysis.verdict.would_change)
    verdict = find(found.evidence, Terms(value=1e-9, machine_hourly=0.1, machine_hours=24)).analysis.verdict
    (line,) = [line for line in verdict.would_change if line.startswith("The value:")]
    assert "at $1e-09 a correct answer asking nobody leaves the most, at 10,000 images a month" in line


def scored(image, ms):
    return Prediction(image.id, "x", 0, Outcome.ANSWERED, ms, first_ms=ms, total_ms=ms + 1, attempts=1)


def test_no_export_mixes_requests_made_alone_with_those_made_many_at_a_time(store, home, tmp_path):
    """Of eight images two were queried alone, four among many; an image may have one of each kind."""
    test = experiment(store, tmp_path / "pets")
    number = store.experiments.contestants("pets")[0].id
    p = store.predictions
    with store.db.transaction() as db:
        db.execute("DELETE FROM predictions WHERE contestant_id = ?", (number,))
    for n, image in enumerate(test[:2]):  # the scoring job's own single requests
        p.add(number, [scored(image, 100.0 + n)])
        p.add_latency(number, image.id, 100.0 + n, total_ms=101.0 + n, attempts=1)
    for n, image in enumerate(test[2:6]):
        p.add(number, [scored(image, 900.0 + n)])
    p.add_latency(number, test[5].id, 102.0, total_ms=103.0, attempts=1)  # a probe of the same image
    found = find(evidence(store, home, "pets"), Terms())
    table = frame(found)[lambda rows: rows["contestant"].str.startswith("zero-shot")]
    assert table["latency_ms"].dropna().tolist() == [100.0, 101.0, 102.0]
    assert table["concurrent_latency_ms"].dropna().tolist() == [900.0, 901.0, 902.0, 903.0]
    plain = exports.plain_json(found)["contestants"][0]
    assert plain["latency_ms"]["p50"] == 101.0 and plain["latency_ms"]["p99"] < 103
    (row,) = [r for r in exports.rows(found.comparison) if r["name"].startswith("zero-shot")]
    assert (row["requests_kind"], row["requests_n"], row["requests_total_ms_p50"]) == ("concurrent", 4, 902.5)
    times = found.analysis.contestants[0].latency
    assert (times.single.n, times.sequential.n, times.concurrent.n) == (3, 3, 4)
    assert times.sequential.total.percentiles[99].value < 104 and times.concurrent.total.percentiles[50].value == 902.5
