"""What cleaning up may delete, by the store: each state of a job against each thing that it has on the service."""

import pytest

from engine.engine import Engine
from engine.errors import InputError
from engine.jobs.needed import Needed, is_marked
from engine.states import JobState
from engine.store.experiments import NewContestant, NewJob

UNFINISHED = ("waiting", "queued", "running", "paused", "interrupted", "failed")
TUNED = "gpt-4o-2024-08-06.ft-0f3a"


def put(store, job_id, state, **columns):
    """Put a job into a state, whatever it takes."""
    values = {"state": state, **columns}
    with store.db.transaction() as db:
        db.execute(
            f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?", (*values.values(), job_id)
        )


def add(store, *jobs, name="e"):
    who = NewContestant("zero-shot", "zero-shot", "gpt-4o", True, "Which?", "json")
    return store.experiments.add(name, dataset=None, profile="demo", spec="", contestants=[who], jobs=jobs)


@pytest.fixture
def batch(store):
    """A batch job whose batch is on the service; return its number and nonce."""
    (job,) = add(store, NewJob("batch", {"deployment": "gpt-4o-batch", "model": "gpt-4o-2024-08-06"}))
    store.jobs.intend(job, "batch", "round-1-0")
    store.jobs.made(job, "batch", "round-1-0", "batch_7")
    return job, store.jobs.get(job).nonce


@pytest.fixture
def chain(store):
    """Fine-tuning that has succeeded, its deployment and its scoring, neither of which has begun."""
    jobs = add(
        store,
        NewJob("fine-tune", {"model": "gpt-4o-2024-08-06"}),
        NewJob("deploy", {"model": "gpt-4o-2024-08-06"}, needs=(0,)),
        NewJob("score", {"model": "gpt-4o-2024-08-06"}, needs=(1,)),
    )
    nonces = [store.jobs.get(job).nonce for job in jobs]
    put(store, jobs[0], "succeeded", result=f'{{"model": "{TUNED}-dogcls-{nonces[0]}"}}')
    return jobs, nonces


def files_of(nonce, number="round-1"):
    """Input by its name; output only by the batch that it belongs to; output of a batch whose id was never stored."""
    return {
        "input": ("file-1", f"dogcls-{nonce}-{number}-0.jsonl"),
        "output": ("file-2", "batch_7_output.jsonl", "batch_7"),
        "output of a lost id": ("file-3", "batch_8_output.jsonl", "batch_8", f"dogcls-{nonce}-{number}-0"),
    }


@pytest.mark.parametrize("state", UNFINISHED)
def test_files_of_an_unfinished_batch_are_needed(store, home, batch, state):
    job, nonce = batch
    put(store, job, state)
    for what, names in files_of(nonce).items():
        assert Needed(store, home).reason("file", names) == f"needed by job {job} ({state})", what
        assert Needed(store, home).job_of(names) == job


@pytest.mark.parametrize("state", ["succeeded", "cancelled"])
def test_files_of_a_batch_at_rest_are_not(store, home, batch, state):
    job, nonce = batch
    put(store, job, state)
    for what, names in files_of(nonce).items():
        assert Needed(store, home).reason("file", names) == "", what
        assert Needed(store, home).is_ours(names)


def test_files_of_a_round_that_is_over_are_not_needed(store, home, batch):
    job, nonce = batch
    put(store, job, "failed")
    (home.job(job) / "round-1").mkdir(parents=True)
    (home.job(job) / "round-1" / "over").touch()
    for what, names in files_of(nonce).items():
        assert Needed(store, home).reason("file", names) == "", what
    assert Needed(store, home).reason("file", files_of(nonce, "round-2")["input"]) == f"needed by job {job} (failed)"


def test_a_tuned_model_waits_for_its_deployment_and_its_scoring(store, home, chain):
    (tune, deploy, score), (nonce, *_) = chain
    model = (f"{TUNED}-dogcls-{nonce}",)
    files = ("file-1", f"dogcls-{nonce}-round-1-train.jsonl")

    def reasons():
        needed = Needed(store, home)
        return needed.reason("model", model), needed.reason("file", files)

    assert reasons() == (f"needed by job {deploy} (waiting)", "")
    put(store, deploy, "succeeded")
    assert reasons() == (f"needed by job {score} (waiting)", "")
    put(store, score, "cancelled")
    assert reasons() == (f"needed by job {score} (cancelled) if it is resumed", "")
    put(store, score, "succeeded", result='{"unanswered": 3}')
    assert reasons() == (f"needed by job {score} (3 images without an answer)", "")
    put(store, score, "succeeded", result='{"unanswered": 0}')
    assert reasons() == ("", "")
    put(store, tune, "paused", result=None)
    assert reasons() == (f"needed by job {tune} (paused)", f"needed by job {tune} (paused)")


@pytest.mark.parametrize("state", UNFINISHED)
def test_a_deployment_that_scores_or_will_score_is_needed(store, home, chain, state):
    (_, deploy, score), (_, nonce, _) = chain
    put(store, deploy, "succeeded")
    put(store, score, state)
    assert Needed(store, home).reason("deployment", (f"dogcls-{nonce}",)) == f"needed by job {score} ({state})"
    for end in ("succeeded", "cancelled"):
        put(store, score, end, result='{"unanswered": 3}')
        assert Needed(store, home).reason("deployment", (f"dogcls-{nonce}",)) == ""


def test_what_a_job_only_calls_is_needed_while_it_is_not_at_rest(store, home):
    (score,) = add(store, NewJob("score", {"deployment": "dogcls-0123456789ab", "model": "gpt-4o"}))
    (deploy,) = add(store, NewJob("deploy", {"tuned_model": f"{TUNED}:ckpt-step-8", "model": "gpt-4o"}), name="d")
    assert Needed(store, home).reason("deployment", ("dogcls-0123456789ab",)) == f"needed by job {score} (waiting)"
    assert Needed(store, home).reason("model", (f"{TUNED}:ckpt-step-8",)) == f"needed by job {deploy} (waiting)"
    assert not Needed(store, home).is_ours(("dogcls-0123456789ab",))  # another home has made it
    put(store, score, "cancelled")
    assert Needed(store, home).reason("deployment", ("dogcls-0123456789ab",)) == ""


def test_what_other_homes_and_other_tools_made_is_not_ours(store, home, batch):
    theirs, others = ("file-4", "dogcls-00112233aabb-round-1-0.jsonl"), ("file-5", "cats.jsonl")
    assert not Needed(store, home).is_ours(theirs) and is_marked(theirs)
    assert not Needed(store, home).is_ours(others) and not is_marked(others)
    assert is_marked((f"{TUNED}-dogcls-00112233aabb",))


async def test_an_experiment_is_not_deleted_while_its_job_has_something_on_the_service(home, store, batch):
    job, nonce = batch
    engine = Engine(home.root)
    try:
        put(store, job, "paused")
        with pytest.raises(InputError, match=rf"Job {job} \(paused\) of 'e' may still run .* on the service.*Cancel"):
            await engine.delete_experiment("e")
        put(store, job, JobState.CANCELLED)
        with pytest.raises(InputError, match=f"Job {job} .* may still run and cost on the service"):
            await engine.delete_experiment("e")
        store.jobs.ended(job, "batch", "round-1-0")
        await engine.delete_experiment("e")
        assert store.jobs.views() == []
        for what, names in files_of(nonce).items():
            if what != "output":  # the store has forgotten the batch's id; its mark and its input lead to the nonce
                assert Needed(store, home).is_ours(names), what
            assert Needed(store, home).reason("file", names) == ""
    finally:
        engine.close()
