"""A plan in words: the command that would start it, the requests it would send, the time it may take."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.azure.connection import Endpoint
from engine.events import DatasetView, JobView
from engine.jobs.plan import AUTOMATIC_EPOCHS, Plan
from engine.jobs.spec import Spec
from engine.learning import is_from_cache
from engine.quantities import counted
from engine.states import ContestantKind, JobKind
from engine.store import Store
from engine.store.experiments import NewJob

_FLAGS = {
    *("model", "epochs", "batch_size", "lr_multiplier", "seed", "detail", "prompt"),
    *("recipe", "weights", "device", "max_cost"),
}
_SWITCHES = {"convert"}


@dataclass(frozen=True)
class Outline:
    """What would happen. `seconds` is None while no job of some kind was ever measured in this home."""

    command: str
    requests: str
    seconds: float | None


def outline(store: Store, spec: Spec, plan: Plan, dataset: DatasetView, place: Endpoint | None) -> Outline:
    """Describe a plan."""
    requests = [f"# to {place.endpoint}; deployments at {place.arm_endpoint}"] if place is not None else []
    requests += [told for job in plan.jobs for told in _requests(job, dataset, place)]
    return Outline(command(spec), "\n\n".join(requests), _seconds(store, spec, plan, dataset))


def command(spec: Spec) -> str:
    """Return the shell command that runs these parameters, leaving out what is as it is by default."""
    words = ["dogcls-tui", "run", "--dataset", spec.dataset]
    if spec.name:
        words += ["--name", spec.name]
    if set(spec.contestants) != set(ContestantKind):
        words += ["--contestants", ",".join(spec.contestants)]
    beyond = False
    for name, field in Spec.model_fields.items():
        value = getattr(spec, name)
        if name in ("name", "dataset", "contestants") or value == field.default:
            continue
        if value is True and name in _SWITCHES:
            words.append(f"--{name}")
        elif name in _FLAGS:
            words += ["--" + name.replace("_", "-"), str(value)]
        else:
            beyond = True
    if beyond:  # what has no option of its own goes by the experiment file
        words = ["dogcls-tui", "run", "--file", f"{spec.name or spec.dataset}.toml"]
    return shlex.join(words)


def _requests(job: NewJob, dataset: DatasetView, place: Endpoint | None) -> list[str]:
    p = job.parameters
    if place is None or job.kind == JobKind.TRAIN:
        return [f"# {job.kind}: on this machine, recipe {p.get('recipe')}; no request"]
    path, version = ("", "") if place.is_v1 else ("/openai", f"?api-version={place.api_version}")
    base = urlsplit(place.endpoint).path.rstrip("/") + path
    body: dict[str, object]
    if job.kind == JobKind.BATCH:
        body = {"input_file_id": "file-…", "endpoint": "/chat/completions", "completion_window": "24h"}
        return [
            f"POST {base}/files{version}\npurpose=batch, {counted(dataset.test, 'request')} to {p['deployment']}",
            f"POST {base}/batches{version}\n{json.dumps(body, indent=2, ensure_ascii=False)}",
        ]
    if job.kind == JobKind.FINE_TUNE:
        body = {
            "model": p["model"],
            "training_file": "file-…",
            "validation_file": "file-…",
            "suffix": "dogcls-…",
            "seed": p["seed"],
            "hyperparameters": {
                name: p[key]
                for name, key in (
                    ("n_epochs", "epochs"),
                    ("batch_size", "batch_size"),
                    ("learning_rate_multiplier", "lr_multiplier"),
                )
                if p[key] != "auto"
            },
        }
        files = f"purpose=fine-tune, {dataset.train:,} training and {counted(dataset.val, 'validation example')}"
        return [
            f"POST {base}/files{version}\n{files}",
            f"POST {base}/fine_tuning/jobs{version}\n{json.dumps(body, indent=2, ensure_ascii=False)}",
        ]
    if job.kind == JobKind.DEPLOY:
        account = f"{place.resource_group}/providers/Microsoft.CognitiveServices/accounts/{place.account}"
        return [f"PUT /subscriptions/…/resourceGroups/{account}/deployments/dogcls-…"]
    asked = min(int(p["probe"]), dataset.test) if job.kind == JobKind.PROBE else dataset.test
    name = p.get("deployment") or "dogcls-…"
    where = f"{base}/chat/completions" if place.is_v1 else f"{base}/deployments/{name}/chat/completions{version}"
    return [f"POST {where}\n{asked:,} times, one image each"]


def _seconds(store: Store, spec: Spec, plan: Plan, dataset: DatasetView) -> float | None:
    """Return how long it may take: contestants run side by side, so the longest of them.

    From the time that the last job of each kind (and recipe) that succeeded here worked, by its number of images.
    """
    per_contestant: dict[int, float] = {}
    for job in plan.jobs:
        if job.kind == JobKind.PROBE:
            continue
        last = next((v for v in reversed(store.jobs.of_kind(job.kind)) if _like(store, v, job)), None)
        if last is None or not last.worked_seconds:
            return None
        seconds = last.worked_seconds
        then = store.jobs.get(last.id).parameters
        name = str(then.get("dataset") or "")
        if name and store.datasets.exists(name) and job.kind != JobKind.DEPLOY:
            before = store.datasets.get(name)
            seconds *= _work(job.kind, spec, dataset) / max(1.0, _work_then(job.kind, then, before))
        per_contestant[job.contestant or 0] = per_contestant.get(job.contestant or 0, 0.0) + seconds
    return max(per_contestant.values(), default=0.0)


def _like(store: Store, before: JobView, job: NewJob) -> bool:
    """Return whether a job of the same kind came to its end, and, of the CNN, by the same recipe, without a cache."""
    if before.state != "succeeded" or job.kind != JobKind.TRAIN:
        return before.state == "succeeded"
    stored = store.jobs.get(before.id)
    return stored.parameters.get("recipe") == job.parameters["recipe"] and not is_from_cache(stored.result or {})


def _work(kind: str, spec: Spec, dataset: DatasetView) -> float:
    if kind == JobKind.FINE_TUNE:
        return dataset.train * _epochs(spec.epochs)
    return dataset.train if kind == JobKind.TRAIN else dataset.test


def _epochs(value: object) -> int:
    return AUTOMATIC_EPOCHS if value == "auto" else int(str(value))


def _work_then(kind: str, parameters: dict[str, object], dataset: DatasetView) -> float:
    if kind == JobKind.FINE_TUNE:
        return dataset.train * _epochs(parameters.get("epochs", 1))
    return dataset.train if kind == JobKind.TRAIN else dataset.test
