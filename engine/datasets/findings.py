"""What is worth knowing of a dataset before money is spent on it. Nothing is changed or dropped.

Findings are made of a staged set (`engine.store.staging`), streamed: no list of all images is held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.datasets.kinds import KINDS, UNUSABLE
from engine.datasets.layout import doubtful
from engine.datasets.likeness import Likeness
from engine.quantities import agrees, counted
from engine.states import Split
from engine.store.staging import Staging

IMBALANCE = 3.0
EXAMPLES = (10, 50_000)
"""Of fine-tuning with images."""
Member = tuple[str, str, str]


@dataclass(frozen=True)
class Finding:
    """One finding: how bad it is (`error`, `warning`, `note`), what, where, and the cure.

    Attributes:
        level: how bad.
        what: a sentence.
        where: the first of its files, each with its split and label, or with what is the matter there.
        cure: what to do about it.
        kind: one word for programs.
        files: how many files it is about; more than are in `where` perhaps.
        id: in the store, to page through its files; 0 where it is in none.

    """

    level: str
    what: str
    where: tuple[str, ...]
    cure: str
    kind: str = ""
    files: int = 0
    id: int = 0

    @property
    def left_out(self) -> bool:
        """Whether it is about files that cannot be used."""
        return self.kind in UNUSABLE


@dataclass(frozen=True)
class CheckReport:
    """What a check came to: counts of findings and their files by kind, time, speed."""

    dataset: str
    images: int
    seconds: float
    at: float
    kinds: tuple[tuple[str, str, int, int], ...]
    """(kind, level, findings, files), the worst first."""

    @property
    def images_per_second(self) -> float:
        """How many images were checked a second."""
        return self.images / self.seconds if self.seconds else 0.0


def find(staging: Staging, likeness: Likeness, progress: Callable[[float], None] | None = None) -> None:
    """Write all that is found of a staged set into it.

    Args:
        staging: looked through; its images have been looked at.
        likeness: fingerprints of its images.
        progress: called with the share that is done, 0 to 1; may raise to stop.

    """
    order = {kind: n for n, kind in enumerate(KINDS)}
    for kind, count in sorted(staging.flagged(), key=lambda found: order[found[0]]):
        about = KINDS[kind]
        staging.find(kind, about.level, about.sentence(count), about.cure, staging.flagged_files(kind))
    _copies(staging)
    _alike(staging, likeness, progress)
    for paths in staging.same_but_for_case():
        staging.find(
            "case", "warning", "names that differ in capitals alone", "Rename them: some disks keep one of these.",
            [(path, "") for path in paths],
        )  # fmt: skip
    _counts(staging)


def _copies(staging: Staging) -> None:
    for same in staging.copies():
        spots = _spots(same)
        if len({label for _, label, _ in same}) > 1:
            staging.find(
                "label-conflict", "error", "one picture under different labels", "Remove the wrong ones.", spots
            )
        elif len({split for _, _, split in same}) > 1:
            cure = "Remove the copies; add the set again."
            staging.find("leakage", "error", "one picture in more than one split (leakage)", cure, spots)
        else:
            staging.find("duplicate", "warning", "one picture more than once", "Remove the copies.", spots)


def _alike(staging: Staging, likeness: Likeness, progress: Callable[[float], None] | None) -> None:
    for keys in likeness.groups(progress):
        labels, splits, contents = (set(found) for found in zip(*staging.of_some(keys), strict=True))
        if len(contents) < 2:
            continue  # copies, which are found as such
        if len(labels) > 1:
            kind, what = "near-conflict", "pictures that look alike under different labels"
        elif len(splits) > 1:
            kind, what = "near-leakage", "pictures that look alike in more than one split"
        else:
            kind, what = "near-duplicate", "pictures that look alike"
        level = "note" if kind == "near-duplicate" else "warning"
        cure = "Look at them; if they are one picture, keep one."
        staging.find(kind, level, what, cure, staging.spots(keys))
    crowded = likeness.crowded()
    if crowded:
        what = (
            f"{counted(len(crowded), 'image')} {agrees(len(crowded), 'looks', 'look')} like many others here, so that"
        )
        what += " only nearly equal ones were told as alike"
        staging.find(
            "crowded", "note", what, "Nothing needs to be done; exact copies are found.", staging.spots(crowded)
        )


def _spots(group: Sequence[Member]) -> list[tuple[str, str]]:
    return [(path, f"{split}, {label}") for path, label, split in group]


def _counts(staging: Staging) -> None:
    by_split: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for split, label, count in staging.counts():
        by_split[split].append((count, label))
    for split in (Split.TRAIN, Split.TEST):
        if not by_split[split]:
            continue
        (many, most), (few, least) = max(by_split[split]), min(by_split[split])
        if many > IMBALANCE * few:
            what = f"{split}: {many:,} of {most!r}, but {few:,} of {least!r}"
            staging.find("imbalance", "warning", what, "Look at accuracy by class, not only at the total.")
    for name, why in doubtful({label for part in by_split.values() for _, label in part}).items():
        what = f"the class {name!r} has a name like {why}"
        staging.find("class-name", "warning", what, "If it is no class, rename its folder or label; add the set again.")
    if not by_split[Split.TRAIN]:
        what = "no training images: only a model without training (zero-shot) can take part"
        staging.find("examples", "note", what, "Add training images to compare with fine-tuning and a CNN.")
        return
    examples = sum(count for count, _ in by_split[Split.TRAIN])
    if not EXAMPLES[0] <= examples <= EXAMPLES[1]:
        what = f"{counted(examples, 'training image')}, and fine-tuning takes {EXAMPLES[0]} to {EXAMPLES[1]:,}"
        staging.find("examples", "note", what, "Give --train, --val and --test, or compare without fine-tuning.")
