"""Holding a job on its way: pause, resume, cancel, delete. On an emulator of its own, slow enough to be held."""

import re

import httpx2
import pytest

from tests.contract import steps
from tests.contract.places import Place
from tests.contract.steps import ended_job, example, items, pictures, refused, settle, start_job, until, upload
from tests.pictures import KENNEL

pytestmark = pytest.mark.emulator_only("holding a job costs a training run")


@pytest.fixture(scope="module")
def place(own):
    return Place.of(own)


async def begun(client, place, dogs, **options):
    """Start a job that takes long enough; return it with its first step taken."""
    training = await upload(
        client, place, [example(path, breed) for breed, path in pictures(dogs, range(10))], "fine-tune"
    )
    options = {"n_epochs": 40, "batch_size": 1, "learning_rate_multiplier": 0.2, **options}
    job = await start_job(client, training, hyperparameters=options)

    async def stepped():
        events = await items(client.fine_tuning.jobs.list_events(job.id, limit=100))
        return any(event.message.startswith("Step 1:") for event in events)

    await until(stepped, bool)
    return await settle(client.fine_tuning.jobs.retrieve(job.id))


async def status(client, job, wanted):
    """Wait until a job is in a state, which it will not be after its end."""
    found = await until(
        lambda: client.fine_tuning.jobs.retrieve(job.id), lambda now: now.status in {wanted, *steps.JOB_ENDS}
    )
    assert found.status == wanted, found.error
    return found


async def test_pause_and_resume(any_client, any_arm, place, dogs):
    client, arm = any_client, any_arm
    job = await begun(client, place, dogs)
    assert job.status == "running"
    paused = await settle(client.fine_tuning.jobs.pause(job.id))
    assert paused.status in ("pausing", "paused")
    paused = await status(client, job, "paused")
    assert paused.fine_tuned_model is None and paused.finished_at is None
    points = await items(client.fine_tuning.jobs.checkpoints.list(job.id))
    assert points  # one at least, which can be deployed
    last = max(points, key=lambda point: point.step_number)
    await steps.deploy(arm, place, "paused", steps.deployment_body(last.fine_tuned_model_checkpoint))
    answer = await steps.first_answer(
        client, place, model="paused", messages=steps.question(pictures(dogs, [12])[0][1])
    )
    assert answer.choices[0].message.content in KENNEL
    with refused((400, 409)):
        await settle(client.fine_tuning.jobs.pause(job.id))
    resumed = await settle(client.fine_tuning.jobs.resume(job.id))
    assert resumed.status in ("resuming", "running", "pending", "queued")
    done = await ended_job(client, place, job)
    assert done.status == "succeeded"
    table = (await settle(client.files.content(done.result_files[0]))).text.splitlines()[1:]
    assert [int(row.split(",")[0]) for row in table] == list(range(1, 1601))  # no step twice, none left out
    with refused((400, 409)):
        await settle(client.fine_tuning.jobs.resume(job.id))


async def test_cancelling_a_running_job(any_client, place, dogs):
    client = any_client
    job = await begun(client, place, dogs)
    assert (await settle(client.fine_tuning.jobs.cancel(job.id))).status in ("cancelling", "cancelled")
    done = await ended_job(client, place, job)
    assert (done.status, done.fine_tuned_model) == ("cancelled", None), done.error
    for call in (client.fine_tuning.jobs.cancel, client.fine_tuning.jobs.pause, client.fine_tuning.jobs.resume):
        with refused((400, 409)):
            await settle(call(job.id))
    assert (await settle(client.delete(f"/fine_tuning/jobs/{job.id}", cast_to=httpx2.Response))).status_code == 204


async def test_a_cancelled_job_is_paid_for_what_it_did(client, place, dogs):
    job = await begun(client, place, dogs)
    client.fine_tuning.jobs.cancel(job.id)
    await ended_job(client, place, job)
    events = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=100)]
    billed = [int(re.sub(r"\D", "", text)) for text in events if text.startswith("Training tokens billed")]
    assert all(0 < tokens < 40 * 40 * 400 for tokens in billed)


async def test_a_waiting_job_cannot_be_paused_and_can_be_cancelled(client, place, dogs):
    first = await begun(client, place, dogs)
    training = await upload(
        client, place, [example(path, breed) for breed, path in pictures(dogs, range(3))], "fine-tune"
    )
    second = await start_job(client, training)
    assert client.fine_tuning.jobs.retrieve(second.id).status in ("pending", "created", "queued")
    with refused((400, 409)):
        client.fine_tuning.jobs.pause(second.id)
    with refused((400, 409)):
        client.fine_tuning.jobs.resume(second.id)
    assert client.fine_tuning.jobs.cancel(second.id).status == "cancelled"
    client.fine_tuning.jobs.cancel(first.id)
    await ended_job(client, place, first)


async def test_the_next_job_waits_for_no_paused_one(client, place, dogs):
    first = await begun(client, place, dogs)
    client.fine_tuning.jobs.pause(first.id)
    await status(client, first, "paused")
    training = await upload(
        client, place, [example(path, breed) for breed, path in pictures(dogs, range(3))], "fine-tune"
    )
    second = await start_job(client, training)
    assert (await ended_job(client, place, second)).status == "succeeded"
    client.fine_tuning.jobs.cancel(first.id)
    await status(client, first, "cancelled")
