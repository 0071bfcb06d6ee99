"""Models: what can be asked and tuned."""

import pytest

from tests.contract.steps import BASE, items, refused, settle


async def test_models_are_listed_and_found(any_client):
    listed = await items(any_client.models.list())
    names = [model.id for model in listed]
    assert len(names) == len(set(names)) and all(model.object == "model" for model in listed)
    assert BASE in names
    one = await settle(any_client.models.retrieve(BASE))
    assert (one.id, one.object) == (BASE, "model")


def test_an_unknown_model_is_not_found(client):
    with refused(404):
        client.models.retrieve("gpt-nothing")


@pytest.mark.emulator_only("nobody deletes a model to try it")
def test_nobody_deletes_a_base_model(client):
    with refused((400, 403, 404, 405, 409, 501)):
        client.models.delete(BASE)
    assert client.models.retrieve(BASE).id == BASE


@pytest.mark.emulator_only("it needs a tuned model")
def test_a_tuned_model_is_listed(client, taught):
    assert taught.fine_tuned_model in [model.id for model in client.models.list()]
    assert client.models.retrieve(taught.fine_tuned_model).id == taught.fine_tuned_model
