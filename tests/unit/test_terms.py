"""One set of terms on every surface: what is not finished has no costs, and every pair has its return."""

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from engine.evaluation import exports, report, sections
from engine.evaluation.comparison import ContestantInput, compare
from engine.evaluation.details import Answers, ContestantAnswers
from engine.evaluation.economics import Economics
from engine.evaluation.findings import Evidence, find
from engine.evaluation.page import page
from engine.evaluation.provenance import Provenance
from engine.evaluation.terms import Terms
from engine.jobs.comparing import comparison
from engine.jobs.evidence import evidence
from engine.states import ContestantKind, JobState, Outcome
from engine.store.experiments import NewContestant, NewJob
from engine.store.predictions import Prediction
from tests.outcomes import MODEL, PROMPT, experiment, finish
from tui.widgets.charts import spent
from tui.widgets.comparison import ORDERS, _cells, _sorted
from tui.widgets.tabs.cost import _totals

PARAMETERS = {"model": MODEL, "deployment": "four-o", "detail": "low"}


def tuned(store, folder, state, answers=8):
    """Add an experiment `tuned` on 8 test images: zero-shot has finished, the fine-tuning ended in that state."""
    test = experiment(store, folder)
    tuning = [
        NewJob(kind, PARAMETERS, 1, needs=needs)
        for kind, needs in (("fine-tune", ()), ("deploy", (1,)), ("score", (2,)))
    ]
    store.experiments.add(
        "tuned",
        dataset="pets",
        profile="azure",
        spec="",
        contestants=[
            NewContestant("zero-shot", "zero-shot", MODEL, False, PROMPT, "json"),
            NewContestant("fine-tuned", "fine-tuned", MODEL, False, PROMPT, "text"),
        ],
        jobs=[NewJob("batch", PARAMETERS, 0), *tuning],
    )
    first = [view.id for view in store.jobs.views("tuned")]
    finish(store, first[0])
    for job in first[1:]:
        if state == JobState.SUCCEEDED:
            finish(store, job)
        else:
            store.jobs.change(job, state, expected=(JobState.WAITING,), message=str(state))
    zero, fine = store.experiments.contestants("tuned")

    def said(n, image):
        return Prediction(
            image.id,
            "x",
            image.label if n else 1 - image.label,
            Outcome.ANSWERED,
            prompt_tokens=100,
            completion_tokens=5,
        )

    store.predictions.add(zero.id, [said(n, i) for n, i in enumerate(test)])
    store.jobs.charge(first[0], zero.id, "inference", 0.001)
    if answers:
        store.predictions.add(
            fine.id,
            [
                Prediction(i.id, "x", i.label, Outcome.ANSWERED, prompt_tokens=100, completion_tokens=5)
                for i in test[:answers]
            ],
        )
    return find(evidence(store, home_of(store), "tuned"), Terms(machine_hourly=0.192))


def home_of(store):
    from engine.jobs.paths import Home

    return Home(store.db.path.parent)


def shown(renderable):
    console = Console(width=120, file=io.StringIO())
    console.print(renderable)
    return console.file.getvalue()


def surfaces(found):
    """Return every text in which findings leave the house."""
    return [
        report.table_of(found), report.markdown_of(found), page(found), exports.contestants_csv(found),
        exports.as_text(exports.full_json(found)), exports.as_text(exports.plain_json(found)),
        shown(_totals(found, {})), shown(spent(found.comparison, 100)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "answers"), [(JobState.CANCELLED, 0), (JobState.CANCELLED, 7), (JobState.WAITING, 0)]
)
def test_what_is_not_finished_has_no_costs_and_is_never_the_best(store, tmp_path, state, answers):
    found = tuned(store, tmp_path / "pets", state, answers)
    assert found.totals[1] is None and found.per_thousand[1] is None
    assert (found.returns, found.break_evens) == ((), ())
    assert {p.name for p in found.frontier} == {s.name for s in found.by_cost} == {"zero-shot"}
    for text in surfaces(found):
        assert "14,892" not in text and "14892" not in text
    verdict = found.analysis.verdict  # on 8 images 7 are no more than the majority class may be
    assert verdict.best is None and "so none is the best: zero-shot has 87.5%" in verdict.sentence
    row = list(csv.DictReader(io.StringIO(exports.contestants_csv(found))))[1]
    assert (row["complete"], row["horizon_usd"], row["per_thousand_usd"]) == ("False", "", "")
    full = exports.full_json(found)["costs"][1]
    assert full["horizon"] is None and full["hosting_hourly"] is None
    (line,) = [
        line
        for line in report.table_of(found).splitlines()
        if line.startswith("  fine-tuned (unfinished)  ") and "–" in line and "%" not in line
    ][:1]
    assert "$" not in line and "unknown" not in line
    assert "waiting" not in _cells(found.comparison.contestants[1], found.comparison.judged, best=False)["right"].plain
    origin = found.provenance.contestants[1]
    assert "finished_at" not in origin and "finished_at" in found.provenance.contestants[0]
    if not answers:
        (row,) = [row for row in sections.quality(found).rows if row[0] == "fine-tuned (unfinished)"]
        assert set(row[1:]) == {"–"}, "of nothing answered there is no share"
    for order in ORDERS[1:]:
        assert [c.name for c in _sorted(found.comparison, order)] == ["zero-shot", "fine-tuned"]
    compared = comparison(store, "tuned")
    assert (
        report.cells(compared.contestants[1], compared.judged)[7] == "–"
        and "$0.00" not in shown(spent(found.comparison, 100)).splitlines()[-1]
    )


def test_finished_it_has_them(store, tmp_path):
    found = tuned(store, tmp_path / "pets", JobState.SUCCEEDED)
    assert found.totals[1].hosting == pytest.approx(1.70 * 8760)
    (back,) = found.returns
    assert (back.name, back.base, back.only) == ("fine-tuned", "zero-shot", (1, 0))
    told = " ".join(found.analysis.verdict.would_change)
    assert "The volume: " not in told, "no volume makes a dearer one with dearer images the cheapest"
    assert all("14,892" in text for text in surfaces(found)[:3])


LABELS = ("x", "y", "z", "w")


def three(n=400, gain=40):
    hits = {
        "zero-shot": [i < 200 for i in range(n)],
        "fine-tuned": [i < 200 + gain for i in range(n)],
        "cnn": [20 <= i < 210 for i in range(n)],
    }
    truths = [LABELS[i % 4] for i in range(n)]
    wrong = dict(zip(LABELS, (*LABELS[1:], LABELS[0]), strict=True))
    kinds = (ContestantKind.ZERO_SHOT, ContestantKind.FINE_TUNED, ContestantKind.CNN)
    return [
        ContestantInput(
            name,
            kind,
            MODEL,
            False,
            "",
            "class",
            truths,
            [t if h else wrong[t] for t, h in zip(truths, found, strict=True)],
            [Outcome.ANSWERED] * n,
        )
        for (name, found), kind in zip(hits.items(), kinds, strict=True)
    ]


def found_of(inputs, terms):
    """Findings of contestants that cost what the published run's did."""
    labels, n = LABELS, len(inputs[0].truths)
    made = [
        Economics("zero-shot", 0.0, 1.5, 0.75, accuracy=0.5, kind="zero-shot", tested=n),
        Economics("fine-tuned", 157.44, 1.5, hosting_hourly=1.7, accuracy=0.6, kind="fine-tuned", labels=5400, tested=n),
        Economics("cnn", 0.0, 0.0, machines=1, machine_seconds=0.036, machine_once_seconds=1800.0, accuracy=0.475,
                  kind="cnn", labels=5400, tested=n),
    ]  # fmt: skip
    said = [tuple(labels.index(p) for p in i.predictions) for i in inputs]
    each = [
        ContestantAnswers(i.name, i.kind, predicted, (None,) * n, tuple(i.outcomes), ())
        for i, predicted in zip(inputs, said, strict=True)
    ]
    answers = Answers(
        "e",
        labels,
        tuple(Path(str(i)) for i in range(n)),
        tuple(labels.index(t) for t in inputs[0].truths),
        tuple(each),
    )
    compared = compare("e", "d", {"train": 4800, "val": 600, "test": n}, labels, inputs)
    return find(Evidence(compared, answers, inputs, made, None, Provenance(0.0, {})), terms)


def test_every_pair_has_its_return_with_the_interval_that_decides():
    found = found_of(three(), Terms(machine_hourly=0.192, value=0.1))
    assert [(r.name, r.base) for r in found.returns] == [
        ("fine-tuned", "zero-shot"), ("cnn", "zero-shot"), ("fine-tuned", "cnn"),
    ]  # fmt: skip
    for r in found.returns:
        d = found.analysis.between(r.name, r.base)
        sign = 1 if d.a == r.name else -1
        assert sorted(end / r.images for end in (r.added.low, r.added.high)) == pytest.approx(
            sorted((sign * d.low, sign * d.high))
        ), "corrected, as the verdict's"
        assert r.cost >= 0
        assert r.only == ((len(d.only_a), len(d.only_b)) if sign == 1 else (len(d.only_b), len(d.only_a)))
    cnn = found.returns[1]
    assert cnn.only == (10, 20) and cnn.added.value == pytest.approx(-0.025 * 120_000)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_hours_and_volume_are_in_what_would_change_it(value):
    """The verdict names what flips the choice, or what moves the price of the best one's right answers."""
    told = found_of(three(), Terms(machine_hourly=0.192, value=value)).analysis.verdict.would_change
    for words in ("olume", "hosting"):
        assert any(words in line for line in told), (words, told)
    alike = found_of(three(gain=0), Terms(machine_hourly=0.192, value=value)).analysis.verdict
    assert any(line.startswith("The volume: from ") for line in alike.would_change), alike.would_change
    if not value:
        assert any(line.startswith("The machine hours: below ") for line in alike.would_change), alike.would_change


def test_the_price_of_a_right_answer_is_the_same_in_verdict_and_return():
    found = found_of(three(), Terms(machine_hourly=0.192))
    (back,) = [r for r in found.returns if (r.name, r.base) == ("fine-tuned", "zero-shot")]
    usd = f"${back.needed_value:,.2f}"
    told = found.analysis.verdict.would_change
    assert usd in back.sentence
    assert any(line.startswith("The price:") and f"over zero-shot costs {usd};" in line for line in told), told
    assert any(line.startswith("Volume and hours:") and f"over zero-shot costs {usd};" in line for line in told), told


def test_the_terms_are_said_on_every_surface():
    found = found_of(three(), Terms(machine_hourly=0.192, label_price=0.05))
    for text in (report.table_of(found), report.markdown_of(found).replace("\\", ""), page(found)):
        assert "10,000 images a month over 12 months" in text
        for words in found.terms.assumptions:
            assert words in text, words
        assert "labels" in text and "$290.00" in text, "5,400 labels to learn from, 400 to be tested by"
    unset = found_of(three(), Terms(machine_hourly=0.192))
    assert all("labels: not priced" in text for text in (report.table_of(unset), page(unset)))
