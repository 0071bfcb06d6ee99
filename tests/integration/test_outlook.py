"""Before anything starts: the quota of whom a plan asks, and the files that a batch becomes."""

import pytest

from engine import Engine, JobKind, Spec
from engine.azure import quota
from engine.jobs import outlook
from engine.jobs.outline import command
from tests.conftest import Emulator


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    emulator = Emulator(tmp_path_factory.mktemp("outlook"), tmp_path_factory.mktemp("no-cache"), "instant")
    yield emulator
    emulator.stop()


@pytest.fixture
async def engine(home, dogs, place, monkeypatch):
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    engine = Engine(home.root)
    await engine.add_dataset(str(dogs), "dogs", train=4, val=2, test=4)
    yield engine
    engine.close()


async def told(engine, spec):
    plan, _ = await engine.plan(spec)
    return {one.kind: one for one in await engine.remote.outlook(plan)}


async def test_quota_and_files_are_told_before_the_start(engine, place):
    found = await told(engine, Spec(dataset="dogs"))
    batch, probe, score = found["batch"], found["probe"], found["score"]
    assert (batch.files, batch.requests) == (1, (await engine.dataset("dogs")).test)
    assert batch.enqueued and 0 < batch.tokens < batch.enqueued
    assert batch.sentence.startswith("1 file, ") and f"of {batch.enqueued:,} enqueued tokens" in batch.sentence
    assert probe.sentence.startswith(f"{place.deployment}: ")
    assert probe.quota.endswith("requests a minute (GlobalStandard)")
    assert score.sentence == ("a deployment to be made: 100,000 tokens and 600 requests a minute (GlobalStandard)")
    assert place.ledger()["chat_requests"]["total"] == 0


async def test_a_quota_that_is_too_small_makes_more_files_that_take_turns(engine, monkeypatch):
    async def small(azure, deployment):
        return quota.read("GlobalBatch", 1)

    monkeypatch.setattr(quota, "of", small)
    batch = (await told(engine, Spec(dataset="dogs", contestants=("zero-shot",))))["batch"]
    assert batch.files > 1 and batch.tokens > batch.enqueued == 1000
    assert "so they take turns" in batch.sentence


async def test_a_quota_is_asked_for_once(engine, monkeypatch):
    asked = []
    real = outlook.look_up

    async def counted(place, names):
        asked.append(names)
        return await real(place, names)

    monkeypatch.setattr(outlook, "look_up", counted)
    for detail in ("low", "high"):
        await told(engine, Spec(dataset="dogs", detail=detail))
    assert [set(names) for names in asked] == [{"gpt-4o-batch", "gpt-4o"}]


async def test_without_the_control_plane_the_files_are_told_and_the_quota_is_not(engine, monkeypatch):
    monkeypatch.delenv("AZURE_SUBSCRIPTION_ID")
    found = await told(engine, Spec(dataset="dogs", contestants=("zero-shot",)))
    assert found["batch"].files == 1 and found["batch"].enqueued is None
    for one in found.values():
        assert "quota not known: the control plane is not configured (AZURE_SUBSCRIPTION_ID" in one.sentence


async def test_a_deployment_that_is_not_there_and_a_plane_that_is_silent_are_said(engine, monkeypatch):
    plan, _ = await engine.plan_job(JobKind.SCORE, Spec(dataset="dogs"), deployment="nobody")
    (one,) = await engine.remote.outlook(plan)
    assert "nobody: quota not known: " in one.sentence and "could not be found" in one.sentence
    monkeypatch.setenv("AZURE_ARM_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(outlook, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(outlook, "FRESH_SECONDS", -1.0)
    (one,) = await engine.remote.outlook(plan)
    assert "quota not known: " in one.sentence


async def test_the_network_alone_asks_nobody(engine):
    plan, _ = await engine.plan(Spec(dataset="dogs", contestants=("cnn",)))
    assert await engine.remote.outlook(plan) == ()


def test_the_command_of_a_plan_says_that_images_are_converted():
    assert command(Spec(dataset="dogs", convert=True)) == "dogcls-tui run --dataset dogs --convert"
    assert command(Spec(dataset="dogs")) == "dogcls-tui run --dataset dogs"


@pytest.mark.parametrize(
    ("sku", "capacity", "expected"),
    [
        ("GlobalBatch", 30, (None, None, 30_000)),
        ("DataZoneBatch", 0, (None, None, None)),
        ("Standard", 10, (10_000, 60, None)),
        ("ProvisionedManaged", 50, (None, None, None)),
    ],
)
def test_capacity_means_something_else_for_each_sku(sku, capacity, expected):
    found = quota.read(sku, capacity)
    assert (found.tokens_a_minute, found.requests_a_minute, found.enqueued_tokens) == expected
