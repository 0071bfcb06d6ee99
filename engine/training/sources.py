"""Where batches come from: features or maps that a frozen backbone has seen once, or pictures.

Everything random hangs on the run's seed, the epoch and the place in it, never on what was drawn before; so a
run can go on at any step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from engine.backbones import Backbone, Cached, cached_views
from engine.orphans import can_share, end_with_parent
from engine.training.data import Example, Watch
from engine.training.pictures import Augmented, Form, Pack, Turns

Batch = tuple[torch.Tensor, torch.Tensor]
Views = tuple[list[torch.Tensor], torch.Tensor]
VALIDATION_BATCH = 128


class Source(Protocol):
    """A phase's data.

    Attributes:
        key: what identifies its features or pixels.
        needed: of how many pictures it needs them.
        computed: of how many of these it has computed them; the rest was in the cache.

    """

    key: str
    needed: int
    computed: int

    def training(self, epoch: int, first: int) -> Iterator[Batch]:
        """Give (inputs, labels `[n]`) from step `first` of an epoch on, always in the same order."""

    def validation(self) -> Iterator[Views]:
        """Give each batch as one or two views (straight, mirrored) and its labels, in order of the examples."""


def order(count: int, seed: int, epoch: int) -> torch.Tensor:
    """Return the order of an epoch, a permutation `[count]`."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(hash((seed, epoch))))


class Seen:
    """What a frozen backbone gave for each picture: features `[n, width]` or maps `[n, c, h, w]`."""

    def __init__(
        self,
        backbone: Backbone,
        training: Sequence[Example],
        validation: Sequence[Example],
        *,
        mirror: bool,
        cache: Path,
        batch_size: int,
        seed: int,
        watch: Watch,
    ) -> None:
        """Look at all pictures, as far as no run has looked at them before."""
        views = (False, True) if mirror else (False,)
        total = len(training) + len(validation)
        self.key, self.needed, self.computed = backbone.identity, total, 0

        def counting(example: Example) -> Callable[[], bytes]:
            def read() -> bytes:
                computed.append(1)  # by several threads at once, which appending does not mind
                return example.read()

            return read

        computed: list[int] = []

        def look(examples: Sequence[Example], offset: int) -> list[Cached]:
            def progress(done: int, _: int) -> None:
                watch.phase(f"{backbone.name} looks at pictures", offset + done, total)
                watch.check()

            pictures, digests = [counting(e) for e in examples], [e.sha256 for e in examples]
            return cached_views(backbone, pictures, digests, cache / "features", progress, views=views, say=watch.say)

        self._training, self._validation = look(training, 0), look(validation, len(training))
        self.computed = len(computed)
        self._labels = torch.tensor([e.label for e in training])
        self._val_labels = torch.tensor([e.label for e in validation])
        self._size, self._seed = batch_size, seed

    def training(self, epoch: int, first: int) -> Iterator[Batch]:
        """Give batches; each picture straight or mirrored, as a coin falls."""
        turns = torch.split(order(len(self._labels), self._seed, epoch), self._size)
        for number, chosen in enumerate(turns[first:], start=first):
            inputs = self._training[0].take(chosen.numpy())
            if len(self._training) > 1:
                coins = np.random.default_rng([self._seed, epoch, number]).random(len(chosen)) < 0.5
                if coins.any():
                    inputs[coins] = self._training[1].take(chosen.numpy()[coins])
            yield torch.from_numpy(inputs).float(), self._labels[chosen]

    def validation(self) -> Iterator[Views]:
        """Give the validation examples in order."""
        for start in range(0, len(self._val_labels), VALIDATION_BATCH):
            chosen = np.arange(start, min(start + VALIDATION_BATCH, len(self._val_labels)))
            yield [torch.from_numpy(v.take(chosen)).float() for v in self._validation], self._val_labels[chosen]


class Pictures:
    """Pictures uint8 `[n, 3, size, size]`: decoded once, augmented by workers while the network is busy."""

    def __init__(
        self,
        training: Sequence[Example],
        validation: Sequence[Example],
        *,
        size: int,
        augment: str,
        mirror: bool,
        cache: Path,
        batch_size: int,
        seed: int,
        workers: int,
        watch: Watch,
    ) -> None:
        """Decode all pictures, as far as no run has done it before."""
        if workers and not can_share():
            watch.say("no shared memory (/dev/shm): pictures are augmented by one process, which is slower", "warning")
            workers = 0
        larger = round(size * 256 / 224)  # the article's: 256 for 224
        packs = [
            Pack(training, Form(larger), cache / "pictures"),
            Pack(validation, Form(larger, size), cache / "pictures"),
        ]
        total = len(training) + len(validation)
        self.key, self.needed, self.computed = f"pictures-{larger}-{size}", total, 0
        for pack, offset in zip(packs, (0, len(training)), strict=True):

            def progress(now: int, _: int, offset: int = offset) -> None:
                watch.phase("decoding pictures", offset + now, total)
                watch.check()

            is_kept = pack.fill(progress)
            self.computed += pack.decoded if is_kept else len(pack)
            if not is_kept:
                watch.say(
                    f"{cache}: no space left for decoded pictures; they are decoded again each epoch, which is slower",
                    "warning",
                )
        self._pack, self._validation = packs
        self._mirror, self._size, self._seed = mirror, batch_size, seed
        self._turns = Turns()
        self._loader: Any = torch.utils.data.DataLoader(
            Augmented(self._pack, augment, size, seed),
            batch_sampler=self._turns,
            num_workers=workers,
            # Started from a clean process: a fork of this one would inherit its threads' locks.
            multiprocessing_context="forkserver" if workers else None,
            worker_init_fn=end_with_parent,
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
            pin_memory=torch.cuda.is_available(),
        )

    def training(self, epoch: int, first: int) -> Iterator[Batch]:
        """Give augmented batches."""
        turns = torch.split(order(len(self._pack), self._seed, epoch), self._size)
        self._turns.turns = [[(epoch, int(index)) for index in turn] for turn in turns[first:]]
        yield from self._loader

    def validation(self) -> Iterator[Views]:
        """Give the validation examples in order, as the article evaluates: resized, centre cut out."""
        for start in range(0, len(self._validation), VALIDATION_BATCH):
            chosen = range(start, min(start + VALIDATION_BATCH, len(self._validation)))
            pictures = torch.from_numpy(np.stack([self._validation[i] for i in chosen])).permute(0, 3, 1, 2)
            views = [pictures, pictures.flip(3)] if self._mirror else [pictures]
            yield views, torch.tensor([self._validation.label(i) for i in chosen])
