"""What a cancel and a resume do to a job in each state, by the store only; no worker and no service."""

import os

import pytest

from engine import clock
from engine.errors import InputError
from engine.jobs import cancelling, scheduler
from engine.jobs.process import start_time
from engine.states import JobState, Request
from engine.store.experiments import NewContestant, NewJob

TUNED = NewContestant("fine-tuned", "fine-tuned", "gpt-4o-2024-08-06", True, "Which?", "text")
MODEL = {"model": "gpt-4o-2024-08-06", "profile": "demo"}


@pytest.fixture
def spawned(monkeypatch):
    """Start no processes; return the arguments of those that would have been started."""
    started = []

    class Process:
        pid = os.getpid()

    monkeypatch.setattr(scheduler, "detach", lambda module, arguments, log: started.append(arguments) or Process)
    return started


def add(store, *jobs, name="e"):
    return store.experiments.add(name, dataset=None, profile="demo", spec="", contestants=[TUNED], jobs=list(jobs))


def chain(store):
    """Add a batch, and fine-tune → deploy → score."""
    tuned = [NewJob("deploy", MODEL, 0, (1,)), NewJob("score", MODEL, 0, (2,))]
    return add(store, NewJob("batch", MODEL), NewJob("fine-tune", MODEL, 0), *tuned)


def bring(store, job, state):
    """Bring a job to a state as a worker does, whose process is this one."""
    if state == JobState.WAITING:
        return
    assert store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    attempt = store.jobs.get(job).attempt
    if state == JobState.QUEUED:
        return
    assert store.jobs.claim(job, attempt, os.getpid(), start_time(os.getpid()))
    if state != JobState.RUNNING:
        assert store.jobs.change(job, state, expected=(JobState.RUNNING,), attempt=attempt, message=state)


def call(store, job, operation="fine-tune", key="round-1", remote_id="ftjob-1"):
    store.jobs.intend(job, operation, key)
    if remote_id:
        store.jobs.made(job, operation, key, remote_id)


def states(store, jobs):
    return [store.jobs.get(job).state for job in jobs]


IDLE = (JobState.WAITING, JobState.PAUSED, JobState.INTERRUPTED, JobState.FAILED, JobState.CANCELLED)


@pytest.mark.parametrize("remote_id", ["ftjob-1", None])
@pytest.mark.parametrize("state", IDLE)
def test_an_idle_job_with_something_on_the_service_is_cancelled_there_too(store, home, spawned, state, remote_id):
    (job,) = add(store, NewJob("fine-tune", MODEL))
    bring(store, job, state)
    call(store, job, remote_id=remote_id)
    assert store.jobs.view(job).on_service
    assert scheduler.cancel(store, job)
    assert store.jobs.get(job).state == JobState.CANCELLING
    assert "service" in store.jobs.lines(job)[-1].message
    scheduler.advance(store, home)
    ((*_, number, attempt),) = spawned
    assert (int(number), int(attempt)) == (job, store.jobs.get(job).attempt)
    assert store.jobs.claim(job, int(attempt), os.getpid(), start_time(os.getpid()))
    assert not store.jobs.claim(job, int(attempt), os.getpid(), start_time(os.getpid()))
    assert store.jobs.get(job).state == JobState.CANCELLING
    store.jobs.ended(job, "fine-tune", "round-1")
    assert not store.jobs.view(job).on_service


@pytest.mark.parametrize("state", IDLE)
def test_an_idle_job_without_anything_there_is_cancelled_at_once(store, home, spawned, state):
    (job,) = add(store, NewJob("fine-tune", MODEL))
    bring(store, job, state)
    expected = state not in (JobState.FAILED, JobState.CANCELLED)
    assert scheduler.cancel(store, job) is expected
    assert store.jobs.get(job).state == (JobState.CANCELLED if expected else state)
    scheduler.advance(store, home)
    assert spawned == []


def test_a_succeeded_job_has_nothing_to_cancel_but_a_deployment(store):
    tune, deploy = add(store, NewJob("fine-tune", MODEL), NewJob("deploy", MODEL))
    for job, operation in ((tune, "fine-tune"), (deploy, "deployment")):
        bring(store, job, JobState.RUNNING)
        call(store, job, operation)
        store.jobs.change(job, JobState.SUCCEEDED, expected=(JobState.RUNNING,), message="succeeded")
    assert not scheduler.cancel(store, tune)
    assert scheduler.cancel(store, deploy)
    assert states(store, (tune, deploy)) == ["succeeded", "cancelling"]


def test_a_job_whose_worker_dies_after_the_request_is_cancelled_all_the_same(store, home, spawned, monkeypatch):
    there, nothing = add(store, NewJob("fine-tune", MODEL), NewJob("train", MODEL))
    for job in (there, nothing):
        bring(store, job, JobState.RUNNING)
        assert scheduler.cancel(store, job)
        assert store.jobs.get(job).state == JobState.RUNNING
    call(store, there)
    monkeypatch.setattr(scheduler, "_lives", lambda *_: False)
    scheduler.advance(store, home)
    assert states(store, (there, nothing)) == ["cancelling", "cancelled"]
    assert [int(arguments[-2]) for arguments in spawned] == [there]


def test_a_worker_that_dies_while_cancelling_is_started_again_but_not_at_once(store, home, spawned, monkeypatch):
    (job,) = add(store, NewJob("fine-tune", MODEL))
    call(store, job)
    scheduler.cancel(store, job)
    scheduler.advance(store, home)
    scheduler.advance(store, home)
    assert len(spawned) == 1, "the one that was started lives"
    monkeypatch.setattr(scheduler, "_lives", lambda *_: False)
    scheduler.advance(store, home)
    assert len(spawned) == 1
    later = clock.now() + scheduler.RESTART_SECONDS
    monkeypatch.setattr(clock, "now", lambda: later)
    scheduler.advance(store, home)
    assert [int(arguments[-1]) for arguments in spawned] == [1, 2]
    scheduler.advance(store, home)
    assert len(spawned) == 2


def test_cancelling_once_more_takes_a_job_that_does_not_get_on_to_a_new_worker(store, home, spawned):
    (job,) = add(store, NewJob("fine-tune", MODEL))
    call(store, job)
    scheduler.cancel(store, job)
    scheduler.advance(store, home)
    assert scheduler.cancel(store, job), "it is being cancelled"
    scheduler.advance(store, home)
    assert len(spawned) == 1
    store.jobs.describe(job, "cancelling on the service", "403")
    assert scheduler.cancel(store, job)
    scheduler.advance(store, home)
    assert len(spawned) == 2
    assert int(spawned[1][-1]) > int(spawned[0][-1]), "the old worker has lost its lease"


def test_what_else_ends_with_a_job_is_named(store, home, spawned):
    _, tune, deploy, score = chain(store)
    bring(store, tune, JobState.INTERRUPTED)
    call(store, tune, remote_id="ftjob-7")
    found = " ".join(cancelling.consequences(store, home, tune))
    assert "ftjob-7 is cancelled on the service" in found
    assert f"deploy {deploy} and score {score}, which need it" in found
    assert scheduler.cancel(store, tune)
    scheduler.advance(store, home)
    assert states(store, (tune, deploy, score)) == ["cancelling", "cancelled", "cancelled"]
    assert [store.jobs.view(j).cancelled_with for j in (tune, deploy, score)] == [None, tune, deploy]


def test_the_price_an_hour_of_a_deployment_is_named_also_where_it_is_unknown(store, home):
    priced, unknown = add(store, NewJob("deploy", MODEL), NewJob("deploy", {**MODEL, "model": "gpt-9"}))
    for job in (priced, unknown):
        call(store, job, "deployment", f"dogcls-{store.jobs.get(job).nonce}", None)
    assert "costs $1.70 an hour" in cancelling.remaining_costs(store, home, store.jobs.get(priced))
    assert "an unknown sum an hour" in cancelling.remaining_costs(store, home, store.jobs.get(unknown))
    assert "$1.70 an hour" in " ".join(cancelling.consequences(store, home, priced))


@pytest.mark.parametrize("state", [JobState.WAITING, JobState.PAUSED, JobState.INTERRUPTED, JobState.FAILED])
def test_the_deployment_of_a_cancelled_score_is_deleted_unless_another_job_needs_it(store, state):
    _, _, deploy, score = chain(store)
    bring(store, deploy, JobState.RUNNING)
    call(store, deploy, "deployment", "dogcls-x", "dogcls-x")
    store.jobs.change(deploy, JobState.SUCCEEDED, expected=(JobState.RUNNING,), message="succeeded")
    bring(store, score, state)
    assert store.jobs.idle_deployments(score) == [deploy]
    (other,) = add(store, NewJob("score", MODEL, 0), name="other")
    with store.db.transaction() as db:
        db.execute("INSERT INTO needs VALUES (?, ?)", (other, deploy))
    assert store.jobs.idle_deployments(score) == []
    store.experiments.delete("other")
    assert store.jobs.idle_deployments(score) == [deploy]
    assert scheduler.cancel(store, score)
    assert states(store, (deploy, score)) == ["succeeded", "cancelling"]


def test_a_deploy_job_that_only_a_cancelled_score_needs_ends_with_it(store, home, spawned):
    _, tune, deploy, score = chain(store)
    bring(store, tune, JobState.RUNNING)
    assert f"deploy {deploy}, which only this job needs" in " ".join(cancelling.consequences(store, home, score))
    assert scheduler.cancel(store, score)
    assert states(store, (tune, deploy, score)) == ["running", "cancelled", "cancelled"]
    assert store.jobs.view(deploy).cancelled_with == score
    assert scheduler.resumed_with(store, score) == [deploy, score]


# -- resume


def test_a_resume_starts_the_job_and_no_other(store, home, spawned):
    batch, tune, *_ = chain(store)
    for job in (batch, tune):
        bring(store, job, JobState.FAILED)
    assert scheduler.resume(store, home, batch) == [batch]
    assert store.jobs.get(tune).state == JobState.FAILED


def test_a_resume_starts_what_the_job_needs_and_what_was_cancelled_because_of_it(store, home, spawned):
    batch, tune, deploy, score = chain(store)
    bring(store, batch, JobState.FAILED)
    bring(store, tune, JobState.FAILED)
    scheduler.advance(store, home)
    assert states(store, (deploy, score)) == ["cancelled", "cancelled"]
    for named in (tune, deploy, score):
        assert scheduler.resumed_with(store, named) == [tune, deploy, score]
    assert scheduler.resume(store, home, score) == [tune, deploy, score]
    assert store.jobs.get(batch).state == JobState.FAILED
    assert [store.jobs.view(j).cancelled_with for j in (deploy, score)] == [None, None]


def test_a_job_that_the_user_cancelled_is_resumed_by_its_own_number_only(store, home, spawned):
    batch, tune, deploy, score = chain(store)
    bring(store, batch, JobState.FAILED)
    scheduler.cancel(store, tune)
    scheduler.advance(store, home)
    assert scheduler.resume(store, home, batch) == [batch]
    assert store.jobs.get(tune).state == JobState.CANCELLED
    with pytest.raises(InputError, match=f"needs job {tune}, which you cancelled.*resume {tune}"):
        scheduler.resume(store, home, deploy)
    scheduler.cancel(store, score)
    assert scheduler.resume(store, home, tune) == [tune, deploy], "the score was cancelled for its own sake since"


def test_nothing_is_resumed_while_it_is_cancelled_on_the_service(store, home, spawned):
    _, tune, deploy, _ = chain(store)
    bring(store, tune, JobState.PAUSED)
    call(store, tune)
    scheduler.cancel(store, tune)
    scheduler.advance(store, home)
    for job in (tune, deploy):
        with pytest.raises(InputError, match=f"Job {tune} is still being cancelled"):
            scheduler.resume(store, home, job)


def test_a_running_or_succeeded_job_is_not_resumed(store, home, spawned):
    batch, tune, *_ = chain(store)
    bring(store, batch, JobState.SUCCEEDED)
    bring(store, tune, JobState.RUNNING)
    assert scheduler.resume(store, home, batch) == scheduler.resume(store, home, tune) == []


def test_a_request_to_pause_does_not_end_a_cancel(store, home):
    (job,) = add(store, NewJob("batch", MODEL))
    bring(store, job, JobState.RUNNING)
    call(store, job, "batch", "round-1-0", "batch_1")
    scheduler.cancel(store, job)
    assert not scheduler.pause(store, job)
    assert store.jobs.get(job).request == Request.CANCEL
