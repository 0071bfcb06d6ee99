"""A frozen backbone run through ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock

from engine.backbones.export import export_lite0
from engine.backbones.weights import packaged_lite0
from engine.errors import WeightsError

if TYPE_CHECKING:
    import onnxruntime


def usable_cores() -> int:
    """Return how many cores this process may use (macOS knows no affinity)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


NAMES = ("efficientnet-lite0",)


@dataclass
class Backbone:
    """A pretrained network without its last layer, and that last layer's rows.

    Attributes:
        name: which architecture.
        source: where the weights came from, for people.
        sha256: of the weights' file; with `name` and `size` it identifies the features.
        size: side of the square that it looks at, in pixels.
        width: how many features it gives an image.
        head_weight: `[1000, width]` float32, the ImageNet rows of the last layer.
        head_bias: `[1000]` float32.

    """

    name: str
    source: str
    sha256: str
    size: int
    width: int
    head_weight: np.ndarray
    head_bias: np.ndarray
    session: onnxruntime.InferenceSession = field(repr=False)

    @property
    def identity(self) -> str:
        """A short string that changes whenever the features would."""
        return f"{self.name}-{self.size}-{self.sha256[:12]}"

    def features(self, pixels: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Look at pictures.

        Args:
            pixels: uint8 `[n, size, size, 3]`, RGB.

        Returns:
            float32 `[n, width]`.

        """
        batch = np.asarray(pixels, dtype=np.float32)
        # EfficientNet-Lite's own normalisation: https://github.com/tensorflow/tpu, efficientnet/lite
        batch = ((batch - 127.0) / 128.0).transpose(0, 3, 1, 2)
        (features,) = self.session.run(["features"], {"pixels": np.ascontiguousarray(batch)})
        return np.asarray(features, dtype=np.float32)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return the ImageNet logits `[n, 1000]` of features `[n, width]`."""
        return np.asarray(features @ self.head_weight.T + self.head_bias)


def load_backbone(cache: Path, name: str = "efficientnet-lite0", *, threads: int | None = None) -> Backbone:
    """Load a backbone, exporting it to ONNX into `cache` the first time.

    Args:
        cache: folder for the exported files; made if it does not exist.
        name: one of `NAMES`.
        threads: cores to use; all that this process may use unless told.

    Raises:
        WeightsError: the name is unknown, or its weights cannot be had.

    """
    if name not in NAMES:
        raise WeightsError(f"There is no backbone {name!r}.", f"Choose one of: {', '.join(NAMES)}.")
    import onnxruntime

    weights = packaged_lite0()
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    stem = f"{name}-{weights.sha256[:12]}"
    onnx_path, head_path = cache / f"{stem}.onnx", cache / f"{stem}.npz"
    if not (onnx_path.is_file() and head_path.is_file()):
        with FileLock(cache / f"{stem}.lock"):
            if not (onnx_path.is_file() and head_path.is_file()):
                export_lite0(weights, onnx_path, head_path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    # Spinning threads starve the other processes of a small machine; sleeping ones cost nothing measurable.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(onnx_path), options, providers=["CPUExecutionProvider"])
    with np.load(head_path) as head:
        weight, bias = head["weight"], head["bias"]
    return Backbone(name, weights.source, weights.sha256, 224, weight.shape[1], weight, bias, session)
