"""What a deployment costs is counted while it may live, and no longer: not where it has failed or is gone."""

import os

import pytest

from engine import clock
from engine.azure import deployments
from engine.azure.connection import Endpoint
from engine.azure.deployments import Deployment
from engine.errors import ServiceError, ServiceUnavailable
from engine.jobs.context import Context
from engine.jobs.kinds import deploy
from engine.jobs.process import start_time
from engine.jobs.standing import standing_costs
from engine.states import JobKind, JobState
from engine.store.experiments import NewJob

MODEL = "gpt-4o-2024-08-06"
HOUR = 1.70


class Azure:
    endpoint = Endpoint("https://resource.example", "key")


def claimed(home, store):
    (job,) = store.experiments.add(
        "e", dataset=None, profile="azure", spec="", contestants=[], jobs=[NewJob(JobKind.DEPLOY, {"model": MODEL})]
    )
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    assert store.jobs.claim(job, 1, os.getpid(), start_time(os.getpid()))
    return Context(home, store, store.jobs.get(job))


@pytest.fixture
def context(home, store):
    with claimed(home, store) as context:
        yield context


@pytest.fixture
def service(monkeypatch):
    """The control plane: what it has, and the errors that creating and waiting end with."""

    class Service:
        found = None
        create_error = None
        wait_error = None
        get_error = None

    async def get(azure, name, **_):
        if Service.get_error:
            raise Service.get_error
        return Service.found and Deployment("d", "m", Service.found)

    async def create(azure, name, model, **_):
        if Service.create_error:
            raise Service.create_error
        Service.found = Service.found or "Creating"

    async def ready(azure, name, **_):
        if Service.wait_error:
            raise Service.wait_error
        Service.found = "Succeeded"

    monkeypatch.setattr(deployments, "get", get)
    monkeypatch.setattr(deployments, "create", create)
    monkeypatch.setattr(deployments, "wait_ready", ready)
    return Service


async def deployed(context):
    await deploy.ensure_deployed(context, Azure(), "d", "m", context.folder)


def costing(store, home):
    return [s.deployment for s in standing_costs(store, home)]


async def test_one_that_answers_costs_until_it_is_deleted(context, service, store, home, monkeypatch):
    await deployed(context)
    assert len(costing(store, home)) == 1
    began = clock.now()
    monkeypatch.setattr(clock, "now", lambda: began + 7200)
    assert deploy.charge_hours(store, home, context.job, ended=True) == pytest.approx(2 * HOUR, rel=1e-3)
    assert costing(store, home) == []
    (charge,) = store.jobs.charges(context.job.id)
    assert (charge.key, charge.seconds) == ("life:1", pytest.approx(7200, abs=5))


@pytest.mark.parametrize("state", ["Failed", "Canceled", "Missing"])
async def test_one_that_never_came_to_be_costs_nothing(context, service, store, home, state):
    service.wait_error = ServiceError(f"Deployment d is {state}.")
    with pytest.raises(ServiceError, match=state):
        await deployed(context)
    assert costing(store, home) == []
    assert deploy.charge_hours(store, home, context.job) == 0
    assert store.jobs.charges(context.job.id) == []


@pytest.mark.parametrize(("found", "shown"), [(None, 0), ("Failed", 0), ("Succeeded", 1), ("Creating", 1)])
async def test_a_refusal_costs_nothing_only_where_there_is_none(
    context, service, store, home, monkeypatch, found, shown
):
    async def refused(*_, **__):
        service.found = found
        raise ServiceError("400 InvalidModel", status=400)

    monkeypatch.setattr(deployments, "create", refused)
    with pytest.raises(ServiceError):
        await deployed(context)
    assert len(costing(store, home)) == shown


@pytest.mark.parametrize("where", ["create", "wait", "get"])
async def test_while_the_service_is_away_it_may_cost(context, service, store, home, monkeypatch, where):
    away = ServiceUnavailable("no answer")
    if where == "get":
        service.wait_error = ServiceError("404 DeploymentNotFound", status=404)

        async def wait(*_, **__):
            service.get_error = away
            raise service.wait_error

        monkeypatch.setattr(deployments, "wait_ready", wait)
    else:
        setattr(service, f"{where}_error", away)
    with pytest.raises(ServiceError):
        await deployed(context)
    assert len(costing(store, home)) == 1


async def test_one_that_was_deleted_by_another_hand_is_charged_until_it_is_seen(
    context, service, store, home, monkeypatch
):
    await deployed(context)
    began = clock.now()
    monkeypatch.setattr(clock, "now", lambda: began + 3600)
    service.found = None
    await deploy.close_if_gone(context, Azure(), "d", context.folder)
    assert costing(store, home) == []
    assert deploy.charge_hours(store, home, context.job) == pytest.approx(HOUR, rel=1e-3)
    await deployed(context)  # a second life
    assert len(costing(store, home)) == 1
    monkeypatch.setattr(clock, "now", lambda: began + 7200)
    assert deploy.charge_hours(store, home, context.job, ended=True) == pytest.approx(2 * HOUR, rel=1e-3)
    assert [c.key for c in store.jobs.charges(context.job.id)] == ["life:1", "life:2"]


@pytest.mark.parametrize(("there", "cost"), [((), HOUR), (("another",), HOUR), (("mine",), None)])
async def test_a_list_of_the_resource_shows_which_deployments_are_gone(service, store, home, monkeypatch, there, cost):
    from engine.jobs import service as services
    from engine.jobs.standing import close_gone

    with claimed(home, store) as context:
        await deployed(context)
    began = clock.now()
    monkeypatch.setattr(clock, "now", lambda: began + 3600)
    monkeypatch.setattr(services, "endpoint_of", lambda *_: Azure.endpoint)
    names = {f"dogcls-{context.job.nonce}" if name == "mine" else name for name in there}
    close_gone(store, home, Azure.endpoint, names)
    assert len(costing(store, home)) == 1  # its job runs: it may be in the making
    store.jobs.change(context.job.id, JobState.SUCCEEDED, expected=(JobState.RUNNING,), message="succeeded", result={})
    close_gone(store, home, Endpoint("https://another.example", "key"), names)
    assert len(costing(store, home)) == 1  # of another resource nothing is known
    close_gone(store, home, Azure.endpoint, names)
    assert len(costing(store, home)) == (1 if cost is None else 0)
    charges = store.jobs.charges(context.job.id)
    assert [c.usd for c in charges] == ([] if cost is None else [pytest.approx(cost, rel=1e-3)])
