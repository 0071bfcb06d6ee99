"""What is worth knowing of a dataset before money is spent on it. Nothing is changed or dropped."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SMALL_PIXELS = 64
IMBALANCE = 3.0


@dataclass(frozen=True)
class ImageFacts:
    """What the catalogue knows of one image."""

    path: str
    label: str
    split: str
    bytes: int
    width: int
    height: int
    sha256: str


@dataclass(frozen=True)
class Finding:
    """One finding: how bad it is (`error`, `warning`, `note`), what, where, and the cure."""

    level: str
    what: str
    where: tuple[str, ...]
    cure: str


def find(images: Sequence[ImageFacts]) -> list[Finding]:
    """Return all findings, the worst first."""
    order = {"error": 0, "warning": 1, "note": 2}
    found = [*_copies(images), *_imbalance(images), *_small(images)]
    return sorted(found, key=lambda f: order[f.level])


def _copies(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    by_content: dict[str, list[ImageFacts]] = defaultdict(list)
    for image in images:
        by_content[image.sha256].append(image)
    for same in by_content.values():
        if len(same) < 2:
            continue
        where = tuple(f"{i.path} ({i.split}, {i.label})" for i in same)
        if len({i.label for i in same}) > 1:
            yield Finding("error", "one picture under different labels", where, "Remove the wrong ones.")
        elif len({i.split for i in same}) > 1:
            yield Finding(
                "error", "one picture in more than one split (leakage)", where, "Remove the copies; add the set again."
            )
        else:
            yield Finding("warning", "one picture more than once", where, "Remove the copies.")


def _imbalance(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    for split in ("train", "test"):
        counts = Counter(i.label for i in images if i.split == split)
        if not counts:
            continue
        (most, many), (least, few) = counts.most_common(1)[0], counts.most_common()[-1]
        if many > IMBALANCE * few:
            what = f"{split}: {many:,} of {most!r}, but {few:,} of {least!r}"
            yield Finding("warning", what, (), "Look at accuracy by class, not only at the total.")


def _small(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    small = [i for i in images if min(i.width, i.height) < SMALL_PIXELS]
    if small:
        where = tuple(f"{i.path} ({i.width}×{i.height})" for i in small)
        what = f"{len(small):,} pictures with a side under {SMALL_PIXELS} pixels"
        yield Finding("note", what, where, "Expect them to be hard for everybody.")
