import csv
import io
from dataclasses import replace

import pytest
from statsmodels.stats.multitest import multipletests

from engine.evaluation.analysis import analyse
from engine.evaluation.comparison import ContestantInput, compare
from engine.evaluation.exports import as_text, rows, to_json, written
from engine.evaluation.metrics import latency, macro_f1, mcnemar, wilson
from engine.evaluation.reading import read
from engine.evaluation.report import to_table
from engine.states import ContestantKind, Outcome

LABELS = ["Pug", "Silky Terrier", "Saint Bernard"]


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("Pug", "Pug"),
        ("  pug. ", "Pug"),
        ('"Saint-Bernard"', "Saint Bernard"),
        ('{"label": "silky terrier"}', "Silky Terrier"),
        ('```json\n{"label": "Pug"}\n```', "Pug"),
        ("It is a Pug", "Pug"),
        ("Pugs", None),
        ('{"label": "Pug", "other": "Saint Bernard"}', None),
        ('{"label": 3}', None),
        ("{", None),
        ("", None),
        (None, None),
        ("Pug" * 5000, None),
        ('{"a":' * 5000, None),
    ],
)
def test_answers_are_read_by_fixed_rules(raw, label):
    assert read(raw, LABELS).label == label


def test_wilson_agrees_with_the_published_counts():
    # R: prop.test(442, 600, correct = FALSE)$conf.int and so on
    for correct, low, high in ((442, 0.7000, 0.7703), (496, 0.7943, 0.8549), (370, 0.5772, 0.6548)):
        found = wilson(correct, 600)
        assert found == pytest.approx((low, high), abs=5e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(10, 10)[1] == pytest.approx(1.0)
    assert wilson(10, 10)[0] == pytest.approx(0.7225, abs=1e-4)


def test_macro_f1_counts_an_unlabelled_image_against_its_own_class():
    truths = ["Pug", "Pug", "Saint Bernard"]
    assert macro_f1(truths, truths, ["Pug", "Saint Bernard"]) == 1.0
    # Pug: precision 1, recall 1/2; Saint Bernard: 1
    assert macro_f1(truths, ["Pug", None, "Saint Bernard"], ["Pug", "Saint Bernard"]) == pytest.approx((2 / 3 + 1) / 2)


def test_mcnemar_is_exact():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(1, 0) == 1.0
    assert mcnemar(10, 0) == pytest.approx(2 / 2**10)


def test_latency_is_none_without_requests():
    assert latency([]) is None
    found = latency([float(n) for n in range(1, 102)])
    assert (found.mean, found.p50, found.p90, found.p95, found.p99) == (51, 51, 91, 96, 100)


def contestant(name, kind, correct, n=600, **more):
    truths = [LABELS[i % 3] for i in range(n)]
    wrong = {t: LABELS[(i + 1) % 3] for i, t in enumerate(LABELS)}
    predictions = [t if i < correct else wrong[t] for i, t in enumerate(truths)]
    values = {"emulated": False, "prompt": "p", "answer_format": "text", "outcomes": [Outcome.ANSWERED] * n}
    return ContestantInput(name, kind, "m", truths=truths, predictions=predictions, **values | more)


@pytest.fixture
def comparison():
    split = {"train": 4800, "val": 600, "test": 600}
    return compare(
        "e",
        "dogs",
        split,
        LABELS,
        [
            contestant("zero-shot", ContestantKind.ZERO_SHOT, 442, emulated=True, inference_usd=0.45),
            contestant("fine-tuned", ContestantKind.FINE_TUNED, 496, training_usd=157.44, hosting_usd=1.7),
            contestant("cnn", ContestantKind.CNN, 370, latencies_ms=(5.0, 7.0), train_seconds=90.0),
        ],
    )


def test_the_published_counts_give_the_published_accuracies(comparison):
    assert [f"{c.accuracy:.2%}" for c in comparison.contestants] == ["73.67%", "82.67%", "61.67%"]
    assert comparison.contestants[1].cost.total == pytest.approx(159.14)


def test_an_emulated_contestant_says_so_in_every_format(comparison):
    for text in (to_table(comparison), as_text(to_json(comparison)), written(rows(comparison))):
        assert "zero-shot (emulated)" in text
        assert "fine-tuned (emulated)" not in text


def test_json_has_the_promised_keys_and_no_other(comparison):
    value = to_json(comparison)
    assert list(value) == [
        "experiment", "dataset", "split", "contestants", "measure", "baselines", "against_baseline", "other_measures",
    ]  # fmt: skip
    for c in value["contestants"]:
        assert list(c) == [
            "name", "kind", "model", "n", "correct", "accuracy", "accuracy_low", "accuracy_high", "macro_f1",
            "outcomes", "latency_ms", "cost_usd", "train_seconds", "emulated",
            "value", "value_low", "value_high", "never_predicts",
        ]  # fmt: skip
        assert sum(c["outcomes"].values()) == c["n"] == 600
        assert list(c["outcomes"]) == ["answered", "unknown_label", "filtered", "failed", "missing"]
    assert value["contestants"][0]["latency_ms"] is None
    assert list(value["contestants"][2]["latency_ms"]) == ["mean", "p50", "p90", "p95", "p99"]
    assert value["contestants"][0]["accuracy"] == 442 / 600


def test_csv_has_a_row_a_contestant(comparison):
    found = list(csv.DictReader(io.StringIO(written(rows(comparison)))))
    assert [row["correct"] for row in found] == ["442", "496", "370", "200", ""]
    assert [row["name"] for row in found[3:]] == ["majority class (test labels)", "chance"]
    assert [row["accuracy"] for row in found[3:]] == [str(200 / 600), str(1 / 3)]
    assert {row["kind"] for row in found[3:]} == {"baseline"} and found[3]["cost_usd_total"] == ""
    assert found[1]["cost_usd_training"] == "157.44"
    assert found[0]["latency_ms_p50"] == ""
    assert found[0]["requests_n"] == ""


def test_retries_are_told_apart_from_latency():
    timings = [(100.0, 101.0, 1), (None, 1500.0, 3), (120.0, 121.0, 1)]
    given = contestant("tuned", ContestantKind.FINE_TUNED, 3, n=3, latencies_ms=(100.0,), concurrent=timings)
    made = compare("e", "d", {"train": 1, "val": 1, "test": 3}, LABELS, [given])
    row = next(csv.DictReader(io.StringIO(written(rows(made)))))
    assert row.pop("requests_kind") == "concurrent"
    told = {name.removeprefix("requests_"): float(row[name]) for name in row if name.startswith("requests_")}
    assert told == {
        "n": 3, "retried": 1, "attempts": 5,
        "first_ms_p50": 110.0, "first_ms_p95": 119.0, "total_ms_p50": 121.0, "total_ms_p95": pytest.approx(1362.1),
    }  # fmt: skip
    assert row["latency_ms_p50"] == "100.0"
    assert "1 of 3 real-time requests was answered after a retry" in to_table(made)


def test_missing_and_failed_images_count_as_wrong_and_stay_in_the_sum():
    outcomes = [Outcome.ANSWERED] * 5 + [
        Outcome.FAILED,
        Outcome.FILTERED,
        Outcome.MISSING,
        Outcome.UNKNOWN_LABEL,
        Outcome.ANSWERED,
    ]
    predictions = ["Pug"] * 5 + [None] * 4 + ["Saint Bernard"]
    given = ContestantInput(
        "c",
        ContestantKind.CNN,
        "m",
        False,
        "",
        "class",
        truths=["Pug"] * 10,
        predictions=predictions,
        outcomes=outcomes,
    )
    (found,) = compare("e", "d", {"train": 1, "val": 1, "test": 10}, LABELS, [given]).contestants
    assert found.correct == 5
    assert found.accuracy == 0.5
    assert sum(found.outcomes.values()) == 10


def test_text_from_outside_cannot_steer_the_terminal():
    given = contestant("evil\x1b[31m\x07", ContestantKind.CNN, 3, n=9)
    text = to_table(compare("e", "d", {"train": 1, "val": 1, "test": 9}, LABELS, [given]))
    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.mark.parametrize("unfinished", [False, True])
@pytest.mark.parametrize(("gains", "losses"), [(14, 4), (20, 4), (30, 4), (6, 6)])
def test_every_surface_holds_one_standard_of_significance(gains, losses, unfinished):
    """14 to 4 is p = 0.031 alone, and no longer below 5% among three pairs."""
    n, right = 200, range(150)
    hits = {
        "zero-shot": [i in right for i in range(n)],
        "fine-tuned": [losses <= i < 150 + gains for i in range(n)],
        "cnn": [3 <= i < 155 for i in range(n)],
    }
    truths = ["x"] * n
    inputs = [
        ContestantInput(
            name, name, "m", False, "", "class", truths, ["x" if hit else "y" for hit in found], [Outcome.ANSWERED] * n
        )
        for name, found in hits.items()
    ]
    if unfinished:
        half = [Outcome.ANSWERED] * 100 + [Outcome.MISSING] * 100
        inputs[2] = replace(
            inputs[2], outcomes=half, predictions=[*inputs[2].predictions[:100], *[None] * 100], complete=False
        )
    split = {"train": 1, "val": 1, "test": n}
    made, whole = compare("e", "d", split, ["x", "y"], inputs), analyse("e", "d", split, ["x", "y"], inputs)
    d, same = made.differences[0], whole.between("fine-tuned", "zero-shot")
    assert (d.p, d.p_holm, d.real, d.pairs) == (same.p, same.p_holm, same.real, 3)
    after = multipletests([other.p for other in whole.differences], method="holm")[1]
    assert [other.p_holm for other in whole.differences] == pytest.approx(list(after))
    assert d.real == (gains > 14)
    (line,) = [line for line in to_table(made).splitlines() if line.startswith("fine-tuned vs ")]
    assert ("a real difference" in line) == d.real and "corrected for 3 pairs" in line
    assert ("fine-tuned is better than zero-shot" in " ".join(whole.verdict.may)) == d.real
    assert len(made.differences) == (1 if unfinished else 2)


@pytest.mark.parametrize("never", [1, 2])
def test_one_that_never_ran_takes_no_significance_from_the_others(never):
    """14 to 4 is p = 0.031: pairs without an image in common are no tests, and nothing is corrected for them."""
    n, split = 200, {"train": 1, "val": 1, "test": 200}
    hits = {"zero-shot": [i < 150 for i in range(n)], "fine-tuned": [4 <= i < 164 for i in range(n)]}
    truths = ["x", "y"] * (n // 2)
    inputs = [
        ContestantInput(
            name,
            name,
            "m",
            False,
            "",
            "class",
            truths,
            [t if hit else "xy"[t == "x"] for t, hit in zip(truths, found, strict=True)],
            [Outcome.ANSWERED] * n,
        )
        for name, found in hits.items()
    ]
    nothing = {"predictions": [None] * n, "outcomes": [Outcome.MISSING] * n, "complete": False}
    inputs += [replace(inputs[0], name=f"never {at}", kind="cnn", **nothing) for at in range(never)]
    made, whole = compare("e", "d", split, ["x", "y"], inputs), analyse("e", "d", split, ["x", "y"], inputs)
    (d,) = made.differences
    assert (d.p_holm, d.pairs, d.real) == (pytest.approx(mcnemar(14, 4)), 1, True)
    same = whole.between("fine-tuned", "zero-shot")
    assert (same.p_holm, same.pairs, same.real) == (d.p_holm, 1, True)
    assert whole.verdict.sure == "clear" and "corrected" not in to_table(made)
