"""A job that can never be cancelled on the service can be ended here, and what may still cost there is named."""

import json
import os

import pytest

from engine import clock
from engine.errors import InputError, LostClaim
from engine.jobs import giving_up, scheduler
from engine.jobs.context import Context
from engine.jobs.deleting import delete_experiment
from engine.jobs.kinds import deploy
from engine.jobs.process import start_time
from engine.jobs.standing import standing_costs
from engine.states import JobState
from engine.store.experiments import NewJob
from tests.unit.test_cancel_rules import MODEL, add, bring, call, chain, states


@pytest.fixture(autouse=True)
def spawned(monkeypatch):
    class Process:
        pid = os.getpid()

    monkeypatch.setattr(scheduler, "detach", lambda *_: Process)


def hosted(home, store, job, hours=2):
    """Let the deployment of a job have lived for some hours, and live still."""
    call(store, job, "deployment", f"dogcls-{store.jobs.get(job).nonce}", f"dogcls-{store.jobs.get(job).nonce}")
    deploy._write_hosted(home.job(store.jobs.get(job)), [(clock.now() - hours * 3600, None)])


def test_the_job_is_cancelled_named_and_can_be_deleted(store, home):
    (job,) = add(store, NewJob("batch", MODEL))
    bring(store, job, JobState.INTERRUPTED)
    call(store, job, "batch", "batch-1", "batch_77")
    scheduler.cancel(store, job)
    store.jobs.describe(job, "cancelling on the service", "403")
    with pytest.raises(InputError, match=f"dogcls-tui cancel {job} --give-up"):
        delete_experiment(store, home, "e")
    (line,) = giving_up.remains(store, home, job)
    assert line.startswith("Batch batch_77: ") and "nothing by the hour" in line
    assert store.jobs.get(job).state == JobState.CANCELLING
    assert giving_up.give_up(store, home, job) == (line,)
    view = store.jobs.view(job)
    assert (view.state, view.on_service, view.note) == ("cancelled", False, "")
    assert line in view.error
    warning = store.jobs.lines(job)[-1]
    assert warning.level == "warning" and line in warning.message
    delete_experiment(store, home, "e")
    assert store.experiments.views() == []


@pytest.mark.parametrize(("model", "price", "closed"), [("gpt-4o-2024-08-06", "$1.70", "$3.4"), ("gpt-9", "unknown", "an unknown sum")])  # fmt: skip
def test_the_hosting_meter_is_closed_with_a_note_and_the_price_an_hour(store, home, model, price, closed):
    (job,) = add(store, NewJob("deploy", {**MODEL, "model": model}))
    bring(store, job, JobState.PAUSED)
    hosted(home, store, job)
    scheduler.cancel(store, job)
    (line,) = giving_up.give_up(store, home, job)
    assert line == f"Deployment dogcls-{store.jobs.get(job).nonce}: price an hour: {price}, until it is deleted."
    assert standing_costs(store, home) == []
    log = [(entry.level, entry.message) for entry in store.jobs.lines(job)][-2:]
    assert [level for level, _ in log] == ["warning", "warning"]
    assert f"is closed at {closed}" in log[0][1] and price in log[1][1]
    (charge,) = store.jobs.charges(job)
    assert charge.seconds == pytest.approx(7200, abs=60)
    assert charge.usd == (pytest.approx(3.4, abs=0.1) if price != "unknown" else None)
    delete_experiment(store, home, "e")


def test_a_living_worker_loses_the_job(store, home):
    (job,) = add(store, NewJob("fine-tune", MODEL))
    bring(store, job, JobState.INTERRUPTED)
    call(store, job)
    scheduler.cancel(store, job)
    scheduler.advance(store, home)
    attempt = store.jobs.get(job).attempt
    assert store.jobs.claim(job, attempt, os.getpid(), start_time(os.getpid()))
    with pytest.raises(LostClaim), Context(home, store, store.jobs.get(job)) as context:  # its last write is refused
        context.store.jobs.log(job, "still mine")
        giving_up.give_up(store, home, job)
        for write in (lambda: context.store.jobs.ended(job, "fine-tune", "round-1"), lambda: context.say("late")):
            with pytest.raises(LostClaim):
                write()
    assert store.jobs.get(job).attempt > attempt
    assert not store.jobs.change(
        job, JobState.CANCELLED, expected=(JobState.CANCELLING,), attempt=attempt, message="cancelled"
    )


def test_the_deployment_that_only_the_job_needs_is_given_up_with_it(store, home):
    _, _, deploying, score = chain(store)
    bring(store, deploying, JobState.RUNNING)
    hosted(home, store, deploying)
    store.jobs.change(deploying, JobState.SUCCEEDED, expected=(JobState.RUNNING,), message="succeeded")
    bring(store, score, JobState.FAILED)
    scheduler.cancel(store, score)
    (line,) = giving_up.give_up(store, home, score)
    assert "$1.70" in line and f"dogcls-{store.jobs.get(deploying).nonce}" in line
    assert states(store, (deploying, score)) == ["succeeded", "cancelled"]
    assert standing_costs(store, home) == []
    assert not any(view.on_service for view in store.jobs.views())
    assert line in store.jobs.lines(deploying)[-1].message and line in store.jobs.lines(score)[-1].message


@pytest.mark.parametrize("state", [JobState.WAITING, JobState.QUEUED, JobState.RUNNING, JobState.FAILED])
def test_a_job_with_a_worker_or_with_nothing_there_is_refused(store, home, state):
    (job,) = add(store, NewJob("fine-tune", MODEL))
    bring(store, job, state)
    if state in (JobState.QUEUED, JobState.RUNNING):
        call(store, job)
    with pytest.raises(InputError):
        giving_up.give_up(store, home, job)
    assert store.jobs.get(job).state == state


def test_the_command_needs_acceptance(store, home, dogcls):
    (job,) = add(store, NewJob("deploy", {**MODEL, "profile": "azure", "resource": None}))
    bring(store, job, JobState.FAILED)
    hosted(home, store, job)
    code, _, err = dogcls(home.root, "cancel", str(job), "--give-up")
    assert code == 2 and "$1.70" in err and "--yes" in err
    assert store.jobs.get(job).state == JobState.FAILED
    code, _, err = dogcls(home.root, "cancel", str(job), "--give-up", "--yes")
    assert code == 0 and "price an hour: $1.70" in err
    assert store.jobs.get(job).state == JobState.CANCELLED
    code, out, _ = dogcls(home.root, "jobs", "--json")
    assert "price an hour: $1.70" in json.loads(out)[0]["error"]
