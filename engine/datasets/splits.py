"""Which image belongs to training, validation and test. The same for every contestant, always."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

from engine.errors import InputError
from engine.quantities import counted
from engine.states import Split

SplitKind = Literal["article", "stratified", "official", "test-only"]
Item = TypeVar("Item")
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
    plan = SplitPlan(kind, per_class=per_class, train=train, val=val, test=test, seed=seed)
    return [
        (path, label, split)
        for label in sorted(items)
        for path, split in plan.of_class(label, [(path, None) for path in sorted(items[label])])
    ]


class SplitPlan:
    """How each class is split, one class at a time; as `assign` does, and one kind more.

    `official`: as the source says. Where it knows no validation part, a tenth of each class's training part is drawn
    for it. Counts take so many of each part, drawn by the seed. A source without training images keeps the parts that
    it has.

    `test-only`: every image is for testing, or so many of each class, drawn by the seed.
    """

    def __init__(
        self,
        kind: SplitKind = "stratified",
        *,
        per_class: int | None = None,
        train: int | None = None,
        val: int | None = None,
        test: int | None = None,
        seed: int | None = 42,
        parts: Collection[str] = tuple(Split),
    ) -> None:
        """Check the counts.

        Args:
            kind, per_class, train, val, test, seed: see `assign`.
            parts: the splits that the source has, of an `official` one.

        Raises:
            InputError: the counts do not fit together, or the source has no test part.

        """
        if kind == "official" and per_class is not None:
            raise InputError("The official split takes no --per-class.", "Give --train, --val and --test, or none.")
        self.kind = kind
        self._parts = [Split.TEST] if kind == "test-only" else list(Split)
        if kind == "official" and Split.TRAIN not in parts:
            self._parts = [split for split in Split if split in parts]
        self._counts = _counts(kind, per_class, train, val, test, self._parts)
        self._per_class = per_class
        self._seed = seed

    def of_class(self, label: str, items: Sequence[tuple[Item, Split | None]]) -> Iterator[tuple[Item, Split]]:
        """Yield the chosen images of one class with their splits, in split order.

        Args:
            label: the class.
            items: its images, sorted by path, each with the split that the source gives it.

        Raises:
            InputError: there are too few.

        """
        if self.kind == "official":
            yield from self._official(label, items)
            return
        chosen = [item for item, _ in items]
        if self.kind == "test-only":
            _enough(label, len(chosen), 1)
            count = (self._counts or {}).get(Split.TEST) or self._per_class or len(chosen)
            _enough(label, len(chosen), count)
            if count < len(chosen):
                random.Random(f"{self._seed}:{label}").shuffle(chosen)
            yield from ((item, Split.TEST) for item in chosen[:count])
            return
        if self.kind == "stratified":
            random.Random(f"{self._seed}:{label}").shuffle(chosen)
            if self._counts is None and self._per_class is not None:
                _enough(label, len(chosen), self._per_class)
                chosen = chosen[: self._per_class]
        wanted = self._counts or _shares(label, len(chosen))
        _enough(label, len(chosen), sum(wanted.values()))
        start = 0
        for split, count in wanted.items():
            yield from ((item, split) for item in chosen[start : start + count])
            start += count

    def _official(self, label: str, items: Sequence[tuple[Item, Split | None]]) -> Iterator[tuple[Item, Split]]:
        parts: dict[Split, list[Item]] = {split: [] for split in Split}
        for item, split in items:
            assert split is not None
            parts[split].append(item)
        draw = random.Random(f"{self._seed}:{label}")
        if not parts[Split.VAL] and len(parts[Split.TRAIN]) > 1:
            drawn = list(range(len(parts[Split.TRAIN])))
            draw.shuffle(drawn)
            for_val = set(drawn[: max(1, round(len(drawn) * SHARES[Split.VAL]))])
            if self._counts is not None:
                for_val = set(drawn[: self._counts[Split.VAL]])
            parts[Split.VAL] = [item for n, item in enumerate(parts[Split.TRAIN]) if n in for_val]
            parts[Split.TRAIN] = [item for n, item in enumerate(parts[Split.TRAIN]) if n not in for_val]
        for split, part in parts.items():
            if split not in self._parts:
                continue
            if self._counts is not None:
                _enough(label, len(part), self._counts[split], f" in its official {split} part")
                kept = set(draw.sample(range(len(part)), self._counts[split]))
                part = [item for n, item in enumerate(part) if n in kept]
            _enough(label, len(part), 1, f" in its official {split} part")
            yield from ((item, split) for item in part)


def _counts(
    kind: SplitKind,
    per_class: int | None,
    train: int | None,
    val: int | None,
    test: int | None,
    parts: Sequence[Split],
) -> dict[Split, int] | None:
    given = dict(zip(Split, (train, val, test), strict=True))
    if any(given.values()):
        if other := [split for split, count in given.items() if count and split not in parts]:
            split = other[0]
            what = "The split is test-only" if parts == [Split.TEST] else f"The source has no {split} images"
            raise InputError(f"{what}: it takes no --{split}.", f"Leave --{split} out.")
        if not all(given[split] for split in parts):
            together = ", ".join(f"--{split}" for split in parts[:-1]) + f" and --{parts[-1]}"
            raise InputError(f"{together} go together.", f"Give all {len(parts)}, or none.")
        counts = {split: count for split, count in given.items() if count}
        if per_class is not None and per_class != sum(counts.values()):
            raise InputError(
                f"--per-class {per_class} is not {' + '.join(map(str, counts.values()))}.",
                "Leave --per-class out, or add them up.",
            )
        return counts
    if kind != "article":
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


def _enough(label: str, available: int, needed: int, where: str = "") -> None:
    if available < needed:
        raise InputError(
            f"The class {label!r} has {counted(available, 'image')}{where}, and {needed} are needed.",
            "Add images, leave the class out, or ask for fewer (--train, --val, --test).",
        )
