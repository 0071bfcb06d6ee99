"""Checks of what results come from: the prompt, the draw of the split, and the files that the service wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.azure.batches import read_output
from engine.datasets.prompt import Prompt
from engine.datasets.splits import SplitKind, SplitPlan
from engine.errors import InputError
from engine.events import DatasetView
from engine.jobs.paths import Home
from engine.quantities import counted
from engine.states import JobKind, Outcome, Split
from engine.store.experiments import StoredContestant
from engine.store.jobs import StoredJob
from engine.store.predictions import Prediction


@dataclass(frozen=True)
class Check:
    """One thing that was reckoned again.

    Attributes:
        what: was looked at.
        held: whether it is as it was; None where it could not be looked at, and `detail` says why.
        detail: what was done, with numbers.
        differs: what differs, each by its name.

    """

    what: str
    held: bool | None
    detail: str
    differs: tuple[str, ...] = ()


def prompt(
    home: Home, contestant: StoredContestant, jobs: Sequence[StoredJob], labels: Sequence[str]
) -> Iterator[Check]:
    """Hold a contestant's prompt against what its jobs were told to ask, and against the examples it was trained on."""
    asked = [job for job in jobs if "prompt" in job.parameters]
    if not contestant.prompt or not asked:
        return
    differs, trained = [], 0
    for job in asked:
        told = Prompt.of(job.parameters)
        if told.words != contestant.prompt:
            differs.append(f"{job.kind} {job.id} was told to ask another")
        if told.form != contestant.answer_format:
            differs.append(
                f"{job.kind} {job.id} was told to have answers as {told.form}, {contestant.answer_format} is stored"
            )
        system = told.render(labels)
        for path in sorted(home.job(job).glob("round-*/train*.jsonl")):
            found = _system(path)
            if found is not None:
                trained += 1
                if found != system:
                    differs.append(f"{path.parent.name}/{path.name} of {job.kind} {job.id} has another")
    detail = f"what {counted(len(asked), 'job')} asked"
    detail += ", and the examples that were trained on" if trained else ""
    yield Check(f"prompt of {contestant.name}", not differs, detail, tuple(differs))


def _system(path: Path) -> str | None:
    """Return the system message of a file's first example; None where there is none to be read."""
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline())["messages"][0]
        return str(first["content"]) if first["role"] == "system" else ""
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def split(dataset: DatasetView, catalogued: Iterable[tuple[str, str, str, str]]) -> Check | str:
    """Draw a split again: by its seed where it is stratified, by the order of paths where it is the article's.

    Which images were left out when it was drawn is not kept: if the draw comes out otherwise that may be why, so that
    this proves what it finds and nothing by what it does not. The digest alone says that nothing was moved since.

    Returns:
        That it holds, or why that cannot be said, in a sentence.

    """
    classes: dict[str, list[tuple[str, str]]] = {}
    for path, label, part, _ in catalogued:
        classes.setdefault(label, []).append((path, part))
    seed = dataset.split if dataset.seed is None else f"{dataset.split}, seed {dataset.seed}"
    drawn_kinds: tuple[SplitKind, ...] = ("article", "stratified", "test-only")
    kind = next((kind for kind in drawn_kinds if kind == dataset.split), None)
    if kind is None:
        return f"The split is {dataset.split}: it is taken as the source says, and not drawn again."
    for label, images in classes.items():
        counts = {part: sum(mine == part for _, mine in images) for part in Split}
        try:
            train, val, test = (counts[part] for part in Split)
            plan = SplitPlan(kind, train=train, val=val, test=test, seed=dataset.seed)
            drawn = dict(plan.of_class(label, [(path, None) for path, _ in sorted(images)]))
        except InputError:
            drawn = {}
        if any(drawn.get(path) != part for path, part in images):
            return f"The split ({seed}) comes out otherwise when it is drawn again, as where images were left out."
    return Check("split", True, f"{seed}: drawn again, it is the same")


def written(
    home: Home, contestant: StoredContestant, jobs: Sequence[StoredJob], found: Mapping[int, Prediction]
) -> Iterator[Check]:
    """Hold stored answers against the files of batches, as the service wrote them, where those are still there."""
    files = [path for job in jobs if job.kind == JobKind.BATCH for path in home.job(job).glob("round-*/output-*.jsonl")]
    if not files:
        return
    said: dict[str, set[str | None]] = {}
    for answer in read_output(sorted(files)):
        said.setdefault(answer.custom_id, set()).add(answer.text)
    differs, held = [], 0
    for number, p in sorted(found.items()):
        texts = said.get(f"image-{number}")
        if texts is None or p.attempts or p.outcome not in (Outcome.ANSWERED, Outcome.UNKNOWN_LABEL):
            continue  # asked in real time, or without an answer
        held += 1
        if p.raw not in texts:
            differs.append(f"image {number}: the service wrote {_shown(texts)}, {p.raw!r} is stored")
    detail = f"{counted(held, 'answer')} as in {counted(len(files), 'file')} of the service"
    yield Check(f"files of {contestant.name}", not differs, detail, tuple(differs))


def _shown(texts: Iterable[str | None]) -> str:
    return " or ".join(sorted(repr(text) for text in texts))
