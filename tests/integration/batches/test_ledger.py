"""Our ledger has what the service charges: requests in real time too, of every attempt, also what is queried twice."""

import asyncio
import os

import pytest

from engine.jobs import kinds
from engine.jobs.context import Context, Stopped
from engine.jobs.process import start_time
from engine.states import JobKind, JobState
from engine.store.experiments import NewContestant, NewJob
from tests.integration.batches.world import eventually

COUNT = 20


@pytest.fixture
def attempt(world, place):
    """Do one attempt at a job of a kind; it ends as a process does that is told to, after so many answers."""
    world.make(COUNT)
    parameters = {**world.store.jobs.get(world.job).parameters, "deployment": "gpt-4o", "probe": 4}
    who = NewContestant("again", "zero-shot", "gpt-4o-2024-08-06", True, "Which of {labels}?", "json")
    jobs = dict(
        zip(
            (JobKind.PROBE, JobKind.SCORE),
            world.store.experiments.add(
                "another",
                dataset="dogs",
                profile="azure",
                spec="",
                contestants=[who],
                jobs=[NewJob(JobKind.PROBE, parameters, 0), NewJob(JobKind.SCORE, parameters, 0)],
            ),
            strict=True,
        )
    )

    async def run(kind, stop_after=None):
        store, job = world.store, jobs[kind]
        store.jobs.change(
            job,
            JobState.QUEUED,
            expected=(JobState.WAITING, JobState.INTERRUPTED, JobState.SUCCEEDED),
            message="queued",
        )
        assert store.jobs.claim(job, store.jobs.get(job).attempt, os.getpid(), start_time(os.getpid()))
        context = Context(world.home, store, store.jobs.get(job))
        with context:
            running = asyncio.create_task(kinds.run(context))
            if stop_after is None:
                await running
            else:
                await eventually(lambda: store.jobs.view(job).done >= stop_after or running.done())
                context.terminate()
                with pytest.raises(Stopped):
                    await running
        store.jobs.change(job, JobState.INTERRUPTED, expected=(JobState.RUNNING,), message="over")
        return job

    return run


def chats(place, before=(0, 0, 0)):
    rows = place.ledger()["chats"]
    total = [sum(row[name] for row in rows) for name in ("requests", "prompt_tokens", "completion_tokens")]
    return tuple(now - then for now, then in zip(total, before, strict=True))


def charged(world, *jobs):
    charges = [charge for job in jobs for charge in world.store.jobs.charges(job)]
    assert not any(charge.estimated for charge in charges)
    return sum(c.prompt_tokens for c in charges), sum(c.completion_tokens for c in charges)


async def test_what_a_probe_and_a_scoring_are_charged_is_what_the_service_charges(world, place, attempt):
    before = chats(place)
    probe = await attempt(JobKind.PROBE)
    place.set(faults={"latency": 50})
    job = await attempt(JobKind.SCORE, stop_after=3)
    place.set(faults={"calls": [{"operation": "chat", "kind": "500", "rate": 0.2, "times": 3}]})
    assert await attempt(JobKind.SCORE) == job
    requests, *tokens = chats(place, before)
    assert requests >= COUNT + 4
    assert charged(world, job, probe) == tuple(tokens)
    assert [c.key for c in world.store.jobs.charges(job)] == ["requests:1", "requests:2"]
    assert world.store.jobs.view(job).cost_usd + world.store.jobs.view(probe).cost_usd == pytest.approx(
        (tokens[0] * 2.5 + tokens[1] * 10) / 1e6
    )
