"""By hand, in full: cancel, pause and `clean --yes` at each await point of batch, fine-tune and deploy, in each state.

    python -m tests.process.stop_matrix [--kind batch] [--stop "kill, cancel"] [--every 5] [--lanes 2]

Each scenario of the matrix of kills is run once undisturbed, to learn which points it comes by. Then, for each point
and each stop, the worker waits or is killed there, and another shell acts: while the job runs, when it is interrupted,
or when it is paused. After every cancel nothing of the job runs or costs on the resource, our ledger shows what was
paid, and nothing more is paid. In the end the job is resumed, and every image has its answer, paid for once.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from engine.jobs import scheduler
from engine.states import JobState
from tests.process.kill_matrix import (
    CANCEL,
    KINDS,
    RETARGET,
    TESTS,
    Outcome,
    _attempt,
    explore,
    finish,
    prepared,
    resolve,
    runs,
    settle,
    verify_cancelled,
)
from tests.process.lanes import Lanes

STOPS = ("cancel", "pause", "clean", "kill, cancel", "kill, clean", "kill, pause", "pause, cancel", "pause, clean",
         "cancel, cancel", "cancel, clean")  # fmt: skip
"""What is done at a point, and then, when the job is at rest."""


def stop_at(lane, scenario, point, stop, *, keep=False):
    """Run a scenario up to a point (attempt, key, when), do what `stop` names, and resume the job to its end."""
    first, _, second = stop.partition(", ")
    number, key, when = point
    outcome = Outcome(scenario, key, when)
    outcome.stop = stop
    with prepared(lane, scenario, outcome, keep=keep) as it:

        def act(what):
            outcome.acted = True
            if what == "clean":
                if (code := lane.command(it.home, "clean", "--yes")) and not scenario.faults:
                    outcome.wrong.append(f"clean --yes ended with {code}")
            else:
                getattr(scheduler, what)(it.store, 1)

        for attempt, happenings in enumerate(scenario.attempts[: number + 1]):
            at = [[resolve(where), moment, how, 1] for where, moment, how in happenings]
            if attempt == number:
                at.insert(0, [key, when, "kill" if first == "kill" else "hold", 1])
            code = _attempt(lane, it.home, it.store, at, scenario.values, None, lambda: act(first))
        outcome.killed = code == -9 if first == "kill" else outcome.acted
        if not outcome.killed:
            outcome.wrong.append("it never came by")
        settle(lane, it.home, it.store)
        if first == "cancel":
            verify_cancelled(lane, it, scenario, outcome)
        if second and not (second == "clean" and it.state == JobState.SUCCEEDED):  # nothing needs what it has left
            act(second)
            settle(lane, it.home, it.store)
            if second == "cancel":
                verify_cancelled(lane, it, scenario, outcome)
        lane.settings(scenario.speed)  # what went wrong goes wrong no more
        more = 1 if "cancel" in stop else 0  # what is resumed after a cancel is another one on the service
        again = replace(scenario, most=scenario.most + more)
        if stop == "cancel, clean":
            again = replace(again, spare=TESTS)  # the outputs of a cancelled job may be deleted before they are read
        finish(lane, it, again, outcome, {})
    return outcome


def stop_in_turn(lane, work):
    """Try the scenarios that come by a point, each twice: some do so or not, as time has it."""
    ways, stop = work
    for scenario, point in [*ways, *ways]:
        outcome = stop_at(lane, scenario, point, stop)
        if outcome.killed:
            break
    return outcome


def work_of(explored, stops=STOPS, every=1, first=0):
    """Return (scenarios that come by a point, stop) for each point and stop, or for each so many-th of these."""
    ways = [
        [(s, point) for s, point in found if not {CANCEL, RETARGET}.intersection(s.attempts[: point[0] + 1])]
        for found in runs(explored).values()
    ]
    return [(found, stop) for found in ways if found for stop in stops][first::every]


def describe(outcome):
    verdict = "ok" if not outcome.wrong else f"WRONG {outcome.wrong}"
    where = f"{outcome.scenario.kind}, {outcome.scenario.name}: {outcome.point} {outcome.when}"
    return f"{outcome.seconds:5.1f} s  {outcome.stop:<14} {where} {verdict}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--stop", action="append", choices=STOPS)
    parser.add_argument(
        "--every", type=int, default=1, help="of the runs, each so many-th; prime to the number of stops"
    )
    parser.add_argument("--first", type=int, default=0, help="the first run that is taken")
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for everything, which then stays")
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        lanes = Lanes(folder, options.lanes)
        try:
            explored = explore(lanes, options.kind or list(KINDS))
            for outcome in explored:
                if outcome.wrong:
                    print(f"undisturbed, {outcome.scenario.kind}, {outcome.scenario.name}: {'; '.join(outcome.wrong)}")
            work = work_of(explored, options.stop or STOPS, options.every, options.first)
            outcomes = lanes.map(stop_in_turn, work, lambda outcome: print(describe(outcome), flush=True))
        finally:
            lanes.close()
    bad = [outcome for outcome in outcomes if outcome.wrong]
    print("\nstop            runs  well")
    well = Counter(outcome.stop for outcome in outcomes if not outcome.wrong)
    for stop, count in Counter(outcome.stop for outcome in outcomes).items():
        print(f"{stop:<14} {count:>5} {well[stop]:>5}")
    print(f"{len(outcomes)} stops, {len(outcomes) - len(bad)} of them well; {time.monotonic() - begun:.0f} s")
    for outcome in bad:
        print(describe(outcome))
    return 1 if bad or any(outcome.wrong for outcome in explored) else 0


if __name__ == "__main__":
    sys.exit(main())
