"""A job goes to the resource that it was started on, or waits; never to what the settings of another shell mean."""

import os

import pytest

from engine.azure.connection import Endpoint
from engine.engine import at_rest
from engine.errors import ForeignResource
from engine.jobs import scheduler, service
from engine.jobs.binding import ResourceBinding
from engine.states import JobState
from engine.store import Store
from engine.store.experiments import NewContestant, NewJob
from tests.conftest import Emulator, wait_for

A, B = "https://a.openai.azure.com", "https://b.openai.azure.com"
ZERO_SHOT = NewContestant("zero-shot", "zero-shot", "gpt-4o", False, "Which?", "json")


@pytest.fixture
def no_spawn(monkeypatch):
    """Queue jobs without starting processes; what would have been started is returned."""
    started = []

    class Process:
        pid = os.getpid()

    monkeypatch.setattr(scheduler, "detach", lambda module, arguments, log: started.append(arguments) or Process)
    return started


def key_of(endpoint):
    return f"key-of-{endpoint[8]}"


def means(monkeypatch, endpoint, **more):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", endpoint)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", key_of(endpoint))
    for name, value in more.items():
        monkeypatch.setenv(name, value)


def add(store, *, needs=(), resource=True, kind="batch", name="e"):
    bound = {"resource": ResourceBinding(A, "sub-a", "group-a", "account-a", "https://management.azure.com").plain()}
    parameters = {"profile": "azure", "deployment": "d", **(bound if resource else {})}
    jobs = [NewJob(kind, parameters, 0), NewJob("score", parameters, 0, needs=(0,))][: 1 + len(needs)]
    return store.experiments.add(name, dataset=None, profile="azure", spec="", contestants=[ZERO_SHOT], jobs=jobs)


@pytest.mark.parametrize(
    ("endpoint", "same"),
    [
        (A, True),
        (A + "/", True),
        (A + "/openai/v1/", True),
        ("https://A.openai.azure.com:443", True),
        ("https://a.cognitiveservices.azure.com", True),
        (B, False),
        ("http://a.openai.azure.com:8080", False),
        ("https://a.openai.azure.com.evil.example", False),
        ("https://evil.example/a.openai.azure.com", False),
    ],
)
def test_which_endpoints_are_of_the_same_resource(endpoint, same):
    assert ResourceBinding.of(Endpoint(A)).matches(endpoint) is same


def test_the_loopback_is_told_apart_by_its_port():
    assert not ResourceBinding.of(Endpoint("http://127.0.0.1:1")).matches("http://127.0.0.1:2")


def test_a_watcher_of_another_resource_leaves_a_ready_job_to_whoever_can_reach_its_resource(
    store, home, no_spawn, monkeypatch
):
    number, next_one = add(store, needs=(0,))
    means(monkeypatch, B)
    for _ in range(3):
        scheduler.advance(store, home)
    view = store.jobs.view(number)
    assert (view.state, view.note) == ("waiting", f"waits for a dogcls-tui with the settings of {A}")
    assert [line.message for line in store.jobs.lines(number)] == [view.note]  # logged once
    assert at_rest(store.jobs.views()) and no_spawn == []
    means(monkeypatch, A)
    scheduler.advance(store, home)
    assert store.jobs.view(number).state == "queued" and len(no_spawn) == 1
    assert store.jobs.view(next_one).state == "waiting" and not at_rest(store.jobs.views())


def test_resume_elsewhere_is_refused_by_name_and_changes_nothing(store, home, no_spawn, monkeypatch):
    (number,) = add(store)
    assert store.jobs.change(number, JobState.PAUSED, expected=(JobState.WAITING,), message="paused")
    means(monkeypatch, B)
    with pytest.raises(ForeignResource, match=rf"Job {number} belongs to {A}; the settings now mean {B}\.") as caught:
        scheduler.resume(store, home, number)
    assert A in caught.value.cure
    assert store.jobs.view(number).state == "paused" and no_spawn == []
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT")
    with pytest.raises(ForeignResource, match="The profile 'azure' has no endpoint"):
        scheduler.resume(store, home, number)
    means(monkeypatch, A + "/openai/v1")
    assert scheduler.resume(store, home, number) == [number]


def test_any_profile_that_means_the_resource_gives_the_credential(store, home, monkeypatch):
    job = store.jobs.get(add(store)[0])
    (home.root / "settings.toml").write_text(f'[profiles.lab]\nendpoint = "{A}/"\napi_key = "key-of-a"\n')
    means(monkeypatch, B)
    place = service.endpoint_of(home, job)
    assert (place.endpoint, place.api_key) == (A, "key-of-a")


def test_the_account_is_the_jobs_own_and_only_the_credential_is_the_settings(store, home, monkeypatch):
    job = store.jobs.get(add(store)[0])
    means(monkeypatch, A, AZURE_OPENAI_ACCOUNT="account-b", AZURE_SUBSCRIPTION_ID="sub-b", AZURE_RESOURCE_GROUP="g-b")
    place = service.endpoint_of(home, job)
    assert (place.subscription, place.resource_group, place.account) == ("sub-a", "group-a", "account-a")
    assert place.api_key == key_of(A)


def test_no_secret_is_kept_with_a_job(monkeypatch):
    kept = ResourceBinding.of(Endpoint(A, api_key="sesame", account="x")).plain()
    assert "sesame" not in str(kept) and "api_key" not in kept
    assert ResourceBinding.read({"profile": "azure", "resource": kept}).matches(A)


def test_jobs_of_an_older_version_are_bound_together_the_first_time(store, home):
    first, second = add(store, needs=(0,), resource=False)
    (other,) = add(store, resource=False, name="f")
    store.bindings.bind(first, ResourceBinding(A).plain())
    store.bindings.bind(second, ResourceBinding(B).plain())  # it has one already
    assert [ResourceBinding.read(store.jobs.get(n).parameters) for n in (first, second)] == [ResourceBinding(A)] * 2
    assert ResourceBinding.read(store.jobs.get(other).parameters) is None


def test_the_demo_belongs_to_the_homes_own_emulator_whatever_its_port(store, home, monkeypatch):
    parameters = {"profile": "demo"}
    (number,) = store.experiments.add(
        "d", dataset=None, profile="demo", spec="", contestants=[ZERO_SHOT], jobs=[NewJob("batch", parameters, 0)]
    )
    means(monkeypatch, B)
    assert service.unreachable(home, store.jobs.get(number)) is None


# -- two emulators, two environments, real workers


@pytest.fixture
def two(emulator, tmp_path, backbones):
    """Two resources; the ledger of each."""
    other = Emulator(tmp_path / "other", backbones)
    yield emulator, other
    other.stop()


def paid(place):
    return {name: len(rows) for name, rows in place.ledger().items() if isinstance(rows, list)}


def shell(monkeypatch, place):
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("how", ["environment", pytest.param("dotenv", marks=pytest.mark.full)])
def test_a_job_that_was_started_on_one_resource_is_never_continued_on_another(
    two, dogcls, warm_home, dogs, tmp_path, monkeypatch, how
):
    a, b = two
    home = warm_home.root
    assert dogcls(home, "data", "add", dogs, "--name", "dogs", "--train", "2", "--val", "1", "--test", "2")[0] == 0
    shell(monkeypatch, a)
    assert dogcls(home, "run", "--dataset", "dogs", "--contestants", "zero-shot", "--detach", "--yes")[0] == 0
    store = Store(warm_home.store)
    try:
        wait_for(lambda: all(view.state not in ("waiting", "queued") for view in store.jobs.views()))
        number = next(view.id for view in store.jobs.views() if view.kind == "batch")
        dogcls(home, "cancel", number)
        wait_for(lambda: store.jobs.view(number).state in ("cancelled", "succeeded"))
        with store.db.transaction() as db:  # as it is after a cancel that came in time
            db.execute("DELETE FROM predictions")
            db.execute("UPDATE jobs SET state = 'interrupted' WHERE id = ?", (number,))
        spent = paid(b)
        if how == "environment":
            shell(monkeypatch, b)
        else:
            for name in b.environment():
                monkeypatch.delenv(name)
            (tmp_path / ".env").write_text("".join(f"{k}={v}\n" for k, v in b.environment().items()))
            monkeypatch.chdir(tmp_path)
        code, _, err = dogcls(home, "resume", number, "--yes")
        assert code == 3, err
        assert f"Job {number} belongs to {a.endpoint}; the settings now mean {b.endpoint}." in err
        assert store.jobs.view(number).state == "interrupted"
        with store.db.transaction() as db:  # it is ready, and B only watches
            db.execute("UPDATE jobs SET state = 'waiting' WHERE id = ?", (number,))
        scheduler.advance(store, warm_home)
        assert store.jobs.view(number).note == f"waits for a dogcls-tui with the settings of {a.endpoint}"
        assert paid(b) == spent
        shell(monkeypatch, a)
        scheduler.advance(store, warm_home)
        wait_for(lambda: store.jobs.view(number).state == "succeeded")
        assert paid(b) == spent
    finally:
        store.close()


def test_a_worker_with_the_environment_of_another_resource_leaves_its_job_waiting(two, warm_home, monkeypatch):
    """However it was started: nothing fails, and nothing is sent to the other resource."""
    _, b = two
    store = Store(warm_home.store)
    try:
        parameters = {"profile": "azure", "deployment": "d", "model": "gpt-4o-2024-08-06", "tuned_model": "x.ft-y"}
        parameters["resource"] = ResourceBinding(A).plain()
        (number,) = store.experiments.add(
            "e", dataset=None, profile="azure", spec="", contestants=[ZERO_SHOT], jobs=[NewJob("deploy", parameters, 0)]
        )
        spent = paid(b)
        shell(monkeypatch, b)
        scheduler.start(store, warm_home, number)
        wait_for(lambda: store.jobs.view(number).waits_for_settings)
        assert store.jobs.view(number).error is None and paid(b) == spent
    finally:
        store.close()
