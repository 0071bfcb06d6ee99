"""A pilot: priced before, kept answer by answer, and honest about what follows."""

import json
from functools import partial

import pytest

from engine import Engine, InputError, JobKind, PriceError, Prompt, ReadOnlyError, Spec, Terms
from engine.evaluation.economics import Economics
from engine.evaluation.returns import return_on
from engine.jobs.exporting import Order, Producer
from engine.jobs.pilot import PilotResult, chosen
from engine.outcomes import RESULT_FORMS
from engine.states import Outcome
from engine.store.predictions import Prediction
from tests.conftest import Emulator
from tests.outcomes import PROMPT, finish


@pytest.fixture(scope="module")
def place(tmp_path_factory, backbones):
    emulator = Emulator(tmp_path_factory.mktemp("pilot"), backbones, "instant")
    yield emulator
    emulator.stop()


@pytest.fixture
async def engine(home, dogs, place, monkeypatch):
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    engine = Engine(home.root)
    await engine.add_dataset(str(dogs), "dogs", train=4, val=8, test=4)
    yield engine
    engine.close()


def asked(place):
    return place.ledger()["chat_requests"]["total"]


async def test_a_pilot_is_priced_and_pays_for_no_image_twice(engine, place):
    spec = Spec(dataset="dogs")
    before = asked(place)
    cost = await engine.pilots.cost(spec, 20)
    assert cost.images == 20 and 0 < cost.usd < 0.05 and cost.emulated
    assert asked(place) == before
    steps = []
    found = await engine.pilots.run(
        spec, 20, terms=Terms(), progress=lambda phase, done, total: steps.append((done, total))
    )
    assert steps[-1] == (20, 20)
    assert asked(place) == before + 20
    assert found.n == 20 and found.failed == 0
    assert found.low < found.accuracy < found.high
    assert found.correct >= 8  # of 20, where chance is 5: it has looked
    assert found.spent_usd == pytest.approx(cost.usd, rel=0.3)
    _, price = await engine.plan(spec)
    base, tuned, cnn = price.ahead
    assert found.base.per_thousand == pytest.approx(base.per_thousand, rel=0.3)
    assert (found.tuned.once, found.tuned.hosting_hourly) == (tuned.once, tuned.hosting_hourly)
    assert (base.labels, tuned.labels, cnn.labels, cnn.machines) == (0, 48, 48, 1)
    assert price.under(found.terms).startswith("For 10,000 images a month over 12 months: zero-shot $")
    assert (await engine.pilots.cost(spec, 20)).images == 0
    more = await engine.pilots.run(spec, 24, terms=Terms())
    assert more.n == 24
    assert asked(place) <= before + 28  # those asked before, where they are among the new choice, were not asked again
    other = Spec(dataset="dogs", detail="high")
    assert (await engine.pilots.cost(other, 20)).images == 20  # another question


async def test_a_torn_file_and_failing_calls_lose_nothing(engine, place, home):
    spec = Spec(dataset="dogs", prompt="")
    await engine.pilots.run(spec, 12, terms=Terms())
    (path,) = (home.root / "pilots").iterdir()
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:-3]) + b'\n{"sha256": "to')
    cost = await engine.pilots.cost(spec, 12)
    assert 1 <= cost.images <= 3
    before = asked(place)
    assert (await engine.pilots.run(spec, 12, terms=Terms())).n == 12
    assert asked(place) == before + cost.images


async def test_limits(engine, home):
    with pytest.raises(PriceError, match="over the limit"):
        await engine.pilots.run(Spec(dataset="dogs", max_cost=0.0), 16, terms=Terms())
    looking = Engine(home.root, readonly=True)
    try:
        with pytest.raises(ReadOnlyError):
            await looking.pilots.run(Spec(dataset="dogs"), 16, terms=Terms())
    finally:
        looking.close()


def test_images_are_spread_evenly():
    assert chosen(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert chosen(list(range(3)), 5) == [0, 1, 2]


BASE = Economics("zero-shot", 0.0, 1.5, 0.75, kind="zero-shot", tested=600)
TUNED = Economics("fine-tuned", 157.44, 1.5, hosting_hourly=1.7, kind="fine-tuned", labels=5400, tested=600)


def result(**more):
    values = {"n": 60, "correct": 45, "accuracy": 0.75, "low": 0.63, "high": 0.84, "unknown": 0, "filtered": 0}
    values |= {"failed": 0, "spent_usd": 0.1, "run_usd": 160.0, "tuned": TUNED, "base": BASE, "terms": Terms()}
    return PilotResult(**{**values, "emulated": False, **more})


def test_the_sentence_says_what_fine_tuning_has_to_gain():
    usual = result()
    assert "63% to 84%" in usual.sentence
    assert (
        "For 10,000 images a month over 12 months fine-tuning costs about $15,049.44 more (training $157.44, hosting"
        " $14,892.00 for 24 hours a day, labels: not priced): if it gains all 37.0 points that it can, a correct answer"
        f" must be worth ${15_049.44 / (0.37 * 120_000):.2f} or more."
    ) in usual.sentence
    assert usual.needed_points is None
    pays = usual.at(Terms(value=0.5))
    assert pays.needed_points == pytest.approx(100 * 15_049.44 / 60_000)
    assert "at $0.5 a correct answer it has to gain 25.1 points to pay for itself." in pays.sentence
    assert (
        "it cannot pay for itself, whatever it gains: 1,254.1 points of 37.0 points"
        in usual.at(Terms(value=0.01)).sentence
    )
    assert result(emulated=True).sentence.startswith("The emulator's")
    unknown = usual.at(Terms(hosting_hours=None))
    assert (unknown.extra, unknown.needed_value) == (None, None) and "unknown" in unknown.sentence


@pytest.mark.parametrize(
    "terms",
    [Terms(value=0.1), Terms(500, 3, 8, True, value=0.2), Terms(value=0.1, label_price=0.05)],
)
def test_pilot_and_results_compute_the_same(terms):
    """What the pilot says must be gained is where results' return is exactly nothing."""
    needed = result(terms=terms).needed_points / 100
    found = return_on(TUNED, BASE, needed, needed, needed, terms)
    assert found.net.value == pytest.approx(0, abs=1e-6)
    assert found.cost == pytest.approx(result(terms=terms).extra.cost)


def test_on_the_command_line(home, dogs, place, monkeypatch, dogcls):
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    run = partial(dogcls, home.root)
    run("data", "add", dogs, "--name", "dogs", "--train", "4", "--val", "8", "--test", "4")
    code, out, err = run("pilot", "--dataset", "dogs", "--images", "12")
    assert (code, out) == (2, "") and "--yes" in err
    code, out, err = run("pilot", "--dataset", "dogs", "--images", "12", "--yes", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["n"], found["needed_points"]) == (12, None) and found["extra_usd"] > 14_892
    code, out, err = run("pilot", "--dataset", "dogs", "--images", "12", "--value", "0.01", "--hosting-hours", "8")
    assert code == 0 and "for 8 hours a day" in out and "it cannot pay for itself" in out


async def test_what_needs_training_images_is_refused_where_there_are_none(engine, dogs, place):
    before = asked(place)
    data = await engine.add_dataset(str(dogs), "bare", split="test-only", test=3)
    assert (data.train, data.val, data.test, data.split) == (0, 0, 12, "test-only")
    for contestants, words in (
        (None, "bare has no training images, which fine-tuned and cnn need. Choose zero-shot only"),
        (("cnn", "zero-shot"), "which cnn needs. Choose zero-shot only"),
        (("fine-tuned",), "which fine-tuned needs. Compare zero-shot only"),
    ):
        spec = Spec(dataset="bare") if contestants is None else Spec(dataset="bare", contestants=contestants)
        with pytest.raises(InputError, match=words):
            await engine.plan(spec)
    for kind in (JobKind.TRAIN, JobKind.FINE_TUNE):
        with pytest.raises(InputError, match=r"bare has no training images, which .* needs"):
            await engine.plan_job(kind, Spec(dataset="bare"))
    with pytest.raises(InputError, match=r"bare has no training images, and a pilot .* --contestants zero-shot"):
        await engine.pilots.cost(Spec(dataset="bare"), 12)
    with pytest.raises(InputError, match="bare has no train images"):
        Producer(engine.store.db, Order("bare", "fine-tune", "train", Prompt(PROMPT, "text", "low")))
    for kind, deployment in ((JobKind.BATCH, None), (JobKind.PROBE, None), (JobKind.SCORE, "tuned")):
        plan, price = await engine.plan_job(kind, Spec(dataset="bare"), deployment=deployment)
        assert price.lines[0].item == "inference" and price.lines[0].detail.startswith("12 ")
    plan, _ = await engine.plan(Spec(dataset="bare", contestants=("zero-shot",)))
    assert [job.kind for job in plan.jobs] == ["batch", "probe"] and asked(place) == before


async def test_a_set_without_training_images_is_compared_as_any_other(engine, dogs):
    data = await engine.add_dataset(str(dogs), "bare", split="test-only", test=3)
    spec = Spec(dataset="bare", contestants=("zero-shot",), probe=0)
    plan, _ = await engine.plan(spec)
    engine.store.experiments.add("bare", dataset="bare", profile="azure", spec=spec.to_toml(),
                                 contestants=plan.contestants, jobs=plan.jobs)  # fmt: skip
    (contestant,) = engine.store.experiments.contestants("bare")
    finish(engine.store, 1)
    labels, rows = data.labels, []
    for n, image in enumerate(engine.store.datasets.images("bare", "test")):
        label = image.label if n else 1
        raw = json.dumps({"breed": labels[label]})
        rows.append(Prediction(image.id, raw, label, Outcome.ANSWERED, prompt_tokens=100, completion_tokens=5))
    engine.store.predictions.add(contestant.id, rows)
    found = await engine.outcomes.findings("bare")
    texts = {form: await engine.outcomes.render(found, form) for form in RESULT_FORMS}
    assert "recognised 11 of 12 (91.7%;" in texts["table"] and "11 of 12" in texts["html"]
    assert json.loads(texts["json"])["split"] == {"train": 0, "val": 0, "test": 12}
    checks = (await engine.outcomes.verify("bare")).checks
    assert {check.what for check in checks if check.held is False} <= {"costs of zero-shot"}
