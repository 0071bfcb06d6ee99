"""Cancel, pause and `clean --yes` at await points: a part of them; all by `-m full` or by hand, see `stop_matrix`."""

import pytest

from tests.process.kill_matrix import SCENARIOS, TESTS, TRAINS, resolve, run
from tests.process.stop_matrix import STOPS, describe, stop_at, stop_in_turn, work_of

FEW = 193
"""Of the runs of one stop, each so many-th."""


@pytest.mark.parametrize("stop", STOPS)
def test_a_stopped_job_leaves_nothing_there_and_ends_well(lanes, explored, stop):
    work = work_of(explored, [stop], FEW, 7 * STOPS.index(stop))
    assert len(work) >= 2
    outcomes = lanes.map(stop_in_turn, work)
    assert [describe(outcome) for outcome in outcomes if outcome.wrong] == []


def test_killed_while_it_deletes_the_files_of_a_cancelled_round(lanes):
    """The round is over before its request files go: a resume would need them."""
    scenario = next(s for s in SCENARIOS if s.name == "killed before the creation, then cancelled")
    kill = (1, resolve("rounds:Round.cancel:await self._drop"), "after")
    [outcome] = lanes.map(lambda lane, one: run(lane, one, kill), [scenario])
    assert outcome.wrong == []
    assert outcome.images == f"{TESTS}/{TESTS}"


@pytest.mark.full
@pytest.mark.parametrize("stop", STOPS)
def test_at_each_point(lanes, explored, stop):
    outcomes = lanes.map(stop_in_turn, work_of(explored, [stop]))
    assert [describe(outcome) for outcome in outcomes if outcome.wrong] == []


def test_a_results_file_that_was_deleted_does_not_count_images_as_left_out(lanes):
    """Cancelled when it had succeeded on the service, then cleaned up: the events name each tenth of the 12 steps."""
    scenario = next(s for s in SCENARIOS if (s.kind, s.name) == ("fine_tune", "as it should be"))
    point = (0, resolve("fine_tune:run:steps = await stoppable(_results"), "before")
    [outcome] = lanes.map(lambda lane, one: stop_at(lane, one, point, "cancel, clean"), [scenario])
    assert outcome.wrong == []
    assert outcome.images == f"{TRAINS}/{TRAINS}"
