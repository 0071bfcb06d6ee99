"""The networks: what is trained, and the pictures as they want them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from engine.backbones import Backbone, cached_features, load_backbone
from engine.backbones.torchvision_import import import_torchvision
from engine.backbones.weights import file_sha256
from engine.errors import WeightsError
from engine.training.data import Example
from engine.training.recipes import Recipe

# ImageNet's channel means and deviations, as torchvision's weights expect them.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Provenance:
    """Which pretrained weights a model started from."""

    model: str
    weights: str
    sha256: str


def linear_head(width: int, classes: int, dropout: float) -> nn.Module:
    """Return the head of a frozen recipe; it starts at zero, so that it knows nothing."""
    head = nn.Linear(width, classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return nn.Sequential(nn.Dropout(dropout), head)


def frozen_backbone(recipe: Recipe, cache: Path) -> tuple[Backbone, Provenance]:
    """Return a frozen recipe's backbone."""
    backbone = load_backbone(cache / "backbones", recipe.backbone)
    return backbone, Provenance(f"{recipe.backbone} frozen + linear head", backbone.source, backbone.sha256)


def features(
    backbone: Backbone, examples: Sequence[Example], cache: Path, progress: Callable[[int, int], None]
) -> torch.Tensor:
    """Return the features `[n, width]` of examples, from the cache where they are known."""
    found = cached_features(
        backbone, [e.path for e in examples], [e.sha256 for e in examples], cache / "features", progress
    )
    return torch.from_numpy(np.ascontiguousarray(found))


def full_model(recipe: Recipe, classes: int, cache: Path, weights: Path | None) -> tuple[nn.Module, Provenance]:
    """Return torchvision's network with ImageNet weights and a new last layer.

    Args:
        recipe: names the architecture.
        classes: how many labels there are.
        cache: where downloaded weights are kept.
        weights: a state dict to start from, instead of a download.

    Raises:
        WeightsError: the weights cannot be had, or do not fit. Nothing else is trained instead.

    """
    import_torchvision()
    from torchvision import models

    path, told = full_weights(recipe, cache, weights)
    model = models.get_model(recipe.backbone, weights=None, dropout=recipe.dropout)
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise WeightsError(f"{path}: no weights of {recipe.backbone} ({error}).", "Give another file.") from None
    model.classifier[-1] = nn.Linear(model.classifier[-1].in_features, classes)
    return model, Provenance(recipe.backbone, told, file_sha256(path))


def full_weights(recipe: Recipe, cache: Path, weights: Path | None) -> tuple[Path, str]:
    """Return the file of a full recipe's pretrained weights, downloaded if need be, and where it is from.

    Raises:
        WeightsError: there is no such file, or it cannot be downloaded.

    """
    if weights is not None:
        if not weights.is_file():
            raise WeightsError(f"{weights}: no such file.", "Give a state dict that torch.save has written.")
        return weights, f"file {weights.name}"
    import_torchvision()
    from torchvision import models

    source = models.get_model_weights(recipe.backbone).DEFAULT
    folder = cache / "weights"
    try:
        torch.hub.load_state_dict_from_url(
            source.url, model_dir=str(folder), progress=False, check_hash=True, weights_only=True
        )
    except Exception as error:
        raise WeightsError(
            f"{source.url}: the weights cannot be downloaded ({error}).",
            "Download them elsewhere and give them with --weights, or use --recipe quick.",
        ) from None
    return folder / str(source.url).rsplit("/", 1)[-1], f"torchvision {source}"


def transforms(training: bool) -> Callable[[Image.Image], torch.Tensor]:
    """Return the article's augmentation, or its evaluation crop."""
    import_torchvision()
    from torchvision.transforms import v2

    last = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(_MEAN, _STD)]
    if training:
        first = [
            v2.RandomResizedCrop(224, scale=(0.8, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.2, 0.2, 0.2, 0.1),
        ]
    else:
        first = [v2.Resize(256, antialias=True), v2.CenterCrop(224)]
    composed: Callable[[Image.Image], torch.Tensor] = v2.Compose([*first, *last])
    return composed


class Pictures(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Examples as tensors `[3, 224, 224]`, decoded with Pillow when they are asked for."""

    def __init__(self, examples: Sequence[Example], training: bool) -> None:
        self._examples = examples
        self._transform = transforms(training)

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        example = self._examples[index]
        with Image.open(example.path) as image:
            return self._transform(image.convert("RGB")), example.label


def batches(
    recipe: Recipe, examples: Sequence[Example], *, training: bool
) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Return a full recipe's batches, pictures `[n, 3, 224, 224]` and labels `[n]`; shuffled when training."""
    loader: Iterable[tuple[torch.Tensor, torch.Tensor]] = torch.utils.data.DataLoader(
        Pictures(examples, training),
        recipe.batch_size,
        shuffle=training,
    )
    return loader
