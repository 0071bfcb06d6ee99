"""Collects what decided an experiment's figures: from the store, the price table and the installed packages."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from engine import __version__, clock
from engine.azure.prices import Prices
from engine.datasets.prompt import Prompt
from engine.errors import DogclsError
from engine.evaluation.provenance import Provenance, moment
from engine.jobs.paths import Home
from engine.settings import load_settings
from engine.states import ContestantKind, JobKind, JobState
from engine.store import Store
from engine.store.experiments import StoredContestant
from engine.store.jobs import StoredJob

PACKAGES = ("torch", "onnxruntime", "numpy", "pandas", "scipy", "scikit-learn", "statsmodels")
_TRAINING = ("epochs", "batch_size", "lr_multiplier")


def software() -> dict[str, str]:
    """Return the versions of everything that has a part in the figures, without importing any of it."""
    found = {"dogcls-tui": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def provenance(store: Store, home: Home, experiment: str, prices: Prices) -> Provenance:
    """Return what decided an experiment's figures.

    Raises:
        NotFoundError: there is no such experiment.

    """
    stored, contestants = store.experiments.get(experiment), store.experiments.contestants(experiment)
    dataset = store.datasets.get(str(stored.dataset))
    views = store.jobs.views(experiment)
    jobs = [(store.jobs.get(view.id), view.finished_at) for view in views]
    paid = {c.model.split(".ft-")[0] for c in contestants if c.kind != ContestantKind.CNN}
    return Provenance(
        made_at=clock.now(),
        software=software(),
        experiment={
            "name": experiment,
            "profile": stored.profile,
            "started_at": moment(stored.created_at),
            "api": _api(home, stored.profile),
        },
        dataset={
            "name": dataset.name,
            "digest": dataset.digest,
            "split": dataset.split,
            "seed": dataset.seed,
            "train": dataset.train,
            "val": dataset.val,
            "test": dataset.test,
            "labels": len(dataset.labels),
        },
        prices={
            "as_of": prices.as_of,
            "machine_hourly": prices.machine,
            "models": {name: vars(prices.models[name]) for name in sorted(paid) if name in prices.models},
        },
        contestants=[_contestant(c, [each for each in jobs if each[0].contestant_id == c.id]) for c in contestants],
    )


def _contestant(contestant: StoredContestant, jobs: Sequence[tuple[StoredJob, float | None]]) -> dict[str, Any]:
    """Return who answered, and how it was asked or trained; the last job that says something is believed."""
    found: dict[str, Any] = {
        "name": contestant.name,
        "kind": str(contestant.kind),
        "model": contestant.model,
        "emulated": contestant.emulated,
        "prompt": contestant.prompt or None,
        "answer_format": contestant.answer_format,
    }
    for job, finished_at in jobs:
        p, result = job.parameters, job.result or {}
        if job.kind == JobKind.PROBE:  # times answers, and has no say in them
            found["probe_deployment"] = p.get("deployment")
            continue
        deployment = p.get("deployment") or result.get("deployment")
        more: dict[str, Any] = {"deployment": deployment, "detail": p.get("detail"), "seed": p.get("seed")}
        if "prompt" in p:
            asked = Prompt.of(p)
            more["template"] = {name: getattr(asked, name) for name in ("system", "user", "labels_as", "answer", "key")}
        if job.kind == JobKind.FINE_TUNE:
            more["training"] = {name: result.get(name) or p.get(name) for name in _TRAINING}
            more["training"]["billed_tokens"] = result.get("billed_tokens")
        if job.kind == JobKind.TRAIN:
            more |= {"recipe": p.get("recipe"), "weights": _weights(result), "device": result.get("device")}
        found |= {name: value for name, value in more.items() if value not in (None, [])}
        if finished_at is not None:
            found["finished_at"] = max(found.get("finished_at", ""), moment(finished_at))
    if any(job.state != JobState.SUCCEEDED for job, _ in jobs):  # one that failed or was cancelled has ended only
        found.pop("finished_at", None)
    return found


def _weights(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pretrained weights of a training; older results tell them in a sentence alone."""
    told = result.get("weights") or []
    if isinstance(told, str):
        return [{"backbone": None, "weights": told, "sha256": None}]
    return [{name: w.get(name) for name in ("backbone", "weights", "sha256")} for w in told if isinstance(w, dict)]


def _api(home: Home, profile: str) -> str | None:
    """Return the service's flavour, without reaching it; None where the profile is not set up here any more."""
    if profile == "demo":
        return "the embedded emulator"
    try:
        resource = load_settings(home.root).resource(profile)
    except (DogclsError, ValueError):
        return None
    return "v1 API" if resource.endpoint.rstrip("/").endswith("/openai/v1") else f"API {resource.api_version}"
