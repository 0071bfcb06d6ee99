"""Calls that go wrong in every way, alone and in pairs: a part of them; all by hand, see `fault_matrix`."""

import os

import pytest

from engine.emulator.operations import OPERATIONS as KNOWN
from tests.process.fault_matrix import CANCELLED, OPERATIONS, befall, cancel_under, cancels, pairs, scenario, singles

EVERY = int(os.environ.get("FAULT_EVERY", "23"))


def test_the_operations_are_the_emulators():
    assert set().union(*OPERATIONS.values()) <= set(KNOWN)


@pytest.mark.parametrize("kind", OPERATIONS)
def test_each_job_outlives_them(lanes, kind):
    # A step that is prime to the number of ways in which calls go wrong, so that each way has its turn.
    chosen = [*singles(kind)[::EVERY], *pairs(kind)[:: 31 * EVERY + 1]]
    found = befall(lanes, [scenario(kind, faults) for faults in chosen])
    assert {outcome.scenario.name: outcome.wrong for outcome in found if outcome.wrong} == {}


@pytest.mark.full
@pytest.mark.parametrize("kind", CANCELLED)
def test_each_job_is_cancelled_under_them(lanes, kind):
    found = lanes.map(lambda lane, one: cancel_under(lane, *one), cancels(kind))
    assert {outcome.scenario.name: outcome.wrong for outcome in found if outcome.wrong} == {}
