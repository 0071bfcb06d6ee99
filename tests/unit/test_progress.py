"""Progress: one share for all stages of a job, which never gets smaller; and a job that works is not silent."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from engine.datasets import findings
from engine.datasets.likeness import Likeness, fingerprint
from engine.events import JobView
from engine.jobs.kinds import train as kind
from engine.states import JobState
from engine.store.experiments import NewJob
from engine.training import stages
from engine.training.recipes import Phase, get_recipe
from tests.pictures import kennel
from tui.commands import follow


@pytest.fixture
def job(store):
    (job,) = store.experiments.add(
        "x", dataset=None, profile="demo", spec="", contestants=[], jobs=[NewJob("train", {})]
    )
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    store.jobs.claim(job, store.jobs.get(job).attempt, 1, 1.0)
    return job


def test_the_share_that_is_done_never_gets_smaller(store, job):
    attempt = store.jobs.get(job).attempt
    shares = []
    told = [
        (0, 0),
        (3, 0),
        (5, 100),
        (80, 100),
        (20, 100),
        (0, 0),
        (30, 40),
        (300, 400),
        (900, 1000),
        (90, 100),
        (1, 1),
    ]
    for number, (done, total) in enumerate(told):
        store.jobs.progress(job, attempt, done, total, str(number))
        view = store.jobs.view(job)
        shares.append(view.progress)
        assert view.note == str(number)  # what it does now is told all the same
    assert shares == [0, 0, 0.05, 0.8, 0.8, 0.8, 0.8, 0.8, 0.9, 0.9, 1.0]
    store.jobs.change(job, JobState.INTERRUPTED, expected=(JobState.RUNNING,), message="gone")
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.INTERRUPTED,), message="again")
    attempt = store.jobs.get(job).attempt
    store.jobs.progress(job, attempt, 1, 100, "from the start")
    assert store.jobs.view(job).progress == 1.0


RECIPES = [
    get_recipe("quick"),
    get_recipe("article"),
    get_recipe("best"),
    get_recipe("quick").model_copy(update={"phases": (Phase(train="head", epochs=1, learning_rate=1e-3),)}),
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("counts", [(72_000, 9_000, 9_000, 30), (10, 1, 1, 0), (1, 1, 0, 0)])
def test_the_stages_of_a_recipe_are_one_after_another_and_are_the_whole(recipe, counts):
    found = stages.shares(recipe, *counts)
    ends = [0.0, *(last for _, last in found.values())]
    assert [first for first, _ in found.values()] == pytest.approx(ends[:-1])
    assert ends == sorted(ends) and ends[-1] == pytest.approx(1.0)
    assert len(found) == 2 * len(recipe.backbones) * len(recipe.phases) + 3


def test_a_training_job_tells_one_share_of_all_its_stages():
    told = []
    context = SimpleNamespace(progress=lambda *what: told.append(what))
    watch = kind._Watch(context, stages.shares(get_recipe("quick"), 800, 100, 100, 10))
    watch.phase("downloading", 5, 10)
    for stage, name in (("look 0 0", "looking"), ("learn 0 0", "epoch 1 of 40, 3 s left"), ("predict", "predicting"),
                        ("latency", "measuring latency"), ("curve", "learning curve")):  # fmt: skip
        watch.stage(stage)
        for done in (0, 1, 2):
            watch.phase(name, done, 2)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[0] == (0, 1000, "downloading: 5 of 10") and told[-1] == (1000, 1000, "learning curve: 2 of 2")
    assert ("epoch 1 of 40, 3 s left") in {note for _, _, note in told}  # the epoch is its own count


VIEW = JobView(
    7, "train", "x", "cnn", "running", 1, 432, 1000, "looking: 3 of 9", None, None, 0.0, 0.0, None, 0.0, ()
)  # fmt: skip


def test_what_is_done_is_told_in_units_or_in_per_cent():
    assert VIEW.done_of_total == "43%"
    assert replace(VIEW, kind="batch").done_of_total == "432 of 1,000"
    assert replace(VIEW, total=0).done_of_total == ""
    assert replace(VIEW, state="succeeded").progress == 1.0
    assert replace(VIEW, state="succeeded", unanswered=568).progress == 0.432  # a resume begins there


def test_a_job_that_gets_further_is_not_silent_for_long(monkeypatch):
    lines, clock = [], [100.0]
    monkeypatch.setattr(follow, "say", lambda line: lines.append(line.split(" ", 1)[1]))
    monkeypatch.setattr(follow.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(follow.time, "time", lambda: clock[0])
    shown = follow._Shown()

    def pass_(seconds, done, *, spoke=False, started=100.0):
        clock[0] += seconds
        job = replace(VIEW, done=done, note=f"looking: {done}", started_at=started, working_since=started)
        follow._say_progress(job, shown, spoke=spoke)

    for second in range(31):
        pass_(1, second)
    assert lines == ["train 7 2% looking: 16"]
    pass_(2, 31, spoke=True)
    for second in range(15):
        pass_(1, 32 + second)
    assert len(lines) == 1  # a line of its log was there
    pass_(1, 50)
    pass_(1, 250)
    assert lines[1:] == ["train 7 5% looking: 50", "train 7 25% looking: 250"]
    pass_(1_000, 250)
    assert len(lines) == 3  # nothing new
    pass_(1, 251)
    pass_(60, 252, started=-10_000.0)  # of a job of hours, a line every few minutes
    assert len(lines) == 4


def test_comparing_many_pictures_tells_how_far_it_is(tmp_path):
    likeness, shares = Likeness(), []
    from PIL import Image

    for number, path in enumerate(sorted(kennel(tmp_path / "dogs", 6).rglob("*.jpg"))):
        with Image.open(path) as image:
            found = fingerprint(image)
        for copy in range(2):
            likeness.add(2 * number + copy, found)
    assert list(likeness.groups(shares.append))
    assert shares == sorted(shares) and shares[0] == 0.0 and 0.5 < shares[-1] <= 1.0 and len(shares) > 20
    with pytest.raises(KeyboardInterrupt):
        findings.find(SimpleNamespace(flagged=list, copies=list), likeness, interrupt)


def interrupt(_share):
    raise KeyboardInterrupt
