"""Checks that a contestant's files were made for it: for its job, from the images of its data set."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from engine.jobs.identity import FILE, Identity, sha256_of
from engine.jobs.origins import Check
from engine.jobs.paths import Home
from engine.quantities import agrees, counted
from engine.states import JobKind, Split
from engine.store import Store
from engine.store.experiments import StoredContestant
from engine.store.jobs import StoredJob

SAMPLE = 200
"""Examples of a training file whose images are compared, unless all are wanted."""


def check(
    store: Store, home: Home, contestant: StoredContestant, jobs: Sequence[StoredJob], every: bool
) -> Iterator[Check]:
    """Compare what lies in a contestant's job folders with what its jobs are to use.

    Args:
        store: knows the jobs and the images.
        home: has the folders.
        contestant: whose predictions were made from these files.
        jobs: its jobs.
        every: compare each example of a training file; else the first `SAMPLE`.

    """
    files, differs = 0, []
    for job in jobs:
        folder = home.job(job)
        if not folder.is_dir():
            continue
        identity = Identity.of(store, job)
        for path in sorted([folder / FILE, *folder.glob("round-*/shards.json"), *folder.glob("round-*/*.facts.json")]):
            if not path.exists():
                continue
            files += 1
            differs += [f"{job.kind} {job.id}: {path.relative_to(folder)}: {why}" for why in _kept(path, identity, job)]
        for path in sorted(folder.glob("round-*/*.jsonl")):
            if path.stem in (Split.TRAIN, Split.VAL):
                files += 1
                differs += [
                    f"{job.kind} {job.id}: {path.relative_to(folder)}: {why}"
                    for why in _examples(store, job, path, every)
                ]
        if job.kind == JobKind.TRAIN:
            for path in sorted((folder / "checkpoints").glob("best-*.pt")):
                files += 1
                differs += [
                    f"{job.kind} {job.id}: {path.relative_to(folder)}: {why}" for why in _checkpoint(store, job, path)
                ]
    if files:
        detail = f"{counted(files, 'file')} made for its jobs and their images"
        yield Check(f"origin of {contestant.name}", not differs, detail, tuple(differs))


def _kept(path: Path, identity: Identity, job: StoredJob) -> list[str]:
    """Return why a file that names what it was made for was made for something else."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ["cannot be read"]
    found = kept if path.name == FILE else kept.get("identity")
    if found is None and job.legacy:
        return []
    wrong = [f"its {name} is another" for name in identity.differs(found)]
    data = path.with_name(path.name.removesuffix(".facts.json") + ".jsonl")
    if path.name.endswith(".facts.json") and data.exists() and kept.get("sha256", "") not in ("", sha256_of(data)):
        wrong.append(f"{data.name} has changed")
    return wrong


def _examples(store: Store, job: StoredJob, path: Path, every: bool) -> list[str]:
    """Return how many examples of a training file are of no image of the split."""
    dataset = job.parameters.get("dataset")
    if dataset is None or job.parameters.get("convert"):  # converted copies have digests of their own
        return []
    known = {image.sha256 for image in store.datasets.images(str(dataset), Split(path.stem))}
    strange = seen = 0
    try:
        with path.open("rb") as file:
            for line in islice(file, None if every else SAMPLE):
                parts = [m["content"] for m in json.loads(line)["messages"] if isinstance(m.get("content"), list)]
                for url in (
                    p["image_url"]["url"] for content in parts for p in content if p.get("type") == "image_url"
                ):
                    seen += 1
                    strange += hashlib.sha256(base64.b64decode(url.partition(",")[2])).hexdigest() not in known
    except (OSError, ValueError, KeyError, TypeError):
        return ["cannot be read"]
    return (
        [f"{strange:,} of {counted(seen, 'image')} {agrees(strange, 'is', 'are')} not of the {path.stem} split"]
        if strange
        else []
    )


def _checkpoint(store: Store, job: StoredJob, path: Path) -> list[str]:
    """Return in what a checkpoint is of another run."""
    from engine.training import checkpoint
    from engine.training.keeping import data_digest, others

    saved = checkpoint.load(path)
    if saved is None:
        return ["cannot be read"]
    dataset = str(job.parameters.get("dataset"))
    images = [
        [(i.sha256, i.label) for i in store.datasets.images(dataset, split)] for split in (Split.TRAIN, Split.VAL)
    ]
    mine = {"job": job.nonce, "data": data_digest(*images), "labels": list(store.datasets.get(dataset).labels)}
    return [f"its {name} is another" for name in others(saved, mine)]
