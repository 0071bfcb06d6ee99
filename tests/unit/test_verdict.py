"""The analysis as a whole, and the sentences on top of it."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evaluation.analysis import analyse
from engine.evaluation.comparison import ContestantInput, compare
from engine.evaluation.conclusions import said_paired, said_unpaired
from engine.evaluation.costs import parse_costs
from engine.evaluation.differences import unpaired
from engine.evaluation.measures import BALANCED, MACRO_F1, read_measure
from engine.evaluation.properties import ImageProperties
from engine.evaluation.verdict import Price
from engine.evaluation.words import dollars
from engine.quantities import points
from engine.states import ContestantKind, Outcome
from tests.properties import quick

LABELS = [f"Breed {n}" for n in range(120)]
SPLIT = {"train": 4800, "val": 600, "test": 600}


def contestant(name, hits, kind=ContestantKind.CNN, labels=LABELS, **more):
    """A contestant that is right where `hits` says so, five images a class."""
    truths = [labels[n // 5 % len(labels)] for n in range(len(hits))]
    said = [t if hit else labels[(labels.index(t) + 1) % len(labels)] for t, hit in zip(truths, hits, strict=True)]
    given_ = {"emulated": False, "prompt": "p", "answer_format": "text", "outcomes": [Outcome.ANSWERED] * len(hits)}
    return ContestantInput(name, kind, "m", truths=truths, predictions=said, **given_ | more)


def hits(k, n=600, seed=0):
    drawn = [True] * k + [False] * (n - k)
    random.Random(seed).shuffle(drawn)
    return drawn


def analysis(*inputs, labels=LABELS, **more):
    return analyse("e", "dogs", SPLIT, labels, inputs, **more)


def test_the_best_of_three_is_named_with_its_price_and_what_would_change_it():
    found = analysis(
        contestant("zero-shot", hits(442, seed=1), ContestantKind.ZERO_SHOT, inference_usd=0.45),
        contestant("fine-tuned", hits(496, seed=2), ContestantKind.FINE_TUNED, training_usd=157.44, inference_usd=0.9),
        contestant("cnn", hits(370, seed=3)),
        prices={"cnn": Price(per_thousand=0.01)},
        volume=10_000,
    )
    verdict = found.verdict
    assert (verdict.best, verdict.choice, verdict.sure, verdict.tied) == ("fine-tuned", "fine-tuned", "clear", ())
    assert verdict.sentence.startswith(
        "fine-tuned is the best: 496 of 600 (82.7%; 95% interval 79.4% to 85.5%), 9.0 points more than zero-shot ("
    )
    assert verdict.sentence.endswith(
        "It costs $1.50 per 1,000 images + $157.44 once, $172.44 in all for 10,000 images."
    )
    assert "On these 600 images cnn recognised 370 of 600 (61.7%; 95% interval 57.7% to 65.5%)." in verdict.may
    assert sum("is better than" in line and "majority class" not in line for line in verdict.may) == 3
    bar = "the majority class (always Breed 0, by the test labels: 0.8%)"
    assert f"fine-tuned is better than {bar} by 81.8 points (p < 0.001 corrected for 3 contestants)." in verdict.may
    assert any("the smallest has 5 images" in line for line in verdict.may_not)
    (line,) = [line for line in verdict.would_change if "over zero-shot" in line]
    # 10,000 images: 15 + 157.44 − 7.50 dollars for 900 more right answers
    assert f"each further right answer of fine-tuned over zero-shot costs {dollars((15 + 157.44 - 7.5) / 900)}" in line
    assert [d.p_holm >= d.p for d in found.differences] == [True] * 3
    assert found.between("cnn", "zero-shot") is found.differences[1]
    assert found.of("cnn").quality.macro_f1 == compare("e", "d", SPLIT, LABELS, [contestant("cnn", hits(370, seed=3))]).contestants[0].macro_f1  # fmt: skip
    with pytest.raises(KeyError):
        found.of("nobody")
    with pytest.raises(KeyError):
        found.between("cnn", "nobody")


def test_of_those_that_cannot_be_told_apart_the_cheapest_is_taken():
    found = analysis(
        contestant("dear", [False] * 8 + [True] * 304 + [False] * 288),
        contestant("cheap", [True] * 300 + [False] * 300),
        prices={"dear": Price(2.0, 3.0, 1.0), "cheap": Price(0, 0.5)},
        hours=2,
    )
    verdict, (difference,) = found.verdict, found.differences
    assert (len(difference.only_a), len(difference.only_b)) == (12, 8)
    assert (verdict.best, verdict.choice, verdict.sure, verdict.tied) == ("dear", "cheap", "tied", ("cheap",))
    assert "but cheap cannot be told from it on these 600 images." in verdict.sentence
    assert (
        "cheap never predicts Breed 0" not in verdict.sentence
        and "Take cheap, the cheapest of them" in verdict.sentence
    )
    assert f"if up to {100 * difference.high:.1f} points less do not matter." in verdict.sentence
    assert verdict.sentence.endswith("cheap costs $0.50 per 1,000 images, $0.50 in all for 1,000 images.")
    needed = f"about {difference.needed:,}"
    assert verdict.may_not[0] == (
        f"That dear is better than cheap: 0.7 points (95% interval {100 * difference.low:.1f} to"
        f" {100 * difference.high:.1f}; p = 0.503) may be chance; if that is the difference, it takes {needed} images"
        f" like these to tell them apart."
    )
    assert (
        f"More test images: {needed} like these would tell dear from cheap, if they differ as they do here."
        in verdict.would_change
    )
    assert Price(2.0, 3.0, 1.0).total(1000, 2) == 7.0
    assert Price(2.0, 3.0, 1.0, in_all=9.0).total(1000, 2) == 9.0


def test_equal_contestants_are_said_to_be_equal():
    one, other = hits(300, seed=4), hits(300, seed=5)
    found = analysis(contestant("a", one), contestant("b", other))
    assert found.differences[0].needed is None
    assert found.verdict.may_not[0].startswith(
        "That a and b are equally good: they recognised equally many, but a diff"
    )
    assert said_paired(found.differences[0]).startswith("a and b recognised equally many; a difference up to")
    assert "recognised as many as any" in found.verdict.sentence
    same = analysis(contestant("a", one), contestant("b", one))
    assert same.differences[0].interval == "score interval"
    assert same.differences[0].high > 0


def test_nobody_nothing_and_one():
    assert analysis().verdict.sentence == "There is no contestant yet."
    assert analysis().n == 0
    empty = analysis(contestant("a", []), contestant("b", []))
    assert (empty.verdict.sure, empty.verdict.sentence) == ("open", "There are no test images.")
    alone = analysis(contestant("a", hits(25, 30))).verdict
    assert (alone.sure, alone.best) == ("alone", "a")
    assert "no other to hold it against" in alone.sentence
    single = analysis(contestant("a", [True]), contestant("b", [False]))
    assert single.verdict.sure == "none"
    assert single.verdict.sentence.startswith("All test images are of one class, Breed 0: always naming it is right")
    assert single.differences[0].needed == 6


def test_one_class_is_no_classification():
    found = analysis(contestant("a", [True] * 4), labels=["Breed 0"])
    assert any("all images are of one class" in line for line in found.verdict.may_not)
    assert found.contestants[0].quality.balanced_accuracy == 1.0


def test_a_contestant_that_named_nothing_or_answered_nothing():
    unknown = replace(contestant("u", hits(0)), predictions=[None] * 600, outcomes=[Outcome.UNKNOWN_LABEL] * 600)
    failed = replace(contestant("f", hits(0)), predictions=[None] * 600, outcomes=[Outcome.FAILED] * 600)
    found = analysis(unknown, failed, contestant("a", hits(400)))
    assert found.verdict.best == "a"
    assert any("u named no label in any answer" in line for line in found.verdict.may_not)
    assert any("Answers to 600 images that f has none for" in line for line in found.verdict.would_change)
    assert found.of("f").quality.coverage.over_answered.n == 0
    assert analysis(unknown, failed).verdict.sure == "none"


def test_the_unfinished_are_left_out_and_compared_on_what_both_answered():
    outcomes = [Outcome.ANSWERED] * 200 + [Outcome.MISSING] * 400
    half = replace(contestant("half", hits(600)), predictions=LABELS[:40:1] * 5 + [None] * 400, outcomes=outcomes)
    half = replace(half, predictions=[*half.truths[:200], *[None] * 400], complete=False)
    found = analysis(contestant("a", hits(400)), half)
    assert found.verdict.sure == "alone"
    assert any(
        "half is not finished: 200 of 600 images have been answered, 200 of them right" in s
        for s in found.verdict.may_not
    )
    assert (found.differences[0].n, found.differences[0].partial) == (200, True)
    assert not found.of("half").complete
    only = analysis(half).verdict
    assert (only.sure, only.best) == ("open", None)
    assert only.sentence.startswith("No contestant is finished")


def test_another_reading_may_have_another_leader():
    lost = [Outcome.FAILED] * 100 + [Outcome.ANSWERED] * 500
    truths = contestant("x", hits(0)).truths
    said = [None] * 100 + [t if n % 20 else "Breed 1" for n, t in enumerate(truths[100:])]
    patchy = replace(contestant("patchy", hits(0)), predictions=said, outcomes=lost)
    steady = replace(contestant("steady", hits(500)), raw=[f"a {p}" for p in contestant("s", hits(500)).predictions])
    found = analysis(patchy, steady)
    assert found.verdict.best == "steady"
    assert "Counting answered images only, patchy would be ahead." in found.verdict.would_change
    strict = replace(patchy, raw=list(said))
    found = analysis(strict, steady)
    assert "Reading answers strictly, patchy would be ahead." in found.verdict.would_change
    assert found.of("steady").quality.leniency.strict.k == 0
    assert found.of("steady").quality.leniency.lenient.value == 1.0
    assert found.of("patchy").readings[0] is None


def test_an_emulated_contestant_and_different_questions_are_pointed_out():
    found = analysis(
        contestant("zero-shot", hits(400), ContestantKind.ZERO_SHOT, emulated=True),
        contestant("tuned", hits(400), prompt="q"),
    )
    assert found.contestants[0].name == "zero-shot (emulated)"
    assert any(
        "about the real model, GPT-4o or another: zero-shot (emulated) is the local" in line
        for line in found.verdict.may_not
    )
    assert any("not all were asked the same" in line for line in found.verdict.may_not)


def test_properties_come_by_contestant():
    found = analysis(contestant("a", hits(400)), properties=ImageProperties(bytes=list(range(600))))
    assert [b.share.n for b in found.contestants[0].by_property] == [200, 200, 200]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truths": ["Breed 9"] * 600}, "b and a were not tested on the same images: the true labels differ"),
        ({"images": ["x"] * 600}, "b has 1 image that a has not, and lacks 600 that it has"),
        ({"images": [str(n) for n in range(599, -1, -1)]}, "b has the same images in another order"),
        ({"labels": ["Breed 1", "Cat"]}, "b was asked for other labels than the 120 here; 120 differ"),
        ({"name": "a"}, "two contestants are called 'a'"),
        ({"predictions": ["Cat"] * 600}, "b: 'Cat' is not among the 120 labels"),
        ({"outcomes": [Outcome.ANSWERED]}, "b: 600 predictions, 1 outcome, 600 images"),
        ({"raw": ["x"]}, "b: "),
        ({"latencies_ms": [-1.0]}, "b: a latency is no number of milliseconds"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_clear_words(change, message):
    first = replace(contestant("a", hits(400)), images=[str(n) for n in range(600)])
    with pytest.raises(ValueError, match=message):
        analysis(first, replace(contestant("b", hits(400)), **change))


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((496, 600, 442, 600), "tuned has 9.0 points more than zero (95% interval 4.3 to 13.6; p < 0.001). If both"),
        (
            (300, 600, 310, 600),
            "zero has 1.7 points more than tuned (95% interval -4.0 to 7.3; p = 0.564). That is within",
        ),
        ((300, 600, 150, 300), "Nothing tells them apart."),
    ],
)
def test_counts_alone_are_said_to_be_unpaired(counts, words):
    said = said_unpaired("tuned", "zero", unpaired(*counts))
    assert said.startswith("Unpaired")
    assert words in said


@settings(quick, max_examples=25)  # each resamples all pairs
@given(st.integers(0, 12), st.integers(0, 3), st.randoms(use_true_random=False))
def test_whatever_comes_there_is_a_verdict(n, contestants, rng):
    labels = LABELS[: rng.randint(1, 4)]
    truths = [rng.choice(labels) for _ in range(n)]
    inputs = []
    for number in range(contestants):
        outcomes = [rng.choice(list(Outcome)) for _ in range(n)]
        said = [rng.choice(labels) if o == Outcome.ANSWERED else None for o in outcomes]
        raw = [rng.choice(["It is a Breed 1", "Breed 0", "no", None, "{"]) for _ in range(n)]
        inputs.append(
            replace(
                contestant(f"c{number}", []), truths=truths, predictions=said, outcomes=outcomes, raw=raw,
                complete=rng.random() < 0.7, emulated=rng.random() < 0.5,
            )
        )  # fmt: skip
    found = analyse("e", "d", SPLIT, labels, inputs)
    assert found.verdict.sentence
    assert len(found.differences) == contestants * (contestants - 1) // 2
    assert (found.verdict.best is None) == (found.verdict.choice is None) == (found.verdict.sure in ("open", "none"))
    assert found == analyse("e", "d", SPLIT, labels, inputs)  # seeded
    for c in found.contestants:
        assert sum(c.quality.coverage.outcomes.values()) == n
        assert 0 <= c.quality.accuracy.low <= c.quality.accuracy.value <= c.quality.accuracy.high <= 1


def test_the_unfinished_are_never_the_nearest_one():
    """It is held against the best as well, on fewer images, and says nothing of how sure the verdict is."""
    outcomes = [Outcome.ANSWERED] * 20 + [Outcome.MISSING] * 580
    begun = replace(contestant("begun", hits(0)), outcomes=outcomes, complete=False)
    begun = replace(begun, predictions=[*begun.truths[:20], *[None] * 580])
    verdict = analysis(contestant("a", hits(400, seed=1)), contestant("b", hits(500, seed=2)), begun).verdict
    assert (verdict.best, verdict.sure) == ("b", "clear")
    assert "16.7 points more than a (" in verdict.sentence and "begun" not in verdict.sentence
    assert any(line.startswith("How good begun is: begun is not finished: 20 of 600") for line in verdict.may_not)


def test_figures_of_the_unfinished_are_of_what_they_have_been_asked():
    outcomes = [Outcome.ANSWERED] * 12 + [Outcome.MISSING] * 588
    begun = replace(contestant("begun", hits(0)), outcomes=outcomes, complete=False, raw=["x"] * 600)
    begun = replace(begun, predictions=[*begun.truths[:10], "Breed 0", "Breed 0", *[None] * 588])
    sizes = ImageProperties(bytes=list(range(600)))
    q = analysis(begun, properties=sizes).contestants[0]
    first, second, third, *others = q.quality.classes
    assert [(c.recall.k, c.recall.n) for c in (first, second, third)] == [(5, 5), (5, 5), (0, 2)]
    assert all(c.support == 0 for c in others)
    assert q.quality.balanced_accuracy == pytest.approx(2 / 3)
    assert (q.quality.accuracy.k, q.quality.accuracy.n, q.quality.coverage.over_all.n) == (10, 12, 12)
    assert q.quality.coverage.n == 600 and q.quality.coverage.outcomes[Outcome.MISSING] == 588
    assert sum(b.share.n for b in q.by_property) == 12


@pytest.mark.parametrize(
    ("emulated", "words"),
    [
        ((True, True), "Everybody here is emulated: this says nothing about the real model."),
        ((True, False), "Whoever is emulated is a small local network: this says nothing about the real model."),
        ((False, False), None),
    ],
)
def test_the_verdict_itself_says_that_the_emulator_is_not_the_model(emulated, words):
    made = [contestant(f"c{n}", hits(300 + 100 * n, seed=n), emulated=e) for n, e in enumerate(emulated)]
    sentence = analysis(*made, prices={"c1": Price(1, 2)}).verdict.sentence
    assert words in sentence if words else "real model" not in sentence
    assert ("c1 (emulated) would cost" if emulated[1] else "c1 costs" if emulated[0] else "It costs") in sentence


def test_where_nobody_is_right_nobody_is_chosen_in_words():
    unknown = {"predictions": [None] * 600, "outcomes": [Outcome.UNKNOWN_LABEL] * 600}
    lost = {"predictions": [None] * 600, "outcomes": [Outcome.MISSING] * 600}
    for more, words in ((unknown, "recognised any of"), (lost, "answered about any of")):
        found = analysis(*(replace(contestant(name, hits(0)), **more) for name in "ab"), prices={"a": Price(1, 1)})
        assert found.verdict.sentence == f"No contestant {words} these 600 images: there is nothing to choose by."


def test_a_difference_of_nothing_has_no_minus():
    one = [True] * 300 + [False] * 100
    found = analysis(contestant("a", one), contestant("b", one), contestant("c", [False] * 100 + [True] * 300))
    told = " ".join((found.verdict.sentence, *found.verdict.may, *found.verdict.may_not))
    assert "-0.0" not in told
    assert (points(-0.0004), points(0.0), points(0.0051), points(-0.09)) == ("+0.0", "+0.0", "+0.5", "-9.0")


# -- the majority class, and measures that disagree


def rare(*named, n=(50, 950), labels=("defect", "ok"), **more):
    """Contestants by how many defects and how many good parts they call a defect."""
    truths = [labels[0]] * n[0] + [labels[1]] * n[1]
    inputs = []
    for name, found, mistaken in named:
        said = [labels[0]] * found + [labels[1]] * (n[0] - found) + [labels[0]] * mistaken
        said += [labels[1]] * (n[1] - mistaken)
        inputs.append(replace(contestant(name, [True] * sum(n)), truths=truths, predictions=said))
    made = compare("e", "d", SPLIT, labels, inputs, **more)
    return analyse("e", "d", SPLIT, labels, inputs, judged=made.judged)


CONSTANT, CAREFUL = ("constant", 0, 0), ("careful", 50, 95)


def test_always_the_majority_class_is_never_the_best():
    v = rare(CONSTANT, CAREFUL).verdict
    assert (v.best, v.choice, v.sure, v.measure) == (None, None, "none", "accuracy")
    assert v.sentence == (
        "No contestant is better than the majority class (always ok, by the test labels: 95.0%) by accuracy, so none is"
        " the best: constant has 95.0%, careful has 90.5%. constant never predicts defect. Measures disagree: by"
        " balanced accuracy careful is better than constant (95.0% to 50.0%, p < 0.001); by macro-F1 careful is better"
        " than constant (0.730 to 0.487, p < 0.001)."
    )
    assert "How well constant recognises defect: none of its answers names it." in v.may_not
    assert any(line.startswith("That careful is better than the majority class") for line in v.may_not)
    assert not any("majority class" in line for line in v.may)
    alone = rare(CONSTANT).verdict
    assert (alone.best, alone.sure) == (None, "none")


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        (BALANCED, "careful is the best by balanced accuracy: 95.0% (95% interval 91.3% to 95.9%), 45.0 points more"),
        (MACRO_F1, "careful is the best by macro-F1: 0.730 (95% interval 0.70"),
        (read_measure("recall:defect", ("defect", "ok")), "careful is the best by recall of defect: 100.0% (95% inter"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_measure_that_the_user_picks_decides(measure, words):
    found = rare(CONSTANT, CAREFUL, measure=measure)
    v = found.verdict
    assert (v.best, v.choice, v.sure, v.measure) == ("careful", "careful", "clear", measure.name)
    assert v.sentence.startswith(words)
    assert "Measures disagree: by accuracy constant is better than careful (95.0% to 90.5%, p < 0.001)." in v.sentence
    (d,) = found.differences
    assert d.measure == measure and d.gain < 0 and d.high < 0 and d.real
    assert found.between("careful", "constant").gain == pytest.approx(0.045)  # money is computed with accuracy
    assert any(line.startswith("careful is better than ") and "corrected for 2 contestants" in line for line in v.may)


def test_costs_decide_and_may_turn_the_choice():
    cheap, dear = (parse_costs(f"[ok]\ndefect = 1\n[defect]\nok = {usd}\n", ("defect", "ok")) for usd in (1, 20))
    v = rare(CONSTANT, CAREFUL, measure=read_measure("cost", ("defect", "ok"), dear), costs=dear).verdict
    assert v.best == "careful"
    assert v.sentence.startswith(
        "careful is the best by cost of mistakes: 0.095 an image (95% interval 0.078 to 0.169)"
    )
    assert "0.905 an image less than constant" in v.sentence
    same = rare(CONSTANT, CAREFUL, measure=read_measure("cost", ("defect", "ok"), cheap), costs=cheap).verdict
    assert same.best is None and "an image) by cost of mistakes, so none is the best" in same.sentence
    by_accuracy = rare(CONSTANT, CAREFUL, costs=dear).verdict  # costs that are known are one more measure
    assert "by cost of mistakes careful is better than constant (0.095 to 1.00" in by_accuracy.sentence


def test_measures_that_disagree_within_chance_are_named_below():
    found = rare(("a", 48, 20), ("b", 49, 23), measure=BALANCED).verdict
    assert found.best == "b" and found.tied == ("a",) and "Measures disagree" not in found.sentence
    (line,) = [line for line in found.would_change if line.startswith("The measure: by accuracy")]
    assert line == "The measure: by accuracy a would be ahead (97.8% to 97.6% of b, within chance)."


def test_of_those_that_cannot_be_told_apart_none_below_the_majority_class_is_taken():
    """`guess` cannot be told from the best on so few images, and is cheaper; it is no better than the majority class."""
    labels = ("a", "b")
    found = rare(("best", 17, 5), ("guess", 14, 6), n=(20, 20), labels=labels)
    assert (found.verdict.best, found.verdict.tied, found.verdict.choice) == ("best", ("guess",), "best")


def test_classes_without_training_or_test_images_are_named():
    labels = ("defect", "ok", "scratch", "dent")
    v = rare(CONSTANT, CAREFUL, labels=labels, training=(0, 10, 0, 3)).verdict
    assert "the majority class (always ok, by the training labels: 95.0%)" in v.sentence
    assert "What training does for defect: it has no training images." in v.may_not
    assert "Anything about scratch and dent: they have no test images." in v.may_not
    one = rare(("a", 5, 0), n=(5, 0)).verdict
    assert one.sentence.startswith("All test images are of one class, defect: always naming it is right, so no")


@pytest.mark.parametrize("name", ["Majority class", "chance", " majority  class"])
def test_no_contestant_has_the_name_of_a_baseline(name):
    with pytest.raises(ValueError, match="as a row that every comparison has: call it otherwise"):
        rare((name, 0, 0))


def test_a_recall_of_a_class_without_test_images_is_refused():
    with pytest.raises(ValueError, match="recall of 'x' cannot be computed: it has no test images"):
        rare(CONSTANT, labels=("defect", "ok", "x"), measure=read_measure("recall:x", ("defect", "ok", "x")))
