"""Runs an exported network on the CPU, as fast as its cores allow.

Measured (`tests/benchmarks/backbones.py`): many runs of one or two pictures at a time, each on one thread, are
faster than one run of many spread over all cores. What a picture needs then fits in a core's own cache, and no
core waits for another. A picture that comes alone has one thread too: two made it no sooner (EfficientNet-Lite0 and
2, on two cores that others used as well).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnxruntime

AT_ONCE = 2
"""Pictures a run."""


class Runner:
    """A network `pixels` → `features`, for any number of pictures; may be used by several threads at once."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load it; with one thread everything is done on the caller's own."""
        self._threads = threads
        self._session = session(path, 1)
        self._pool: ThreadPoolExecutor | None = None
        self._making = Lock()

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Return the outputs `[n, …]` float32 of uint8 `[n, size, size, 3]`."""
        pieces = [np.ascontiguousarray(batch[at : at + AT_ONCE]) for at in range(0, len(batch), AT_ONCE)]
        if len(pieces) == 1:
            return _run(self._session, pieces[0])
        if self._threads == 1:
            return np.concatenate([_run(self._session, piece) for piece in pieces])
        return np.concatenate(list(self._workers().map(lambda piece: _run(self._session, piece), pieces)))

    def _workers(self) -> ThreadPoolExecutor:
        with self._making:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, "looking-at-pictures")
            return self._pool


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Load an ONNX file for the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning threads starve the other processes of a small machine; sleeping ones cost nothing measurable.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, pixels: np.ndarray) -> np.ndarray:
    (features,) = session.run(["features"], {"pixels": pixels})
    return np.asarray(features)
