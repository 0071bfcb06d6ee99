"""Where ImageNet weights meet ImageNet pictures: a test image may be one that the backbone has learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from engine.backbones import imagenet_synsets, match_imagenet
from engine.datasets.imagenet import HELD_OUT, SYNSET
from engine.quantities import agrees, counted
from engine.states import Split

_SHARE = 0.05
"""Of all images, or of the test images: a handful of ImageNet's pictures among others changes no figure much."""


@dataclass(frozen=True)
class _Recognised:
    """How many images are named as ImageNet's, of all and of the test images, and how many of its held-out parts."""

    count: int
    total: int
    tests: int
    total_tests: int
    held_out: int


def imagenet_caution(labels: Sequence[str], images: Iterable[tuple[PurePath, str, str]]) -> str:
    """Return a sentence where a dataset's pictures are, by their names, ImageNet's own; else an empty string.

    ImageNet names its pictures after synsets, `n02085620_10074.jpg`, or after its parts, `ILSVRC2012_val_00001234`.
    Who takes pictures from it (Stanford Dogs, Imagenette, Tiny ImageNet) keeps those names, or names folders or labels
    so: `n02085620`, `n02085620-Chihuahua`; what the labels are made of these pictures does not matter. Synsets of the
    larger ImageNet-21k are none of these weights'. Labels in words are no evidence: any pug may have been
    photographed.

    Args:
        labels: all of the dataset's.
        images: path, label and split of each.

    """
    named = _named(images)
    if named is None:
        return ""
    known = sum(index is not None for index in match_imagenet(labels))
    facts = [
        f"{named.count:,} of {counted(named.total, 'file')} {agrees(named.count, 'is', 'are')} named as ImageNet's are",
        *(
            [f"{named.tests:,} of the {counted(named.total_tests, 'test image')} among them"]
            if named.total_tests
            else []
        ),
        *(
            [f"{known} of {counted(len(labels), 'label')} {agrees(known, 'is', 'are')} among its classes"]
            if known
            else []
        ),
    ]
    learned = "The backbone may have learned from these very pictures"
    chosen = f"{agrees(named.held_out, 'is', 'are')} of the parts on which such weights are tested and chosen"
    if named.held_out == named.count:
        learned = f"{agrees(named.count, 'It', 'These')} {chosen}"
    elif named.held_out:
        learned = f"{learned}; {named.held_out:,} of them {chosen}"
    return (
        f"ImageNet weights meet ImageNet pictures: {', '.join(facts)}. {learned}; pictures of your own are likely to be"
        " recognised less often than these."
    )


def imagenet_note(images: Iterable[tuple[PurePath, str, str]]) -> str:
    """Return a sentence about such pictures where nothing is known of the weights that have answered; see there."""
    named = _named(images)
    if named is None:
        return ""
    return (
        f"{named.count:,} of {counted(named.total, 'image')} {agrees(named.count, 'is', 'are')} named as"
        " ImageNet's are: a contestant with ImageNet weights may have learned from these very pictures."
    )


def _named(images: Iterable[tuple[PurePath, str, str]]) -> _Recognised | None:
    """Return how many images are named as ImageNet's; None where these are none, or a handful."""
    total: Counter[bool] = Counter()
    found: Counter[bool] = Counter()
    held_out = 0
    for path, label, split in images:
        is_test = split == Split.TEST
        total[is_test] += 1
        is_held_out = HELD_OUT.search(path.name) is not None
        if is_held_out or _has_synset(path.as_posix()) or _has_synset(label):
            found[is_test] += 1
            held_out += is_held_out
    count = found.total()
    if not count or (count < _SHARE * total.total() and found[True] < _SHARE * total[True]):
        return None
    return _Recognised(count, total.total(), found[True], total[True], held_out)


def _has_synset(text: str) -> bool:
    return any(found.lower() in imagenet_synsets() for found in SYNSET.findall(text))
