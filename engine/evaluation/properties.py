"""Whether a contestant does worse on some pictures than on others: by size of file and picture, by brightness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from engine.evaluation.quality import Share, share
from engine.quantities import counted


@dataclass(frozen=True)
class ImageProperties:
    """What is known of the test images, in their order; an empty sequence where it is not known.

    Attributes:
        bytes: size of each file.
        pixels: width × height of each.
        brightness: mean grey of each from 0 to 255 (any other scale does as well), None where it was not measured.
        duplicate: whether an equal picture is elsewhere in the dataset.

    """

    bytes: Sequence[int] = ()
    pixels: Sequence[int] = ()
    brightness: Sequence[float | None] = ()
    duplicate: Sequence[bool] = ()

    def among(self, images: Sequence[int]) -> ImageProperties:
        """Return what is known of some of the images, by their positions."""
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        return ImageProperties(**{name: [of[n] for n in images] if of else () for name, of in known.items()})


@dataclass(frozen=True)
class Bucket:
    """The images between `low` and `high` of a property (0 and 1: no and yes), and how many were recognised."""

    property: str
    name: str
    low: float
    high: float
    share: Share


_WORDS = {
    "bytes": ("smallest files", "middle files", "largest files"),
    "pixels": ("smallest pictures", "middle pictures", "largest pictures"),
    "brightness": ("darkest", "middle", "brightest"),
}


def by_property(hits: Sequence[bool], properties: ImageProperties) -> tuple[Bucket, ...]:
    """Return accuracy by thirds of each known property, and of duplicates against the rest.

    Thirds are cut at the values' terciles (linear interpolation). Equal values are never parted, so that thirds may
    differ in size, and a property in which all images are alike has a single bucket.

    Args:
        hits: whether each image was recognised, `[n]`.
        properties: of the images.

    Raises:
        ValueError: a property is known of another number of images.

    """
    found: list[Bucket] = []
    for name, words in _WORDS.items():
        values = getattr(properties, name)
        _check(name, values, hits)
        known = [(float(value), hit) for value, hit in zip(values, hits, strict=False) if value is not None]
        found += _thirds(name, words, known)
    _check("duplicate", properties.duplicate, hits)
    for flag, word in ((False, "no duplicates"), (True, "duplicates")):
        chosen = [hit for hit, is_so in zip(hits, properties.duplicate, strict=False) if bool(is_so) == flag]
        if chosen:
            found.append(Bucket("duplicate", word, float(flag), float(flag), share(sum(chosen), len(chosen))))
    return tuple(found)


def _check(name: str, values: Sequence[object], hits: Sequence[bool]) -> None:
    if len(values) not in (0, len(hits)):
        raise ValueError(f"{name} is known of {counted(len(values), 'image')}, answers of {len(hits)}")


def _thirds(name: str, words: tuple[str, str, str], known: list[tuple[float, bool]]) -> list[Bucket]:
    import numpy as np

    if not known:
        return []
    values = [value for value, _ in known]
    if min(values) == max(values):
        return [Bucket(name, "all alike", min(values), max(values), share(sum(hit for _, hit in known), len(known)))]
    where = np.searchsorted(np.quantile(values, (1 / 3, 2 / 3)), values)
    found = []
    for number, word in enumerate(words):
        here = [known[i] for i in np.flatnonzero(where == number)]
        if here:
            inside = [value for value, _ in here]
            hits = sum(hit for _, hit in here)
            found.append(Bucket(name, word, min(inside), max(inside), share(hits, len(here))))
    return found
