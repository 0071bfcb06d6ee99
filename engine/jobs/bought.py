"""Answers to validation images that a pilot has paid for: where they are kept, and what they tell of a contestant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.azure.answers import same_model
from engine.datasets.prompt import Prompt
from engine.errors import DogclsError
from engine.evaluation.answers import reader_of
from engine.jobs.binding import ResourceBinding
from engine.jobs.paths import Home
from engine.settings import load_settings
from engine.states import JobKind
from engine.store.datasets import StoredImage
from engine.store.experiments import StoredContestant
from engine.store.jobs import StoredJob


@dataclass(frozen=True)
class Question:
    """All that decides an answer; `endpoint` is empty for the home's own emulator, whose address changes.

    `more` is what a template has beside a system message: user text, how labels are listed, key.
    """

    digest: str
    profile: str
    endpoint: str
    deployment: str | None
    detail: str
    system: str
    answer: str
    more: tuple[str, ...] = ()

    @classmethod
    def of(cls, digest: str, profile: str, endpoint: str, deployment: str | None, prompt: Prompt) -> Question:
        """Return the question that a prompt puts to a deployment."""
        plain = Prompt(prompt.system, prompt.answer, prompt.detail)
        more = () if prompt == plain else (prompt.user, prompt.labels_as, prompt.key)
        return cls(digest, profile, endpoint, deployment, prompt.detail, prompt.system, prompt.answer, more)

    def path(self, home: Home) -> Path:
        """Return the file of the answers to this question, which need not be there."""
        *parts, more = vars(self).values()
        key = hashlib.sha256(json.dumps([*parts, *more]).encode()).hexdigest()[:16]
        return home.root / "pilots" / f"{key}.jsonl"


def read_answers(path: Path) -> dict[str, dict[str, object]]:
    """Return the answers by their images' sha256: those of the model that answered last.

    A deployment can come to serve another model under the same name; answers of two models are not one pilot's. Rows
    of an older version name no model, and count as the last one's.
    """
    found: dict[str, dict[str, object]] = {}
    if path.exists():
        for line in path.read_bytes().splitlines():
            try:
                row = json.loads(line)
                found[str(row["sha256"])] = row
            except (ValueError, KeyError, TypeError):  # torn by a kill
                continue
    last = next((str(row["model"]) for row in reversed(found.values()) if row.get("model")), "")
    return {key: row for key, row in found.items() if same_model(str(row.get("model") or last), last)}


def bought(
    home: Home,
    profile: str,
    digest: str,
    contestant: StoredContestant,
    jobs: Sequence[StoredJob],
    images: Sequence[StoredImage],
    labels: Sequence[str],
) -> dict[int, bool]:
    """Return whether a contestant was right about validation images, by image; empty where no pilot asked it.

    Args:
        home: where pilots keep their answers.
        profile: of the experiment.
        digest: of its data set.
        contestant: who may have been asked.
        jobs: of the contestant; the latency probe tells the deployment that a pilot asks too.
        images: the validation images.
        labels: of the data set.

    """
    probe = next((job for job in jobs if job.kind == JobKind.PROBE), None)
    if probe is None:
        return {}
    try:
        bound = ResourceBinding.read({**probe.parameters, "profile": profile})
        endpoint = load_settings(home.root).resource(profile).endpoint if bound is None else bound.endpoint
    except (DogclsError, ValueError):  # the profile is not set up here any more
        return {}
    p = probe.parameters
    asked = Prompt.of({"prompt": contestant.prompt, "answer": contestant.answer_format, "detail": "low", **p})
    question = Question.of(digest, profile, endpoint, p.get("deployment"), asked)
    answers, reader = read_answers(question.path(home)), reader_of(labels, home.synonyms)
    found = {}
    for image in images:
        row = answers.get(image.sha256)
        if row is not None:
            text = row.get("text")
            found[image.id] = reader.read(None if text is None else str(text)).label == labels[image.label]
    return found
