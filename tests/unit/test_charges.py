"""The ledger of what was paid: what is read again is charged once, what is paid twice is shown twice."""

import sqlite3

import pytest

from engine.azure.prices import if_known, load_prices
from engine.states import JobKind
from engine.store import Store
from engine.store.charges import Charge
from engine.store.experiments import NewContestant, NewJob
from engine.store.migrations import MIGRATIONS, statements


@pytest.fixture
def job(store):
    who = NewContestant("z", "zero-shot", "gpt-4o", True, "", "json")
    (job,) = store.experiments.add(
        "e", dataset=None, profile="azure", spec="", contestants=[who], jobs=[NewJob(JobKind.BATCH, {}, 0)]
    )
    return job


@pytest.fixture
def contestant(store, job):
    return store.jobs.get(job).contestant_id


def shown(store, job, contestant):
    """Return the cost on each surface; all have the same figure."""
    by_item = store.predictions.costs(contestant)
    (experiment,) = store.experiments.views()
    assert store.jobs.view(job).cost_usd == pytest.approx(sum(by_item.values())) == pytest.approx(experiment.cost_usd)
    return by_item


def test_the_same_paid_thing_is_charged_once_and_another_one_beside_it(store, job, contestant):
    for _ in range(3):
        store.jobs.record(job, contestant, Charge("inference", "batch:1", 0.5, 100, 10))
    assert shown(store, job, contestant) == {"inference": 0.5}
    store.jobs.record(job, contestant, Charge("inference", "batch:2", 0.25, 50, 5))
    assert shown(store, job, contestant) == {"inference": 0.75}
    store.jobs.record(job, contestant, Charge("training", "fine-tune:1", 3.0, training_tokens=1000))
    assert shown(store, job, contestant) == {"inference": 0.75, "training": 3.0}


def test_what_the_service_reports_replaces_an_estimate_and_no_estimate_replaces_it(store, job, contestant):
    store.jobs.record(job, contestant, Charge("inference", "batch:1", 0.4, 80, estimated=True))
    store.jobs.record(job, contestant, Charge("inference", "batch:1", 0.5, 100))
    store.jobs.record(job, contestant, Charge("inference", "batch:1", 0.2, 40, estimated=True))
    (charge,) = store.jobs.charges(job)
    assert (charge.usd, charge.prompt_tokens, charge.estimated) == (0.5, 100, False)


def test_payments_of_one_attempt_are_added(store, job, contestant):
    for tokens in (10, 20):
        store.jobs.add_to(job, contestant, Charge("inference", "requests:1", tokens / 100, tokens, 1))
    store.predictions.add(contestant, [], paid=(job, Charge("inference", "requests:2", 0.5, 50, 2)))
    assert [(c.key, c.usd, c.prompt_tokens, c.completion_tokens) for c in store.jobs.charges(job)] == [
        ("requests:1", pytest.approx(0.3), 30, 2),
        ("requests:2", 0.5, 50, 2),
    ]


def test_an_answer_and_its_charge_are_stored_together_or_not_at_all(store, job, contestant):
    wrong = Charge("nonsense", "requests:1", 0.5)
    with pytest.raises(sqlite3.IntegrityError):
        store.predictions.add(contestant, [], paid=(job, wrong))
    assert store.jobs.charges(job) == []


def test_the_lives_of_a_deployment_are_replaced_as_a_whole(store, job, contestant):
    lives = [Charge("hosting", f"life:{n}", float(n), seconds=3600.0 * n) for n in (1, 2)]
    store.jobs.record_all(job, contestant, "hosting", lives)
    store.jobs.record_all(job, contestant, "hosting", lives[:1])  # the second one never came to be
    assert shown(store, job, contestant) == {"hosting": 1.0}


def test_an_unknown_price_is_unknown_and_not_nothing(store, job, contestant):
    prices = load_prices()
    assert if_known(lambda: prices.inference_cost("gpt-99", 10, 1)) is None
    assert if_known(lambda: prices.inference_cost("gpt-4o-2024-08-06", 10**6, 0)) == pytest.approx(2.5)
    store.jobs.record(job, contestant, Charge("inference", "batch:1", 0.5))
    assert store.jobs.view(job).cost_is_known
    store.jobs.record(job, contestant, Charge("inference", "batch:2", None, 100))
    assert not store.jobs.view(job).cost_is_known
    store.jobs.add_to(job, contestant, Charge("inference", "batch:2", 1.0, 100))
    assert store.jobs.charges(job)[1].usd is None


def test_costs_of_an_earlier_version_are_kept(tmp_path):
    path = tmp_path / "store.db"
    before = next(n for n, step in enumerate(MIGRATIONS) if "CREATE VIEW costs" in step)
    with sqlite3.connect(path) as db:
        for statement in statements(MIGRATIONS[:before]):
            db.execute(statement)
        db.execute("INSERT INTO experiments (id, name, profile, spec, created_at) VALUES (1, 'e', 'azure', '', 0)")
        db.execute(
            "INSERT INTO contestants (id, experiment_id, name, kind, model, emulated, prompt, answer_format)"
            " VALUES (1, 1, 'z', 'zero-shot', 'm', 0, '', 'json')"
        )
        db.execute(
            "INSERT INTO jobs (id, experiment_id, contestant_id, kind, nonce, parameters, state, created_at)"
            " VALUES (1, 1, 1, 'score', 'n', '{}', 'succeeded', 7)"
        )
        db.executemany("INSERT INTO costs VALUES (1, 1, ?, ?)", [("inference", 0.5), ("hosting", 2.0)])
        db.execute(f"PRAGMA user_version = {before}")
    db.close()
    store = Store(path)
    assert shown(store, 1, 1) == {"inference": 0.5, "hosting": 2.0}
    store.jobs.add_to(1, 1, Charge("inference", "requests:2", 0.25))  # new requests: beside what was paid before
    store.jobs.record_all(1, 1, "hosting", [Charge("hosting", "life:1", 3.0)])  # all hours, the earlier ones too
    assert shown(store, 1, 1) == {"inference": 0.75, "hosting": 3.0}
    store.close()
