"""Answers that a pilot bought choose a cascade's threshold."""

import json

from engine.evaluation.economics import Terms
from engine.evaluation.findings import find
from engine.evaluation.thresholds import Basis
from engine.jobs.bought import Question, read_answers
from engine.jobs.evidence import evidence
from engine.store.experiments import NewJob
from engine.store.validations import Validation
from tests.outcomes import PROMPT, experiment


def test_a_pilots_answers_choose_the_threshold_of_a_cascade(store, home, tmp_path, monkeypatch):
    probe = NewJob("probe", {"model": "gpt-4o-2024-08-06", "deployment": "live", "detail": "low"}, 0)
    experiment(store, tmp_path / "pets", each=20, more=[probe])
    images = store.datasets.images("pets", "val")
    store.validations.replace(2, [Validation(i.id, i.label, 0.5 + n / 100, 0.5) for n, i in enumerate(images)])
    before = find(evidence(store, home, "pets"), Terms())
    assert [c.choice.basis for c in before.cascades] == [Basis.KEPT]
    digest = store.datasets.get("pets").digest
    path = Question(digest, "demo", "", "live", "low", PROMPT, "json").path(home)
    path.parent.mkdir(parents=True)
    lines = [json.dumps({"sha256": i.sha256, "text": json.dumps({"label": ("cat", "dog")[i.label]})}) for i in images]
    path.write_text("\n".join([*lines[:35], '{"torn']))
    found = find(evidence(store, home, "pets"), Terms())
    (cascade,) = found.cascades
    assert cascade.choice.basis == Basis.BOTH and cascade.choice.n == 35
    assert "35 validation images that both were asked about" in cascade.chosen_on


def test_a_profile_that_is_gone_has_bought_nothing(store, home, tmp_path):
    probe = NewJob("probe", {"model": "gpt-4o-2024-08-06", "deployment": "live"}, 0)
    experiment(store, tmp_path / "pets", more=[probe], profile="gone", emulated=False)
    assert evidence(store, home, "pets").bought == {}


def test_answers_of_an_earlier_model_are_not_the_pilots(tmp_path):
    path = tmp_path / "pilot.jsonl"
    rows = [
        {"sha256": "a", "text": "pug"},  # of a version that did not keep the model
        {"sha256": "b", "text": "pug", "model": "gpt-4o-2024-08-06"},
        {"sha256": "c", "text": "pug", "model": "gpt-4o-2024-11-20"},
        {"sha256": "d", "text": "pug", "model": "gpt-4o"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:3]))
    assert list(read_answers(path)) == ["a", "c"]
    path.write_text("".join(json.dumps(row) + "\n" for row in [rows[1], rows[3]]))
    assert list(read_answers(path)) == ["b", "d"]  # one is named without its version
    path.write_text(json.dumps(rows[0]) + "\n")
    assert list(read_answers(path)) == ["a"]
