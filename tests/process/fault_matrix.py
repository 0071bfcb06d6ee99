"""By hand, in full: calls that go wrong in every way, alone and in pairs, under each kind of job.

    python -m tests.process.fault_matrix [--every 20] [--kind batch --kind fine_tune] [--only cancelled] [--patience 10]

A fault is an operation of the service and a way in which one call of it goes wrong. The job has to end well all the
same, if need be when it is resumed (a key that was refused ends an attempt), and to pay for each thing once. Where the
calls go wrong while a running or an interrupted job is cancelled, nothing of it runs or costs on the resource after.
"""

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path

from engine.jobs import scheduler
from tests.process.kill_matrix import (
    SLOW,
    Outcome,
    Scenario,
    _attempt,
    fault,
    finish,
    prepared,
    resolve,
    run,
    settle,
    verify_cancelled,
)
from tests.process.lanes import Lanes

FILES = ("files.list", "files.create", "files.get", "files.content")
OPERATIONS = {
    "batch": (*FILES, "files.delete", "batches.create", "batches.list", "batches.get"),
    "fine_tune": (
        *FILES,
        *(f"fine_tuning.{name}" for name in ("create", "list", "get", "events", "checkpoints")),
    ),
    "deploy": ("deployments.put", "deployments.get", "chat"),
}
"""What each job calls. Some only where another answer was lost: in pairs these come together."""
KINDS = ("401", "408", "429", "500", "502", "503", "refuse", "drop", "hang")
PATIENCE_SECONDS = 3.0
"""A call that hangs is given up after so long; a busy machine needs more, or takes slow calls for such."""


def quick(patience):
    """Return the waits that are long for the service's sake, by their names."""
    waits = ("connection.TIMEOUT_SECONDS", "connection.ARM_SECONDS", "connection.CHECK_SECONDS", "files.UPLOAD_SECONDS")
    first = {"engine.azure.patience.FIRST_SECONDS": 0.05, "engine.jobs.cancelling.FIRST_SECONDS": 0.2}
    return {**first, **{f"engine.azure.{name}": patience for name in waits}}


def singles(kind):
    """Return each fault of a job."""
    return [(one,) for one in itertools.product(OPERATIONS[kind], KINDS)]


def pairs(kind):
    """Return each two faults of a job; of one operation, they befall its first two calls."""
    return list(itertools.combinations(itertools.product(OPERATIONS[kind], KINDS), 2))


CANCELLED = {
    "batch": ("rounds:Round._poll:0", "after", ("batches.list", "batches.get", "batches.cancel", "files.content")),
    "fine_tune": (
        "fine_tune:_poll:await context.sleep",
        "before",
        tuple(f"fine_tuning.{name}" for name in ("list", "get", "cancel", "events")),
    ),
    "deploy": ("deployments:wait_ready:0", "after", ("deployments.get", "deployments.delete")),
}
"""Where each job is when it is cancelled, and what its cancelling calls."""
STATES = ("running", "interrupted")


def cancels(kind):
    """Return each fault of the cancelling of a job, for each state in which it is cancelled."""
    return [(kind, one, state) for one in itertools.product(CANCELLED[kind][2], KINDS) for state in STATES]


def cancel_under(lane, kind, one, state, patience=PATIENCE_SECONDS):
    """Cancel a job while two calls of an operation go wrong, then resume it to its end."""
    where, when, _ = CANCELLED[kind]
    name = f"cancelled while {state}: {' '.join(one)}"
    plan = Scenario(name, kind, speed=SLOW, values=quick(patience), most=2)
    outcome = Outcome(plan, resolve(where), when)
    with prepared(lane, plan, outcome) as it:

        def cancel():
            lane.settings(SLOW, {"calls": [fault(*one, times=2)]})
            scheduler.cancel(it.store, 1)

        how = "hold" if state == "running" else "kill"
        _attempt(lane, it.home, it.store, [[resolve(where), when, how, 1]], plan.values, None, cancel)
        if state == "interrupted":
            cancel()
        settle(lane, it.home, it.store, values=plan.values)
        verify_cancelled(lane, it, plan, outcome)
        finish(lane, it, plan, outcome, {})
    return outcome


def scenario(kind, faults, patience=PATIENCE_SECONDS):
    """Return a run with these faults, each of which happens once."""
    name = " + ".join(f"{operation} {how}" for operation, how in faults)
    return Scenario(name, kind, faults={"calls": [fault(*one) for one in faults]}, values=quick(patience))


def befall(lanes, scenarios, told=lambda outcome: None):
    """Run them all; return the outcomes."""
    return lanes.map(lambda lane, one: run(lane, one), scenarios, told)


def _told(outcome):
    """Say at once what went wrong: a long run may be cut off."""
    if outcome.wrong:
        print(f"  wrong: {outcome.scenario.kind} {outcome.scenario.name}: {'; '.join(outcome.wrong)}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=20, help="of the pairs, each so many-th")
    parser.add_argument("--first", type=int, default=0, help="of the pairs, the first that is taken")
    parser.add_argument("--kind", choices=OPERATIONS, action="append", help="of job; all unless given")
    parser.add_argument("--only", choices=("alone", "pairs", "cancelled"), help="one of these")
    parser.add_argument("--patience", type=float, default=PATIENCE_SECONDS, help="seconds until a call is given up")
    parser.add_argument("--lanes", type=int, default=2)
    arguments = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        lanes = Lanes(Path(folder), arguments.lanes)
        bad = 0
        try:
            for kind in arguments.kind or OPERATIONS:
                sample = pairs(kind)[arguments.first :: arguments.every]
                for what, chosen in (("alone", singles(kind)), ("pairs", sample), ("cancelled", cancels(kind))):
                    if arguments.only not in (None, what):
                        continue
                    if what == "cancelled":
                        found = lanes.map(lambda lane, one: cancel_under(lane, *one, arguments.patience), chosen, _told)
                    else:
                        found = befall(lanes, [scenario(kind, faults, arguments.patience) for faults in chosen], _told)
                    wrong = [outcome for outcome in found if outcome.wrong]
                    resumed = sum(outcome.attempts > 1 for outcome in found)
                    print(
                        f"{kind:<10} {what:<9} {len(found):>5} runs, {len(found) - len(wrong):>5} well,"
                        f" {resumed:>4} of them resumed",
                        flush=True,
                    )
                    for outcome in wrong:
                        print(f"    {outcome.scenario.name}: {'; '.join(outcome.wrong)}")
                    bad += len(wrong)
        finally:
            lanes.close()
    print(f"{time.monotonic() - begun:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
