"""Deployments that do not fit are refused before anything is started, with the setting and the ones that fit."""

import json
import urllib.request

import pytest

from engine.azure import targets
from engine.azure.answers import same_model
from engine.azure.connection import Azure, Endpoint
from engine.azure.targets import Target, Wanted
from engine.errors import ConfigurationError
from tests.conftest import Emulator

GPT = "gpt-4o-2024-08-06"
BATCH = "AZURE_OPENAI_BATCH_DEPLOYMENT_NAME"
REALTIME = "AZURE_OPENAI_DEPLOYMENT_NAME"


class Place(Emulator):
    """An emulator that looks at no pictures, with three more deployments."""

    def start(self):
        self.command.append("--no-brain")
        super().start()

    def deploy(self, name, sku, model, version):
        account = f"{self.subscription}/resourceGroups/{self.resource_group}/providers/Microsoft.CognitiveServices"
        path = f"/subscriptions/{account}/accounts/{self.account}/deployments/{name}?api-version=2024-10-01"
        value = {
            "sku": {"name": sku, "capacity": 100},
            "properties": {"model": {"format": "OpenAI", "name": model, "version": version}},
        }
        headers = {"authorization": f"Bearer {self.api_key}", "content-type": "application/json"}
        request = urllib.request.Request(self.endpoint + path, json.dumps(value).encode(), headers, method="PUT")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("place"), tmp_path_factory.mktemp("no-cache"))
    place.deploy("mini", "GlobalStandard", "gpt-4o-mini", "2024-07-18")
    place.deploy("mini-batch", "DataZoneBatch", "gpt-4o-mini", "2024-07-18")
    place.deploy("regional", "Standard", "gpt-4o", "2024-08-06")
    yield place
    place.stop()


def endpoint(place, *, arm):
    more = {"subscription": place.subscription, "resource_group": place.resource_group, "account": place.account}
    return Endpoint(
        place.endpoint,
        place.api_key,
        deployment=place.deployment,
        batch_deployment=place.batch_deployment,
        arm_endpoint=place.arm_endpoint,
        emulated=True,
        **(more if arm else {}),
    )


async def refusal(place, wanted, *, arm=True, **swapped):
    """Return the message and the hint with which a deployment is refused; None where it fits."""
    import dataclasses

    async with Azure(dataclasses.replace(endpoint(place, arm=arm), **swapped)) as azure:
        try:
            await targets.check(azure, [wanted])
        except ConfigurationError as error:
            return error.message, error.cure
    return None


@pytest.mark.parametrize("arm", [True, False], ids=["control plane", "data plane only"])
async def test_what_fits_is_let_through(place, arm):
    assert await refusal(place, Wanted("gpt-4o-batch", True, GPT, BATCH), arm=arm) is None
    assert await refusal(place, Wanted("gpt-4o", False, GPT, REALTIME), arm=arm) is None
    assert await refusal(place, Wanted("regional", False, "gpt-4o", REALTIME), arm=arm) is None


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        (
            Wanted("gpt-4o", True, GPT, BATCH),
            "Deployment 'gpt-4o' (SKU GlobalStandard) takes real-time calls only; the job sends batches.",
            f"Set {BATCH} to a deployment that fits: gpt-4o-batch.",
        ),
        (
            Wanted("gpt-4o-batch", False, GPT, REALTIME),
            "Deployment 'gpt-4o-batch' (SKU GlobalBatch) takes batches only; the job sends real-time calls.",
            f"Set {REALTIME} to a deployment that fits: gpt-4o, regional.",
        ),
        (
            Wanted("mini-batch", True, GPT, BATCH),
            f"Deployment 'mini-batch' serves gpt-4o-mini-2024-07-18, not {GPT}.",
            f"Set {BATCH} to a deployment that fits: gpt-4o-batch."
            " Or choose the model that it serves: --model gpt-4o-mini-2024-07-18.",
        ),
        (
            Wanted("nowhere", False, GPT, "--deployment"),
            "There is no deployment 'nowhere'.",
            "Set --deployment to a deployment that fits: gpt-4o, regional.",
        ),
        (
            Wanted("gpt-4o", False, "gpt-4.1-2025-04-14", REALTIME),
            f"Deployment 'gpt-4o' serves {GPT}, not gpt-4.1-2025-04-14.",
            "Create a deployment of gpt-4.1-2025-04-14 with the SKU GlobalStandard, DataZoneStandard or Standard,"
            f" and set {REALTIME} to its name. Or choose the model that it serves: --model {GPT}.",
        ),
    ],
    ids=["real-time for batches", "batch for real time", "another model", "missing", "no deployment of the model"],
)
async def test_what_does_not_fit_is_refused_with_what_does(place, wanted, message, hint):
    assert await refusal(place, wanted) == (message, hint)


async def test_without_the_control_plane_a_free_question_shows_the_kind(place):
    swapped = {"deployment": "gpt-4o-batch", "batch_deployment": "gpt-4o"}
    assert await refusal(place, Wanted("gpt-4o", True, GPT, BATCH), arm=False, **swapped) == (
        "Deployment 'gpt-4o' takes real-time calls only; the job sends batches.",
        f"Set {BATCH} to gpt-4o-batch: the two deployments are swapped.",
    )
    assert await refusal(place, Wanted("gpt-4o-batch", False, GPT, REALTIME), arm=False, **swapped) == (
        "Deployment 'gpt-4o-batch' takes batches only; the job sends real-time calls.",
        f"Set {REALTIME} to gpt-4o: the two deployments are swapped.",
    )
    assert await refusal(place, Wanted("nowhere", True, GPT, BATCH), arm=False) == (
        "There is no deployment 'nowhere'.",
        f"Create a deployment of {GPT} with the SKU GlobalBatch or DataZoneBatch, and set {BATCH} to its name.",
    )
    assert await refusal(place, Wanted("mini", False, GPT, REALTIME), arm=False) is None  # its first answer shows it


@pytest.mark.parametrize(
    ("target", "kind", "problem"),
    [
        (Target("d", GPT, "GlobalStandard", "Failed"), "realtime", "Deployment 'd' is Failed."),
        (Target("d", GPT, "GlobalStandard", "Failed"), "missing", "Deployment 'd' is Failed."),
        (Target("d", GPT, "GlobalStandard", "Creating"), "missing", "Deployment 'd' is Creating."),
        (Target("d", GPT, "GlobalStandard", "Deleting"), "realtime", "Deployment 'd' is Deleting."),
        (Target("d", GPT, "ProvisionedManaged", "Succeeded"), "realtime", ""),
        (Target("d", GPT, "GlobalStandard", "Unheard"), "realtime", ""),
        (Target("d", f"{GPT}.ft-1-dogs", "Standard", "Succeeded"), "realtime", ""),
        (
            Target("d", "text-embedding-3-small-1", "Standard", "Succeeded", chat=False),
            "other",
            "Deployment 'd' serves text-embedding-3-small-1, which does not answer about pictures.",
        ),
        (
            Target("d", "o3-mini-2025-01-31", "GlobalStandard", "Succeeded", chat=True),
            "realtime",
            "Deployment 'd' serves o3-mini-2025-01-31, which does not answer about pictures.",
        ),
        (None, "other", "Deployment 'd' serves a model that takes no chat requests."),
        (None, "realtime", ""),
    ],
)
def test_states_and_kinds(target, kind, problem):
    assert targets._problem(Wanted("d", False, GPT, REALTIME), kind, target) == problem


def test_names_of_one_model():
    assert same_model(GPT, "gpt-4o") and same_model("GPT-4o", GPT) and same_model(f"{GPT}.ft-1", "gpt-4o")
    assert not same_model(GPT, "gpt-4o-2024-11-20")
    assert not same_model(GPT, "gpt-4o-mini-2024-07-18") and not same_model("gpt-4o", "gpt-4o-mini")
    assert not same_model(f"{GPT}.ft-1", f"{GPT}.ft-2")


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        (("launch", "batch", "--dataset", "dogs"), BATCH),
        (("run", "--dataset", "dogs", "--contestants", "zero-shot"), BATCH),
        (("launch", "score", "--dataset", "dogs", "--deployment", "gpt-4o-batch"), "--deployment"),
        (("pilot", "--dataset", "dogs", "--images", "10"), REALTIME),
    ],
    ids=["batch", "run", "score", "pilot"],
)
def test_every_start_is_refused_before_it(dogcls, place, home, dogs, monkeypatch, arguments, setting):
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(REALTIME, "gpt-4o-batch")
    monkeypatch.setenv(BATCH, "gpt-4o")
    assert dogcls(home.root, "data", "add", dogs, "--name", "dogs", "--train", "8", "--val", "3", "--test", "5")[0] == 0
    code, out, err = dogcls(home.root, *arguments, "--yes")
    assert code == 3
    assert setting in err and "a deployment that fits: " in err
    assert not out.strip() and json.loads(dogcls(home.root, "jobs", "--json")[1]) == []
