"""A resume takes a corrected deployment of the same resource; of another model or resource it takes none."""

import json
import os

import pytest

from engine.azure import patience
from engine.errors import ConfigurationError, DogclsError
from engine.jobs import correcting, scheduler
from engine.jobs.binding import ResourceBinding
from engine.jobs.kinds import rounds
from engine.jobs.service import endpoint
from engine.states import JobKind, JobState
from engine.store.experiments import NewJob
from tests.integration.batches.world import Place, World

BATCH = "AZURE_OPENAI_BATCH_DEPLOYMENT_NAME"


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("place"), tmp_path_factory.mktemp("no-cache"))
    account = f"{place.subscription}/resourceGroups/{place.resource_group}/providers/Microsoft.CognitiveServices"
    for name, sku, model, version in (
        ("other-batch", "GlobalBatch", "gpt-4o", "2024-08-06"),
        ("mini-batch", "GlobalBatch", "gpt-4o-mini", "2024-07-18"),
        ("mini", "GlobalStandard", "gpt-4o-mini", "2024-07-18"),
        ("gpt-4o-2", "Standard", "gpt-4o", "2024-08-06"),
    ):
        path = f"/subscriptions/{account}/accounts/{place.account}/deployments/{name}?api-version=2024-10-01"
        model = {"format": "OpenAI", "name": model, "version": version}
        place.send("PUT", path, {"sku": {"name": sku, "capacity": 5_000_000}, "properties": {"model": model}})
    yield place
    place.stop()


@pytest.fixture
def place(emulated, monkeypatch):
    for name, value in emulated.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rounds, "EMULATED_POLL_SECONDS", 0.05)
    monkeypatch.setattr(patience, "FIRST_SECONDS", 0.05)
    emulated.before = len(emulated.batches())
    yield emulated
    emulated.set(speed="instant", faults=None)


@pytest.fixture
def world(home, store, tmp_path, place):
    (tmp_path / "pictures").mkdir()
    return World(home, store, tmp_path / "pictures", place)


def put(world, state, **parameters):
    """Put the world's job into a state, with other parameters."""
    known = world.store.jobs.get(world.job).parameters | parameters
    with world.store.db.transaction() as db:
        db.execute("UPDATE jobs SET state = ?, parameters = ? WHERE id = ?", (state, json.dumps(known), world.job))


async def found(world):
    return [(c.parameter, c.old, c.new) for c in await correcting.find(world.store, world.home, [world.job])]


async def resume_corrected(world):
    """Apply what a resume would, and make the next attempt."""
    correcting.apply(world.store, await correcting.find(world.store, world.home, [world.job]))
    put(world, "interrupted")
    return await world.run()


async def test_a_batch_on_a_swapped_deployment_ends_well_after_the_correction(world, monkeypatch):
    world.make(4)
    put(world, "waiting", deployment="gpt-4o")
    with pytest.raises(DogclsError):
        await world.run()
    put(world, "failed")
    assert await found(world) == [("deployment", "gpt-4o", "gpt-4o-batch")]
    (change,) = await correcting.find(world.store, world.home, [world.job])
    assert change.sentence == f"job {world.job}: deployment gpt-4o → gpt-4o-batch"
    assert await resume_corrected(world) == {"images": 4, "unanswered": 0}
    assert world.said("deployment gpt-4o → gpt-4o-batch")


async def test_files_that_were_written_but_not_sent_name_the_corrected_deployment(world, monkeypatch):
    world.make(4)
    world.place.set(faults={"calls": [{"operation": "files.create", "kind": "503", "times": 1000}]})
    with pytest.raises(BaseException, match="interrupted"):
        await world.run(until="waiting:")
    world.place.set(faults=None)
    put(world, "interrupted")
    monkeypatch.setenv(BATCH, "other-batch")
    assert await found(world) == [("deployment", "gpt-4o-batch", "other-batch")]
    assert await resume_corrected(world) == {"images": 4, "unanswered": 0}
    (made,) = world.place.batches()[world.place.before :]
    assert made["request_counts"] == {"total": 4, "completed": 4, "failed": 0}
    assert len(world.said("now names deployment other-batch")) == 1
    (sent,) = [file for file in world.place.files() if file["id"] == made["input_file_id"]] or [None]
    assert sent is None  # it is deleted when its batch was collected


async def test_another_model_is_refused_with_a_new_experiment_as_the_fix(world, monkeypatch):
    world.make(3)
    world.store.experiments.add_served(world.contestant, "gpt-4o-2024-08-06")
    put(world, "paused", deployment="gone")
    monkeypatch.setenv(BATCH, "mini-batch")
    with pytest.raises(ConfigurationError) as refused:
        await found(world)
    assert refused.value.message == (
        "Deployment 'mini-batch' serves gpt-4o-mini-2024-07-18, not gpt-4o-2024-08-06."
        f" The answers of job {world.job} are of gpt-4o-2024-08-06."
    )
    assert refused.value.cure.startswith("Start a new experiment")
    assert world.store.jobs.get(world.job).parameters["deployment"] == "gone"


async def test_settings_that_do_not_fit_leave_a_deployment_that_does(world, monkeypatch):
    world.make(3)
    put(world, "paused")
    monkeypatch.setenv(BATCH, "gpt-4o")  # a real-time one
    assert await found(world) == []
    put(world, "paused", deployment="gone")
    with pytest.raises(ConfigurationError, match=f"takes real-time calls only.*Set {BATCH} to .*gpt-4o-batch"):
        await found(world)


async def test_what_was_paid_is_fetched_whatever_has_become_of_the_deployment(world, monkeypatch):
    world.make(2)
    world.store.jobs.intend(world.job, "batch", "round-1-0")
    world.store.jobs.made(world.job, "batch", "round-1-0", "batch_1")
    put(world, "paused", deployment="gone")
    monkeypatch.setenv(BATCH, "gone-too")
    assert await found(world) == []


async def test_a_deployment_that_was_chosen_for_the_job_is_kept_while_it_fits(world):
    world.make(3)
    put(world, "paused", deployment="other-batch", deployment_chosen=True)
    assert await found(world) == []
    put(world, "paused", deployment="gone", deployment_chosen=True)
    assert await found(world) == [("deployment", "gone", "gpt-4o-batch")]


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        (JobKind.PROBE, {"deployment": "gone"}, [("deployment", "gone", "gpt-4o")]),
        (JobKind.SCORE, {"deployment": "gone"}, [("deployment", "gone", "gpt-4o-2")]),
        (JobKind.BATCH, {"retry": "realtime", "realtime": "gone"}, [("realtime", "gone", "gpt-4o")]),
        (JobKind.BATCH, {"retry": "batch", "realtime": "gone"}, []),
        (JobKind.FINE_TUNE, {"deployment": None}, []),
    ],
    ids=["probe", "score", "batch, then real time", "real time is not used", "no deployment"],
)
async def test_each_kind_of_job(world, monkeypatch, kind, parameters, expected):
    monkeypatch.setenv("AZURE_OPENAI_FT_DEPLOYMENT_NAME", "gpt-4o-2")
    world.make(2)
    known = world.store.jobs.get(world.job).parameters
    (world.job,) = world.store.experiments.add(
        "other", dataset="dogs", profile="azure", spec="", contestants=[], jobs=[NewJob(kind, known | parameters)]
    )
    put(world, JobState.FAILED)
    assert await found(world) == expected


async def test_a_retry_in_real_time_looks_at_the_real_time_deployment_alone(world):
    world.make(2)
    with world.store.db.transaction() as db:
        db.execute("""UPDATE jobs SET result = '{"images": 2, "unanswered": 1}' WHERE id = ?""", (world.job,))
    put(world, "succeeded", deployment="gone", realtime="mini")
    (change,) = await correcting.find(world.store, world.home, [world.job], {world.job: "realtime"})
    assert change.sentence == f"job {world.job}: deployment for real-time calls mini → gpt-4o"
    correcting.apply(world.store, [change])
    assert world.store.jobs.get(world.job).parameters["realtime"] == "gpt-4o"


async def test_another_resource_is_refused_by_name(world, monkeypatch, unused_tcp_port):
    world.make(2)
    binding = ResourceBinding.of(endpoint(world.home, "azure"))
    put(world, "paused", resource=binding.plain(), deployment="gone")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(DogclsError, match=f"Job {world.job} belongs to {binding.describe()}"):
        await found(world)


async def test_an_outage_is_no_reason_against_a_resume(world, monkeypatch):
    world.make(2)
    put(world, "paused", deployment="gone")
    world.place.set(faults={"calls": [{"operation": "chat", "kind": "503", "times": 1000}]})
    assert await found(world) == []


@pytest.fixture
def started(monkeypatch):
    """Queue jobs without starting their workers; return what would have been started."""
    found = []

    class Process:
        pid = os.getpid()

    monkeypatch.setattr(scheduler, "detach", lambda module, arguments, log: found.append(arguments) or Process)
    return found


def test_the_command_shows_the_change_and_needs_a_yes(world, dogcls, started):
    world.make(2)
    put(world, "failed", deployment="gpt-4o")
    change = f"job {world.job}: deployment gpt-4o → gpt-4o-batch"
    code, _, err = dogcls(world.home.root, "resume", world.job)
    assert code == 2 and change in err and "Add --yes to accept the changed deployments" in err
    assert world.store.jobs.get(world.job).parameters["deployment"] == "gpt-4o" and not started
    code, _, err = dogcls(world.home.root, "resume", world.job, "--yes")
    assert code == 0 and change in err and f"resumed: job {world.job}" in err
    assert world.store.jobs.get(world.job).parameters["deployment"] == "gpt-4o-batch" and len(started) == 1


def test_the_command_refuses_what_does_not_fit_and_changes_nothing(world, dogcls, started, monkeypatch):
    world.make(2)
    put(world, "failed", deployment="gone")
    monkeypatch.setenv(BATCH, "gpt-4o")
    code, _, err = dogcls(world.home.root, "resume", world.job, "--yes")
    assert code == 3 and f"Set {BATCH} to a deployment that fits: gpt-4o-batch, other-batch." in err
    assert world.store.jobs.get(world.job).state == "failed" and not started
