"""Each figure against scikit-learn, scipy or statsmodels, on random and on hostile predictions."""

import csv
import math
import warnings
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn import calibration as sk_calibration
from sklearn import metrics as sk
from statsmodels.stats import contingency_tables, proportion

from engine.evaluation.conclusions import said_unpaired
from engine.evaluation.differences import (
    corrected,
    gain_interval,
    holm,
    holm_unpaired,
    images_needed,
    mcnemar_bounds,
    paired,
    tango,
    unpaired,
)
from engine.evaluation.latency import latencies, profile
from engine.evaluation.metrics import latency, mcnemar
from engine.evaluation.properties import ImageProperties, by_property
from engine.evaluation.quality import quality, share
from engine.evaluation.reading import read
from engine.states import Outcome
from tests.properties import quick

LATENCIES = Path(__file__).parents[3] / "shared" / "data" / "reference" / "gpt4o_latencies.csv"


@st.composite
def answers(draw, at_least=1):
    """Labels, truths and predictions; classes without images, never predicted, a single one, no label at all."""
    labels = [f"class {n}" for n in range(draw(st.integers(1, 6)))]
    truths = draw(st.lists(st.sampled_from(labels), min_size=at_least, max_size=40))
    said = st.sampled_from([*labels, None])
    return labels, truths, draw(st.lists(said, min_size=len(truths), max_size=len(truths)))


HOSTILE = [
    (["a"], ["a"], ["a"]),
    (["a"], ["a"], [None]),
    (["a", "b"], ["a"] * 9, ["b"] * 9),
    (["a", "b"], ["a"] * 9, [None] * 9),
    (["a", "b", "c"], ["a", "b"] * 5, ["c"] * 10),
    (["a", "b", "c"], ["b"] * 4, ["b"] * 4),
]


def hostile(test):
    for case in HOSTILE:
        test = example(case)(test)
    return test


@quick
@given(answers())
@hostile
def test_quality_is_what_scikit_learn_says(case):
    labels, truths, said = case
    found = quality(truths, said, labels)
    y, p = [labels.index(t) for t in truths], [-1 if s is None else labels.index(s) for s in said]
    everything = list(range(len(labels)))
    assert found.accuracy.value == pytest.approx(sk.accuracy_score(y, p))
    interval = proportion.proportion_confint(found.accuracy.k, len(y), method="wilson")
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(interval, abs=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wonders about labels that no image has
        assert found.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(y, p))
    columns = sk.precision_recall_fscore_support(y, p, labels=everything, zero_division=0.0)
    for row, precision, recall, f1, support in zip(found.classes, *columns, strict=True):
        assert (row.precision, row.recall.value, row.f1, row.support) == pytest.approx((precision, recall, f1, support))
    held = sorted(set(y))  # a class without images has no F1
    for average in ("macro", "weighted"):
        expected = sk.f1_score(y, p, labels=held, average=average, zero_division=0.0)
        assert getattr(found, f"{average}_f1") == pytest.approx(expected)
    matrix = sk.confusion_matrix(y, p, labels=[*everything, -1])
    pairs = {(labels.index(c.truth), labels.index(c.answer)): c.count for c in found.confused}
    assert pairs == {(i, j): matrix[i, j] for i in everything for j in everything if i != j and matrix[i, j]}
    counts = [c.count for c in found.confused]
    assert counts == sorted(counts, reverse=True)


@quick
@given(answers(), st.integers(0, 2**32 - 1))
def test_top_k_and_calibration_are_what_scikit_learn_says(case, seed):
    labels, truths, _ = case
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(len(labels)), size=len(truths))
    order = probabilities.argsort(1)[:, ::-1]
    rankings = [[(int(i), float(row[i])) for i in best] for row, best in zip(probabilities, order, strict=True)]
    said = [labels[best[0]] for best in order]
    found = quality(truths, said, labels, rankings=rankings)
    y = np.array([labels.index(t) for t in truths])
    assert [top.k for top in found.top] == [1, 3, 5]
    for top in found.top:
        expected = 1.0
        if len(labels) > 2 and top.k < len(labels):
            expected = sk.top_k_accuracy_score(y, probabilities, k=top.k, labels=range(len(labels)))
        elif top.k < len(labels):
            expected = sk.accuracy_score(y, order[:, 0])
        assert top.share.value == pytest.approx(expected)
    sure = probabilities.max(1)
    hits = y == order[:, 0]
    right, confidence = sk_calibration.calibration_curve(hits, sure, n_bins=15, strategy="uniform")
    bins = found.calibration.bins
    assert [b.accuracy for b in bins] == pytest.approx(list(right))
    assert [b.confidence for b in bins] == pytest.approx(list(confidence))
    assert found.calibration.error == pytest.approx(sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / len(y))
    assert sum(b.n for b in bins) == len(y)


def test_short_rankings_say_nothing_about_more_places():
    labels = ["a", "b", "c", "d"]
    found = quality(["a", "b"], ["a", "a"], labels, rankings=[[(0, 0.5), (1, 0.2)], [(0, 0.9), (1, 0.1)]])
    assert [(top.k, top.share.k) for top in found.top] == [(1, 1)]
    # An image without a ranking is not hit, and its answer has no probability.
    found = quality(["a", "b"], ["a", None], labels, rankings=[[(0, 0.7), (1, 0.1), (2, 0.1)], []])
    assert [(top.k, top.share.k, top.share.n) for top in found.top] == [(1, 1, 2), (3, 1, 2)]
    assert found.calibration.n == 1
    assert found.calibration.error == pytest.approx(0.3)


def test_coverage_has_both_readings():
    outcomes = [Outcome.ANSWERED] * 4 + [Outcome.UNKNOWN_LABEL, Outcome.FILTERED, Outcome.FAILED, Outcome.MISSING]
    found = quality(["a"] * 8, ["a", "a", "a", "b", None, None, None, None], ["a", "b"], outcomes).coverage
    assert (found.over_all.k, found.over_all.n) == (3, 8)
    assert (found.over_answered.k, found.over_answered.n) == (3, 5)
    assert found.replied == 5
    assert [found.outcomes[o] for o in Outcome] == [4, 1, 1, 1, 1]


def test_leniency_is_told():
    labels = ["a b", "c d"]
    raws = ["a b", "A-B", "it is a b", None, "rubbish"]
    readings = [None if raw is None else read(raw, labels, asked="text") for raw in raws]
    found = quality(["a b"] * 5, ["a b", "a b", None, None, None], labels, readings=readings).leniency
    assert (found.answers, found.lenient.k, found.strict.k, found.strict.n) == (4, 2, 1, 5)
    assert found.changed == 1  # the sentence, which was not understood when it was stored
    assert sum(found.rules.values()) == 4


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ((["a"], ["b"], ["a"]), "'b' is not among the 1 label"),
        ((["a"], ["a", "a"], ["a"]), "2 predictions"),
        ((["a"], ["a"], ["a", "a"]), "the label 'a' is there twice"),
        ((["x"], ["a"], ["a"]), "'x' is not among"),
    ],
)
def test_what_cannot_be_is_refused(given_, message):
    truths, said, labels = given_
    with pytest.raises(ValueError, match=message):
        quality(truths, said, labels)
    with pytest.raises(ValueError, match="a probability is not"):
        quality(["a"], ["a"], ["a"], probabilities=[1.2])
    with pytest.raises(ValueError, match="2 rankings for 1 image"):
        quality(["a"], ["a"], ["a"], rankings=[[(0, 1.0)], []])


@quick
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.none() | st.floats(0, 255)), min_size=1, max_size=60))
def test_properties_part_all_images_and_no_equal_ones(rows):
    hits = [hit for hit, _, _ in rows]
    properties = ImageProperties(
        bytes=[size for _, size, _ in rows], brightness=[b for _, _, b in rows], duplicate=[s == 3 for _, s, _ in rows]
    )
    found = by_property(hits, properties)
    for name, known in (
        ("bytes", len(rows)),
        ("duplicate", len(rows)),
        ("brightness", sum(b is not None for *_, b in rows)),
    ):
        mine = [b for b in found if b.property == name]
        assert sum(b.share.n for b in mine) == known
        assert all(a.high < b.low for a, b in pairwise(mine) if name != "duplicate")
        assert sum(b.share.k for b in mine) == sum(h for h, _, b in rows if name != "brightness" or b is not None)
    for bucket in (b for b in found if b.property == "bytes"):
        inside = [h for h, size, _ in rows if bucket.low <= size <= bucket.high]
        assert bucket.share == share(sum(inside), len(inside))
    with pytest.raises(ValueError, match="pixels is known of"):
        by_property(hits, ImageProperties(pixels=[1] * (len(hits) + 1)))


HITS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@quick
@given(HITS)
def test_pairs_are_what_statsmodels_says(pairs):
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    found = paired("a", "b", a, b)
    table = [[pairs.count((x, y)) for y in (True, False)] for x in (True, False)]
    assert [[found.both, len(found.only_a)], [len(found.only_b), found.neither]] == table
    assert found.p == pytest.approx(min(1.0, contingency_tables.mcnemar(table, exact=True).pvalue))
    assert found.gain == pytest.approx(np.mean(a) - np.mean(b))
    assert -1 <= found.low <= found.gain <= found.high <= 1
    assert set(found.differ) == set(found.only_a) | set(found.only_b)
    assert found == paired("a", "b", a, b)
    back = paired("b", "a", b, a)
    assert (back.p, back.needed, back.gain) == pytest.approx((found.p, found.needed, -found.gain))


@pytest.mark.parametrize(("only_a", "only_b", "n"), [(80, 26, 600), (12, 12, 200), (30, 1, 60), (5, 6, 3000)])
def test_the_bootstrap_is_scipys(only_a, only_b, n):
    a = np.array([1] * only_a + [0] * (n - only_a), dtype=float)
    b = np.array([0] * only_a + [1] * only_b + [0] * (n - only_a - only_b), dtype=float)

    def gain(x, y, axis):
        return np.mean(x, axis=axis) - np.mean(y, axis=axis)

    made = stats.bootstrap(
        (a, b), gain, paired=True, vectorized=True, n_resamples=9999, method="percentile", batch=500,
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    low, high, how = gain_interval(only_a, only_b, n)
    assert how == "paired bootstrap"
    # Both are random: they may differ by a few of the steps that one image is.
    assert (low, high) == pytest.approx(tuple(made), abs=3.1 / n + 0.004)


@quick
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 60))
@example(0, 0, 1)
@example(0, 0, 600)
@example(1, 0, 0)
@example(40, 0, 0)
@example(0, 7, 0)
def test_the_score_interval_ends_where_the_score_is_196(only_a, only_b, rest):
    n = only_a + only_b + rest
    if n == 0:
        assert gain_interval(0, 0, 0) == (-1.0, 1.0, "no images")
        return
    low, high = tango(only_a, only_b, n)
    gain = (only_a - only_b) / n
    assert -1 <= low <= gain <= high <= 1
    for end in (low, high):
        if abs(end) > 0.999:
            continue

        def against(q, d=end):
            """The likelihood of the counts where the true difference is `d`: q is the share that only b gets right."""
            p = q + d
            return -sum(k * math.log(max(x, 1e-300)) for k, x in ((only_a, p), (only_b, q), (rest, 1 - p - q)) if k)

        least, most = max(0.0, -end), (1 - end) / 2
        q = optimize.minimize_scalar(against, bounds=(least, most), method="bounded", options={"xatol": 1e-12}).x
        z = (only_a - only_b - n * end) / math.sqrt(n * (2 * q + end - end * end))
        assert abs(z) == pytest.approx(1.96, abs=0.01)


def test_without_telling_images_the_interval_is_not_a_point():
    low, high, how = gain_interval(0, 0, 600)
    assert how == "score interval"
    assert (low, high) == pytest.approx((-0.00636, 0.00636), abs=1e-5)
    assert gain_interval(0, 0, 1)[:2] == pytest.approx((-0.793, 0.793), abs=1e-3)
    assert gain_interval(20, 0, 20)[:2] == pytest.approx(((20 - 3.8415) / (20 + 3.8415), 1.0), abs=1e-3)


def test_holm_is_holms():
    n = 200
    rng = np.random.default_rng(3)
    given_ = {name: rng.random(n) < rate for name, rate in (("a", 0.9), ("b", 0.8), ("c", 0.75), ("d", 0.75))}
    made = [paired(x, y, given_[x].tolist(), given_[y].tolist()) for x, y in combinations(given_, 2)]
    found = holm(made)
    order = sorted(range(len(made)), key=lambda i: made[i].p)
    least = 0.0
    for rank, i in enumerate(order):  # Holm 1979: the smallest times m, the next times m − 1, never falling
        least = max(least, min(1.0, (len(made) - rank) * made[i].p))
        assert found[i].p_holm == pytest.approx(least)
    assert holm([]) == ()
    assert holm(made[:1]) == tuple(made[:1]), "one pair has nothing to be corrected for"


@pytest.mark.parametrize("seed", range(6))
def test_a_test_and_its_interval_never_contradict_each_other(seed):
    """Every interval leaves out 0 where its difference is real, and only there: alone, and among several pairs."""
    rng = np.random.default_rng(seed)
    for n in (8, 40, 200, 1000):
        counts = [(int(k), int(rng.integers(0, max(1, n // 4)))) for k in rng.integers(0, max(1, n // 4), size=12)]
        made = [
            paired("a", str(i), [True] * a + [False] * (n - a), [False] * a + [True] * b + [False] * (n - a - b))
            for i, (a, b) in enumerate(counts)
        ]
        for d in (*made, *holm(made), *holm(made[:3])):
            assert d.real == (d.low > 0 or d.high < 0), (len(d.only_a), len(d.only_b), d)
            assert d.low <= d.gain <= d.high


def test_intervals_are_at_the_levels_at_which_holm_tests():
    assert corrected([]) == []
    assert corrected([0.03]) == [(0.03, 0.05)]
    # 0.001 is tested at 5% / 3, 0.03 at 5% / 2 and fails, so that 0.04 is tested no more leniently
    assert corrected([0.04, 0.001, 0.03]) == [(0.06, 0.025), (pytest.approx(0.003), 0.05 / 3), (0.06, 0.025)]
    wide = gain_interval(40, 12, 200, level=0.05 / 3)
    d = holm([paired("a", "b", [True] * 40 + [False] * 160, [False] * 40 + [True] * 12 + [False] * 148)] * 3)[0]
    assert (d.low, d.high) == wide[:2]
    own = gain_interval(40, 12, 200)
    assert wide[0] < own[0] < own[1] < wide[1]


def test_published_pairs_are_corrected_for_their_number():
    made = [unpaired(442, 600, 496, 600), unpaired(450, 600, 480, 600), unpaired(300, 600, 310, 600)]
    assert [d.p < 0.05 for d in made] == [True, True, False]
    found = holm_unpaired(made)
    assert [d.p for d in found] == [pytest.approx(3 * made[0].p), pytest.approx(2 * made[1].p), made[2].p]
    assert found[1].p > 0.05 and found[1].low < 0 < found[1].high, "alone it is beyond chance, among three it is not"
    assert found[0].high - found[0].low > made[0].high - made[0].low and found[0].needed > made[0].needed
    told = said_unpaired("a", "b", found[1])
    assert "corrected for 3 pairs" in told and "within chance" in told


def test_the_number_of_images_gives_the_power_that_it_promises():
    rng = np.random.default_rng(5)
    for only_a, only_b, n in ((80, 26, 600), (30, 20, 600), (9, 4, 100)):
        needed = images_needed(only_a, only_b, n)
        drawn = rng.multinomial(needed, (only_a / n, only_b / n, 1 - (only_a + only_b) / n), size=20_000)
        a, b = drawn[:, 0], drawn[:, 1]
        z = np.abs(a - b) / np.sqrt(np.maximum(1, a + b))  # McNemar's own statistic, which the formula is for
        assert np.mean(z > 1.96) == pytest.approx(0.8, abs=0.03)
    assert images_needed(5, 5, 100) is None
    assert images_needed(0, 0, 0) is None
    assert images_needed(10, 0, 10) == 6  # fewer than six, all for one side, are never below 5%
    assert mcnemar(6, 0) < 0.05 < mcnemar(5, 0)


@pytest.mark.parametrize("pairs", [1, 3, 10, 66])
def test_as_many_images_as_there_are_never_tell_apart_what_they_have_not(pairs):
    for n, k_a in ((20, 7), (60, 20), (600, 60), (600, 150)):
        for k_b in range(k_a):
            if pairs * mcnemar(k_a, k_b) >= 0.05:  # Holm's p is this at most
                assert images_needed(k_a, k_b, n, level=0.05 / pairs) > n


@quick
@given(st.integers(1, 700), st.integers(1, 700), st.data())
def test_counts_alone_are_compared_unpaired(n_a, n_b, data):
    k_a, k_b = data.draw(st.integers(0, n_a)), data.draw(st.integers(0, n_b))
    found = unpaired(k_a, n_a, k_b, n_b)
    a, b = share(k_a, n_a), share(k_b, n_b)
    low = found.gain - math.hypot(a.value - a.low, b.high - b.value)  # Newcombe 1998, method 10
    high = found.gain + math.hypot(a.high - a.value, b.value - b.low)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    if found.gain:
        assert found.p == pytest.approx(proportion.proportions_ztest([k_a, k_b], [n_a, n_b])[1], abs=1e-9)
        assert found.needed >= 1
    else:
        assert (found.p, found.needed) == (1.0, None)
    assert (found.p_if_paired is None) == (n_a != n_b)


def test_what_the_published_counts_allow():
    tuned, zero, cnn = (share(k, 600) for k in (496, 442, 370))
    for row, low, high in ((tuned, 0.7943, 0.8549), (zero, 0.7000, 0.7703), (cnn, 0.5771, 0.6547)):
        assert (row.low, row.high) == pytest.approx((low, high), abs=5e-5)
    found = unpaired(496, 600, 442, 600)
    assert (found.gain, found.low, found.high) == pytest.approx((0.09, 0.0433, 0.1362), abs=5e-5)
    assert found.p == pytest.approx(0.000161, abs=1e-6)
    # Whichever images the two got right, McNemar's test would find the difference, for both saw the same 600.
    least, most = found.p_if_paired
    assert least == pytest.approx(2 / 2**54)
    assert most == pytest.approx(stats.binomtest(158, 262).pvalue)
    assert most < 0.05
    assert mcnemar_bounds(3, 3, 10) == (1.0, 1.0)
    for wrong in ((5, 4, 1, 4), (0, 0, 0, 0), (-1, 4, 0, 4)):
        with pytest.raises(ValueError, match="cannot be"):
            unpaired(*wrong)


@quick
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=80))
@example([5.0])
@example([5.0] * 30)
def test_percentiles_are_numpys_and_within_their_intervals(times):
    found = profile(times)
    for percentile, figure in found.percentiles.items():
        assert figure.value == pytest.approx(np.percentile(times, percentile, method="linear"))
        assert figure.low is None or figure.low <= figure.value
        assert figure.high is None or figure.high >= figure.value
        for end in (figure.low, figure.high):
            assert end is None or end in times or end == figure.value  # an order statistic is one of the times
    assert found.mean.value == pytest.approx(np.mean(times))
    if len(times) < 5:
        assert (found.mean.low, found.mean.high) == (None, None)
    else:
        assert 0 <= found.mean.low <= found.mean.value <= found.mean.high


def test_the_interval_of_a_mean_latency_is_never_below_zero():
    slow = [20.0] * 9 + [9000.0]  # Student's own would begin at −1,113 ms
    low, high = stats.ttest_1samp(slow, 0).confidence_interval(0.95)
    mean = profile(slow).mean
    assert low < 0 < mean.low < mean.value == 918.0 < mean.high
    assert (mean.low * mean.high) ** 0.5 == pytest.approx(mean.value), "symmetrical as a ratio"
    assert math.log(mean.high / mean.value) == pytest.approx((high - 918) / 918)
    rng = np.random.default_rng(11)
    means = [profile(np.exp(rng.normal(0, 1, 60)).tolist()).mean for _ in range(200)]
    assert sum(m.low <= math.exp(0.5) <= m.high for m in means) / 200 >= 0.9


def test_the_interval_of_a_percentile_holds_the_true_one_as_often_as_it_says():
    rng = np.random.default_rng(7)
    true = stats.expon.ppf(0.9)
    held = sum(
        f.low <= true <= f.high for f in (profile(rng.exponential(size=300)).percentiles[90] for _ in range(200))
    )
    assert held / 200 >= 0.92


def test_kinds_of_latency_stay_apart():
    found = latencies([10.0, 20.0], [(10.0, 10.0, 1), (None, 900.0, 3)], [(100.0, 101.0, 1)] * 4)
    assert found.single.n == 2
    assert (found.sequential.n, found.sequential.retried, found.sequential.attempts) == (2, 1, 4)
    assert (found.sequential.first.n, found.sequential.total.n) == (1, 2)
    assert found.sequential.total.mean.value == 455.0
    assert found.concurrent.total.percentiles[50].value == 101.0
    assert latencies() == latencies([], [], [])
    assert latencies().single is None
    with pytest.raises(ValueError, match="no number of milliseconds"):
        profile([1.0, -1.0])
    with pytest.raises(ValueError, match="no number of milliseconds"):
        profile([math.nan])


PUBLISHED = {"base": (1665, 1629, 1964, 2183, 2737), "fine_tuned": (1506, 1505, 1707, 1819, 2303)}


def _reference():
    """The article's latencies where its data lies beside the project."""
    rows = {}
    if LATENCIES.is_file():
        with LATENCIES.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["latency_ms"] and not row["error"]:
                    rows.setdefault(row["model"], []).append(float(row["latency_ms"]))
    return rows


def test_percentiles_are_linear_as_the_articles():
    # 1 to 600 ms and their linear percentiles: (n − 1)·q + 1
    made = profile([float(n) for n in range(600, 0, -1)])
    assert [round(made.percentiles[q].value, 2) for q in (50, 90, 95, 99)] == [300.5, 540.1, 570.05, 594.01]
    for model, times in _reference().items():
        found = profile(times)
        told = [round(f.value) for f in (found.mean, *found.percentiles.values())]
        assert tuple(told) == next(v for k, v in PUBLISHED.items() if model.startswith(k)), model
        old = latency(times)
        assert [old.mean, old.p50, old.p90, old.p95, old.p99] == [
            f.value for f in (found.mean, *found.percentiles.values())
        ]
