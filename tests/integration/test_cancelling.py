"""After a cancel nothing of a job runs or costs on the service, whatever state it was in; what was paid is kept.

Jobs run here in this process until something of them is on the emulator, are cut off there and brought to a state.
The worker that cancels runs here too.
"""

import asyncio
import contextlib
import json
import os
import signal
import urllib.request

import pytest

from engine.azure.connection import Endpoint
from engine.errors import ServiceError
from engine.jobs import cancelling, kinds, plan, scheduler, worker
from engine.jobs.again import again
from engine.jobs.context import Context, Stopped
from engine.jobs.importing import add_dataset
from engine.jobs.process import start_time
from engine.jobs.spec import Spec
from engine.states import JobKind, JobState
from tests.conftest import Emulator
from tests.pictures import class_folders

SPEED = 40
"""So many times as fast as the service: what is made lives for seconds."""


class Place(Emulator):
    """An emulator that answers at random."""

    def start(self):
        self.command.append("--no-brain")
        super().start()

    def api(self, method, path, body=None):
        headers = {"api-key": self.api_key, "authorization": f"Bearer {self.api_key}"}
        data = None if body is None else json.dumps(body).encode()
        call = urllib.request.Request(
            self.endpoint + path, data, headers | {"content-type": "application/json"}, method=method
        )
        with urllib.request.urlopen(call, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def settings(self, **values):
        self.api("PATCH", "/emulator/settings", values)

    def deployments(self):
        path = f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}/providers"
        path += f"/Microsoft.CognitiveServices/accounts/{self.account}/deployments?api-version=2024-10-01"
        return [d["name"] for d in self.api("GET", path)["value"] if d["name"].startswith("dogcls-")]

    def living(self):
        """Return what runs or costs there."""
        over = ("succeeded", "completed", "failed", "expired", "cancelled")
        what = [b["id"] for b in self.api("GET", "/openai/v1/batches?limit=100")["data"] if b["status"] not in over]
        jobs = self.api("GET", "/openai/v1/fine_tuning/jobs?limit=100")["data"]
        return what + [j["id"] for j in jobs if j["status"] not in over] + self.deployments()

    def files(self):
        return [f["filename"] for f in self.api("GET", "/openai/v1/files?limit=100")["data"]]


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("cancelling"), tmp_path_factory.mktemp("no-cache"), "instant")
    yield place
    place.stop()


@pytest.fixture
def place(emulated, monkeypatch):
    for name, value in emulated.environment().items():
        monkeypatch.setenv(name, value)
    emulated.settings(faults=None, speed=SPEED)
    assert emulated.living() == []
    yield emulated
    emulated.settings(faults=None, speed="instant")


@pytest.fixture
def started(monkeypatch):
    """Start no processes; return the arguments of the workers that would have been started."""
    arguments = []

    class Process:
        pid = os.getpid()

    monkeypatch.setattr(scheduler, "detach", lambda module, given, log: arguments.append(given) or Process)
    monkeypatch.setattr(cancelling, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(worker, "guard_streams", lambda: None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield arguments
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "set"
    class_folders(folder, ("pug", "beagle"), 8)
    return folder


@pytest.fixture
def made(store, home, pictures, place):
    """Add a job of a kind; return its number."""
    add_dataset(store, home, str(pictures), "set", None, {"train": 5, "val": 1, "test": 2})
    endpoint = Endpoint(
        place.endpoint, place.api_key, deployment=place.deployment, batch_deployment=place.batch_deployment,
        subscription=place.subscription, resource_group=place.resource_group, account=place.account,
        arm_endpoint=place.arm_endpoint, emulated=True,
    )  # fmt: skip

    def add(kind, model=None):
        spec = Spec(dataset="" if kind == JobKind.DEPLOY else "set", epochs=2, batch_size=2)
        found = plan.single(kind, spec, endpoint, "azure", tuned_model=model)
        (job,) = store.experiments.add(
            f"{kind}-{len(store.experiments.views())}", dataset=spec.dataset or None, profile="azure", spec="",
            contestants=found.contestants, jobs=found.jobs,
        )  # fmt: skip
        return job

    return add


def run_until(store, home, job, there):
    """Run a job until a condition holds, then cut it off as a kill does; its state stays `running`."""
    assert store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    assert store.jobs.claim(job, store.jobs.get(job).attempt, os.getpid(), start_time(os.getpid()))
    context = Context(home, store, store.jobs.get(job))

    async def work():
        task = asyncio.create_task(kinds.run(context))
        while not there():
            assert not task.done(), task.result()
            await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    with context:
        asyncio.run(work())


def bring(store, job, state):
    if state != JobState.RUNNING:
        assert store.jobs.change(job, state, expected=(JobState.RUNNING,), message=str(state))


def cancel(store, home, job, started):
    """Cancel a job and be the worker that is started for it."""
    assert scheduler.cancel(store, job)
    scheduler.advance(store, home)
    assert [int(arguments[-2]) for arguments in started] == [job]
    assert worker.main(started.pop()) == 0


def messages(store, job):
    return " | ".join(line.message for line in store.jobs.lines(job))


@pytest.fixture
def tuned(emulated, store, home, made, place):
    """A tuned model, made once."""
    if not hasattr(emulated, "tuned"):
        place.settings(speed="instant")
        job = made(JobKind.FINE_TUNE)
        assert store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
        assert worker.main(["--home", str(home.root), str(job), "1"]) == 0
        emulated.tuned = store.jobs.get(job).result["model"]
        place.settings(speed=SPEED)
    return emulated.tuned


STATES = (JobState.PAUSED, JobState.INTERRUPTED, JobState.FAILED, JobState.CANCELLED)


@pytest.mark.parametrize("state", STATES)
def test_a_batch_is_cancelled_on_the_service_and_its_file_deleted(store, home, made, place, started, state):
    job = made(JobKind.BATCH)
    run_until(store, home, job, lambda: any(store.jobs.intents(job, "batch").values()))
    bring(store, job, state)
    assert len(place.living()) == 1
    cancel(store, home, job, started)
    assert place.living() == []
    view = store.jobs.view(job)
    assert (view.state, view.on_service, view.error) == ("cancelled", False, None)
    assert not [name for name in place.files() if store.jobs.get(job).nonce in name and name.endswith("-0.jsonl")]
    assert store.jobs.lines(job)[-1].message == "cancelled, here and on the service"
    assert not scheduler.cancel(store, job), "nothing is left of it"


@pytest.mark.parametrize("state", STATES)
def test_a_fine_tuning_job_is_cancelled_on_the_service_and_charged(store, home, made, place, started, state):
    job = made(JobKind.FINE_TUNE)
    run_until(store, home, job, lambda: store.jobs.metrics(job))
    bring(store, job, state)
    assert len(place.living()) == 1
    assert again(store, home, job).lines == (), "a resume follows what is there"
    cancel(store, home, job, started)
    (line,) = again(store, home, job).lines
    assert line.usd > 0 and "another fine-tuning job" in line.what
    assert place.living() == [] and store.jobs.get(job).state == JobState.CANCELLED
    assert store.jobs.view(job).cost_usd > 0
    assert not [name for name in place.files() if f"dogcls-{store.jobs.get(job).nonce}" in name]


@pytest.mark.parametrize("state", (*STATES, JobState.SUCCEEDED))
def test_a_deployment_is_deleted_and_its_hours_charged(store, home, made, place, started, tuned, state):
    job = made(JobKind.DEPLOY, tuned)
    there = f"dogcls-{store.jobs.get(job).nonce}"
    run_until(store, home, job, lambda: there in place.deployments())
    bring(store, job, state)
    assert again(store, home, job).lines == ()
    cancel(store, home, job, started)
    (line,) = again(store, home, job).lines
    assert line.usd == 0.85 and "created again, at $1.70 an hour" in line.what
    assert place.living() == [] and store.jobs.get(job).state == JobState.CANCELLED
    (row,) = [row for row in place.ledger()["deployments"] if row["name"] == there]
    assert row["deleted_at"]
    usd = store.jobs.view(job).cost_usd
    assert usd > 0 and f"deployment {there} deleted on the service" in messages(store, job)
    assert scheduler.recover(store) == [] and store.jobs.view(job).cost_usd == usd


@pytest.mark.parametrize("kind", [JobKind.BATCH, JobKind.FINE_TUNE])
def test_what_was_made_without_an_answer_is_found_and_cancelled(store, home, made, place, started, kind):
    job = made(kind)
    operation = "batch" if kind == JobKind.BATCH else "fine-tune"
    run_until(store, home, job, lambda: any(store.jobs.intents(job, operation).values()))
    (living,) = place.living()
    with store.db.transaction() as db:
        db.execute("UPDATE remote_calls SET remote_id = NULL")
    bring(store, job, JobState.INTERRUPTED)
    cancel(store, home, job, started)
    assert place.living() == [] and living in messages(store, job)


def test_an_intent_of_which_nothing_came_is_closed(store, home, made, place, started):
    for kind, operation, key in (("batch", "batch", "round-1-0"), ("fine-tune", "fine-tune", "round-1")):
        job = made(JobKind(kind))
        store.jobs.intend(job, operation, key)
        cancel(store, home, job, started)
        assert (store.jobs.get(job).state, store.jobs.view(job).on_service) == ("cancelled", False)


def test_a_batch_is_cancelled_although_the_jobs_folder_is_gone(store, home, made, place, started):
    import shutil

    job = made(JobKind.BATCH)
    run_until(store, home, job, lambda: any(store.jobs.intents(job, "batch").values()))
    bring(store, job, JobState.INTERRUPTED)
    shutil.rmtree(home.job(store.jobs.get(job)))
    cancel(store, home, job, started)
    assert place.living() == [] and store.jobs.get(job).state == JobState.CANCELLED


def test_what_a_batch_has_answered_is_fetched_and_charged(store, home, made, place, started):
    job = made(JobKind.BATCH)
    run_until(store, home, job, lambda: any(store.jobs.intents(job, "batch").values()))
    bring(store, job, JobState.PAUSED)
    place.settings(speed="instant")
    while place.living():
        pass
    cancel(store, home, job, started)
    (contestant,) = store.experiments.contestants(store.jobs.view(job).experiment)
    assert len(store.predictions.settled(contestant.id)) == 4
    assert store.jobs.view(job).cost_usd > 0


@pytest.mark.parametrize(("seconds", "state"), [(60.0, "running"), (0.0, "cancelling")])
def test_a_running_job_is_cancelled_by_its_own_worker_and_is_cancelling_only_if_that_takes_long(
    store, home, made, place, started, seconds, state
):
    job = made(JobKind.BATCH)
    assert store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    real, seen = kinds.run, []

    async def run(context):
        task = asyncio.create_task(real(context))
        while not any(store.jobs.intents(job, "batch").values()):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        scheduler.cancel(store, job)
        return await task

    async def cancels(context):
        seen.append((store.jobs.get(job).state, context.job.attempt))
        await original(context)

    original = kinds.cancel
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "run", run)
        patch.setattr(kinds, "cancel", cancels)
        patch.setattr(worker, "AT_ONCE_SECONDS", seconds)
        assert worker.main(["--home", str(home.root), str(job), "1"]) == 0
    assert seen[-1] == (state, 1)
    assert place.living() == [] and store.jobs.get(job).state == JobState.CANCELLED and started == []


@pytest.mark.parametrize("how", [RuntimeError("a defect"), ServiceError("503"), Stopped(None)])
def test_a_run_that_ends_otherwise_after_the_request_is_cancelled_all_the_same(
    store, home, made, place, started, monkeypatch, how
):
    job = made(JobKind.BATCH)
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")

    async def run(context):
        store.jobs.intend(job, "batch", "round-1-0")
        scheduler.cancel(store, job)
        raise how

    monkeypatch.setattr(worker, "run", run)
    worker.main(["--home", str(home.root), str(job), "1"])
    if isinstance(how, Stopped):  # the process had to end: another worker is started
        assert store.jobs.get(job).state == JobState.CANCELLING
        assert worker.main(started.pop()) == 0
    assert store.jobs.get(job).state == JobState.CANCELLED and started == []


def test_a_refusal_is_named_with_its_price_and_retried(store, home, made, place, started, tuned, monkeypatch):
    job = made(JobKind.DEPLOY, tuned)
    run_until(store, home, job, lambda: f"dogcls-{store.jobs.get(job).nonce}" in place.deployments())
    bring(store, job, JobState.INTERRUPTED)
    real, tries = kinds.cancel, []

    async def refused(context):
        tries.append(store.jobs.view(job))
        if len(tries) < 3:
            raise ServiceError("403 the resource is locked.", "Remove the lock.", status=403)
        await real(context)

    monkeypatch.setattr(kinds, "cancel", refused)
    cancel(store, home, job, started)
    assert tries[0].state == "cancelling" and "costs $1.70 an hour until it is deleted" in tries[0].note
    assert "$1.70 an hour" in tries[1].error and "the resource is locked" in tries[1].error
    assert place.living() == [] and store.jobs.view(job).error is None
    said = messages(store, job)
    assert said.count("the resource is locked") == 1 and "$1.70 an hour" in said


def test_cancelling_waits_out_an_outage(store, home, made, place, started):
    job = made(JobKind.FINE_TUNE)
    run_until(store, home, job, lambda: store.jobs.metrics(job))
    bring(store, job, JobState.FAILED)
    calls = [{"operation": op, "kind": kind, "rate": 1, "times": 3}
             for op, kind in (("fine_tuning.get", "503"), ("fine_tuning.cancel", "drop"))]  # fmt: skip
    place.settings(faults={"calls": calls})
    cancel(store, home, job, started)
    assert place.living() == [] and store.jobs.get(job).state == JobState.CANCELLED
