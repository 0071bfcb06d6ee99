"""What the emulator's brain thinks, how it is spelled, and how it learns."""

import hashlib
import json
import math

import numpy as np
import pytest
from scipy.stats import chisquare

from engine.backbones import imagenet_classes, load_backbone, match_imagenet, pixels
from engine.emulator.brain.opinion import GRAIN, STRAYING, STRAYS, Opinion, blind, choose, tuned, zero_shot
from engine.emulator.brain.spelling import spell, tokenize
from engine.emulator.brain.tuning import TEMPERATURE, Head, calibrate, new_moments, softmax_loss, steps
from engine.emulator.brain.vision import prior
from tests.pictures import KENNEL

NONSENSE = [f"Zork {n}" for n in range(20)]


@pytest.fixture(scope="module")
def backbone(backbones):
    return load_backbone(backbones / "backbones")


@pytest.fixture(scope="module")
def seen(backbone, dogs):
    """Features of drawn dogs, and which of `KENNEL` they are."""
    files = [dogs / breed / f"{n:03d}.jpg" for breed in KENNEL for n in range(16)]
    features = np.concatenate([backbone.features(pixels(file)[None]) for file in files])
    return features, np.repeat(np.arange(len(KENNEL)), 16)


@pytest.fixture
def strange(backbone):
    """Features of many pictures that show nothing."""
    return np.random.default_rng(0).random((1000, backbone.width), np.float32)


def of(probabilities):
    """Return an opinion with these probabilities."""
    values = np.array(list(probabilities.values()))
    return Opinion(tuple(probabilities), np.log(values / values.sum()))


def probability(opinion, label):
    return float(np.exp(opinion.log_probabilities[opinion.labels.index(label)]))


# -- opinions


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(
    "labels", [KENNEL, [*KENNEL, "Zork"], NONSENSE, ["pug"], ["Zork"], list(imagenet_classes())], ids=len
)
def test_probabilities_sum_to_one_and_the_list_comes_first(backbone, seen, labels, closed):
    for features in seen[0][::9]:
        opinion = zero_shot(backbone, features, labels, closed=closed)
        assert np.exp(opinion.log_probabilities).sum() == pytest.approx(1, abs=1e-12)
        listed = list(dict.fromkeys(labels))
        assert list(opinion.labels[: len(listed)]) == listed
        assert len(set(opinion.labels)) == len(opinion.labels)
        others = len(opinion.labels) - len(listed)
        assert others == 0 if closed or len(labels) == 1000 else 0 < others <= STRAYS


def test_a_listed_breed_has_the_odds_that_imagenet_gives_it(backbone, seen):
    logits = backbone.logits(seen[0])[:, match_imagenet(KENNEL)]
    for features, row in zip(seen[0], logits, strict=True):
        logs = zero_shot(backbone, features, KENNEL, closed=True).log_probabilities
        assert logs.argmax() == row.argmax()
        # One temperature a picture, between the two of the module, makes logits of probabilities.
        warmth = (row - row[0])[1:] / (logs - logs[0])[1:]
        assert np.ptp(warmth) < 1e-3
        assert 0.67 <= warmth[0] <= 1.18


def test_without_a_list_any_class_may_be_said(backbone, seen):
    opinion = zero_shot(backbone, seen[0][0], [], closed=False)
    assert set(opinion.labels) == set(imagenet_classes()) - {"cardigan"}  # which is the Cardigan's name too
    assert opinion.labels[opinion.best] == imagenet_classes()[backbone.logits(seen[0][:1])[0].argmax()]


def test_two_words_for_one_class_share_it(backbone, seen):
    alone = zero_shot(backbone, seen[0][0], ["pug", "dalmatian"], closed=True)
    both = zero_shot(backbone, seen[0][0], ["pug", "PUG", "dalmatian"], closed=True)
    assert probability(both, "pug") == pytest.approx(probability(both, "PUG"), rel=1e-12)
    assert 2 * probability(both, "pug") == pytest.approx(probability(alone, "pug"), rel=1e-9)


def test_classes_of_the_same_name_are_one(backbone, seen):
    dog, jacket = (imagenet_classes().index(name) for name in ("Cardigan", "cardigan"))
    features = backbone.head_weight[jacket] * 10  # a jacket, if ever there was one
    assert backbone.logits(features[None])[0].argmax() == jacket != dog
    opinion = zero_shot(backbone, features, ["pug", "Cardigan"], closed=False)
    assert opinion.best == 1
    assert "cardigan" not in opinion.labels


def test_among_words_that_imagenet_does_not_know_the_choice_is_chance(backbone, strange, seen):
    opinions = [zero_shot(backbone, features, NONSENSE, closed=True) for features in strange]
    counts = np.bincount([opinion.best for opinion in opinions], minlength=len(NONSENSE))
    assert chisquare(counts).pvalue > 1e-4
    for opinion in opinions[:50]:  # and it says itself that it is
        assert np.ptp(np.exp(opinion.log_probabilities)) <= GRAIN / len(NONSENSE)
    again = zero_shot(backbone, strange[0].copy(), NONSENSE, closed=True)
    np.testing.assert_array_equal(again.log_probabilities, opinions[0].log_probabilities)
    # The last bits of the features, in which machines differ, change nothing; the order of the list neither.
    near = zero_shot(backbone, seen[0][0] * np.float32(1 + 1e-6), NONSENSE, closed=True)
    turned = zero_shot(backbone, seen[0][0], NONSENSE[::-1], closed=True)
    assert near.labels[near.best] == turned.labels[turned.best]


def test_unknown_words_share_what_the_known_ones_leave(backbone, seen):
    everything = zero_shot(backbone, seen[0][0], ["pug", "Zork"], closed=True)
    split = zero_shot(backbone, seen[0][0], ["pug", "Zork", "Blarg"], closed=True)
    assert probability(split, "pug") == pytest.approx(probability(everything, "pug"), rel=1e-12)
    assert probability(split, "Zork") == pytest.approx(probability(split, "Blarg"), rel=2 * GRAIN)
    assert sum(np.exp(split.log_probabilities)) == pytest.approx(1)


def test_something_outside_the_list_is_said_only_where_it_is_most_probable(backbone, seen):
    strays = 0
    for features in seen[0]:
        opinion = zero_shot(backbone, features, ["school bus", "violin"], closed=False)
        p = np.exp(opinion.log_probabilities)
        assert (opinion.best >= 2) == (p[2:].max() > p[:2].max())
        strays += opinion.best >= 2
        assert zero_shot(backbone, features, ["school bus", "violin"], closed=True).best < 2
    assert strays > 20  # a drawn dog is neither a bus nor a violin
    dogs = [zero_shot(backbone, features, KENNEL, closed=False) for features in seen[0]]
    assert sum(opinion.best >= len(KENNEL) for opinion in dogs) <= 3


def test_an_outside_class_weighs_little_beside_a_listed_one(backbone, seen):
    for features in seen[0][::9]:
        opinion = zero_shot(backbone, features, KENNEL, closed=False)
        logs = opinion.log_probabilities
        logits = backbone.logits(features[None])[0][match_imagenet(opinion.labels)]
        warmth = (logits[1] - logits[0]) / (logs[1] - logs[0])
        expected = math.log(STRAYING) + (logits[len(KENNEL) :] - logits[0]) / warmth
        np.testing.assert_allclose(logs[len(KENNEL) :] - logs[0], expected, atol=1e-3)
        assert list(expected) == sorted(expected, reverse=True)


def test_a_blind_answer_is_chance_and_the_same_for_the_same_picture():
    digests = [hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(4000)]
    opinions = [blind(digest, NONSENSE) for digest in digests]
    assert chisquare(np.bincount([o.best for o in opinions], minlength=len(NONSENSE))).pvalue > 1e-4
    for opinion in opinions[:50]:
        p = np.exp(opinion.log_probabilities)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert np.ptp(p) <= GRAIN / len(NONSENSE)
    np.testing.assert_array_equal(blind(digests[0], NONSENSE).log_probabilities, opinions[0].log_probabilities)
    assert len(blind(digests[0], []).labels) == len(set(imagenet_classes()))
    assert blind(digests[0], ["a", "b", "a"]).labels == ("a", "b")


def test_the_most_probable_is_chosen_unless_a_temperature_is_asked_for():
    opinion = of({"a": 0.2, "b": 0.5, "c": 0.3})
    assert [choose(opinion, t, s) for t in (None, 0, 0.0, 1e-320) for s in (None, 7)] == [1] * 8
    drawn = [choose(opinion, 1.0, seed) for seed in range(3000)]
    assert drawn == [choose(opinion, 1.0, seed) for seed in range(3000)]
    assert chisquare(np.bincount(drawn), [600, 1500, 900]).pvalue > 1e-4
    cooler = np.array([0.04, 0.25, 0.09])
    drawn = [choose(opinion, 0.5, seed) for seed in range(3000)]
    assert chisquare(np.bincount(drawn), cooler / cooler.sum() * 3000).pvalue > 1e-4
    assert len({choose(opinion, 1.0, None) for _ in range(200)}) == 3
    assert choose(opinion, 1.0, -5) in (0, 1, 2)


# -- spelling


@pytest.mark.parametrize(
    "text",
    ["", " ", "a", "Old English Sheepdog", '{"label":"Boston Bull"}', "  two\n\n lines \t", "naïve 東京 ½ __x__ 1234567", "🐶\ud800"],
)  # fmt: skip
def test_tokens_join_to_the_text(text):
    assert "".join(tokenize(text)) == text
    assert all(tokenize(text))


def test_a_token_has_about_four_characters():
    text = "Classify the following input image into one of the following categories: "
    assert 3 <= len(text) / len(tokenize(text)) <= 5


TERRIERS = {"terrier": 0.4, "terrier mix": 0.2, "terra": 0.1, 'the "best" dog': 0.1, "": 0.05, "ter": 0.15}


@pytest.mark.parametrize(("before", "after"), [('{"label":"', '"}'), ("", ""), ("", "."), ("It is a ", "")])
@pytest.mark.parametrize("chosen", range(len(TERRIERS)))
def test_the_tokens_of_a_label_are_as_probable_as_the_label(before, after, chosen):
    opinion = of(TERRIERS)
    tokens = spell(before, opinion, chosen, after, 5, written=lambda label: json.dumps(label)[1:-1])
    label = opinion.labels[chosen]
    assert "".join(token.text for token in tokens) == before + json.dumps(label)[1:-1] + after
    assert sum(token.logprob for token in tokens) == pytest.approx(opinion.log_probabilities[chosen], abs=1e-9)
    for token in tokens:
        logs = [log for _, log in token.top]
        assert logs == sorted(logs, reverse=True)
        assert len({text for text, _ in token.top}) == len(token.top) <= 5
        assert dict(token.top)[token.text] == token.logprob
        assert sum(math.exp(log) for log in logs) <= 1 + 1e-9
        assert token.logprob <= 0


def test_a_token_is_as_probable_as_all_labels_that_go_on_so():
    opinion = of({"red dog": 0.3, "red fox": 0.2, "blue fox": 0.1, "red": 0.4})
    first, second, end = spell("", opinion, 0, "!", 5)
    assert (first.text, second.text, end.text) == ("red", " dog", "!")
    assert [math.exp(t.logprob) for t in (first, second, end)] == pytest.approx([0.9, 0.3 / 0.9, 1.0])
    assert dict(first.top).keys() == {"red", "blue"}
    assert {text: pytest.approx(math.exp(log)) for text, log in second.top} == {
        "!": 0.4 / 0.9, " dog": 0.3 / 0.9, " fox": 0.2 / 0.9,
    }  # fmt: skip
    # Where nothing follows, the end is the last token's own.
    (only,) = spell("", opinion, 3, "", 5)
    assert math.exp(only.logprob) == pytest.approx(0.4)


def test_every_way_through_the_trie_is_a_label():
    opinion = of(TERRIERS)
    total = sum(
        math.exp(sum(token.logprob for token in spell('"', opinion, n, '"', 0))) for n in range(len(opinion.labels))
    )
    assert total == pytest.approx(1, abs=1e-9)


def test_alternatives_are_the_best_ones_and_only_on_request():
    opinion = of({"ant": 0.1, "bee": 0.6, "cat": 0.3})
    assert [token.top for token in spell("x", opinion, 0, "y", 0)] == [(), (), ()]
    _, label, _ = spell("x", opinion, 0, "y", 2)
    assert [text for text, _ in label.top] == ["bee", "cat"]


# -- learning


def knobs(**more):
    return {"batch_size": 5, "epochs": 3, "multiplier": 1.0, "seed": 42, **more}


def fresh(backbone, labels=KENNEL):
    head = Head(list(labels), *prior(backbone, labels))
    return head, new_moments(head)


@pytest.mark.parametrize("stops", [[1], [13], [14], [38], [2, 3, 20, 30], [39]])
def test_a_run_stopped_after_any_step_goes_on_bit_by_bit(backbone, seen, stops, tmp_path):
    features, truths = seen
    whole, moments = fresh(backbone)
    told = list(steps(whole, moments, features, truths, **knobs()))
    assert [step.number for step in told] == list(range(1, 40))
    head, moments = fresh(backbone)
    after, again = 0, []
    for stop in [*stops, 1000]:
        for step in steps(head, moments, features, truths, **knobs(), after=after):
            again.append(step)
            if step.number == stop:
                break
        after = again[-1].number
        head.save(tmp_path / "head.npz")  # as a restart would find it
        head, moments = Head.load(tmp_path / "head.npz"), [moment.copy() for moment in moments]
    assert again == told
    np.testing.assert_array_equal(head.weight, whole.weight)
    np.testing.assert_array_equal(head.bias, whole.bias)
    assert list(steps(head, moments, features, truths, **knobs(), after=39)) == []


def test_the_seed_decides_and_every_example_is_seen_once_an_epoch(backbone, seen):
    features, truths = seen
    heads = []
    for seed in (1, 1, 2):
        head, moments = fresh(backbone)
        list(steps(head, moments, features, truths, **knobs(seed=seed)))
        heads.append(head)
    np.testing.assert_array_equal(heads[0].weight, heads[1].weight)
    assert not np.array_equal(heads[0].weight, heads[2].weight)
    # With no rate the head stays as it is, and an epoch's accuracies are those of the whole set.
    head, moments = fresh(backbone)
    told = list(steps(head, moments, features, truths, **knobs(batch_size=16, epochs=2, multiplier=0.0)))
    expected = softmax_loss(head.scores(features), truths)
    for epoch in (told[:4], told[4:]):
        assert np.mean([step.loss for step in epoch]) == pytest.approx(expected[0], rel=1e-5)
        assert np.mean([step.accuracy for step in epoch]) == pytest.approx(expected[1])


def test_the_loss_is_that_of_the_real_batch_before_the_step(backbone, seen):
    features, truths = seen
    head, moments = fresh(backbone)
    order = np.random.default_rng([42, 1]).permutation(len(truths))[:5]
    expected = softmax_loss(head.scores(features[order]), truths[order])
    step = next(steps(head, moments, features, truths, **knobs()))
    assert (step.loss, step.accuracy) == (pytest.approx(expected[0]), expected[1])


@pytest.mark.parametrize("labels", [KENNEL, NONSENSE[:4]], ids=["known", "unknown"])
def test_what_it_was_not_shown_is_told_better_after_learning(backbone, seen, labels):
    features, truths = seen
    shown = np.arange(len(truths)) % 4 != 0
    head, moments = fresh(backbone, labels)
    before = (head.scores(features[~shown]).argmax(1) == truths[~shown]).mean()
    list(steps(head, moments, features[shown], truths[shown], **knobs(batch_size=4, epochs=4)))
    opinions = [tuned(head, row) for row in features[~shown]]
    found = np.mean([opinion.best == truth for opinion, truth in zip(opinions, truths[~shown], strict=True)])
    assert found >= max(0.8, before)
    assert all(opinion.labels == tuple(labels) for opinion in opinions)
    assert all(np.exp(opinion.log_probabilities).sum() == pytest.approx(1) for opinion in opinions)


@pytest.mark.parametrize("warmth", [0.5, 1.0, 3.0])
def test_a_head_that_is_too_sure_or_too_modest_is_put_right(warmth):
    rng = np.random.default_rng(0)
    features = rng.normal(0, 2, (4000, 5)).astype(np.float32)
    p = np.exp(features) / np.exp(features).sum(1, keepdims=True)
    truths = np.array([rng.choice(5, p=row / row.sum()) for row in p.astype(float)])
    head = Head(list("abcde"), np.eye(5, dtype=np.float32) * np.float32(warmth), np.zeros(5, np.float32))
    assert calibrate(head, features, truths) == pytest.approx(warmth, rel=0.05)
    told = np.exp([tuned(head, row).log_probabilities for row in features])
    for low, high in ((0.3, 0.6), (0.6, 0.9), (0.9, 1.0)):
        some = (told.max(1) > low) & (told.max(1) <= high)
        assert told.max(1)[some].mean() == pytest.approx((told.argmax(1) == truths)[some].mean(), abs=0.03)


def test_few_held_out_examples_do_not_decide_the_temperature_alone():
    head = Head(["a", "b"], np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    assert calibrate(head, np.zeros((0, 2), np.float32), np.zeros(0, int)) == pytest.approx(TEMPERATURE, rel=1e-3)
    right = np.eye(2, dtype=np.float32) * 5
    assert 0.1 < calibrate(head, right, np.array([0, 1])) < TEMPERATURE  # without the expectation it would be 0
    assert TEMPERATURE < calibrate(head, right, np.array([1, 0])) < 10
    own = calibrate(head, right, np.array([0, 1]))
    assert calibrate(head, right, np.array([0, 1]), held_out=False) > own


def test_a_head_is_kept_with_its_temperature_and_an_old_file_has_none(tmp_path):
    head = Head(["a", "ü"], np.ones((2, 3), np.float32), np.zeros(2, np.float32), 0.5)
    head.save(tmp_path / "head.npz")
    again = Head.load(tmp_path / "head.npz")
    assert (again.labels, again.temperature) == (["a", "ü"], 0.5)
    np.savez(tmp_path / "old.npz", labels=np.array(["a"]), weight=np.ones((1, 3)), bias=np.zeros(1))
    assert Head.load(tmp_path / "old.npz").temperature == 1.0
