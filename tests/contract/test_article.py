"""The article's whole sequence, with each flavour and each kind of client; and the suite on a configured resource."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.contract import places
from tests.contract.article import article, main
from tests.contract.places import CLIENTS, FLAVOURS, Place


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_the_articles_sequence(place, dogs, tmp_path, flavour, kind):
    if not place.emulated and (flavour, kind) != ("dated", "sync"):
        pytest.skip("not on Azure: one training run is paid for, not four")
    said = []
    zero_shot, tuned = await article(place, flavour, kind, dogs, tmp_path, said.append)
    assert said[-1].endswith(f"zero-shot {zero_shot:.1%}, fine-tuned {tuned:.1%}")
    if place.emulated:  # it looks at the pictures: chance is a quarter
        assert zero_shot >= 0.4 and tuned >= 0.5
        assert not any("costs money" in text for text in said)


def configured(emulator, **more):
    """Return the environment of somebody who has a resource, which here is an emulator."""
    kept = {name: value for name, value in places.ENVIRONMENT.items() if not name.startswith(("AZURE_", "DOGCLS_"))}
    return {**kept, **emulator.environment(), "DOGCLS_CONTRACT": "azure", "DOGCLS_CONTRACT_LOOK": "0.05", **more}


@pytest.mark.emulator_only("it is about a resource that is none")
class TestAConfiguredResource:
    """The path to a real resource, taken to an emulator that stands alone."""

    def test_the_suite_runs_there(self, emulator):
        chosen = ["test_auth.py", "test_faults.py", "test_article.py::test_the_articles_sequence", "test_models.py"]
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *chosen],
            cwd=ROOT / "tests" / "contract",
            env=configured(emulator),
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert ran.returncode == 0, ran.stdout
        assert re.search(r"\d+ passed", ran.stdout)
        assert "not on Azure: needs the emulator's own routes" in ran.stdout
        assert "not on Azure: one training run is paid for, not four" in ran.stdout

    def test_the_script_says_that_it_costs_money(self, emulator):
        ran = subprocess.run(
            [sys.executable, "-m", "tests.contract.article", "--flavour", "v1", "--client", "async"],
            cwd=ROOT,
            env=configured(emulator),
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        steps = ran.stdout.splitlines()
        assert "costs money" in steps[0]
        assert [re.search(r"costs money: (\w+)", step)[1] for step in steps if " s  costs" in step] == [
            "16",
            "training",
            "the",
        ]
        assert "accuracy over 16 images" in steps[-1]

    def test_the_script_ends_with_1_at_a_deviation(self, emulator):
        ran = subprocess.run(
            [sys.executable, "-m", "tests.contract.article"],
            cwd=ROOT,
            env=configured(emulator, AZURE_OPENAI_BATCH_DEPLOYMENT_NAME=emulator.deployment),
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert ran.returncode == 1, ran.stdout
        assert ran.stdout.splitlines()[-1].startswith("deviation: Deviation: the batch ends as failed")

    def test_what_the_environment_lacks_is_named(self):
        with pytest.raises(SystemExit, match="AZURE_OPENAI_ACCOUNT"):
            Place.configured({"AZURE_OPENAI_ENDPOINT": "https://example.com"})

    def test_a_resource_is_looked_at_patiently(self, emulator):
        environment = {**emulator.environment(), "AZURE_ARM_ENDPOINT": ""}
        place = Place.configured(environment)
        assert (place.look, place.look_at_batch, place.arm_options) == (30, 60, {})
        assert Place.configured(emulator.environment()).arm_options == {"enforce_https": False}


def test_the_script_starts_an_emulator_of_its_own(capsys):
    assert main(["--flavour", "v1"]) == 0
    assert "nothing costs money" in capsys.readouterr().out
