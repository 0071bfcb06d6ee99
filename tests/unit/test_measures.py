"""Measures, their intervals and tests, baselines and costs: against scikit-learn, scipy and statsmodels."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from sklearn.dummy import DummyClassifier
from statsmodels.stats import contingency_tables, multitest, proportion

from engine.errors import InputError
from engine.evaluation.baselines import CHANCE, MAJORITY, baselines
from engine.evaluation.costs import load_costs, parse_costs
from engine.evaluation.differences import corrected, gain_interval, tango
from engine.evaluation.measured import chance_p, contrasts, interval
from engine.evaluation.measures import (
    ACCURACY,
    BALANCED,
    MACRO_F1,
    Measure,
    MeasureKind,
    against_constant,
    codes,
    pairs_of,
    read_measure,
    tally,
)
from tests.properties import quick

TWO = ("defect", "ok")
COSTS = parse_costs("[ok]\ndefect = 1\n[defect]\nok = 20\n", TWO)
COST = Measure(MeasureKind.COST, costs=COSTS)
DEFECT = read_measure("recall:defect", TWO)


def counted(*cells):
    """Truths and answers of (truth, answer, count), as positions."""
    truths, answers, counts = zip(*cells, strict=True)
    return np.repeat(truths, counts), np.repeat(answers, counts)


TRUTHS, CAREFUL = counted((1, 1, 855), (1, 0, 95), (0, 0, 50))
CONSTANT = np.ones(1000, dtype=int)


def score_of(measure, truths, answers, k):
    """A measure, higher is better, by scikit-learn and NumPy alone."""
    held = sorted(set(truths.tolist()))
    if measure.kind == MeasureKind.ACCURACY:
        return sk.accuracy_score(truths, answers)
    if measure.kind == MeasureKind.MACRO_F1:
        return sk.f1_score(truths, answers, labels=held, average="macro", zero_division=0)
    if measure.kind == MeasureKind.COST:
        return -sum(measure.costs.of(truths, answers)) / len(truths)
    wanted = list(measure.positions) or held
    return sk.recall_score(truths, answers, labels=wanted, average="macro", zero_division=0)


@st.composite
def cases(draw, most=6):
    k = draw(st.integers(2, most))
    n = draw(st.integers(1, 60))
    whole = st.lists(st.integers(0, k), min_size=n, max_size=n)
    truths = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    return k, truths, np.array(draw(whole)), np.array(draw(whole))


@quick
@given(cases())
def test_every_measure_is_what_scikit_learn_computes(case):
    k, truths, answers, _ = case
    cells = tally(truths, answers, k)
    labels = [f"l{n}" for n in range(k)]
    held = int(truths[0])
    table = np.random.default_rng(k).integers(0, 9, (k, k)) + 1 - np.eye(k, dtype=int)
    text = "\n".join(
        f"[l{t}]\n" + "\n".join(f"l{a} = {table[t, a] if a != t else 0}" for a in range(k)) for t in range(k)
    )
    costs = Measure(MeasureKind.COST, costs=parse_costs(text, labels))
    for measure in (ACCURACY, BALANCED, MACRO_F1, read_measure(f"recall:l{held}", labels), costs):
        assert measure.score(measure.of(cells)) == pytest.approx(score_of(measure, truths, answers, k)), measure.name
        low, high = interval(measure, cells)
        assert low is None or low - 1e-9 <= measure.of(cells) <= high + 1e-9
    assert (cells.n, int(cells.right.sum())) == (len(truths), int((truths == answers).sum()))


@pytest.mark.parametrize("seed", range(2))
def test_the_paired_test_is_the_permutation_test_of_scipy(seed):
    """Which tries all swaps of so few images."""
    rng = np.random.default_rng(seed)
    k, labels = 3, ["l0", "l1", "l2"]
    truths, a = rng.integers(0, k, 10), rng.integers(0, k + 1, 10)
    b = np.where(rng.random(10) < 0.7, truths, a)
    costs = parse_costs('["*"]\n"*" = 2\n[l0]\n"*" = 5\nl1 = 3\n"no answer" = 1', labels)
    for measure in (BALANCED, MACRO_F1, Measure(MeasureKind.COST, costs=costs)):

        def gain(one, other, measure=measure):
            values = (measure.score(measure.of(tally(truths, said, k))) for said in (one, other))
            return round(next(values) - next(values), 12)

        (found,) = contrasts(measure, [pairs_of(truths, a, b, k)])
        exact = stats.permutation_test((a, b), gain, permutation_type="samples", n_resamples=np.inf)
        assert found.gain == pytest.approx(exact.statistic)
        # scipy doubles the smaller tail, and here both tails are alike
        assert found.p == pytest.approx(exact.pvalue, abs=0.025)
        assert found.low is None or found.low <= found.gain <= found.high
        assert found.low is None or (found.p < 0.05) == (not found.low < 0 < found.high and found.gain != 0)


def test_recall_of_one_class_is_mcnemars_test_of_its_images():
    rng = np.random.default_rng(4)
    truths, a, b = rng.integers(0, 3, 300), rng.integers(0, 3, 300), rng.integers(0, 3, 300)
    measure = read_measure("recall:x", ["x", "y", "z"])
    (found,) = contrasts(measure, [pairs_of(truths, a, b, 3)])
    mine = truths == 0
    table = sk.confusion_matrix(a[mine] == 0, b[mine] == 0, labels=[True, False])
    assert found.p == pytest.approx(contingency_tables.mcnemar(table, exact=True).pvalue)
    assert (found.low, found.high) == pytest.approx(tango(table[0, 1], table[1, 0], mine.sum()))
    cells = tally(truths, a, 3)
    wilson = proportion.proportion_confint((a[mine] == 0).sum(), mine.sum(), method="wilson")
    assert interval(measure, cells) == pytest.approx(wilson)


def test_accuracy_by_the_same_road_is_mcnemars_and_the_bootstrap_of_all_images():
    rng = np.random.default_rng(5)
    truths = rng.integers(0, 4, 800)
    a, b = (np.where(rng.random(800) < share, truths, 4) for share in (0.8, 0.7))
    (found,) = contrasts(ACCURACY, [pairs_of(truths, a, b, 4)])
    table = sk.confusion_matrix(a == truths, b == truths, labels=[True, False])
    assert found.p == pytest.approx(contingency_tables.mcnemar(table, exact=True).pvalue)
    assert (found.low, found.high) == pytest.approx(gain_interval(table[0, 1], table[1, 0], 800)[:2], abs=0.006)


@pytest.mark.parametrize("measure", [BALANCED, MACRO_F1, COST, DEFECT], ids=lambda m: m.name)
def test_intervals_agree_with_the_bootstrap_of_images_where_there_are_many(measure):
    """Drawn image by image within each class, as no code of ours does it."""
    rng = np.random.default_rng(6)
    truths = np.repeat([0, 1], [400, 3600])
    a, b = (np.where(rng.random(4000) < right, truths, 1 - truths) for right in (0.85, 0.8))
    (found,) = contrasts(measure, [pairs_of(truths, a, b, 2)])
    values, gains = [], []
    for _ in range(1500):
        at = np.concatenate([rng.integers(0, 400, 400), rng.integers(400, 4000, 3600)])
        one, other = (measure.of(tally(truths[at], said[at], 2)) for said in (a, b))
        values.append(one)
        gains.append(measure.score(one) - measure.score(other))
    width = found.high - found.low
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(gains, (0.025, 0.975))), abs=0.1 * width)
    low, high = interval(measure, tally(truths, a, 2))
    assert (low, high) == pytest.approx(tuple(np.quantile(values, (0.025, 0.975))), abs=0.12 * (high - low))
    assert found.p < 0.05 and found.low > 0


@pytest.mark.parametrize("measure", [BALANCED, COST, MACRO_F1], ids=lambda m: m.name)
def test_two_that_are_alike_are_told_apart_as_seldom_as_5_percent(measure):
    rng, real, outside = np.random.default_rng(7), 0, 0
    for _ in range(60):
        truths = np.repeat([0, 1], [20, 180])
        a, b = (np.where(rng.random(200) < 0.8, truths, 1 - truths) for _ in range(2))
        (found,) = contrasts(measure, [pairs_of(truths, a, b, 2)])
        real += found.p < 0.05
        outside += not found.low <= 0 <= found.high
    assert real <= 8 and outside <= real  # 3 are expected; more than 8 in 1 of 250 such runs


def test_a_rare_class_without_a_mistake_stays_uncertain():
    """50 of 50 is no 100% for certain: the bootstrap would draw 50 of 50 for ever."""
    cells = tally(TRUTHS, CAREFUL, 2)
    low, high = interval(DEFECT, cells)
    assert (low, high) == pytest.approx(proportion.proportion_confint(50, 50, method="wilson"))
    low, high = interval(BALANCED, cells)
    assert low < 0.92 and high == pytest.approx(0.9587, abs=1e-3)
    low, high = interval(COST, cells)
    assert high > 0.16  # 3 of 50 missed defects, at 20 each, are possible


def test_holm_is_that_of_statsmodels():
    rng = np.random.default_rng(8)
    for m in (1, 2, 7):
        p_values = rng.random(m) ** 3
        expected = multitest.multipletests(p_values, method="holm")
        found = corrected(list(p_values))
        assert [p for p, _ in found] == pytest.approx(list(expected[1]))
        assert [p < level for p, (_, level) in zip(p_values, found, strict=True)] == list(expected[0])


# -- baselines


@pytest.mark.parametrize("measure", [ACCURACY, BALANCED, MACRO_F1, DEFECT, COST], ids=lambda m: m.name)
def test_the_majority_class_is_scikit_learns_dummy(measure):
    training = np.repeat([0, 1], [30, 70])
    dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((100, 1)), training)
    answers = dummy.predict(np.zeros((1000, 1)))
    found = baselines(TWO, np.bincount(TRUTHS), measure, {}, [30, 70])
    majority, chance = found.rows
    assert (majority.name, majority.label, majority.source, chance.name) == (MAJORITY, "ok", "training labels", CHANCE)
    assert measure.score(majority.value) == pytest.approx(score_of(measure, TRUTHS, answers, 2))
    assert (majority.correct, majority.accuracy, majority.balanced_accuracy) == (950, 0.95, 0.5)
    uniform = DummyClassifier(strategy="uniform", random_state=1).fit(np.zeros((100, 1)), training)
    drawn = [score_of(measure, TRUTHS, uniform.predict(np.zeros((1000, 1))), 2) for _ in range(60)]
    assert measure.score(chance.value) == pytest.approx(np.mean(drawn), abs=0.04)
    assert chance.correct is None and chance.low is None


def test_where_the_labels_of_the_majority_class_come_from():
    support = np.array([50, 950, 0])
    labels = ["defect", "ok", "scratch"]
    for training, label, source in (
        ((), "ok", "test labels"), ((0, 0, 0), "ok", "test labels"), ((9, 1, 0), "defect", "training labels"),
        ((1, 1, 5), "scratch", "training labels"), ((5, 5, 5), "defect", "training labels"),
    ):  # fmt: skip
        majority = baselines(labels, support, ACCURACY, {}, training).rows[0]
        assert (majority.label, majority.source) == (label, source)
        assert ("(test labels)" in majority.shown) == (source == "test labels")
    absent = baselines(labels, support, ACCURACY, {}, (1, 1, 5))
    assert (absent.rows[0].accuracy, absent.best.name) == (0.0, CHANCE)  # then chance is the better one
    assert baselines(labels, np.zeros(3), ACCURACY, {}) == baselines((), np.zeros(0), ACCURACY, {})


@pytest.mark.parametrize(
    ("measure", "better"),
    [(ACCURACY, {}), (BALANCED, {"careful"}), (MACRO_F1, {"careful"}), (DEFECT, {"careful"}), (COST, {"careful"})],
    ids=lambda value: getattr(value, "name", None),
)
def test_who_is_better_than_both(measure, better):
    """Of 950 ok and 50 defect: always ok is right most often, and worth nothing."""
    cells = {"constant": tally(TRUTHS, CONSTANT, 2), "careful": tally(TRUTHS, CAREFUL, 2)}
    found = baselines(TWO, np.bincount(TRUTHS), measure, cells)
    assert {name for name in cells if found.beaten_by(name)} == set(better)
    assert not found.beaten_by("nobody")
    if measure is ACCURACY:
        assert found.edges["constant"].p == 1 and found.edges["careful"].gain == pytest.approx(-0.045)
        # McNemar: 50 images only the careful one has right, 95 only the constant one
        assert found.edges["careful"].p == pytest.approx(stats.binomtest(50, 145).pvalue)
        assert found.edges["careful"].p_holm == pytest.approx(2 * stats.binomtest(50, 145).pvalue)


def test_a_guess_is_not_better_than_chance_and_somewhat_more_is():
    rng = np.random.default_rng(9)
    truths = rng.integers(0, 3, 300)
    guess, some = rng.integers(0, 3, 300), np.where(rng.random(300) < 0.25, truths, rng.integers(0, 3, 300))
    for measure in (ACCURACY, BALANCED, MACRO_F1, read_measure("recall:b,c", ["a", "b", "c"])):
        assert chance_p(measure, tally(truths, guess, 3)) > 0.05
        assert chance_p(measure, tally(truths, some, 3)) < 0.01
    assert chance_p(ACCURACY, tally(truths, some, 3)) == pytest.approx(
        stats.binomtest(int((truths == some).sum()), 300, 1 / 3).pvalue
    )
    drawn = [BALANCED.of(tally(truths, rng.integers(0, 3, 300), 3)) for _ in range(500)]
    seen = BALANCED.of(tally(truths, guess, 3))
    expected = 2 * min(np.mean(np.array(drawn) >= seen), np.mean(np.array(drawn) <= seen))
    assert chance_p(BALANCED, tally(truths, guess, 3)) == pytest.approx(expected, abs=0.1)


# -- names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("accuracy", "accuracy"), ("Balanced-Accuracy", "balanced accuracy"), ("balanced", "balanced accuracy"),
        ("balanced_accuracy", "balanced accuracy"), ("macro-F1", "macro-F1"), ("f1", "macro-F1"),
        ("recall:defect", "recall of defect"), ("recall of Defect", "recall of defect"),
        ("recall: ok , defect,ok", "recall of defect and ok"), ("cost", "cost of mistakes"),
    ],
)  # fmt: skip
def test_measures_by_name(text, name):
    assert read_measure(text, TWO, COSTS).name == name
    again = read_measure(name, TWO, COSTS)  # what results call it can be typed as well
    assert again.kind == read_measure(text, TWO, COSTS).kind


def test_a_label_with_commas_is_one_class():
    labels = ["a, b", "c"]
    assert read_measure("recall:a, b", labels).classes == ("a, b",)
    assert read_measure('recall:"a, b",c', labels).classes == ("a, b", "c")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("precision", "there is no such measure"), ("", "there is no such measure"), ("recall", "no class is named"),
        ("recall:", "no class is named"), ("recall:,", "no class is named"), ("recall:wolf", "'wolf' is not among"),
        ("recall:ok,", "'' is not among"), ("accuracy:ok", "there is no such measure"), ("cost", "is not known"),
    ],
)  # fmt: skip
def test_what_is_no_measure_is_refused(text, words):
    with pytest.raises(InputError, match=words) as error:
        read_measure(text, TWO)
    assert error.value.cure


def test_values_and_gaps_are_written_alike_everywhere():
    assert (BALANCED.shown(0.95), MACRO_F1.shown(0.73009), COST.shown(0.095), COST.shown(1234.5)) == (
        "95.0%", "0.730", "0.095", "1,234.50",
    )  # fmt: skip
    assert [BALANCED.gap(g, sign=True) for g in (0.45, -0.0001, 0.0, -0.2)] == ["+45.0", "0.0", "0.0", "-20.0"]
    assert (MACRO_F1.gap(-0.0004), COST.gap(0.905, sign=True)) == ("0.000", "+0.905")


# -- costs


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ok]\ndefect = 1\n[defect]\nok = -1\n", "the cost of 'ok' for 'defect' is -1"),
        ("[ok]\ndefect = nan\n[defect]\nok = 1\n", "the cost of 'defect' for 'ok' is nan"),
        ("[ok]\ndefect = inf\n[defect]\nok = 1\n", "is inf"),
        ("[ok]\ndefect = -inf\n[defect]\nok = 1\n", "is -inf"),
        ("[ok]\ndefect = 1e400\n[defect]\nok = 1\n", "is inf"),
        (f"[ok]\ndefect = {10**30}\n[defect]\nok = 1\n", "not a number from 0 to"),
        ("[ok]\ndefect = true\n[defect]\nok = 1\n", "is no number"),
        ("[ok]\ndefect = '5'\n[defect]\nok = 1\n", "is no number"),
        ("[ok]\ndefect = [1]\n[defect]\nok = 1\n", "is no number"),
        ("[ok]\ndefect = 1\n", "no cost for the truth 'defect' answered 'ok'"),
        ("[ok]\n[defect]\nok = 1\n", "no cost for the truth 'ok' answered 'defect'"),
        ("", "no cost for the truth 'defect' answered 'ok'"),
        ("[ok]\ndefect = 1\n[defect]\nok = 1\n[scratch]\nok = 1\n", "the true label, 'scratch', is not among"),
        ("[ok]\ndefect = 1\nscratch = 1\n[defect]\nok = 1\n", "an answer to 'ok', 'scratch', is not among"),
        ("[ok]\ndefect = 1\n[defect]\nok = 1\n[Defect]\nok = 2\n", "'Defect', is there twice"),
        ('[ok]\ndefect = 1\n" DEFECT " = 2\n[defect]\nok = 1\n', "' DEFECT ', is there twice"),
        ("[ok]\ndefect = 1\n[ok]\ndefect = 2\n", "costs.toml: "),
        ("ok = 1\n", "'ok' is not a table"),
        ("[ok\n", "costs.toml: "),
        ("[ok]\ndefect = 0\n[defect]\nok = 0\n", "every mistake costs 0"),
        ("x = " + "[" * 5000, "costs.toml: "),
    ],
    ids=range(21),
)
def test_costs_that_are_none_are_refused_with_the_cell(text, words):
    with pytest.raises(InputError, match=r"costs\.toml") as error:
        parse_costs(text, TWO)
    told = str(error.value)
    assert words in told and error.value.cure and "\n" not in told


def test_one_class_has_no_mistake_that_costs(tmp_path):
    with pytest.raises(InputError, match="only one class"):
        parse_costs('["*"]\n"*" = 1\n', ["ok"])
    for made, words in ((b"[ok]\n\xff", "line 2: not UTF-8"), (None, "No such file")):
        path = tmp_path / f"{words[:4]}.toml"
        if made is not None:
            path.write_bytes(made)
        with pytest.raises(InputError, match=words):
            load_costs(path, TWO)
    marked = tmp_path / "costs.toml"
    for encoding in ("utf-8-sig", "utf-16"):
        marked.write_text("[OK]\ndefect = 1\n[' defect']\nok = 20\n", encoding=encoding)
        assert load_costs(marked, TWO).rows == COSTS.rows


def test_all_others_no_answer_and_a_right_answer_may_have_a_cost(monkeypatch):
    labels = ["a", "b", "c"]
    text = '["*"]\n"*" = 2\nb = 3\n[c]\na = 7\n"no answer" = 1\nc = 0.5\n'
    table = parse_costs(text, labels)
    grid = [[float(table.of(np.array([t]), np.array([a]))[0]) for a in range(4)] for t in range(3)]
    assert grid == [[0, 3, 2, 3], [2, 0, 2, 2], [7, 3, 0.5, 1]]  # no answer: as the dearest, unless it has its own
    monkeypatch.setattr("engine.evaluation.costs._TABLED", 0)  # as with many labels
    assert grid == [[float(table.of(np.array([t]), np.array([a]))[0]) for a in range(4)] for t in range(3)]
    assert [table.guessed(t) for t in range(3)] == pytest.approx([sum(row[:3]) / 3 for row in grid])
    exact = parse_costs("[Ok]\nok = 1\n[ok]\nOk = 2\n", ["Ok", "ok"])  # twins are told apart by their exact names
    assert exact.of(np.array([0, 1]), np.array([1, 0])).tolist() == [1, 2]
    star = parse_costs('["*"]\na = 4\n[a]\n"*" = 6\n', ["*", "a"])  # a label that is called "*" is that label
    assert star.of(np.array([0, 1]), np.array([1, 0])).tolist() == [4, 6]


# -- size


def test_a_hundred_thousand_images_are_counts():
    labels, rng = [f"l{n}" for n in range(12)], np.random.default_rng(10)
    names = [labels[n] for n in rng.integers(0, 12, 100_000)]
    truths = codes(names, labels)
    a, b = (np.where(rng.random(100_000) < right, truths, rng.integers(0, 13, 100_000)) for right in (0.8, 0.79))
    tracemalloc.start()
    pairs = pairs_of(truths, a, b, 12)
    for measure in (BALANCED, MACRO_F1):
        (found,) = contrasts(measure, [pairs])
        assert found.p < 0.05
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pairs.count) < 2_500 and peak < 60e6
    with pytest.raises(ValueError, match="'x' is not among the 12 labels"):
        codes(["x"], labels)


def test_against_a_constant_is_against_a_contestant_that_always_names_it():
    cells = tally(TRUTHS, CAREFUL, 2)
    for measure in (ACCURACY, BALANCED, MACRO_F1, COST):
        one, other = (
            contrasts(measure, [p])[0] for p in (against_constant(cells, 1), pairs_of(TRUTHS, CAREFUL, CONSTANT, 2))
        )
        assert one == other


def test_the_case_as_it_is_kept():
    """`shared/cases/figures/majority.csv` in numbers."""
    cells = tally(TRUTHS, CAREFUL, 2)
    assert [m.of(cells) for m in (ACCURACY, BALANCED, DEFECT, COST)] == pytest.approx([0.905, 0.95, 1.0, 0.095])
    assert MACRO_F1.of(cells) == pytest.approx((2 * 855 / (950 + 855) + 2 * 50 / (50 + 145)) / 2)
    constant = tally(TRUTHS, CONSTANT, 2)
    assert [m.of(constant) for m in (ACCURACY, BALANCED, DEFECT, COST)] == pytest.approx([0.95, 0.5, 0.0, 1.0])
    assert not math.isnan(MACRO_F1.of(constant))
