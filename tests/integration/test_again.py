"""A job that ended well, but for some images, asks about these again when it is resumed, and about nothing else."""

import itertools
import json
import time
import urllib.request

import pytest

from engine import Engine, InputError, JobKind, Spec
from engine.states import JobState, Outcome
from engine.store import Store
from tests.conftest import Emulator

TESTS = 16


class Place(Emulator):
    """An emulator that answers at random, and loses what the test says."""

    def start(self):
        self.command.append("--no-brain")
        super().start()

    def faults(self, **faults):
        headers = {"api-key": self.api_key, "content-type": "application/json"}
        body = json.dumps({"faults": faults or None}).encode()
        request = urllib.request.Request(f"{self.endpoint}/emulator/settings", body, headers, method="PATCH")
        urllib.request.urlopen(request, timeout=10).close()

    def paid(self):
        """Return how many requests were paid for: in batches, and singly."""
        ledger = self.ledger()
        return sum(batch["requests"] for batch in ledger["batches"]), ledger["chat_requests"]["total"]


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("again"), tmp_path_factory.mktemp("no-cache"), "instant")
    yield place
    place.stop()


@pytest.fixture
def place(emulated, monkeypatch):
    for name, value in emulated.environment().items():
        monkeypatch.setenv(name, value)
    yield emulated
    emulated.faults()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def cli(dogcls, root, dogs, place):
    def run(*arguments):
        return dogcls(root, *arguments)

    assert run("data", "add", dogs, "--name", "dogs", "--train", "4", "--val", "2", "--test", "4")[0] == 0
    return run


def outcomes(root):
    store = Store(root / "store.db")
    try:
        (contestant,) = store.experiments.contestants(store.experiments.views()[0].name)
        found = store.predictions.counts(contestant.id)
        return sum(found.values()), found.get(Outcome.MISSING, 0) + found.get(Outcome.FAILED, 0)
    finally:
        store.close()


def ended(cli, job=1):
    until = time.monotonic() + 60
    for _ in itertools.count():
        found = {j["id"]: j for j in json.loads(cli("jobs", "--json")[1])}[job]
        if found["state"] in ("succeeded", "failed", "cancelled"):
            return found["state"]
        assert time.monotonic() < until, found
        time.sleep(0.05)


@pytest.mark.parametrize("retry", ["realtime", "batch"])
def test_only_what_has_no_answer_is_asked_again(cli, root, place, retry):
    place.faults(lost_lines=0.5)
    assert cli("launch", "batch", "--dataset", "dogs", "--retry", "none", "--yes")[0] == 0
    count, left = outcomes(root)
    assert count == TESTS and 0 < left < TESTS
    place.faults()
    batched, single = place.paid()

    code, _, err = cli("resume", "1", "--retry", retry)
    assert code == 2 and "Add --yes to accept this price" in err
    assert f"{left} image" in err and "about $0.00" in err and "the emulator's" in err
    assert ("in real time" if retry == "realtime" else "in a batch") in err
    assert place.paid() == (batched, single)

    code, _, err = cli("resume", "1", "--retry", retry, "--yes")
    assert code == 0 and "resumed: job 1" in err
    assert ended(cli) == "succeeded"
    assert outcomes(root) == (TESTS, 0)
    assert place.paid() == ((batched, single + left) if retry == "realtime" else (batched + left, single))
    assert f"{left} images without an answer are asked about again" in cli("logs", "1")[1]

    assert "nothing to resume" in cli("resume", "1", "--retry", retry, "--yes")[2]
    assert place.paid() == ((batched, single + left) if retry == "realtime" else (batched + left, single))


def test_a_resume_without_a_way_asks_as_planned(cli, root, place):
    place.faults(lost_lines=0.5)
    assert cli("launch", "batch", "--dataset", "dogs", "--retry", "none", "--yes")[0] == 0
    _, left = outcomes(root)
    place.faults()
    batched, single = place.paid()
    assert cli("resume", "1", "--yes")[0] == 0
    assert ended(cli) == "succeeded"
    assert outcomes(root) == (TESTS, 0) and place.paid() == (batched + left, single)


def test_what_cannot_be_asked_so_is_said(cli, root, place, monkeypatch):
    place.faults(lost_lines=0.5)
    monkeypatch.delenv("AZURE_OPENAI_DEPLOYMENT_NAME")
    assert cli("launch", "batch", "--dataset", "dogs", "--retry", "none", "--yes")[0] == 0
    code, _, err = cli("resume", "1", "--retry", "realtime", "--yes")
    assert code == 3 and "Set AZURE_OPENAI_DEPLOYMENT_NAME" in err
    code, _, err = cli("resume", "1", "--retry", "pigeon", "--yes")
    assert code == 2 and "Choose --retry batch or realtime" in err
    code, _, err = cli("--readonly", "resume", "1", "--yes")
    assert code == 2 and "--readonly" in err


async def test_a_score_that_left_images_asks_them_in_real_time(home, dogs, place, monkeypatch):
    engine = Engine(home.root)
    await engine.add_dataset(str(dogs), "dogs", train=4, val=2, test=4)
    spec = Spec(dataset="dogs", probe=0)
    plan, _ = await engine.plan_job(JobKind.SCORE, spec, deployment=place.deployment)
    monkeypatch.setattr("engine.jobs.scheduler.start", lambda *_: None)
    name = await engine.start(spec, plan)
    store = engine.store
    (job,) = store.jobs.views(name)
    for state in (JobState.QUEUED, JobState.RUNNING):
        before = JobState.WAITING if state == JobState.QUEUED else JobState.QUEUED
        store.jobs.change(job.id, state, expected=(before,), message="x")
    assert (await engine.browse.again(job.id)).jobs == ()
    store.jobs.change(
        job.id, JobState.SUCCEEDED, expected=(JobState.RUNNING,), message="x", result={"images": 16, "unanswered": 3}
    )
    assert (await engine.job(job.id)).unanswered == 3
    found = await engine.browse.again(job.id)
    assert found.usd > 0 and "3 images without an answer are queried again, in real time" in found.sentences[0]
    with pytest.raises(InputError, match="cannot be asked in a batch"):
        await engine.browse.again(job.id, "batch")
    assert await engine.resume(job.id) == [job.id]
    assert (await engine.job(job.id)).state == "waiting" and (await engine.job(job.id)).unanswered == 0
    assert await engine.resume(job.id) == []
    engine.close()
