"""A charge without a price is unknown on every surface: never $0, never left out without a word."""

import csv
import io
import json

import pytest
from rich.console import Console

from engine.evaluation import exports, report
from engine.evaluation.cascade import as_input, build
from engine.evaluation.comparison import Cost
from engine.evaluation.economics import Terms
from engine.evaluation.findings import find
from engine.evaluation.page import page
from engine.evaluation.thresholds import Choice
from engine.jobs.comparing import comparison
from engine.jobs.evidence import evidence
from engine.jobs.verifying import verify
from engine.store.charges import Charge
from tests.outcomes import experiment
from tui.widgets.charts import spent
from tui.widgets.comparison import _cells, _sorted
from tui.widgets.tabs.cost import _totals

SENTENCE = "What zero-shot (emulated) costs is unknown, because a charge has no price."


@pytest.fixture
def unpriced(store, tmp_path):
    """An experiment whose zero-shot contestant has a priced charge and one without a price."""
    experiment(store, tmp_path / "pets")
    whom = store.experiments.contestants("pets")[0].id
    store.jobs.record(1, whom, Charge("inference", "batch:7", None, 100))
    return whom


@pytest.fixture
def found(store, home, unpriced):
    return find(evidence(store, home, "pets", measure=True), Terms(value=0.05))


def shown(renderable):
    console = Console(width=120, file=io.StringIO())
    console.print(renderable)
    return console.file.getvalue()


def line_of(text, name):
    return next(line for line in text.splitlines() if line.startswith(name))


def test_the_store_carries_it(store, unpriced):
    assert store.predictions.costs(unpriced) == {"inference": None}
    (view,) = store.experiments.views()
    assert (view.cost_is_known, view.cost_usd > 0) == (False, True)
    assert comparison(store, "pets").contestants[0].cost == Cost(0.0, 0.0, None)
    assert comparison(store, "pets").contestants[0].cost.total is None
    store.jobs.record(1, unpriced, Charge("inference", "batch:7", 0.5, 100))
    assert store.predictions.costs(unpriced)["inference"] > 0.5
    assert store.experiments.views()[0].cost_is_known


@pytest.mark.parametrize("write", [report.table_of, report.markdown_of])
def test_text_has_the_word(found, write):
    text = write(found).replace("\\", "").replace("| ", "")
    rows = [line for line in text.splitlines() if line.strip().startswith("zero-shot (emulated) ")]
    assert "unknown" in rows[0] and "$0.00" not in rows[0]
    (money,) = [row for row in rows if row.count("unknown") == 6]
    assert "$" not in money
    assert text.count(SENTENCE) == 2, "in the verdict and in the notes"


def test_the_verdict_leaves_it_out_and_names_it(found):
    verdict = found.analysis.verdict
    assert SENTENCE in verdict.sentence and "It is left out wherever costs are compared." in verdict.sentence
    assert not any("zero-shot" in line and "$" in line for line in verdict.would_change)
    assert [p.name for p in found.frontier] == ["cnn"]
    assert found.break_evens == () and found.returns == ()
    assert {s.name for s in found.by_cost} == {"cnn"}
    assert "zero-shot (emulated)" not in {s.name for s in found.by_value}
    assert set(found.curves.usd) == {"cnn"}
    assert all(c.economics is None for c in found.cascades)
    assert found.totals[0] is None and found.totals[1] is not None and found.per_thousand[0] is None


def test_json_has_null_and_csv_nothing(found):
    plain, full = (json.loads(exports.as_text(make(found))) for make in (exports.plain_json, exports.full_json))
    for value in (plain, full):
        cost = value["contestants"][0]["cost_usd"]
        assert (cost["training"], cost["inference"], cost["total"]) == (0.0, None, None)
        assert value["contestants"][1]["cost_usd"]["total"] == 0.0
    money = full["costs"][0]
    assert money["priced"] is False and full["costs"][1]["priced"] is True
    for key in ("once", "per_thousand", "batch_per_thousand", "per_thousand_more", "horizon"):
        assert money[key] is None, key
    assert SENTENCE in full["verdict"]["sentence"]
    row = next(csv.DictReader(io.StringIO(exports.contestants_csv(found))))
    for key in ("cost_usd_inference", "cost_usd_total", "per_thousand_usd", "horizon_usd"):
        assert row[key] == "", key


def test_the_page_has_the_word(found):
    text = page(found)
    assert SENTENCE in text
    assert text.count("<td>unknown</td>") == 7, "once in the comparison, six times in its row of the costs"


def test_the_app_has_the_word(found):
    whom, network = found.comparison.contestants
    assert _cells(whom, found.comparison.judged, best=False)["cost"].plain == "unknown"
    assert _sorted(found.comparison, "price") == [network, whom]
    assert line_of(shown(_totals(found, {})), "zero-shot").count("unknown") == 6
    line = line_of(shown(spent(found.comparison, 100)), "zero-shot")
    assert "unknown" in line and "$" not in line


def test_a_cascade_with_it_is_unknown_too(found):
    one, two = found.evidence.inputs[1], found.evidence.inputs[0]
    members = found.answers.contestants[1], found.answers.contestants[0]
    both, alone = (
        build(found.answers, *members, Choice(threshold, "accuracy", "", 0, 0.0, None)) for threshold in (0.95, 0.0)
    )
    assert as_input(both, one, two, found.answers.labels).inference_usd is None
    assert as_input(alone, one, two, found.answers.labels).inference_usd == 0.0, "the second is never needed"


def test_the_commands_have_the_word(store, home, unpriced, dogcls):
    code, out, _ = dogcls(home.root, "results", "pets")
    assert code == 0 and SENTENCE in out
    code, out, _ = dogcls(home.root, "--profile", "demo", "--once")
    assert code == 0 and "+ unknown emulated" in out.splitlines()[0]


def test_it_can_be_verified(store, home, unpriced):
    checks = {c.what: c for c in verify(store, home, "pets").checks}
    assert checks["inference of zero-shot"].held is None and "unknown" in checks["inference of zero-shot"].detail
