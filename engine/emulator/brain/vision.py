"""Looking at pictures, as many at once as there are cores, off the event loop."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from threadpoolctl import threadpool_limits

from engine.backbones import Backbone, load_backbone, match_imagenet, pixels
from engine.backbones.backbone import usable_cores
from engine.backbones.images import MAX_PIXELS

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
"""What counts as a picture. Pillow reads many more, by decoders that no stranger should reach."""

LARGE = 4_000_000
"""Pixels from which pictures are decoded one at a time: the largest takes 0.7 GB meanwhile, these up to 30 MB."""

AT_ONCE = 2
"""Pictures a look of long work: two are as fast as one each, and from four on the caches are too small."""


class Vision:
    """Two lanes: real-time requests do not wait behind batches and training.

    A lane has a thread a core, and each looks at one picture at a time with a network that is single-threaded.
    Measured on two cores: 32 who ask at once get 320 photographs a second with their decoding, where the same
    network spread over both cores reaches 313 at its best (pixels given, six at once), for its threads wait for
    each other. While a batch looks with as many, they get 85% of that. Only encoded bytes wait in line.
    """

    def __init__(self, cache: Path) -> None:
        # The server's log is no place for what Pillow has to say of a stranger's picture.
        warnings.filterwarnings("ignore", module=r"PIL\b")
        # NumPy's products spread over all cores wait for a thread that looks: while 32 asked, an opinion took 5 ms
        # instead of 0.8, and they got 168 answers a second instead of 273.
        self._products = threadpool_limits(1, user_api="blas")
        self._cache = cache
        self._loaded: Backbone | None = None
        self._loading = threading.Lock()
        self._large = threading.Lock()
        self._urgent = ThreadPoolExecutor(usable_cores(), "looking")
        self._others = ThreadPoolExecutor(usable_cores(), "looking-patiently", initializer=_step_back)

    def backbone(self) -> Backbone:
        """Return the backbone, loading it the first time.

        Raises:
            WeightsError: there are no weights.

        """
        if self._loaded is None:
            with self._loading:
                if self._loaded is None:
                    self._loaded = load_backbone(self._cache / "backbones", threads=1)
        return self._loaded

    def warm_up(self) -> None:
        """Load the backbone and look once, which takes longer the first time."""
        backbone = self.backbone()
        backbone.features(np.zeros((1, backbone.size, backbone.size, 3), np.uint8))

    def patient(self) -> Backbone:
        """Return the backbone for long work on another thread: it looks in the lane of those who can wait."""
        patient = _Patient(**vars(self.backbone()))
        patient.lane = self._others
        return patient

    async def look(self, picture: bytes, *, urgent: bool) -> np.ndarray:
        """Return the features of an encoded picture, float32 `[width]`.

        The same picture gives the same bits, whoever asks and whatever else is looked at.

        Raises:
            OSError, ValueError: it is no picture, or too large a one; nothing else is raised for what is in it.

        """
        lane = self._urgent if urgent else self._others
        return await asyncio.get_running_loop().run_in_executor(lane, self._look, picture)

    def close(self) -> None:
        """Give up what waits in line, so that the process can end, and give NumPy its cores back."""
        for lane in (self._urgent, self._others):
            lane.shutdown(wait=False, cancel_futures=True)
        self._products.restore_original_limits()

    def _look(self, picture: bytes) -> np.ndarray:
        backbone = self.backbone()
        _, _, width, height = image_facts(picture)
        if width * height < LARGE:
            decoded = _decoded(picture, backbone.size)
        else:
            with self._large:
                decoded = _decoded(picture, backbone.size)
        return np.asarray(backbone.features(decoded[None])[0])


class _Patient(Backbone):
    """A backbone that looks from the threads of a lane, in turn with whoever else uses it."""

    lane: ThreadPoolExecutor

    def features(self, pixels: np.ndarray | Sequence[np.ndarray], mirrored: bool = False) -> np.ndarray:
        """Look at pictures; see `Backbone.features`. Must not be called on the lane's own threads."""
        look, each, found = super().features, AT_ONCE, []
        turn = each * usable_cores()  # no more at a time, so that others get in between
        for start in range(0, len(pixels), turn):
            pieces = [pixels[at : at + each] for at in range(start, min(start + turn, len(pixels)), each)]
            found += list(self.lane.map(look, pieces, repeat(mirrored)))
        return np.concatenate(found)


def image_facts(picture: bytes) -> tuple[str, str, int, int]:
    """Return a picture's format (one of `FORMATS`), Pillow's name of its mode, width and height in pixels.

    Only the header is read: what follows may still be damaged.

    Raises:
        ValueError: the bytes are no picture of these formats, or it has more than `MAX_PIXELS` pixels.

    """
    try:
        with Image.open(io.BytesIO(picture), formats=FORMATS) as image:
            # A JPEG with more pictures behind it, as some cameras write them, is one all the same.
            form = "JPEG" if image.format == "MPO" else str(image.format)
            mode, width, height = image.mode, image.width, image.height
    except Exception as error:  # decoders raise anything: SyntaxError, struct.error, DecompressionBombError, …
        raise ValueError(f"it is no picture ({_said(error)})") from error
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width}×{height} pixels are more than {MAX_PIXELS:,}")
    return form, mode, width, height


def _decoded(picture: bytes, size: int) -> np.ndarray:
    """Return `pixels(picture, size)`; whatever a decoder may raise becomes an OSError or a ValueError."""
    try:
        return pixels(picture, size)
    except (OSError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"the picture is damaged ({_said(error)})") from error


def _said(error: Exception) -> str:
    # Pillow names the object in memory that it could not read, which is nobody's business.
    return "unknown format" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__


def _step_back() -> None:
    """Let whoever is in a hurry go first: on a small machine looking takes every core.

    Linux gives each thread its own priority; elsewhere all stay equal.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def prior(backbone: Backbone, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return a head's weight `[n, width]` and bias `[n]` for these labels, from the ImageNet rows of the same names.

    A label that ImageNet does not know gets a row of zeros, and a bias of zero, about the average of the others.
    """
    weight = np.zeros((len(labels), backbone.width), np.float32)
    bias = np.zeros(len(labels), np.float32)
    for row, known in enumerate(match_imagenet(labels)):
        if known is not None:
            weight[row] = backbone.head_weight[known]
            bias[row] = backbone.head_bias[known]
    return weight, bias
