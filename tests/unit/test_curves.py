"""What a run measured, as curves and as a table."""

import pytest

from engine import Metric
from tui.curves import Run, epochs, figure, smooth


def run(*values):
    """Return a run of (name, step, epoch, value)."""
    found = Run()
    found.add(Metric(1, name, step, epoch, value, float(step)) for name, step, epoch, value in values)
    return found


def test_the_last_value_of_an_epoch_stands_newest_first():
    told = run(("train_loss", 5, 0.5, 3.0), ("train_loss", 10, 1.0, 2.0), ("train_loss", 20, 2.0, 1.0),
               ("val_loss", 20, 2.0, 1.5))  # fmt: skip
    assert epochs(told, None) == (["epoch", "loss", "val loss"], {"2": ["2", "1", "1.5"], "1": ["1", "2", ""]})


def test_epochs_follow_from_steps_where_their_number_is_known():
    told = run(("train_loss", 1, None, 4.0), ("train_loss", 107, None, 2.0), ("train_loss", 214, None, 1.0))
    assert epochs(told, 2.0)[1] == {"2": ["2", "1"], "1": ["1", "2"]}


def test_steps_where_nobody_knows_the_epochs():
    told = run(("train_loss", 1, 1.0, 4.0), ("val_loss", 2000, None, 2.0))
    assert epochs(told, None) == (["step", "loss", "val loss"], {"2000": ["2,000", "", "2"], "1": ["1", "4", ""]})


def test_nothing_measured_and_nothing_but_a_first_step():
    assert epochs(Run(), 2.0) == (["epoch"], {})
    assert epochs(run(("train_loss", 0, None, 4.0)), 2.0)[1] == {"1": ["1", "4"]}


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (0.0, "0"), (0.00001847, "1.85e-05"), (0.91249, "0.9125"), (54_321.0, "54,321")]
)
def test_figures(value, shown):
    assert figure(value) == shown


def test_smoothing_begins_at_the_first_value_and_keeps_a_constant():
    assert smooth([3.0, 3.0, 3.0], 0.9) == pytest.approx([3.0, 3.0, 3.0])
    assert smooth([1.0, 2.0], 0.0) == [1.0, 2.0]
    first, second = smooth([0.0, 1.0], 0.6)
    assert (first, second) == (0.0, pytest.approx(0.4 / 0.64))


def test_a_curve_by_epoch_and_by_time():
    told = run(("train_loss", 60, None, 2.0), ("train_loss", 120, None, 1.0))
    assert told.curve("train_loss", "epoch", 0.0, 2.0) == ([1.0, 2.0], [2.0, 1.0])
    assert told.curve("train_loss", "minutes", 0.0, None) == ([0.0, 1.0], [2.0, 1.0])


def test_of_two_names_of_one_measure_the_first_is_drawn():
    told = run(("loss", 1, 0.1, 3.0), ("train_loss", 10, 1.0, 2.0), ("val_loss", 10, 1.0, 2.5))
    assert told.names("loss") == [("loss", "training"), ("val_loss", "validation")]
    assert told.names("MB of memory") == []
    assert (told.best("val_loss"), told.best("val_accuracy")) == (2.5, None)


def test_an_epochs_mean_stands_over_its_last_batch():
    told = run(("loss", 1, 0.5, 3.0), ("train_loss", 2, 1.0, 2.0), ("loss", 2, 1.0, 1.0), ("loss", 3, 1.5, 0.5),
               ("memory_mb", 3, 1.5, 372.5))  # fmt: skip
    assert epochs(told, None) == (["epoch", "loss", "MB"], {"2": ["2", "0.5", "372.5"], "1": ["1", "2", ""]})
