"""Pictures for training every weight: decoded once, kept as raw bytes, augmented by workers.

Decoded pictures lie in files of 64, named after the sha256 of what is in them, and are memory-mapped; all
runs share them. Processes augment ahead of the network; each picture's augmentation is seeded by the run's
seed, the epoch and the picture, so that it is the same whoever does it and whenever.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from engine.backbones.images import READING, decoded
from engine.backbones.torchvision_import import import_torchvision
from engine.training.data import Example

CHUNK = 64


@dataclass(frozen=True)
class Form:
    """How pictures are kept: whole with a shorter side of at most `side`, or its centre cut out as a square.

    `crop` is the side of that square in pixels; 0 keeps the whole picture.
    """

    side: int
    crop: int = 0

    def of(self, picture: Path | bytes) -> np.ndarray:
        """Decode a file, or its bytes, into this form: uint8 `[height, width, 3]`."""
        image = decoded(picture, self.side)
        if self.crop:  # the article's: the shorter side to `side`, whether it was larger or smaller
            image = _shorter_side(image, self.side)
            left, top = (image.width - self.crop) // 2, (image.height - self.crop) // 2
            image = image.crop((left, top, left + self.crop, top + self.crop))
        elif min(image.size) > self.side:
            image = _shorter_side(image, self.side)
        return np.asarray(image)


def _shorter_side(image: Image.Image, side: int) -> Image.Image:
    scale = side / min(image.size)
    size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR)


class Pack:
    """Decoded pictures on disk, or decoded anew each time where the disk has no room for them."""

    def __init__(self, examples: Sequence[Example], form: Form, folder: Path) -> None:
        """Nothing is read or written yet; see `fill`. Can be sent to another process."""
        self.form = form
        self._examples = list(examples)
        self._folder = folder / f"{form.side}-{form.crop}-{READING}"
        self._names = [
            hashlib.sha256("".join(e.sha256 for e in examples[start : start + CHUNK]).encode()).hexdigest()
            for start in range(0, len(examples), CHUNK)
        ]
        self._open: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self.decoded = 0
        """Of how many pictures `fill` has found nothing."""

    def __len__(self) -> int:
        return len(self._examples)

    def label(self, index: int) -> int:
        """Return an example's label."""
        return self._examples[index].label

    def fill(self, progress: Callable[[int, int], None]) -> bool:
        """Decode what is not there yet; return False when the disk is full.

        Args:
            progress: called with (done, total); may raise to stop. What is decoded stays.

        Raises:
            OSError, ValueError: a picture cannot be decoded; names it.
            InputError: one cannot be read, or has changed since it was catalogued.

        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            for chunk, name in enumerate(self._names):
                some = self._examples[chunk * CHUNK : (chunk + 1) * CHUNK]
                if not (self._folder / f"{name}.sizes.npy").is_file():
                    pictures = list(pool.map(self._decode, some))
                    self.decoded += len(some)
                    try:
                        self._write(f"{name}.npy", np.concatenate([p.reshape(-1) for p in pictures]))
                        self._write(f"{name}.sizes.npy", np.array([p.shape[:2] for p in pictures]))
                    except OSError as error:
                        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                            raise
                        return False
                progress(min((chunk + 1) * CHUNK, len(self)), len(self))
        return True

    def __getitem__(self, index: int) -> np.ndarray:
        """Return a picture, uint8 `[height, width, 3]`."""
        chunk, place = divmod(index, CHUNK)
        try:
            if chunk not in self._open:
                self._open[chunk] = self._map(self._names[chunk])
            pixels, sizes, ends = self._open[chunk]
            height, width = (int(side) for side in sizes[place])
            end = int(ends[place])
            return pixels[end - height * width * 3 : end].reshape(height, width, 3)
        except (OSError, ValueError, IndexError):  # not there, or damaged
            return self._decode(self._examples[index])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}  # a mapped file is mapped anew, never copied

    def _map(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sizes = np.load(self._folder / f"{name}.sizes.npy", allow_pickle=False)
        return np.load(self._folder / f"{name}.npy", mmap_mode="r"), sizes, np.cumsum(sizes.prod(1) * 3)

    def _decode(self, example: Example) -> np.ndarray:
        try:
            return self.form.of(example.read())
        except (OSError, ValueError) as error:
            raise type(error)(f"{example.path}: {error}") from error

    def _write(self, name: str, values: np.ndarray) -> None:
        partial = self._folder / f".{name}.{os.getpid()}"
        try:
            with partial.open("wb") as file:
                np.save(file, values)
            partial.replace(self._folder / name)
        finally:
            partial.unlink(missing_ok=True)


def augmentation(name: str, size: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what happens to a picture uint8 `[3, h, w]` in training; it becomes `[3, size, size]`."""
    import_torchvision()
    from torchvision.transforms import v2

    if name == "article":
        steps = [
            v2.RandomResizedCrop(size, scale=(0.8, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.2, 0.2, 0.2, 0.1),
        ]
    else:
        steps = [v2.Resize(size, antialias=True), v2.CenterCrop(size)]
    composed: Callable[[torch.Tensor], torch.Tensor] = v2.Compose(steps)
    return composed


class Augmented(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Pictures of a pack, augmented; asked for by (epoch, index)."""

    def __init__(self, pack: Pack, name: str, size: int, seed: int) -> None:
        self._pack, self._name, self._size, self._seed = pack, name, size, seed
        self._augment: Callable[[torch.Tensor], torch.Tensor] | None = None

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, int]:
        epoch, index = key
        if self._augment is None:  # made by each worker for itself
            self._augment = augmentation(self._name, self._size)
        torch.manual_seed(hash((self._seed, epoch, index)))
        picture = torch.from_numpy(np.array(self._pack[index])).permute(2, 0, 1)
        return self._augment(picture), self._pack.label(index)


class Turns:
    """The order of one epoch after another, for a loader whose workers live through all of them."""

    def __init__(self) -> None:
        self.turns: list[list[tuple[int, int]]] = []

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.turns)

    def __len__(self) -> int:
        return len(self.turns)
