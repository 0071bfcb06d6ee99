"""Looking at pictures, a few at a time, off the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from engine.backbones import Backbone, load_backbone, match_imagenet, pixels

AT_ONCE = 4
"""Pictures that are looked at together: more at once are no faster each, and make others wait."""


class Patient(Backbone):
    """A backbone that looks at a few pictures at a time, in turn with whoever else uses its lane."""

    thread: ThreadPoolExecutor

    def features(self, pixels: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Look at pictures; see `Backbone.features`. Must not be called on that thread itself."""
        look = super().features
        pieces = [pixels[start : start + AT_ONCE] for start in range(0, len(pixels), AT_ONCE)]
        return np.concatenate([self.thread.submit(look, piece).result() for piece in pieces])


class _Lane:
    """A backbone on a thread of its own. Requests that wait together are looked at together."""

    def __init__(self, cache: Path, *, step_back: bool) -> None:
        self._cache = cache
        self.loaded: Backbone | None = None
        self.thread = ThreadPoolExecutor(1, "looking", initializer=_step_back if step_back else None)
        self._queue: deque[tuple[np.ndarray, asyncio.Future[np.ndarray]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    def backbone(self) -> Backbone:
        """Return the backbone, loading it the first time. Must not be called on the lane's own thread."""
        return self.loaded or self.thread.submit(self._load).result()

    def _load(self) -> Backbone:
        # On the lane's thread, from which the threads of ONNX Runtime inherit their priority.
        if self.loaded is None:
            self.loaded = load_backbone(self._cache / "backbones")
        return self.loaded

    async def look(self, decoded: np.ndarray) -> np.ndarray:
        """Return the features `[width]` of a decoded picture."""
        future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._queue.append((decoded, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            now = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
            wanted = [(picture, future) for picture, future in now if not future.done()]
            if not wanted:
                continue
            try:
                found = await loop.run_in_executor(self.thread, self._features, [p for p, _ in wanted])
            except Exception as error:
                for _, future in wanted:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), row in zip(wanted, found, strict=True):
                if not future.done():
                    future.set_result(row)

    def _features(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        return self._load().features(np.stack(pictures))


def _step_back() -> None:
    """Let whoever is in a hurry go first: on a small machine looking takes every core.

    Linux gives each thread its own priority; elsewhere all stay equal.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


class Vision:
    """Two lanes: real-time requests do not wait behind batches and training."""

    def __init__(self, cache: Path) -> None:
        self._urgent = _Lane(cache, step_back=False)
        self._others = _Lane(cache, step_back=True)

    def backbone(self) -> Backbone:
        """Return the backbone, for its weights and its name; at once where a lane has looked before."""
        return self._urgent.loaded or self._others.backbone()

    def warm_up(self) -> None:
        """Load what real-time requests need."""
        self._urgent.backbone()

    def patient(self) -> Backbone:
        """Return the backbone for long work on another thread."""
        patient = Patient(**vars(self._others.backbone()))
        patient.thread = self._others.thread
        return patient

    async def look(self, picture: bytes, *, urgent: bool) -> np.ndarray:
        """Return the features `[width]` of an encoded picture.

        Raises:
            OSError, ValueError: it is no picture.

        """
        decoded = await asyncio.to_thread(pixels, picture)
        return await (self._urgent if urgent else self._others).look(decoded)


def prior(backbone: Backbone, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return a head `[n, width]`, `[n]` for these labels from the ImageNet rows of the same names.

    A label that ImageNet does not know gets a row of zeros, and a bias that is as likely as the average
    of the others.
    """
    weight = np.zeros((len(labels), backbone.width), np.float32)
    bias = np.zeros(len(labels), np.float32)
    for row, known in enumerate(match_imagenet(labels)):
        if known is not None:
            weight[row] = backbone.head_weight[known]
            bias[row] = backbone.head_bias[known]
    return weight, bias


def zero_shot(backbone: Backbone, features: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Return a score for each label.

    Labels that ImageNet does not know get a score below all others; where it knows none of them, the
    choice hangs on the picture but not on what it shows, which is honestly chance.
    """
    known = match_imagenet(labels)
    if all(k is None for k in known):
        digest = hashlib.sha256(features.tobytes()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8])).random(len(labels))
    logits = backbone.logits(features[None])[0]
    return np.array([-1e9 if k is None else logits[k] for k in known])
