"""Looking at pictures on one thread, a few at a time, off the event loop."""

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
"""Pictures that are looked at together: the longest that somebody in a hurry waits behind somebody who is not."""


class Patient(Backbone):
    """A backbone that looks at a few pictures at a time, behind whoever waits for a `Vision`."""

    thread: ThreadPoolExecutor

    def features(self, pixels: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Look at pictures; see `Backbone.features`. Must not be called on that thread itself."""
        pieces = [pixels[start : start + AT_ONCE] for start in range(0, len(pixels), AT_ONCE)]
        look = super().features
        return np.concatenate([self.thread.submit(look, piece).result() for piece in pieces])


def _step_back() -> None:
    """Let whoever answers, asks or paints go first: on a small machine looking takes every core.

    Linux gives each thread its own priority; the threads of ONNX Runtime inherit it from this one.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


class Vision:
    """A frozen backbone on one thread. Real-time requests are looked at before those of batches and training."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._backbone: Backbone | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vision", initializer=_step_back)
        self._urgent: deque[tuple[np.ndarray, asyncio.Future[np.ndarray]]] = deque()
        self._others: deque[tuple[np.ndarray, asyncio.Future[np.ndarray]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    def backbone(self) -> Backbone:
        """Return the backbone, loading it the first time. Must not be called on the looking thread itself."""
        return self._backbone or self._thread.submit(self._load).result()

    def _load(self) -> Backbone:
        if self._backbone is None:
            self._backbone = load_backbone(self._cache / "backbones")
        return self._backbone

    def patient(self) -> Backbone:
        """Return the backbone for long work on another thread."""
        patient = Patient(**vars(self.backbone()))
        patient.thread = self._thread
        return patient

    async def look(self, picture: bytes, *, urgent: bool) -> np.ndarray:
        """Return the features `[width]` of an encoded picture.

        Raises:
            OSError, ValueError: it is no picture.

        """
        decoded = await asyncio.to_thread(pixels, picture)
        future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._others).append((decoded, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while queue := self._urgent or self._others:
            now = [queue.popleft() for _ in range(min(AT_ONCE, len(queue)))]
            wanted = [(picture, future) for picture, future in now if not future.done()]
            if not wanted:
                continue
            try:
                found = await loop.run_in_executor(self._thread, self._features, [p for p, _ in wanted])
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
