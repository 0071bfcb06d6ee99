"""Deployments, with Azure's management client: made, listed, changed, deleted, and what ARM refuses."""

import time

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.contract import steps
from tests.contract.steps import (
    deploy,
    deployment_body,
    first_answer,
    items,
    pictures,
    question,
    refused,
    remove,
    settle,
)
from tests.pictures import KENNEL

pytestmark = pytest.mark.emulator_only("deployments of tuned models cost $1.70 an hour; the article's script makes one")
BODY = deployment_body("gpt-4o", version="2024-08-06")


def arm_error(caught, *statuses):
    """Check that a refusal is ARM's JSON; return its code."""
    error = caught.value
    assert error.status_code in statuses, error
    return steps.error_of(error.response)["code"]


async def test_the_life_of_a_deployment(any_arm, place, taught, dogs):
    arm, where, seen = any_arm, (place.resource_group, place.account), []
    asked = deployment_body(taught.fine_tuned_model)
    made = await deploy(arm, place, "life", asked, raw_response_hook=seen.append)
    first = seen[0].http_response
    assert first.status_code == 201
    assert "azure-asyncoperation" in {name.lower() for name in first.headers}
    assert first.json()["properties"]["provisioningState"] == "Accepted"
    assert (made.name, made.properties.provisioning_state) == ("life", "Succeeded")
    assert (made.sku.name, made.sku.capacity) == ("GlobalStandard", 50)
    found = await settle(arm.deployments.get(*where, "life", **place.arm_options))
    assert (found.properties.model.name, found.properties.model.format) == (taught.fine_tuned_model, "OpenAI")
    assert found.properties.model.version == "1"
    assert found.id.endswith(f"/accounts/{place.account}/deployments/life")
    assert found.type == "Microsoft.CognitiveServices/accounts/deployments"
    assert abs(found.system_data.created_at.timestamp() - time.time()) < 600
    rules = {rule.key: rule.count * 60 / rule.renewal_period for rule in found.properties.rate_limits}
    assert rules == {"token": 50_000, "request": 300}
    listed = {deployment.name for deployment in await items(arm.deployments.list(*where, **place.arm_options))}
    assert {"life", place.deployment, place.batch_deployment} <= listed

    with place.client("dated") as client:
        _, path = pictures(dogs, [15])[0]
        answer = await first_answer(client, place, model="life", messages=question(path))
        assert answer.choices[0].message.content in KENNEL
        assert answer.model == taught.fine_tuned_model
        await remove(arm, place, "life")
        with refused(404, "DeploymentNotFound"):
            client.chat.completions.create(model="life", messages=question(path))
    with pytest.raises(ResourceNotFoundError) as caught:
        await settle(arm.deployments.get(*where, "life", **place.arm_options))
    assert arm_error(caught, 404)
    assert "life" not in [d.name for d in await items(arm.deployments.list(*where, **place.arm_options))]
    await remove(arm, place, "life")  # what is gone is gone


async def test_it_is_accepted_first(arm, place):
    poller = arm.deployments.begin_create_or_update(
        place.resource_group, place.account, "accepted", BODY, **place.arm_options, polling=False
    )
    steps.LEFT_DEPLOYMENTS.append("accepted")
    assert poller.result().properties.provisioning_state == "Accepted"
    done = await steps.until(
        lambda: arm.deployments.get(place.resource_group, place.account, "accepted", **place.arm_options),
        lambda now: now.properties.provisioning_state == "Succeeded",
    )
    assert done.properties.model.name == "gpt-4o"


async def test_the_same_again_and_more_of_it(any_arm, place):
    await deploy(any_arm, place, "again", BODY)
    assert (await deploy(any_arm, place, "again", BODY)).sku.capacity == 50
    more = deployment_body("gpt-4o", version="2024-08-06", capacity=70)
    assert (await deploy(any_arm, place, "again", more)).sku.capacity == 70


async def test_its_model_cannot_be_changed(arm, place, taught):
    await deploy(arm, place, "fixed", BODY)
    with pytest.raises(HttpResponseError) as caught:
        await deploy(arm, place, "fixed", deployment_body(taught.fine_tuned_model))
    assert arm_error(caught, 400, 409)
    found = arm.deployments.get(place.resource_group, place.account, "fixed", **place.arm_options)
    assert (found.properties.model.name, found.properties.provisioning_state) == ("gpt-4o", "Succeeded")


@pytest.mark.parametrize(
    "body",
    [
        deployment_body("gpt-4o", version="2024-08-06", sku="Imaginary"),
        deployment_body("gpt-nothing", version="2024-08-06"),
        deployment_body("gpt-4o-2024-08-06.ft-0123456789abcdef"),
        {"sku": {"name": "GlobalStandard", "capacity": 1}, "properties": {}},
        {"properties": {"model": {"format": "OpenAI", "name": "gpt-4o", "version": "2024-08-06"}}},
        deployment_body("gpt-4o", version="2024-08-06", capacity=0),
        deployment_body("gpt-4o", version="2024-08-06", capacity=-5),
    ],
    ids=["sku", "model", "tuned", "no model", "no sku", "no capacity", "negative"],
)
async def test_what_cannot_be_deployed_is_refused(arm, place, body):
    with pytest.raises(HttpResponseError) as caught:
        await deploy(arm, place, "refused", body)
    assert arm_error(caught, 400, 404, 422)
    with pytest.raises(ResourceNotFoundError):
        arm.deployments.get(place.resource_group, place.account, "refused", **place.arm_options)


async def test_another_account_is_not_found(arm, place):
    for group, account in ((place.resource_group, "anothers"), ("anothers", place.account)):
        for call in (
            lambda g, a: list(arm.deployments.list(g, a, **place.arm_options)),
            lambda g, a: arm.deployments.get(g, a, place.deployment, **place.arm_options),
            lambda g, a: arm.deployments.begin_create_or_update(g, a, "x", BODY, **place.arm_options),
            lambda g, a: arm.deployments.begin_delete(g, a, place.deployment, **place.arm_options),
        ):
            with pytest.raises(ResourceNotFoundError) as caught:
                call(group, account)
            assert arm_error(caught, 404)
    with place.management(subscription="00000000-0000-0000-0000-000000000009") as other:
        with pytest.raises(ResourceNotFoundError) as caught:
            list(other.deployments.list(place.resource_group, place.account, **place.arm_options))
        assert arm_error(caught, 404)


async def test_a_checkpoint_can_be_deployed(arm, place, taught, dogs):
    with place.client("v1") as client:
        point = min(client.fine_tuning.jobs.checkpoints.list(taught.id), key=lambda point: point.step_number)
        await deploy(arm, place, "checkpoint", deployment_body(point.fine_tuned_model_checkpoint))
        answer = await first_answer(client, place, model="checkpoint", messages=question(pictures(dogs, [12])[0][1]))
        assert answer.choices[0].message.content in KENNEL


@pytest.mark.parametrize("sku", ["GlobalBatch", "DataZoneBatch", "Standard", "DataZoneStandard"])
async def test_kinds_of_deployments(arm, place, sku):
    name = f"kind-{sku.lower()}"
    made = await deploy(arm, place, name, deployment_body("gpt-4o", version="2024-08-06", sku=sku))
    assert made.properties.provisioning_state == "Succeeded"
    with place.client("dated") as client:
        asked = {"model": name, "messages": [{"role": "user", "content": "Say yes."}]}
        if sku.endswith("Batch"):
            with refused(400, "OperationNotSupported"):
                client.chat.completions.create(**asked)
        else:
            assert (await first_answer(client, place, **asked)).choices


async def test_a_small_model_counts_images_otherwise(arm, place, dogs):
    await deploy(arm, place, "mini", deployment_body("gpt-4o-mini", version="2024-07-18"))
    with place.client("dated") as client:
        asked = question(pictures(dogs, [0])[0][1])
        cost = [
            (await first_answer(client, place, model=name, messages=asked)).usage.prompt_tokens
            for name in (place.deployment, "mini")
        ]
    assert cost[1] - cost[0] == 2833 - 85


def test_capacity_is_changed_and_the_account_told(place):
    """What the SDK has beside put, get, list and delete."""
    with place.management() as arm:
        names, options = (place.resource_group, place.account), place.arm_options
        body = deployment_body("gpt-4o", version="2024-08-06", capacity=1)
        arm.deployments.begin_create_or_update(*names, "roomy", body, **options).result(60)
        steps.LEFT_DEPLOYMENTS.append("roomy")
        changed = arm.deployments.begin_update(*names, "roomy", {"sku": {"capacity": 7}}, **options).result(60)
        assert (changed.sku.name, changed.sku.capacity) == (body["sku"]["name"], 7)
        assert [found.sku.name for found in arm.deployments.list_skus(*names, "roomy", **options)] == [
            body["sku"]["name"]
        ]
        assert arm.accounts.get(*names, **options).name.lower() == place.account.lower()
        assert any("gpt-4o" in usage.name.value for usage in arm.accounts.list_usages(*names, **options).value)
