"""Prediction with a trained CNN, many images at once or one as a request would."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from engine.backbones import load_backbone, pixels
from engine.backbones.torchvision_import import import_torchvision
from engine.errors import JobError
from engine.training import checkpoint, models
from engine.training.recipes import Recipe


class Predictor:
    """The best epoch of a run."""

    def __init__(self, state: dict[str, Any], cache: Path) -> None:
        self.labels: list[str] = state["labels"]
        self._recipe = Recipe(**state["recipe"])
        if self._recipe.kind == "frozen":
            self._backbone = load_backbone(cache / "backbones", self._recipe.backbone)
            self._model: torch.nn.Module = models.linear_head(self._backbone.width, len(self.labels), 0.0)
        else:
            import_torchvision()
            from torchvision.models import get_model

            self._model = get_model(self._recipe.backbone, weights=None, num_classes=len(self.labels))
            self._transform = models.transforms(training=False)
        self._model.load_state_dict(state["model"])
        self._model.eval()

    @torch.inference_mode()
    def predict(self, paths: Sequence[Path]) -> np.ndarray:
        """Return probabilities `[n, classes]` float32.

        Raises:
            OSError: an image cannot be read; names it.

        """
        with ThreadPoolExecutor(2) as pool:
            pictures = list(pool.map(self._picture, paths))
        if self._recipe.kind == "frozen":
            inputs = torch.from_numpy(self._backbone.features(np.stack(pictures)))
        else:
            inputs = torch.stack(pictures)
        probabilities: np.ndarray = torch.softmax(self._model(inputs), 1).numpy()
        return probabilities

    def predict_one(self, path: Path) -> tuple[str, float, float]:
        """Return one image's label, its probability, and the milliseconds from file to label."""
        started = time.perf_counter()
        (probabilities,) = self.predict([path])
        best = int(probabilities.argmax())
        return self.labels[best], float(probabilities[best]), (time.perf_counter() - started) * 1000

    def _picture(self, path: Path) -> Any:
        try:
            if self._recipe.kind == "frozen":
                return pixels(path, self._backbone.size)
            with Image.open(path) as image:
                return self._transform(image.convert("RGB"))
        except OSError as error:
            raise OSError(f"{path}: {error}") from error


def load_predictor(folder: Path, cache: Path) -> Predictor:
    """Load the best checkpoint of a run.

    Raises:
        JobError: there is none that can be read.

    """
    state = checkpoint.load(folder / "best.pt")
    if state is None:
        raise JobError(f"{folder}: no checkpoint that can be read.", "Train again.")
    return Predictor(state, cache)
