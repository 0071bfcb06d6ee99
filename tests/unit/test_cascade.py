import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.cascade import KIND, LOOKING, as_input, blend, build, cascades, mixed, sweep
from engine.evaluation.comparison import ContestantInput, compare
from engine.evaluation.details import Answers, ContestantAnswers
from engine.evaluation.economics import Economics, Terms, by_name
from engine.evaluation.metrics import latency
from engine.evaluation.thresholds import EVERYTHING, Basis, Checked, Choice, choose
from engine.states import Outcome
from tests.properties import quick

LABELS = ("Pug", "Silky Terrier", "Saint Bernard")


def at(threshold):
    return Choice(threshold, Basis.KEPT, "told", 100, 0.5, None)


def said(name, kind, predicted, sure=None, latencies=()):
    outcomes = tuple(Outcome.FAILED if p is None else Outcome.ANSWERED for p in predicted)
    raw = tuple(
        None if p is None else f"{LABELS[p]} ({sure[n]:.4f})" if sure else LABELS[p] for n, p in enumerate(predicted)
    )
    return ContestantAnswers(name, kind, tuple(predicted), raw, outcomes, tuple(latencies))


def answers(truths, *contestants):
    return Answers("e", LABELS, tuple(Path(f"{n}.jpg") for n in range(len(truths))), tuple(truths), contestants)


CNN = said("cnn", "cnn", [0, 1, 2, 0], [0.99, 0.4, 0.8, 0.3], latencies=[10.0, 20.0])
VLM = said("zero-shot", "zero-shot", [1, 1, None, 1], latencies=[1000.0, 2000.0])
TUNED = said("fine-tuned", "fine-tuned", [0, 2, 2, 1], latencies=[1500.0])
WHO = answers([0, 1, 2, 1], CNN, VLM, TUNED)
MONEY = by_name(
    [
        Economics("cnn", 0, 0, machines=1, machine_seconds=0.036, machine_once_seconds=60, kind="cnn"),
        Economics("zero-shot (emulated)", 0, 1.5, 0.75, kind="zero-shot", emulated=True),
        Economics("fine-tuned", 157.44, 1.5, hosting_hourly=1.7, kind="fine-tuned"),
    ]
)


def test_the_second_answers_where_the_first_is_not_sure():
    found = build(WHO, CNN, VLM, at(0.5), economics=MONEY)
    assert found.to_second == (False, True, False, True)
    assert found.predicted == (0, 1, 2, 1)
    assert (found.correct, found.accuracy, found.share_to_second) == (4, 1.0, 0.5)
    assert found.low < 1.0 == pytest.approx(found.high)
    assert found.name == "cnn → zero-shot (emulated)"
    assert found.economics.per_thousand == pytest.approx(0.75)
    assert found.economics.batch_per_thousand == pytest.approx(0.375)
    assert found.economics.emulated
    assert found.economics.accuracy == 1.0
    assert found.per_thousand(Terms(machine_hourly=1, machine_hours=None)) == pytest.approx(0.75 + 0.01)
    assert found.answers().kind == KIND
    assert build(WHO, CNN, VLM, at(0.5)).economics is None


def test_an_image_that_goes_on_can_fail_there():
    found = build(WHO, CNN, VLM, at(0.9))
    assert found.outcomes[2] == Outcome.FAILED
    assert found.predicted[2] is None


def test_an_answer_without_a_probability_goes_on():
    unsure = [None, 0.4, 0.8, 0.3]
    assert build(WHO, CNN, VLM, at(0.5), sure=unsure).to_second == (True, True, False, True)
    assert build(WHO, CNN, VLM, at(0.8), sure=unsure).to_second == (True, True, False, True)  # at it, it stays
    assert build(WHO, CNN, VLM, at(0.0), sure=unsure).to_second == (False,) * 4


images = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 2), st.none() | st.integers(0, 2), st.floats(0, 1).map(lambda p: round(p, 4))
    ),
    min_size=1,
    max_size=40,
)


@quick
@given(images)
def test_at_the_ends_it_is_one_of_its_members(rows):
    truths, first, second, sure = zip(*rows, strict=True)
    cnn, vlm = said("cnn", "cnn", first, sure, [5.0, 6.0]), said("vlm", "zero-shot", second, latencies=[900.0])
    who = answers(truths, cnn, vlm)
    money = by_name([Economics("cnn", 1, 2, kind="cnn"), Economics("vlm", 3, 4, hosting_hourly=5, kind="zero-shot")])
    none, everything = (build(who, cnn, vlm, at(t), sure=sure, economics=money) for t in (0.0, EVERYTHING))
    assert (none.predicted, none.outcomes, none.latency) == (cnn.predicted, cnn.outcomes, latency(cnn.latencies_ms))
    assert (everything.predicted, everything.outcomes) == (vlm.predicted, vlm.outcomes)
    assert everything.latency == latency(vlm.latencies_ms)
    assert (none.economics.once, none.economics.hosting_hourly) == (1, 0)
    assert (everything.economics.once, everything.economics.hosting_hourly) == (3, 5)


@quick
@given(images)
def test_a_sweep_agrees_with_the_cascade_at_each_of_its_thresholds(rows):
    truths, first, second, sure = zip(*rows, strict=True)
    cnn, vlm = said("cnn", "cnn", first, sure), said("vlm", "zero-shot", second)
    who = answers(truths, cnn, vlm)
    money = by_name([Economics("cnn", 0, 1), Economics("vlm", 0, 3)])
    found = sweep(who, cnn, vlm, sure=sure, economics=money)
    assert found.note == LOOKING
    assert [s.threshold for s in found.settings] == sorted(s.threshold for s in found.settings)
    assert (found.settings[0].threshold, found.settings[-1].threshold) == (0.0, EVERYTHING)
    for setting in found.settings:
        one = build(who, cnn, vlm, at(setting.threshold), sure=sure, economics=money)
        assert one.accuracy == pytest.approx(setting.accuracy)
        assert one.share_to_second == pytest.approx(setting.share_to_second)
        assert one.per_thousand(Terms()) == pytest.approx(setting.per_thousand)


def test_a_sweep_of_many_images_has_few_settings():
    n = 5000
    sure = [i / n for i in range(n)]
    cnn, vlm = said("cnn", "cnn", [0] * n, sure), said("vlm", "zero-shot", [1] * n)
    found = sweep(answers([0] * n, cnn, vlm), cnn, vlm, sure=sure)
    assert 90 <= len(found.settings) <= 102
    assert found.settings[0].per_thousand is None
    empty = sweep(answers([], CNN), said("cnn", "cnn", []), said("v", "zero-shot", []))
    assert [s.accuracy for s in empty.settings] == [0.0]


def test_both_trainings_and_the_hosting_are_paid():
    found = blend("c", MONEY["cnn"], MONEY["fine-tuned"], 0.5, 0.2)
    assert (found.once, found.hosting_hourly, found.machines, found.machine_once_seconds) == (157.44, 1.7, 1, 60)
    assert (found.per_thousand, found.batch_per_thousand) == (pytest.approx(0.3), None)


def test_latencies_are_mixed():
    assert mixed([10, 20], [1000, 2000], 0.5, 0.0) == latency([10, 20])
    all_on = mixed([10, 20], [1000, 2000], 0.5, 1.0)
    assert (all_on.mean, all_on.p50, all_on.p90) == (pytest.approx(1515), pytest.approx(1515), pytest.approx(1915))
    half = mixed([10, 20], [1000, 2000], 0.5, 0.5)
    assert half.mean == pytest.approx((15 + 1515) / 2)
    assert half.p90 == pytest.approx(1015 + 800)  # the median of the half above it is 1515, its 80th percentile this
    assert half.n == 4
    assert mixed([10, 20], [], 0.5, 0.5) is None
    assert mixed([10.0], [1000.0], 0.5, 0.25).p50 == pytest.approx(10.0)


def test_it_is_a_row_of_the_comparison():
    def given(who, **more):
        predictions = [None if p is None else LABELS[p] for p in who.predicted]
        truths = [LABELS[t] for t in WHO.truths]
        return ContestantInput(
            who.name, who.kind, "m", False, "p", "text", truths, predictions, who.outcomes, raw=who.raw, **more
        )

    first, second = given(CNN, complete=False), given(VLM, inference_usd=0.4, training_usd=3.0)
    found = as_input(build(WHO, CNN, VLM, at(0.5)), first, second, LABELS)
    (result,) = compare("e", "d", {"train": 1, "val": 1, "test": 4}, list(LABELS), [found]).contestants
    assert (result.name, result.kind, result.correct, result.complete) == ("cnn → zero-shot", "cascade", 4, False)
    assert (result.cost.training, result.cost.inference) == (3.0, pytest.approx(0.2))
    assert found.raw == ("Pug (0.9900)", "Silky Terrier", "Saint Bernard (0.8000)", "Silky Terrier")
    alone = as_input(build(WHO, CNN, VLM, at(0.0)), first, second, LABELS)
    assert alone.training_usd == alone.inference_usd == 0
    assert as_input(build(WHO, CNN, VLM, at(EVERYTHING)), first, second, LABELS).complete


# -- thresholds


def checked(*rows):
    return {n: Checked(p, right) for n, (p, right) in enumerate(rows)}


def test_with_both_validated_the_best_on_validation_is_chosen():
    first = checked(*[(0.9 + n / 1000, True) for n in range(20)], *[(0.3 + n / 1000, False) for n in range(20)])
    found = choose(first, dict.fromkeys(range(40), True) | {0: False})
    assert found.basis == Basis.BOTH
    assert (found.n, found.share_to_second, found.accuracy) == (40, 0.5, 1.0)
    assert 0.319 < found.threshold < 0.9
    assert "40 validation images that both were asked about" in found.chosen_on


def test_a_dear_second_is_asked_less():
    first = checked(*[(n / 100, n >= 50) for n in range(100)])
    cheap = choose(first, dict.fromkeys(range(100), True), price=0.001, value=0.01)
    dear = choose(first, dict.fromkeys(range(100), True), price=0.02, value=0.01)
    assert (cheap.share_to_second, dear.share_to_second, dear.threshold) == (0.5, 0.0, 0.0)
    assert "$0.01 a correct answer" in cheap.chosen_on


def test_with_an_assumed_accuracy_it_is_said_and_nothing_promised():
    first = checked(*[(n / 100, n % 2 == 0 or n >= 80) for n in range(100)])
    found = choose(first, {1: True}, assumed=0.75, why_assumed="40 of 50 pilot images")
    assert (found.basis, found.accuracy) == (Basis.ASSUMED, None)
    assert found.share_to_second == pytest.approx(0.8, abs=0.011)
    assert "right on 75% of whatever it is asked (40 of 50 pilot images)" in found.chosen_on


def test_with_nothing_known_of_the_second_the_first_keeps_few_errors():
    first = checked(*[(0.5 + n / 250, n >= 60 or n % 2 == 0) for n in range(120)])
    found = choose(first)
    kept = [c for c in first.values() if c.probability >= found.threshold]
    assert found.basis == Basis.KEPT
    assert sum(not c.right for c in kept) <= 0.05 * len(kept)
    assert found.share_to_second == pytest.approx(1 - len(kept) / 120)
    assert "nothing assumed of the second" in found.chosen_on
    assert "95% interval" in found.chosen_on
    hopeless = choose(checked(*[(0.9, False)] * 40))
    assert (hopeless.threshold, hopeless.share_to_second) == (EVERYTHING, 1.0)
    perfect = choose(checked(*[(n / 40, True) for n in range(40)]))
    assert (perfect.threshold, perfect.share_to_second) == (0.0, 0.0)


def test_too_few_validation_images_choose_nothing():
    assert choose(checked(*[(0.5, True)] * 29)) is None
    assert choose({}) is None


validated = st.lists(
    st.tuples(st.floats(0, 1).map(lambda p: round(p, 2)), st.booleans(), st.booleans()), min_size=30, max_size=80
)


@quick
@given(validated)
def test_no_threshold_does_better_on_validation(rows):
    first = {n: Checked(p, right) for n, (p, right, _) in enumerate(rows)}
    second = {n: right for n, (_, _, right) in enumerate(rows)}
    found = choose(first, second)

    def right(threshold):
        return sum(second[n] if c.probability < threshold else c.right for n, c in first.items())

    best = max(right(t) for t in (0.0, EVERYTHING, *(c.probability for c in first.values())))
    assert right(found.threshold) == best == round(found.accuracy * len(rows))
    sent = sum(c.probability < found.threshold for c in first.values())
    assert found.share_to_second == sent / len(rows)


# -- all of them


def test_every_network_goes_with_everybody_else():
    first = checked(*[(n / 100, n >= 50) for n in range(100)])
    found = cascades(
        WHO, {"cnn": first}, {"zero-shot": dict.fromkeys(range(100), True)}, economics=MONEY, terms=Terms(value=0.1)
    )
    assert [(c.first, c.second, c.choice.basis) for c in found] == [
        ("cnn", "zero-shot", Basis.BOTH), ("cnn", "fine-tuned", Basis.KEPT),
    ]  # fmt: skip
    assert found[0].chosen_on.startswith("Threshold chosen on 100 validation images")
    assert cascades(WHO, {}) == []
    assumed = cascades(WHO, {"cnn": first}, assumed={"fine-tuned": (0.8, "as published")})
    assert [c.choice.basis for c in assumed] == [Basis.KEPT, Basis.ASSUMED]


@quick
@given(st.permutations(range(3)), st.booleans(), st.integers(0, 99))
def test_no_threshold_ever_sees_a_test_label(order, paid, seed):
    """Whatever the test images' truths are, the threshold stays, and with it who answers which image."""
    rng = random.Random(seed)
    checked = {n: Checked(rng.random(), rng.random() < 0.7) for n in range(60)}
    bought = {"zero-shot": {n: rng.random() < 0.8 for n in range(40)}} if paid else None
    truths = [0, 1, 2, 1]

    def made(truths):
        found = cascades(answers(truths, CNN, VLM, TUNED), {"cnn": checked}, bought, economics=MONEY)
        return [(c.name, c.choice, c.to_second) for c in found]

    assert len(made(truths)) == 2
    assert made([order[t] for t in truths]) == made(truths)
    assert made(rng.sample(truths, len(truths))) == made(truths)
