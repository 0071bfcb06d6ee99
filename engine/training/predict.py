"""Prediction with a trained CNN, many images at once or one as a request would."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from engine.backbones import load_backbone, pixels, whole_module
from engine.backbones.backbone import usable_cores
from engine.backbones.cache import Picture, read_picture
from engine.backbones.images import READING
from engine.errors import WeightsError
from engine.training.keeping import load_best
from engine.training.models import BACKBONES, Classifier, network
from engine.training.pictures import Form
from engine.training.recipes import Recipe


class Member(Protocol):
    """One backbone's best epoch, ready to predict."""

    def picture(self, source: Path | bytes) -> np.ndarray:
        """Decode a file, or its bytes, as the network wants it, uint8 `[size, size, 3]`."""

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """Return probabilities `[n, classes]` of uint8 `[n, size, size, 3]`."""


class FrozenMember:
    """A frozen backbone in ONNX Runtime, and what was trained on top of it."""

    def __init__(self, recipe: Recipe, best: dict[str, Any], cache: Path) -> None:
        given = Path(best["given"]) if best["given"] else None
        self.backbone = load_backbone(cache / BACKBONES, best["backbone"], cut=best["blocks"], weights=given)
        if self.backbone.sha256 != best["origin"]["sha256"]:
            raise WeightsError(
                f"The weights of {best['backbone']} are not those that this was trained on.", "Train again."
            )
        phase = next(p for p in recipe.phases if (p.train, p.blocks) == (best["train"], best["blocks"]))
        self.network: Classifier = network(recipe, phase, self.backbone, len(best["labels"]), given)
        self.network.load_state_dict(best["model"])
        self.network.eval()
        self._views = (False, True) if recipe.mirror else (False,)

    def picture(self, source: Path | bytes) -> np.ndarray:
        """Decode a file: the shorter side scaled to the backbone's size, the centre cut out."""
        return pixels(source, self.backbone.size)

    @torch.inference_mode()
    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """Return the mean over straight and mirrored, where the recipe learned from both."""
        seen = [torch.from_numpy(self.backbone.features(pictures, mirrored=m)).float() for m in self._views]
        probabilities = torch.stack([self.network(each).softmax(1) for each in seen]).mean(0)
        return np.asarray(probabilities.numpy())


class WholeMember:
    """A network whose every weight was trained."""

    def __init__(self, recipe: Recipe, best: dict[str, Any]) -> None:
        self.network, _, self.size = whole_module(
            best["backbone"], len(best["labels"]), dropout=recipe.dropout, pretrained=False
        )
        self.network.load_state_dict(best["model"])
        self.network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
        self._form = Form(round(self.size * 256 / 224), self.size)
        self._mirror = recipe.mirror

    def picture(self, source: Path | bytes) -> np.ndarray:
        """Decode a file as it was validated with: resized, the centre cut out."""
        return self._form.of(source)

    @torch.inference_mode()
    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """Return the mean over straight and mirrored, where the recipe says so."""
        inputs = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2)
        views = [inputs, inputs.flip(3)] if self._mirror else [inputs]
        return np.asarray(torch.stack([self.network(view).softmax(1) for view in views]).mean(0).numpy())


class Predictor:
    """The best epochs of a run, their answers averaged."""

    def __init__(self, recipe: Recipe, labels: Sequence[str], members: Sequence[Member]) -> None:
        self.recipe, self.labels, self.members = recipe, list(labels), list(members)
        self._pool = ThreadPoolExecutor(max_workers=min(8, usable_cores()))

    def predict(self, sources: Sequence[Picture]) -> np.ndarray:
        """Return probabilities `[n, classes]` float32.

        Args:
            sources: each picture as a file, or as a function that gives its encoded bytes.

        Raises:
            OSError, ValueError: an image cannot be read; names its file, where that is known.

        """
        found = []
        for member in self.members:
            pictures = np.stack(list(self._pool.map(partial(read_picture, read=member.picture), sources)))
            found.append(member.predict(pictures))
        return np.asarray(np.mean(found, axis=0, dtype=np.float32))

    def predict_one(self, source: Picture) -> tuple[str, float, float]:
        """Return one image's label, its probability, and the milliseconds from file to label."""
        started = time.perf_counter()
        (probabilities,) = self.predict([source])
        best = int(probabilities.argmax())
        return self.labels[best], float(probabilities[best]), (time.perf_counter() - started) * 1000


def load_predictor(
    folder: Path,
    cache: Path,
    say: Callable[[str, str], None] = lambda _m, _l: None,
    identity: Mapping[str, Any] | None = None,
) -> Predictor:
    """Load the best checkpoints of a run.

    Args:
        folder: of its checkpoints.
        cache: of backbones.
        say: receives (message, level) when a checkpoint is passed over.
        identity: of the run, as far as it is known: `job` is its job's nonce.

    Raises:
        JobError: there is none that can be read.
        WeightsError: the frozen backbone's own weights cannot be had any more, or are others.

    """
    first = load_best(folder, 0, say, identity)
    if first.get("reading") != READING:
        say(
            "trained by a version that read transparent, palette and 16-bit pictures differently: train again if the"
            " dataset has such pictures",
            "warning",
        )
    recipe = Recipe(**first["recipe"])
    members: list[Member] = []
    for number in range(len(recipe.backbones)):
        best = load_best(folder, number, say, identity) if number else first
        members.append(WholeMember(recipe, best) if best["train"] == "all" else FrozenMember(recipe, best, cache))
    return Predictor(recipe, first["labels"], members)
