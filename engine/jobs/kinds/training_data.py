"""The files of a fine-tuning job: written, converted where that was chosen, and checked before any is sent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from engine.datasets.convert import Converter
from engine.datasets.jsonl import write_training_file
from engine.datasets.prompt import Prompt
from engine.datasets.training_file import MIN_EXAMPLES, Problem, check_image_files, check_training_file
from engine.jobs import tuning_checks
from engine.jobs.context import Context
from engine.jobs.identity import sha256_of
from engine.quantities import counted
from engine.states import Split
from engine.store.datasets import StoredImage
from engine.store.files import write_atomic


def images_of(context: Context, split: Split) -> list[StoredImage]:
    """Return the images of a fine-tuning job's dataset."""
    return context.store.datasets.images(context.job.parameters["dataset"], split)


def prepare(context: Context, path: Path, split: Split, suffix: str, epochs: int | None) -> None:
    """Write a file unless an earlier attempt of this job has, and check it against all that the service wants of it.

    Args:
        context: of the job.
        path: the file.
        split: of which images.
        suffix: of the tuned model's name.
        epochs: None where the choice is left to the service.

    Raises:
        InputError: names lines, images, and cures. The file is gone then: what is corrected is written anew.

    """
    facts = path.with_suffix(".facts.json")
    if _is_mine(context, facts, path):
        return
    for left in (facts, path, path.with_suffix(".converted.txt")):
        left.unlink(missing_ok=True)
    p = context.job.parameters
    what = "training" if split == Split.TRAIN else "validation"
    images = images_of(context, split)
    _write(context, path, split, images, what)
    # The catalogue has decoded each picture to its end already.
    found = check_training_file(path, what=what, names=[str(i.path) for i in images], decode=False)
    tokens = tuning_checks.tokens_of(found, p["model"])
    problems = [*tuning_checks.check_request(p["model"], suffix, tokens, epochs), *found.problems]
    if problems:
        path.unlink()
    refuse(context, problems, f"The {what} file cannot be used", found.count)
    context.say(f"checked {found.examples} {split} examples: about {counted(tokens, 'token')} an epoch")
    of = {"identity": context.identity.plain(), "sha256": sha256_of(path)}
    write_atomic(facts, json.dumps({"examples": found.examples, "tokens": tokens, **of}))


def _is_mine(context: Context, facts: Path, path: Path) -> bool:
    """Whether an earlier attempt of this job wrote and checked a file that is still what it was."""
    try:
        kept = json.loads(facts.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if "identity" not in kept:
        return context.job.legacy and path.exists()
    return not context.identity.differs(kept["identity"]) and kept.get("sha256") == sha256_of(path)


def _write(context: Context, path: Path, split: Split, images: Sequence[StoredImage], what: str) -> None:
    p = context.job.parameters
    convert = bool(p.get("convert"))
    least = MIN_EXAMPLES if split == Split.TRAIN else 1
    problems = check_image_files(images, least, what, any_mode=convert)
    refuse(context, problems, f"The {what} images cannot be used")
    labels = context.store.datasets.get(p["dataset"]).labels
    converter = Converter()
    shard = write_training_file(
        ((i, labels[i.label]) for i in images),
        Prompt.of(p),
        labels,
        path,
        read=converter.read if convert else lambda image: image.read(),
    )
    context.say(f"wrote {shard.requests} {split} examples, {shard.bytes / 1e6:.1f} MB")
    if converter.converted:
        modes = Counter(converter.converted.values())
        told = ", ".join(f"{count} {mode}" for mode, count in sorted(modes.items()))
        names = path.with_suffix(".converted.txt")
        write_atomic(names, "".join(f"{mode}\t{name}\n" for name, mode in converter.converted.items()))
        context.say(f"{len(converter.converted)} {split} images were made RGB JPEGs ({told}); {names.name} names them")


def refuse(context: Context, problems: list[Problem], what: str, count: int = 0) -> None:
    """Log all problems, and raise if there are any."""
    for problem in problems if len(problems) > tuning_checks.SHOWN else ():
        context.say(str(problem), "error")
    tuning_checks.refuse(problems, what, count)
