"""Predictions in the store: what real-time requests took, and stores from before that was kept."""

import sqlite3
from dataclasses import replace

import pytest

from engine.states import Outcome
from engine.store import Store
from engine.store.migrations import VERSION_1
from engine.store.predictions import Prediction, Timing
from tests.outcomes import experiment
from tui.widgets.board import _line


@pytest.fixture
def old(tmp_path):
    """A store of the first version, with one prediction and one latency in it."""
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        VERSION_1
        + """
        INSERT INTO datasets VALUES (1, 'd', 's', 'r', 'x', 1, 'y', 0);
        INSERT INTO labels VALUES (1, 0, 'Pug');
        INSERT INTO images VALUES (1, 1, 'a', 0, 'test', 1, 1, 1, 'a'), (2, 1, 'b', 0, 'test', 1, 1, 1, 'b'),
                                  (3, 1, 'c', 0, 'test', 1, 1, 1, 'c'), (4, 1, 'd', 0, 'test', 1, 1, 1, 'd');
        INSERT INTO experiments VALUES (1, 'e', 1, 'p', '{}', 0);
        INSERT INTO contestants VALUES (1, 1, 'c', 'fine-tuned', 'm', 1, '', 'text', NULL);
        INSERT INTO predictions VALUES (1, 1, 'Pug', 0, 'answered', 90.0, 5, 1, NULL, 0);
        INSERT INTO latencies VALUES (1, 1, 90.0, 0, 0);
        PRAGMA user_version = 1;
        """
    )
    connection.close()
    return path


def answered(image, **more):
    return Prediction(image, "Pug", 0, Outcome.ANSWERED, 80.0, **more)


def test_an_older_store_is_taken_over(old):
    store = Store(old)
    found = store.predictions.of(1)[1]
    assert (found.latency_ms, found.first_ms, found.total_ms, found.attempts) == (90.0, None, None, 0)
    assert store.predictions.latencies(1) == {1: 90.0}
    assert store.predictions.timings(1) == []  # nobody wrote down how often it was asked
    store.close()


def test_times_of_all_attempts_are_kept(old):
    store = Store(old)
    store.predictions.add(1, [answered(2, first_ms=80.0, total_ms=81.0, attempts=1)])
    store.predictions.add(1, [answered(3, total_ms=1200.0, attempts=3)])
    store.predictions.add_latency(1, 2, 80.0, total_ms=81.0, attempts=1)  # the same request, asked alone
    store.predictions.add_latency(1, 4, 70.0, total_ms=600.0, attempts=2)  # a probe of one that answers in batches
    assert store.predictions.of(1)[3] == answered(3, total_ms=1200.0, attempts=3)
    assert store.predictions.timings(1) == [
        Timing(80.0, 81.0, 1, single=True),
        Timing(None, 1200.0, 3),
        Timing(None, 600.0, 2, single=True),
    ]
    # Another request about an image that was also scored among many others is of its own kind.
    store.predictions.add_latency(1, 3, 75.0, total_ms=75.5, attempts=1)
    assert Timing(75.0, 75.5, 1, single=True) in store.predictions.timings(1)
    assert Timing(None, 1200.0, 3) in store.predictions.timings(1)
    store.close()


def test_an_answer_replaces_a_failure_with_its_times(old):
    store = Store(old)
    store.predictions.add(1, [Prediction(2, None, None, Outcome.FAILED, error="x", total_ms=9.0, attempts=8)])
    assert store.predictions.timings(1) == []  # it was never answered
    store.predictions.add(1, [answered(2, first_ms=80.0, total_ms=81.0, attempts=1)])
    assert store.predictions.timings(1) == [Timing(80.0, 81.0, 1)]
    store.close()


def test_a_score_names_how_many_images_are_of_the_most_frequent_class(store, tmp_path):
    experiment(store, tmp_path / "pets", each=3)
    zero_shot, cnn = store.predictions.scores()
    assert (zero_shot.n, zero_shot.majority, cnn.majority, cnn.right) == (6, 3, 3, 5)
    line = _line(store.experiments.views()[0], [zero_shot, cnn], 60).plain
    assert "cnn 83.3%" in line
    constant = replace(cnn, right=3)
    assert "cnn" not in _line(store.experiments.views()[0], [constant], 60).plain
