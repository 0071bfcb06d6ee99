"""A small experiment with pictures and every outcome, for the tests of results."""

import hashlib

from PIL import Image

from engine.datasets.catalog import digest_of
from engine.states import JobState, Outcome
from engine.store.experiments import NewContestant, NewJob
from engine.store.predictions import Prediction

PROMPT = "Which of [{labels}]?"
MODEL = "gpt-4o-2024-08-06"
HOSTILE = "<script>alert(1)</script>"


def painted(folder, name, colour):
    """Write a small picture; return (bytes, sha256)."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), colour).save(path)
    data = path.read_bytes()
    return len(data), hashlib.sha256(data).hexdigest()


def finish(store, job_id, state=JobState.SUCCEEDED):
    """Take a job to its end."""
    store.jobs.change(job_id, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    attempt = store.jobs.get(job_id).attempt
    store.jobs.claim(job_id, attempt, 1, 1.0)
    store.jobs.change(job_id, state, expected=(JobState.RUNNING,), attempt=attempt, message="done")


def experiment(store, folder, labels=("cat", "dog"), each=4, running=False, more=(), profile="demo", emulated=True):
    """Write down an experiment `pets`: zero-shot answers all but two images, the CNN is right but once.

    Of the zero-shot contestant one answer names no label, and one request failed.
    """
    images = []
    for split in ("train", "val", "test"):
        for position, _ in enumerate(labels):
            for n in range(each):
                name = f"{split}/{position}-{n}.png"
                size, sha = painted(folder, name, (n, 90 * position, 40 * len(split)))
                images.append((name, position, split, size, 12, 10, sha))
    digest = digest_of(sorted(f"{sha} {split} {labels[label]}" for _, label, split, *_, sha in images))
    store.datasets.add(
        "pets", source=str(folder), root=folder, split="stratified", seed=7, digest=digest, labels=labels, images=images
    )
    parameters = {"model": MODEL, "deployment": "four-o", "detail": "low"}
    store.experiments.add(
        "pets",
        dataset="pets",
        profile=profile,
        spec="",
        contestants=[
            NewContestant("zero-shot", "zero-shot", MODEL, emulated, PROMPT, "json"),
            NewContestant("cnn", "cnn", "tiny", False, "", "class"),
        ],
        jobs=[NewJob("batch", parameters, 0), NewJob("train", {"recipe": "quick", "seed": 42}, 1), *more],
    )
    zero_shot, cnn = store.experiments.contestants("pets")
    test = store.datasets.images("pets", "test")
    finish(store, 1)
    if not running:
        finish(store, 2)
    for number, _ in enumerate(more, start=3):
        finish(store, number)
    said = []
    for n, image in enumerate(test):
        label = image.label if n % 3 else (image.label + 1) % len(labels)
        raw = f'{{"label": "{labels[label]}"}}'
        said.append(Prediction(image.id, raw, label, Outcome.ANSWERED, prompt_tokens=100, completion_tokens=5))
    said[-1] = Prediction(test[-1].id, "a bird", None, Outcome.UNKNOWN_LABEL, prompt_tokens=100, completion_tokens=5)
    if len(test) > 1:
        said[-2] = Prediction(test[-2].id, None, None, Outcome.FAILED, error="500: broken")
    store.predictions.add(zero_shot.id, said)
    usage = store.predictions.usage(zero_shot.id)
    usd = (usage.prompt_tokens * 1.25 + usage.completion_tokens * 5) / 1e6  # a batch's, for no latency is known
    store.jobs.charge(1, zero_shot.id, "inference", usd)
    rows = []
    for n, image in enumerate(test[: 3 if running else None]):
        label = image.label if n else (image.label + 1) % len(labels)
        ranking = ((label, 0.9), ((label + 1) % len(labels), 0.1))
        rows.append(Prediction(image.id, f"{labels[label]} (0.9000)", label, Outcome.ANSWERED, ranking=ranking))
        store.predictions.add_latency(cnn.id, image.id, 5.0 + n)
    store.predictions.add(cnn.id, rows)
    return test
