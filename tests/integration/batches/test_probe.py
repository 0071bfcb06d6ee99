"""A probe measures what answers; one that was refused every time has failed, with the service's reason."""

import os

import pytest

from engine.errors import JobError
from engine.jobs.context import Context
from engine.jobs.kinds import probe
from engine.jobs.process import start_time
from engine.states import JobKind, JobState
from engine.store.experiments import NewContestant, NewJob


def claimed(world, deployment):
    """Return a probe job on a deployment, as its worker has it."""
    world.make(3)
    parameters = world.store.jobs.get(world.job).parameters | {"deployment": deployment, "probe": 2}
    who = NewContestant("z", "zero-shot", "gpt-4o-2024-08-06", True, "Which of {labels}?", "json")
    (job,) = world.store.experiments.add(
        "probe",
        dataset="dogs",
        profile="azure",
        spec="",
        contestants=[who],
        jobs=[NewJob(JobKind.PROBE, parameters, 0)],
    )
    jobs = world.store.jobs
    assert jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    assert jobs.claim(job, 1, os.getpid(), start_time(os.getpid()))
    return jobs.get(job)


async def test_a_probe_that_is_refused_every_time_has_failed(world):
    job = claimed(world, world.place.batch_deployment)
    refused = r"gpt-4o-batch answered none of 2 requests: .*OperationNotSupported.*AZURE_OPENAI_DEPLOYMENT_NAME"
    with Context(world.home, world.store, job) as context, pytest.raises(JobError, match=refused):
        await probe.run(context)
    assert world.store.predictions.latencies(job.contestant_id) == {}


async def test_a_probe_that_is_answered_counts_what_it_measured(world):
    job = claimed(world, world.place.deployment)
    with Context(world.home, world.store, job) as context:
        assert await probe.run(context) == {"requests": 2, "measured": 2}
    assert len(world.store.predictions.latencies(job.contestant_id)) == 2
