"""A learning curve from cached features."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from engine.backbones import cached_views, load_backbone
from engine.evaluation.metrics import wilson
from engine.training import curve as curves
from engine.training.curve import learning_curve
from engine.training.doubling import Doubling, Point, doubling
from engine.training.recipes import get_recipe
from tests.pictures import KENNEL
from tests.unit.test_training import BLOCKS, Stop, Watch, examples


@pytest.fixture
def curve(dogs, backbones):
    """Measure one of 13 drawn dogs a breed, judged on 3 others."""

    def curve(recipe="quick", watch=None, cache=backbones, validation=range(13, 16), **more):
        recipe = get_recipe(recipe) if isinstance(recipe, str) else recipe
        return learning_curve(
            recipe,
            KENNEL,
            examples(dogs, range(13)),
            examples(dogs, validation),
            cache=cache,
            seed=42,
            watch=watch or Watch(),
            **more,
        )

    return curve


def test_it_doubles_the_labels_and_is_the_same_each_time(curve):
    watch = Watch()
    found = curve(watch=watch)
    assert [(p.per_class, p.images, p.all, p.seeds, p.n) for p in found.points] == [
        (5, 20, False, 3, 12),
        (10, 40, False, 3, 12),
        (13, 52, True, 1, 12),
    ]
    for p in found.points:
        assert p.low <= p.accuracy <= p.high
        assert (p.low, p.high) == pytest.approx(wilson(round(p.accuracy * p.n), p.n), abs=0.05)
        assert (p.spread is None) == (p.seeds == 1)
    assert found.points[-1].accuracy >= 0.6
    assert found.doubling.per_class == (5, 10, 13)  # the last two are less than a doubling apart
    assert found.doubling.low <= found.doubling.gain <= found.doubling.high
    assert (found.backbone, found.note) == ("efficientnet-lite0", "")
    assert ("learning curve", 3, 3) in watch.phases
    assert [p.accuracy for p in curve().points] == [p.accuracy for p in found.points]
    told = found.told()
    assert [row["per_class"] for row in told["learning_curve"]] == [5, 10, 13]
    assert told["labels_doubled"]["sentence"] == found.doubling.sentence
    assert torch.get_num_threads() >= 1


def test_larger_sets_hold_the_smaller_ones_and_a_small_class_gives_all_it_has():
    truths = np.array([0] * 30 + [1] * 30 + [2] * 4)
    data = curves._Data([np.zeros((64, 2), np.float32)], truths, [], torch.zeros(0))
    assert curves._sizes(data) == [5, 10, 20, None]
    drawn = [set(curves._drawn(data, size, (42, 0)).tolist()) for size in (5, 10, 20, None)]
    assert [len(each) for each in drawn] == [14, 24, 44, 64]
    assert all(small < large for small, large in pairwise(drawn))
    assert drawn[0] != set(curves._drawn(data, 5, (42, 1)).tolist())


def test_the_best_epoch_is_chosen_on_the_other_half():
    expected = np.array([0, 0, 1, 1])
    rights = [np.array([1, 0, 0, 1], bool), np.array([0, 1, 1, 0], bool)]
    choice = curves._Choice(expected, 6)
    for right in rights:
        choice.add(right, np.ones(4))
    # Images 0 and 3 are one half, by which epoch 0 is the best; images 1 and 2 the other, by which epoch 1 is.
    assert choice.right().tolist() == [False] * 4
    assert curves._best([(0.5, 0), (0.4, 0), (0.4, 0), (0.9, 0)], 2) == 0  # patience had ended it before
    assert curves._best([(0.5, 0), (0.4, 0), (0.4, 0), (0.9, 0)], 0) == 3


def test_epochs_that_can_no_longer_be_chosen_are_not_trained():
    random, patience, ended = np.random.default_rng(1), 3, 0
    for _ in range(50):
        epochs = [(random.random(20) < 0.5, random.random(20)) for _ in range(30)]
        whole, short = (curves._Choice(np.arange(20) % 2, patience) for _ in range(2))
        for epoch in epochs:
            whole.add(*epoch)
        for number, epoch in enumerate(epochs, start=1):
            short.add(*epoch)
            if short.over:
                ended += number < len(epochs)
                break
        assert short.right().tolist() == whole.right().tolist()
    assert ended > 40
    never = curves._Choice(np.arange(20) % 2, 0)
    for epoch in epochs:
        never.add(*epoch)
        assert not never.over


def test_a_curve_that_would_take_too_long_leaves_its_largest_points_out_and_names_them(curve, monkeypatch):
    whole = curve()
    monkeypatch.setattr(curves, "MOST_SECONDS", 0.0)
    found = curve()
    assert [p.accuracy for p in found.points] == [whole.points[0].accuracy] and found.doubling is None
    assert found.note == "left out: 10 a class and all 52 images, as the curve would take longer than 0 s"
    assert found.told()["learning_curve_about"]["note"] == found.note
    assert curves._left_out([20, 40, None], 300).startswith("left out: 20 a class to 40 a class and all 300 images, as")
    assert curves._left_out([None], 300).startswith("left out: all 300 images, as")
    assert curves._left_out([], 300) == ""


def test_the_time_of_a_point_is_expected_from_the_one_before():
    data = curves._Data([np.zeros((200, 2), np.float32)], np.arange(200) % 2, [], torch.zeros(50))
    last = Point(20, 40, 0.5, 0.4, 0.6, 50, 3, 0.0, False, seconds=9.0)
    assert curves._expected(last, data, 40) == pytest.approx(3.0 * (80 + 50) / (40 + 50))
    assert curves._expected(last, data, None) == pytest.approx(3.0 * (200 + 50) / (40 + 50))


def test_so_many_validation_images_judge_and_no_more(curve, monkeypatch):
    monkeypatch.setattr(curves, "MOST_JUDGES", 8)
    found = curve()
    assert {p.n for p in found.points} == {8}
    assert found.note == "judged on 8 of 12 validation images"


def point(per_class, accuracy):
    return Point(per_class, 10 * per_class, accuracy, accuracy, accuracy, 1000, 1, None, False, 0.0)


def rights(*accuracies):
    return [np.arange(1000) < 1000 * accuracy for accuracy in accuracies]


def test_what_twice_the_labels_bring():
    points = [point(20, 0.80), point(40, 0.812)]
    found = doubling(points, rights(0.80, 0.812))
    assert found.gain == pytest.approx(0.012)
    assert found.sentence == "twice the labels: about +1.2 points (from 20→40 a class)"
    even = doubling([point(20, 0.8), point(40, 0.8)], [np.arange(1000) < 800, np.arange(1000) >= 200])
    assert even.gain == pytest.approx(0) and even.sentence.endswith("which may be chance")
    assert doubling(points[:1], rights(0.8)) is None
    near_the_top = doubling([point(5, 0.5), point(10, 0.99)], rights(0.5, 0.99))
    assert near_the_top.gain == pytest.approx(0.01)  # no more than what is wrong now
    assert Doubling(0.1, 0.05, 0.15, (1, 2)).sentence.startswith("twice the labels: about +10.0 points")


def test_a_recipe_that_does_more_says_so(curve):
    assert curve(BLOCKS).note.startswith("of a new last layer on efficientnet-lite0 alone")


def test_a_recipe_without_features_takes_those_that_are_cached_and_computes_none(curve, dogs, backbones, tmp_path):
    assert curve("article", cache=tmp_path) is None
    (tmp_path / "features" / "efficientnet-lite0-other").mkdir(parents=True)
    (tmp_path / "backbones").symlink_to(backbones / "backbones")
    assert curve("article", cache=tmp_path) is None
    backbone = load_backbone(backbones / "backbones")
    for numbers in (range(13), range(13, 16)):
        some = examples(dogs, numbers)
        cached_views(backbone, [e.path for e in some], [e.sha256 for e in some], tmp_path / "features", views=(False,))
    found = curve("article", cache=tmp_path)
    assert len(found.points) == 3
    assert "recipe article trains every weight" in found.note


def test_it_stops_when_it_is_asked_to_and_needs_validation_images(curve):
    class Asked(Watch):
        def check(self):
            if any(name.startswith("learning curve") for name, _, _ in self.phases):
                raise Stop

    threads = torch.get_num_threads()
    with pytest.raises(Stop):
        curve(watch=Asked())
    assert torch.get_num_threads() == threads
    assert curve(validation=()) is None
