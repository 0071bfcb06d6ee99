"""Watching the CNN learn: what is measured, the last validation, pausing by key, and choosing a recipe."""

import math

import pytest

from engine.states import JobState
from engine.store.experiments import NewContestant, NewJob
from engine.store.validations import Validation
from tests.pictures import plain
from tests.tui.conftest import run_to
from tests.tui.looking import footer, settled, shows, text_of, until
from tui.app import DogclsApp

LABELS = ["beagle", "pug", "[red]poodle"]
CURVE = [
    {"per_class": n, "images": 3 * n, "accuracy": a, "low": a - 0.04, "high": a + 0.03, "seconds": 0.1}
    for n, a in ((5, 0.61), (10, 0.72), (20, 0.8), (40, 0.805))
]
SIZES = [(80, 24), (120, 40)]
RESULT = {
    "model": "efficientnet-lite0 (quick)", "recipe": "quick", "device": "cpu, 2 threads (float32)", "seconds": 12.5,
    "weights": [{"backbone": "efficientnet-lite0", "weights": "ImageNet, packaged", "sha256": "0" * 64}],
    "val_accuracy": 0.875, "learning_curve": CURVE, "caution": "ImageNet weights meet ImageNet pictures.",
}  # fmt: skip


def measure(store, job, epochs, slower=1.0):
    """Write what a run measures: ten steps an epoch, a validation after each."""
    rows = []
    for step in range(1, 10 * epochs + 1):
        epoch, loss = step / 10, 2 * math.exp(-step / 60 / slower) + 0.05 * math.sin(step)
        rate = 0.0005 * (1 + math.cos(math.pi * step / 120)) / 2
        told = {"loss": loss, "accuracy": 1 - loss / 3, "learning_rate": rate, "images_per_second": 840.0 + step % 7,
                "memory_mb": 372.5 + step / 100, "seconds_left": 12.0 - step / 10}  # fmt: skip
        if step % 10 == 0:
            told |= {"train_loss": loss, "train_accuracy": 1 - loss / 3, "val_loss": loss + 0.1,
                     "val_accuracy": 1 - loss / 2.5}  # fmt: skip
        rows += [(name, step, epoch, value) for name, value in told.items()]
    store.jobs.add_metrics(job, rows)


@pytest.fixture
def learning(engine, tmp_path):
    """A run of the CNN that has ended, with its learning curve, and one in the middle, which has been validated."""
    store, root = engine.store, tmp_path / "dogs"
    root.mkdir()
    images = []
    for split in ("train", "val", "test"):
        for n in range(6):
            name = f"{split}-{n}.png"
            (root / name).write_bytes(plain(n, form="PNG"))
            images.append((name, n % 3, split, 1, 32, 24, name))
    store.datasets.add("dogs", source=str(root), root=root, split="stratified", seed=42, digest="0" * 64,
                       labels=LABELS, images=images)  # fmt: skip
    for number, recipe in enumerate(("quick", "best"), start=1):
        who = [NewContestant("cnn", "cnn", recipe, False, "", "class")]
        jobs = [NewJob("train", {"dataset": "dogs", "recipe": recipe, "seed": 42, "device": "auto"}, 0)]
        store.experiments.add(f"run-{number}", dataset="dogs", profile="demo", spec="", contestants=who, jobs=jobs)
    attempt = run_to(store, 1, JobState.RUNNING)
    store.jobs.change(1, JobState.SUCCEEDED, expected=(JobState.RUNNING,), attempt=attempt, message="", result=RESULT)
    measure(store, 1, 12)
    attempt = run_to(store, 2, JobState.RUNNING)
    store.jobs.log(2, "recipe best on cpu, 2 threads (float32)")
    store.jobs.progress(2, attempt, 50, 120, "efficientnet-lite1, head, epoch 6 of 12, 40 s left")
    measure(store, 2, 5, slower=1.5)
    validated = store.datasets.images("dogs", "val")
    store.validations.replace(
        2,
        [
            Validation(i.id, (i.label + (n < 2)) % 3, 0.7, 0.7 if n >= 2 else 0.1 + n / 10)
            for n, i in enumerate(validated)
        ],
    )
    return engine


async def test_a_run_under_way_says_where_how_fast_and_how_well(learning):
    app = DogclsApp(learning, room="train")
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot, "── train 2", "◆ validation", "efficientnet-lite1, head, epoch 6 of 12, 40 s left")
        await shows(pilot, "best on cpu, 2 threads (float32)", "841 images/s", "373.0 MB", "val acc", "best ")
        await pilot.press("j")
        await shows(pilot, "── train 1", "best 87.5%", "ImageNet weights meet ImageNet pictures.")


async def test_every_measure_is_drawn_and_runs_lie_over_each_other(learning):
    app = DogclsApp(learning, room="train")
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot, "── train 2", "loss by step, smoothed 0.9")
        await pilot.press("space", "j")
        await shows(pilot, "── train 1  ── train 2", "◆train 2")
        for told in (
            "accuracy by step, smoothed",
            "learning rate by step",
            "images a second by step",
            "MB of memory by",
        ):
            await pilot.press("m")
            await shows(pilot, told)
        await pilot.press("m", "a")
        await shows(pilot, "loss by epoch")
        await pilot.press("right_square_bracket")
        await shows(pilot, "val acc", "images/s", "MB")
        assert "measure" not in footer(app)  # there is nothing to measure on this tab


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_the_worst_pictures_of_the_last_validation(learning, size):
    app = DogclsApp(learning, room="train")
    async with app.run_test(size=size) as pilot:
        await settled(pilot, "── train 2")
        await pilot.press("right_square_bracket", "right_square_bracket")
        await shows(pilot, "2 of these 6 are wrong", "beagle 10%", "val-0.png")
        await pilot.press("j")
        await shows(pilot, "[red]poodle 70%", "val-1.png")
        learning.store.validations.replace(2, [])
        await pilot.press("k", "left_square_bracket", "right_square_bracket")
        await shows(pilot, "No picture was taken for another yet.")


async def test_more_labels(learning):
    app = DogclsApp(learning, room="train")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "── train 2")
        await pilot.press("left_square_bracket")
        await shows(pilot, "No learning curve is known of this run")
        await pilot.press("h")
        await until(pilot, lambda: app.screen.focused is not None, "a focus")
        app.screen.query_one("#runs").focus()
        await pilot.press("j")
        await shows(pilot, "a class", "80.5%", "76.5%–83.5%", "From 20 to 40 images a class: +0.5 points.")


async def test_paused_resumed_and_cancelled_by_key(learning, spawned):
    jobs = learning.store.jobs
    app = DogclsApp(learning, room="train")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "── train 2", "c cancel", "p pause")
        assert footer(app).rstrip().endswith("q quit")
        assert "r resume" not in footer(app)
        await pilot.press("p")
        await until(pilot, lambda: jobs.view(2).request == "pause", "that a pause is asked for")
        app.bridge.look_now()
        await shows(pilot, "pausing")
        jobs.change(2, JobState.PAUSED, expected=(JobState.RUNNING,), attempt=1, message="paused")
        app.bridge.look_now()
        await shows(pilot, "r resume")
        await pilot.press("r")
        await until(pilot, lambda: jobs.view(2).state == "queued", "that it goes on")
        app.bridge.look_now()
        await shows(pilot, "c cancel")
        await pilot.press("c")
        await shows(pilot, "Cancel train 2?")
        await pilot.press("y")
        await until(
            pilot, lambda: jobs.view(2).request == "cancel" or jobs.view(2).state == "cancelled", "its cancelling"
        )


async def test_with_readonly_nothing_is_offered_that_would_change_a_run(learning):
    learning.readonly = True
    app = DogclsApp(learning, room="train")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "── train 2", "m measure")
        assert not any(word in footer(app) for word in ("cancel", "pause", "resume"))


async def test_a_recipe_is_chosen_from_a_list_that_explains_it(priced):
    app = DogclsApp(priced, room="launch")
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot, "dogcls-tui run")
        await choose_recipe(pilot)
        await shows(pilot, "By which recipe", "phase 2: the last 3 blocks", "mobilenet_v3_small", "nothing to download")
        await pilot.press("j", "j", "enter")
        await shows(pilot, "--recipe best", "best: EfficientNet-Lite0, 1 and 2")
        await pilot.press("enter")
        await shows(pilot, "By which recipe")
        await pilot.press("k", "k", "enter")
        await until(pilot, lambda: "--recipe" not in text_of(app), "the default again")
        await pilot.press("enter")
        await shows(pilot, "By which recipe")
        await pilot.press("escape")
        await until(pilot, lambda: "By which recipe" not in text_of(app), "the form")


async def choose_recipe(pilot):
    """Open the list of recipes."""
    from tui.widgets.lists import List

    pilot.app.screen.query_one("#parameters", List).choose("recipe")
    await shows(pilot, "enter: all recipes")
    await pilot.press("enter")


KEYS = {
    "curves": ((), ("── train 2", "◆ validation")),
    "laid-over": (("space", "j", "m", "a"), ("── train 1  ── train 2", "accuracy")),
    "worst": (("right_square_bracket",) * 2, ("val-0.png",)),
    "labels": (("j", "left_square_bracket"), ("From 20 to 40",)),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("tab", KEYS)
def test_picture(learning, snap_compare, tab, size):
    keys, words = KEYS[tab]

    async def go(pilot):
        await settled(pilot, "── train 2")
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.1)
        await settled(pilot, *words)

    assert snap_compare(DogclsApp(learning, room="train"), terminal_size=size, run_before=go)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_recipes(priced, snap_compare, size):
    async def go(pilot):
        await settled(pilot, "dogcls-tui run")
        await choose_recipe(pilot)
        await settled(pilot, "By which recipe")

    assert snap_compare(DogclsApp(priced, room="launch"), terminal_size=size, run_before=go)
