"""The plans of random chaos: a round depends on the seed and its number only, and every action has its turn."""

import subprocess
import sys
from collections import Counter

from tests.conftest import ROOT
from tests.process.random_chaos import ACTIONS, EXPERIMENTS, OUTAGES, SPEEDS, plan


def test_a_round_depends_on_the_seed_and_its_number_only():
    command = [sys.executable, "-m", "tests.process.random_chaos", "--plan", "--seed", "5", "--only", "7"]
    outputs = {
        subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert plan(5, 7) == plan(5, 7) != plan(5, 8)
    assert plan(5, 7) != plan(6, 7)


def test_in_200_rounds_everything_has_its_turn():
    rounds = [plan(1, number) for number in range(1, 201)]
    assert {one["experiment"] for one in rounds} == set(EXPERIMENTS)
    assert {one["speed"] for one in rounds} == set(SPEEDS)
    assert {one["ending"] for one in rounds} == {"resume", "cancel", "cancel and resume"}
    actions = Counter(action for one in rounds for _, action, *_ in one["actions"])
    assert set(actions) == set(ACTIONS) and min(actions.values()) >= 10
    details = {detail for one in rounds for _, action, detail, _ in one["actions"] if action == "outage"}
    assert details == set(OUTAGES)
