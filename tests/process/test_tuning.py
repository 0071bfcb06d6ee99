"""Fine-tuning and deploying against the emulator, by real workers: what is chosen, left out, refused, tuned again."""

import contextlib
import shutil
import sqlite3
from dataclasses import replace

import pytest
from PIL import Image

from engine.jobs.paths import Home
from engine.store import Store
from tests.pictures import catalogued
from tests.process import kill_matrix
from tests.process.kill_matrix import SCENARIOS, TRAINS

TUNE = next(s for s in SCENARIOS if s.kind == "fine_tune")
DEPLOY = next(s for s in SCENARIOS if s.kind == "deploy")


@pytest.fixture
def lane(lanes):
    yield lanes.all[0]
    lanes.all[0].clean()


@pytest.fixture
def work(lane, tmp_path):
    """Run one job to its end; return the store."""
    with contextlib.ExitStack() as stack:

        def run(scenario, tuned=None, before=lambda store, home: None, **parameters):
            home = Home(tmp_path / f"home-{len(list(tmp_path.iterdir()))}")
            shutil.copytree(lane.template, home.root)
            store = Store(home.store)
            stack.callback(store.close)
            before(store, home)
            lane.settings("instant", scenario.faults)
            kill_matrix._add(lane, store, replace(scenario, parameters=parameters), tuned)
            kill_matrix._attempt(lane, home, store, [], {}, None)
            return store

        yield run


def catalogue_again(store, home, images):
    """Make the store know images as they are now, which nothing but a test may do."""
    with sqlite3.connect(home.store) as db:
        db.execute("DROP TRIGGER images_frozen")
        for image in images:
            now = catalogued(image.path)
            db.execute("UPDATE images SET bytes = ?, sha256 = ? WHERE id = ?", (now.bytes, now.sha256, image.id))
    db.close()


def lines(store):
    return "\n".join(line.message for line in store.jobs.lines(1))


def test_hyperparameters_left_to_the_service_and_images_it_leaves_out(work):
    automatic = {"epochs": "auto", "batch_size": "auto", "lr_multiplier": "auto"}
    store = work(replace(TUNE, faults={"skipped_images": 0.5}), **automatic)
    assert store.jobs.view(1).state == "succeeded", store.jobs.view(1).error
    result = store.jobs.get(1).result
    assert (result["epochs"], result["batch_size"]) == (3, 1)  # as the emulator chooses for so few
    steps = {m.step for m in store.jobs.metrics(1) if m.name == "train_loss"}
    left_out = TRAINS - max(steps) // 3
    assert steps == set(range(1, max(steps) + 1))
    assert result["left_out"] == {"about": left_out, "named": []}
    assert (f"about {left_out} of {TRAINS} training images were not used" in lines(store)) == (left_out > 0)
    assert "12 train examples: about" in lines(store)


def test_a_tuned_model_is_tuned_further_and_a_checkpoint_is_deployed(work, lane):
    first = lane.tuned()
    store = work(TUNE, model=first)
    result = store.jobs.get(1).result
    assert result["model"].startswith("gpt-4o-2024-08-06.ft-")
    assert result["model"] != first
    assert store.jobs.view(1).cost_usd == pytest.approx(result["billed_tokens"] * 27.5e-6)
    point = result["checkpoints"][0]
    assert point["model"] == f"{result['model']}:ckpt-step-{point['step']}"
    assert f"checkpoint of step {point['step']}: {point['model']}" in lines(store)
    deployed = work(DEPLOY, tuned=point["model"])
    assert deployed.jobs.view(1).state == "succeeded", deployed.jobs.view(1).error
    name = deployed.jobs.get(1).result["deployment"]
    there = lane.api("GET", f"{lane.deployments()}/{name}?api-version=2024-10-01")
    assert there["properties"]["model"]["name"] == point["model"]


def test_an_image_that_the_service_would_refuse_is_named_before_anything_is_uploaded(work, lane):
    def spoil(store, home):
        image = store.datasets.images("set", "train")[4]
        spoiled.append(image.path)
        kept.append(spoiled[0].read_bytes())
        Image.new("L", (32, 24)).save(spoiled[0])
        catalogue_again(store, home, [image])

    spoiled, kept = [], []
    jobs = len(lane.emulator.ledger()["fine_tuning_jobs"])
    try:
        store = work(TUNE, before=spoil)
    finally:
        spoiled[0].write_bytes(kept[0])
    view = store.jobs.view(1)
    assert view.state == "failed"
    assert (
        f"{spoiled[0]}: the mode is L, and RGB or RGBA is taken. Convert it to RGB, or let that be done" in view.error
    )
    assert lane.listed("files") == []
    assert len(lane.emulator.ledger()["fine_tuning_jobs"]) == jobs


def test_images_of_another_mode_are_made_rgb_where_that_was_chosen(work, tmp_path):
    def spoil(store, home):
        images = [store.datasets.images("set", "train")[number] for number in (2, 5)]
        for image, mode in zip(images, ("L", "CMYK"), strict=True):
            kept[image.path] = image.path.read_bytes()
            Image.open(image.path).convert(mode).save(image.path, "JPEG")
        catalogue_again(store, home, images)

    kept = {}
    try:
        store = work(TUNE, before=spoil, convert=True)
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
    assert store.jobs.view(1).state == "succeeded", store.jobs.view(1).error
    assert "2 train images were made RGB JPEGs (1 CMYK, 1 L); train.converted.txt names them" in lines(store)
    (named,) = tmp_path.rglob("train.converted.txt")
    assert named.read_text() == "".join(f"{mode}\t{path}\n" for path, mode in zip(kept, ("L", "CMYK"), strict=True))


def test_a_model_that_takes_no_images_is_refused_before_anything_is_uploaded(work, lane):
    store = work(TUNE, model="gpt-4o-mini-2024-07-18")
    assert "'gpt-4o-mini-2024-07-18' cannot be fine-tuned on images" in store.jobs.view(1).error
    assert lane.listed("files") == []


def test_a_job_that_fails_on_the_service_costs_nothing_and_is_made_again(work):
    store = work(replace(TUNE, faults={"fail_training": True}))
    view = store.jobs.view(1)
    assert (view.state, view.cost_usd) == ("failed", 0)
    assert "ended failed" in view.error
