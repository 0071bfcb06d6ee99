"""Where ImageNet weights meet ImageNet pictures: a test image may be one that the backbone has learned from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from engine.backbones import match_imagenet

_FILE = re.compile(r"n\d{8}_\d+\.\w+")
_FOLDER = re.compile(r"n\d{8}([-_].*)?")
_SHARE = 0.5
"""Of all files: a handful of ImageNet's pictures among others changes no figure much."""


def imagenet_caution(labels: Sequence[str], files: Sequence[PurePath]) -> str:
    """Return a sentence where a dataset's pictures are, by their names, ImageNet's own; else an empty string.

    ImageNet names its pictures after synsets, `n02085620_10074.jpg`, and who takes pictures from it (Stanford Dogs,
    Imagenette, Tiny ImageNet) keeps those names, or names folders so: `n02085620-Chihuahua`. That alone would also be
    true of the larger ImageNet-21k; that labels are classes of the 1,000 tells that the weights know these pictures'
    kind. Labels alone say nothing: anybody may have taken a picture of a pug.

    Args:
        labels: all of the dataset's.
        files: its pictures; only their names and their folders' names are looked at.

    """
    named = sum(_is_imagenets(file) for file in files)
    known = sum(index is not None for index in match_imagenet(labels))
    if not known or named < max(1, _SHARE * len(files)):
        return ""
    return (
        f"ImageNet weights meet ImageNet pictures: {named:,} of {len(files):,} files are named as ImageNet's are, and"
        f" {known} of {len(labels)} labels are among its classes. The backbone may have learned from these very"
        " pictures; pictures of your own are likely to be recognised less often than these."
    )


def _is_imagenets(file: PurePath) -> bool:
    return bool(_FILE.fullmatch(file.name) or _FOLDER.fullmatch(file.parent.name))
