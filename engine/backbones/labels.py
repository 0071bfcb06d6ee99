"""ImageNet's class names, and which of them a dataset's label means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the 1,000 class names in index order (source: the header of the asset file)."""
    return tuple(name for _, name in _table())


@cache
def imagenet_synsets() -> frozenset[str]:
    """Return the ids of the 1,000 classes, such as `n02085620`; the larger ImageNet-21k has many more."""
    return frozenset(synset for synset, _ in _table())


def _table() -> list[tuple[str, str]]:
    """Return (id, name) of each class, in index order."""
    text = (files("assets") / "imagenet_classes.txt").read_text(encoding="utf-8")
    rows = (line.partition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return [(synset, name) for synset, _, name in rows]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()


@cache
def _index_by_name() -> dict[str, int]:
    indices: dict[str, int] = {}
    for index, name in enumerate(imagenet_classes()):
        indices.setdefault(_plain(name), index)
    return indices


def match_imagenet(labels: Sequence[str]) -> list[int | None]:
    """Find the ImageNet class that each label names, disregarding case and punctuation.

    Returns:
        one class index a label, None where ImageNet has no class of that name.

    """
    indices = _index_by_name()
    return [indices.get(_plain(label)) for label in labels]
