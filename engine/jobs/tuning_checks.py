"""What stands between a fine-tuning file and its use: the model, the suffix, the tokens, the resource's quotas.

And afterwards: how many of the images the service has left out, which it does not say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from engine.azure.fine_tuning import MODELS, WAITING, Event, TuningStatus, base_model
from engine.azure.prices import CHARACTERS_A_TOKEN, tokens_of_image
from engine.datasets.training_file import Problem, TrainingFile
from engine.errors import InputError
from engine.quantities import agrees, counted

MAX_TOKENS = 2_000_000_000
"""Tokens of the training file times epochs."""
MAX_FILES = 50
MAX_FILE_BYTES = 1_000_000_000
"""Of all fine-tuning files of a resource."""
MAX_QUEUED = 20
MAX_JOBS = 100
TILE = 512
"""Pixels; at `auto` detail what fits into it is looked at as at `low`."""
SHOWN = 5
"""So many problems are named in an error; the log has all of them."""
NOTABLE = 0.1
"""A smaller share of missing tokens may be our estimate's own error (no tokenizer works offline)."""
_SUFFIX = re.compile(r"[A-Za-z0-9_-]{1,40}")
_LEFT_OUT = re.compile(r"skip|drop|exclud|filter|remov|reject|moderat|not used|left out|unsafe", re.IGNORECASE)
_WHICH = re.compile(
    r"\b(?:lines?|examples?|rows?|samples?)\b\s*[:#]?\s*((?:\d+(?:\s*(?:,|and|&)\s*)?)+)", re.IGNORECASE
)


def tokens_of(file: TrainingFile, model: str) -> int:
    """Return about how many tokens one epoch over a file takes."""
    pictures = 0
    for (width, height, detail), count in file.pictures.items():
        low = detail == "low" or (detail == "auto" and max(width, height) <= TILE)
        pictures += count * tokens_of_image(max(width, 1), max(height, 1), "low" if low else "high", model)
    return math.ceil(file.characters / CHARACTERS_A_TOKEN) + pictures


def check_request(model: str, suffix: str = "", tokens: int = 0, epochs: int | None = None) -> list[Problem]:
    """Check what a fine-tuning job is asked for.

    Args:
        model: the base model, or one tuned from it.
        suffix: of the tuned model's name.
        tokens: of one epoch.
        epochs: None where the choice is left to the service, which then keeps its own limit.

    """
    found = []
    if base_model(model) not in MODELS:
        cure = f"Choose --model: {' or '.join(MODELS)}, or a model tuned from one of them."
        found.append(Problem(f"{model!r} cannot be fine-tuned on images", cure))
    if suffix and not _SUFFIX.fullmatch(suffix):
        found.append(Problem(f"the suffix {suffix!r}", "Use at most 40 of the characters A-Z a-z 0-9 - _."))
    if tokens * (epochs or 1) > MAX_TOKENS:
        told = (
            f"about {counted(tokens, 'token')} × {counted(epochs or 1, 'epoch')}, and the service takes {MAX_TOKENS:,}"
        )
        found.append(Problem(told, "Use fewer images or epochs."))
    return found


def check_resource(
    files: Sequence[tuple[str, int]], jobs: Sequence[TuningStatus], new: Sequence[tuple[str, int]]
) -> list[Problem]:
    """Check whether a resource has room for a fine-tuning job.

    Args:
        files: (name, bytes) of its fine-tuning files.
        jobs: its fine-tuning jobs.
        new: the files that are to come; one whose name is there already takes no more room.

    """
    found = []
    there = {name for name, _ in files}
    coming = [(name, size) for name, size in new if name not in there]
    if len(files) + len(coming) > MAX_FILES:
        told = f"the resource has {counted(len(files), 'fine-tuning file')}, and takes {MAX_FILES}"
        found.append(Problem(told, "Delete some: they are needed no more when their job has ended."))
    size = sum(size for _, size in files) + sum(size for _, size in coming)
    if coming and size > MAX_FILE_BYTES:
        most = f"{MAX_FILE_BYTES / 1e6:,.0f}"
        told = f"the resource's fine-tuning files would have {size / 1e6:,.0f} MB, and it takes {most}"
        found.append(Problem(told, "Delete some: they are needed no more when their job has ended."))
    if len(jobs) >= MAX_JOBS:
        found.append(
            Problem(f"the resource has {counted(len(jobs), 'fine-tuning job')}, and takes {MAX_JOBS}", "Delete some.")
        )
    queued = sum(job.status in WAITING for job in jobs)
    if queued >= MAX_QUEUED:
        told = (
            f"{counted(queued, 'fine-tuning job')} {agrees(queued, 'waits', 'wait')} already, and the service"
            f" takes {MAX_QUEUED}"
        )
        found.append(Problem(told, "Resume this job when some of them have begun."))
    return found


def refuse(problems: Sequence[Problem], what: str, count: int = 0) -> None:
    """Raise if there are problems.

    Args:
        problems: as they were found.
        what: cannot be used because of them.
        count: how many there are, where not all were kept.

    Raises:
        InputError: names the first of them, and how many more there are.

    """
    if not problems:
        return
    count = max(count, len(problems))
    told = " ".join(str(problem) for problem in problems[:SHOWN])
    more = f" And {count - SHOWN:,} more." if count > SHOWN else ""
    raise InputError(f"{what}: {told}{more}")


def unused(
    examples: int, *, tokens: int, billed: int, epochs: int | None, batch_size: int | None = None, steps: int = 0
) -> int:
    """Return how many examples the service has probably not trained on; 0 where nothing says that it has not.

    Two things tell. Fewer steps than the examples fill are certain, but only to within a batch; fewer billed
    tokens than estimated are not certain, and finer.

    Args:
        examples: that were uploaded.
        tokens: of them, by our own estimate.
        billed: tokens.
        epochs: that were trained.
        batch_size: examples a step.
        steps: that were trained.

    """
    if not examples or not epochs:
        return 0
    by_tokens = 0
    if billed and tokens:
        share = billed / epochs / tokens
        by_tokens = round(examples * (1 - share)) if share < 1 - NOTABLE else 0
    most = examples
    if steps and batch_size and steps % epochs == 0:
        most = min(examples, steps // epochs * batch_size)
    return max(by_tokens, examples - most, 0)


def named(events: Iterable[Event], names: Sequence[str]) -> list[str]:
    """Return the images that the service's own events say were left out, by the lines of the training file."""
    found: dict[str, None] = {}
    for event in events:
        if not _LEFT_OUT.search(event.message):
            continue
        for match in _WHICH.finditer(event.message):
            for number in re.findall(r"\d+", match[1]):
                if 1 <= int(number) <= len(names):
                    found[names[int(number) - 1]] = None
    return list(found)
