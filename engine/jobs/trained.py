"""Contestants by name, and what is left of their training: for `predict` and `export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import InputError, JobError, NotFoundError
from engine.jobs.paths import Home
from engine.states import ContestantKind, JobKind, JobState, Split
from engine.store import Store
from engine.store.experiments import StoredContestant
from engine.store.jobs import StoredJob

if TYPE_CHECKING:
    from engine.training.card import Facts

CHECKED_ON = 16
"""Test images on which exported files must say what the checkpoints say."""


@dataclass(frozen=True)
class Found:
    """A contestant, its experiment, and that experiment's jobs for it."""

    experiment: str
    dataset: str
    profile: str
    contestant: StoredContestant
    jobs: tuple[StoredJob, ...]

    def job(self, *kinds: JobKind) -> StoredJob | None:
        """Return its first job of these kinds."""
        return next((job for job in self.jobs if job.kind in kinds), None)


def find(store: Store, experiment: str, contestant: str | None = None, kind: ContestantKind | None = None) -> Found:
    """Find a contestant; the only one, or the only CNN, unless named.

    Args:
        store: where to look.
        experiment: its name.
        contestant: its name, as the comparison has it, with or without "(emulated)".
        kind: look only among those of this kind.

    Raises:
        NotFoundError: there is no such experiment or contestant.
        InputError: several could be meant.

    """
    stored = store.experiments.get(experiment)
    there = [c for c in store.experiments.contestants(experiment) if kind is None or c.kind == kind]
    names = ", ".join(c.name for c in there) or "none"
    if contestant is not None:
        wanted = contestant.removesuffix(" (emulated)")
        chosen = [c for c in there if c.name == wanted]
    else:
        chosen = there if len(there) == 1 else [c for c in there if c.kind == ContestantKind.CNN]
        if len(chosen) != 1 and there:
            raise InputError(f"Experiment {experiment!r} has several contestants.", f"Name one of: {names}.")
    if not chosen or stored.dataset is None:
        who = f"no contestant {contestant!r}" if contestant is not None else f"no {kind or 'contestant'}"
        raise NotFoundError(f"Experiment {experiment!r} has {who}.", f"It has: {names}.")
    views = store.jobs.views(experiment)
    jobs = tuple(store.jobs.get(view.id) for view in views if view.contestant == chosen[0].name)
    return Found(experiment, stored.dataset, stored.profile, chosen[0], jobs)


def checkpoints(found: Found, home: Home) -> tuple[StoredJob, Path]:
    """Return a CNN's training job and the folder of its checkpoints.

    Raises:
        JobError: it is not trained yet, or its checkpoints were deleted.

    """
    job = found.job(JobKind.TRAIN)
    if job is None:
        raise JobError(f"{found.experiment}/{found.contestant.name} was never trained.", "Train it first.")
    if job.state != JobState.SUCCEEDED:
        raise JobError(
            f"{found.experiment}/{found.contestant.name} is not trained: job {job.id} is {job.state}.",
            f"See: dogcls-tui logs {job.id}",
        )
    folder = home.job(job) / "checkpoints"
    if not folder.is_dir():
        raise JobError(f"{folder}: the checkpoints are gone.", "Train again.")
    return job, folder


def facts(store: Store, found: Found, job: StoredJob) -> tuple[Facts, list[Path]]:
    """Return what a model card tells of a trained CNN, and a few of its test images, spread over the classes."""
    from engine.evaluation.metrics import latency
    from engine.training.card import Facts
    from engine.training.caution import imagenet_caution

    dataset, result = store.datasets.get(found.dataset), job.result or {}
    images = {split: store.datasets.images(dataset.name, split) for split in Split}
    test = images[Split.TEST]
    said = store.predictions.of(found.contestant.id)
    answered = [(image.label, said[image.id].label) for image in test if image.id in said]
    seed: Any = job.parameters.get("seed")
    told = Facts(
        experiment=found.experiment,
        contestant=found.contestant.name,
        dataset=dataset.name,
        digest=dataset.digest,
        split={str(split): len(images[split]) for split in Split},
        seed=seed,
        val_accuracy=result.get("val_accuracy"),
        correct=sum(label == truth for truth, label in answered),
        tested=len(answered),
        latency=latency(list(store.predictions.latencies(found.contestant.id).values())),
        device=str(result.get("device") or ""),
        caution=imagenet_caution(
            dataset.labels, ((i.path, dataset.labels[i.label], i.split) for split in Split for i in images[split])
        ),
    )
    few = test or images[Split.VAL]
    count = min(CHECKED_ON, len(few))
    return told, [few[number * len(few) // count].path for number in range(count)]
