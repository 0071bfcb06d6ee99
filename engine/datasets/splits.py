"""Which image belongs to training, validation and test. The same for every contestant, always."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Literal

from engine.errors import InputError
from engine.states import Split

SplitKind = Literal["article", "stratified"]
ARTICLE = {Split.TRAIN: 40, Split.VAL: 5, Split.TEST: 5}
SHARES = {Split.TRAIN: 0.8, Split.VAL: 0.1, Split.TEST: 0.1}


def assign(
    items: Mapping[str, Sequence[str]],
    kind: SplitKind = "stratified",
    *,
    per_class: int | None = None,
    train: int | None = None,
    val: int | None = None,
    test: int | None = None,
    seed: int | None = 42,
) -> list[tuple[str, str, Split]]:
    """Assign images to splits.

    `article`: by label and path, the first 50 a class: 40 train, then 5 validation, then 5 test.
    `stratified`: each class shuffled by itself, so that classes do not depend on each other, then
    80/10/10, at least one image a split.

    Args:
        items: the paths of each label.
        kind: see above.
        per_class: images a class, instead of 50 (`article`) or all (`stratified`).
        train: training images a class. `train`, `val` and `test` go together.
        val: validation images a class.
        test: test images a class.
        seed: of the shuffle; `article` needs none.

    Returns:
        (path, label, split), sorted by label, then in split order.

    Raises:
        InputError: a class has too few images, or the counts do not fit together.

    """
    counts = _counts(kind, per_class, train, val, test)
    assigned = []
    for label in sorted(items):
        paths = sorted(items[label])
        if kind == "stratified":
            random.Random(f"{seed}:{label}").shuffle(paths)
            if counts is None and per_class is not None:
                _enough(label, len(paths), per_class)
                paths = paths[:per_class]
        wanted = counts or _shares(label, len(paths))
        _enough(label, len(paths), sum(wanted.values()))
        start = 0
        for split, count in wanted.items():
            assigned += [(path, label, split) for path in paths[start : start + count]]
            start += count
    return assigned


def _counts(
    kind: SplitKind, per_class: int | None, train: int | None, val: int | None, test: int | None
) -> dict[Split, int] | None:
    given = dict(zip(Split, (train, val, test), strict=True))
    if any(given.values()):
        if not all(given.values()):
            raise InputError("--train, --val and --test go together.", "Give all three, or none.")
        counts = {split: count for split, count in given.items() if count}
        if per_class is not None and per_class != sum(counts.values()):
            raise InputError(
                f"--per-class {per_class} is not {train} + {val} + {test}.",
                "Leave --per-class out, or add them up.",
            )
        return counts
    if kind == "stratified":
        return None
    if per_class in (None, sum(ARTICLE.values())):
        return dict(ARTICLE)
    raise InputError(
        f"The article's split is 40/5/5, which is not {per_class} a class.",
        "Give --train, --val and --test too.",
    )


def _shares(label: str, available: int) -> dict[Split, int]:
    _enough(label, available, 3)
    held_out = {split: max(1, round(available * SHARES[split])) for split in (Split.VAL, Split.TEST)}
    return {Split.TRAIN: available - sum(held_out.values()), **held_out}


def _enough(label: str, available: int, needed: int) -> None:
    if available < needed:
        raise InputError(
            f"The class {label!r} has {available} images, and {needed} are needed.",
            "Add images, leave the class out, or ask for fewer (--train, --val, --test).",
        )
