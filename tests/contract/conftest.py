"""Where the contract suite runs: the emulator, or with DOGCLS_CONTRACT=azure a resource that the environment names.

A resource is named by AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY (without it DefaultAzureCredential signs in),
AZURE_OPENAI_DEPLOYMENT_NAME, AZURE_OPENAI_BATCH_DEPLOYMENT_NAME, AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP,
AZURE_OPENAI_ACCOUNT and, for a stand-in of ARM, AZURE_ARM_ENDPOINT. What runs there costs money.
"""

import contextlib

import httpx2
import openai
import pytest

from tests.conftest import Emulator, wait_for
from tests.contract import places, steps
from tests.contract.steps import jsonl, pictures


def pytest_configure(config):
    config.addinivalue_line("markers", "emulator_only(reason): makes no sense, or costs too much, on a real resource")


def pytest_collection_modifyitems(items):
    for item in items:
        mark = item.get_closest_marker("emulator_only")
        if mark and places.ON_AZURE:
            item.add_marker(pytest.mark.skip(reason=f"not on Azure: {mark.args[0]}"))


@pytest.fixture(scope="session")
def place(request):
    """Where this run's service is."""
    if places.ON_AZURE:
        return places.Place.configured()
    return places.Place.of(request.getfixturevalue("emulator"))


@pytest.fixture(scope="module")
def own(tmp_path_factory, backbones):
    """An emulator that one module may upset."""
    emulator = Emulator(tmp_path_factory.mktemp("own"), backbones)
    yield emulator
    emulator.stop()


def patience(place):
    """Return the clients' options: what an emulator refuses is seen at once, a resource may have a bad moment."""
    return {"max_retries": 0} if place.emulated else {}


@pytest.fixture(scope="module", params=places.FLAVOURS)
def client(request, place):
    """The plain sync client of each flavour."""
    with place.client(request.param, **patience(place)) as made:
        yield made


@pytest.fixture(params=[f"{flavour}-{kind}" for flavour in places.FLAVOURS for kind in places.CLIENTS])
async def any_client(request, place):
    """The plain client of each flavour, sync and async."""
    async with contextlib.AsyncExitStack() as stack:
        made = place.client(*request.param.split("-"), **patience(place))
        if request.param.endswith("async"):
            yield await stack.enter_async_context(made)
        else:
            yield stack.enter_context(made)


@pytest.fixture(scope="module")
def arm(place):
    """Azure's sync management client."""
    with place.management() as made:
        yield made


@pytest.fixture(params=places.CLIENTS)
async def any_arm(request, place):
    """Azure's management client, sync and async."""
    if request.param == "sync":
        with place.management() as made:
            yield made
    else:
        async with place.management("async") as made:
            yield made


@pytest.fixture(scope="module")
def broom(place):
    """The clients that tidy up."""
    with place.client("dated") as client, place.management() as arm:
        yield client, arm


@pytest.fixture(autouse=True)
def tidy(place, broom):
    """What a test leaves goes when it ends: a resource holds 50 files for fine-tuning, and deployments cost money."""
    files, deployments = steps.LEFT_FILES, steps.LEFT_DEPLOYMENTS
    files.clear()
    deployments.clear()
    yield
    client, arm = broom
    for name in dict.fromkeys(deployments):
        arm.deployments.begin_delete(place.resource_group, place.account, name, **place.arm_options).result(60)
    for file in files:
        with contextlib.suppress(openai.APIStatusError):
            client.files.delete(file)


@pytest.fixture
def ask(place):
    """Ask the service in plain HTTP, for what the clients would not say."""

    def send(method, path, *, key=None, **options):
        headers = {"api-key": place.api_key if key is None else key, **options.pop("headers", {})}
        return httpx2.request(method, place.endpoint + path, headers=headers, timeout=60, **options)

    return send


def teach(place, dogs, numbers=range(10), epochs=2, **options):
    """Train a model, once for those who share it; return its job, done."""
    rows = jsonl(steps.example(path, breed) for breed, path in pictures(dogs, numbers))
    with place.client("dated") as client:
        training = client.files.create(file=("shared.jsonl", rows), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model=steps.BASE,
            training_file=training.id,
            seed=42,
            hyperparameters={"n_epochs": epochs, "batch_size": 6, "learning_rate_multiplier": 1.0},
            **options,
        )
        done = wait_for(lambda: now if (now := client.fine_tuning.jobs.retrieve(job.id)).finished_at else None)
        client.files.delete(training.id)
    assert done.status == "succeeded", done.error
    return done


@pytest.fixture(scope="session")
def taught(emulator, dogs):
    """A job that has succeeded on the shared emulator."""
    return teach(places.Place.of(emulator), dogs)


CALM = {"speed": "instant", "quota_minute": None, "faults": None}


@pytest.fixture
def settings(ask):
    """Change the settings of this module's own emulator; they are as they were when the test ends."""

    def change(**patch):
        answer = ask("PATCH", "/emulator/settings", json=patch)
        assert answer.status_code == 200, answer.text
        return answer.json()

    yield change
    change(**CALM)
