"""Stanford Dogs, from its home: 120 breeds, 20,580 pictures, its own split, and boxes around the dogs.

A. Khosla, N. Jayadevaprakash, B. Yao, L. Fei-Fei: Novel Dataset for Fine-Grained Image Categorization (2011).
Its home publishes no checksums, and none are known here for certain: sizes and sha256 of what was fetched are written
down beside it, and must be the same when it is used again.
"""

from __future__ import annotations

import io
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.datasets.crops import Box
from engine.datasets.download import Progress, fetch
from engine.datasets.looking import Task
from engine.datasets.sources.archive import TarSource
from engine.datasets.sources.base import Entry, Passed
from engine.errors import InputError
from engine.states import Split

HOME = "http://vision.stanford.edu/aditya86/ImageNetDogs"
LICENCE = (
    "Stanford Dogs is for non-commercial research and education only; its pictures were drawn from ImageNet,"
    " whose terms hold for them, and belong to those who took them."
)
MOST = {"images.tar": 2_000_000_000, "annotation.tar": 200_000_000, "lists.tar": 50_000_000}
MOST_XML = 100_000
MOST_MAT = 20_000_000


def stanford_dogs(
    cache: Path,
    *,
    accept_licence: bool = False,
    crop_boxes: bool = False,
    url: str | None = None,
    progress: Progress | None = None,
) -> StanfordDogs:
    """Fetch Stanford Dogs (what is not there yet) and open it.

    Args:
        cache: where its archives are kept.
        accept_licence: whether the person has accepted `LICENCE`.
        crop_boxes: cut each picture down to its dogs.
        url: another home with the same three archives.
        progress: called with (phase, bytes, bytes in all).

    Raises:
        InputError: the licence is not accepted, or an archive is not what it should be.
        ServiceUnavailable: it cannot be fetched now.

    """
    if not accept_licence:
        raise InputError(LICENCE, "If that is what you want it for, add --accept-licence.")
    names = ["lists.tar", "images.tar", *(["annotation.tar"] if crop_boxes else [])]
    for name in names:
        fetch(f"{(url or HOME).rstrip('/')}/{name}", cache / name, most=MOST[name], progress=progress)
    splits = read_lists(cache / "lists.tar")
    boxes = read_boxes(cache / "annotation.tar") if crop_boxes else None
    return StanfordDogs(cache / "images.tar", splits, boxes)


class StanfordDogs(TarSource):
    """Reads its archive of pictures, with its lists and boxes."""

    in_folders = False

    def __init__(self, path: Path, splits: dict[str, Split], boxes: dict[str, Box] | None) -> None:
        super().__init__(path)
        self._splits = splits
        self._boxes = boxes

    def scan(self) -> Iterator[Entry | Passed]:
        """List the pictures, each with the split of the official lists."""
        for entry in super().scan():
            if isinstance(entry, Entry):
                breed = entry.folder.rsplit("/", 1)[-1]
                path = f"{breed}/{entry.path.rsplit('/', 1)[-1]}"
                entry = replace(entry, folder=breed, path=path, split=self._splits.get(path))
            yield entry

    def task(self, number: int, path: str, where: str, to: str | None) -> Task:
        """Read a picture, or what is in its box."""
        task = super().task(number, path, where, to)
        if self._boxes is None:
            return task
        box = self._boxes.get(path.rsplit(".", 1)[0])
        if box is None:
            raise InputError(f"{self.path}: {path}: no box is annotated for it.", "Leave --crop-boxes out.")
        return replace(task, box=box)


def read_lists(path: Path) -> dict[str, Split]:
    """Return the split of each picture (`folder/name.jpg`) from the official lists.

    Raises:
        InputError: they are not what they should be.

    """
    found: dict[str, Split] = {}
    lists = {"train_list.mat": Split.TRAIN, "test_list.mat": Split.TEST}
    for name, data in _members(path, MOST_MAT):
        split = lists.pop(name.rsplit("/", 1)[-1], None)
        if split is not None:
            found |= dict.fromkeys(_names_in(path, name, data), split)
    if lists:
        raise InputError(f"{path}: {', '.join(lists)} is missing.", "Delete the file, and fetch it again.")
    return found


def _names_in(path: Path, name: str, data: bytes) -> list[str]:
    from scipy.io import loadmat

    try:
        cells: Any = loadmat(io.BytesIO(data), variable_names=["file_list"])["file_list"]
        return [str(cell.ravel()[0]) if hasattr(cell, "ravel") else str(cell) for cell in cells.ravel()]
    except Exception as error:  # a reader of a binary format raises what it likes
        raise InputError(
            f"{path}: {name} has no file_list ({error}).", "Delete the file, and fetch it again."
        ) from None


def read_boxes(path: Path) -> dict[str, Box]:
    """Return the box around all dogs of each picture (`folder/name`, without an extension).

    Raises:
        InputError: an annotation is not what it should be.

    """
    found = {}
    for name, data in _members(path, MOST_XML):
        parts = name.split("/")
        if len(parts) >= 2:
            found["/".join(parts[-2:])] = box_of(data, f"{path}: {name}")
    return found


def box_of(xml: bytes, where: str) -> Box:
    """Return the smallest box that holds all boxes of an annotation.

    Raises:
        InputError: there is none in it, or it declares a document type (entities could grow without end).

    """
    cure = "Leave --crop-boxes out, or fetch the annotations again."
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml or b"\0" in xml:
        raise InputError(f"{where}: declares a document type, which no annotation does.", cure)
    try:
        boxes = [
            tuple(int(float(box.findtext(side, ""))) for side in ("xmin", "ymin", "xmax", "ymax"))
            for box in ElementTree.fromstring(xml).iter("bndbox")  # noqa: S314 - nothing is declared in it
        ]
    except (ElementTree.ParseError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: no readable annotation ({error}).", cure) from None
    if not boxes:
        raise InputError(f"{where}: no box in it.", cure)
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _members(path: Path, most: int) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a small tar, each within a size."""
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile() and not member.issparse():
                    if member.size > most:
                        raise InputError(f"{path}: {member.name!a}: {member.size:,} bytes.", "Is this the file?")
                    file = tar.extractfile(member)
                    yield member.name, file.read() if file is not None else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{path}: no readable tar file ({error}).", "Delete it, and fetch it again.") from error
