"""Networks to train: the last blocks of one, or all of it. torch is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.backbones import torchvision_models
from engine.backbones.lite import LITES, MEAN, STD, block_count, lite_network, packaged_lite, trained_part
from engine.backbones.weights import Progress, Weights, given
from engine.errors import InputError, WeightsError

if TYPE_CHECKING:
    from torch import nn

RANDOM = Weights(Path(), "random", "")
"""What a network has that is to be given weights of its own."""


class Whole(NamedTuple):
    """A whole network, what it started from, and the side of its pictures in pixels."""

    module: nn.Module
    weights: Weights
    size: int


def find_weights(name: str, folder: Path, file: Path | None, progress: Progress | None = None) -> Weights:
    """Return a network's pretrained weights: the file given, the packaged ones, or torchvision's, downloaded.

    Args:
        name: `efficientnet-lite0` to `2`, or a classification network of torchvision.
        folder: where downloads are kept.
        file: a state dict of this network, to be used instead.
        progress: is told of a download; may raise to stop.

    Raises:
        WeightsError: there is no such network, or its weights cannot be had.

    """
    check_name(name)
    if file is not None:
        return given(file)
    return packaged_lite(name) if name in LITES else torchvision_models.default_weights(name, folder, progress)


def check_name(name: str) -> None:
    """Raise WeightsError where there is no network of this name."""
    if name not in LITES and name not in torchvision_models.torchvision_names():
        raise WeightsError(
            f"There is no backbone {name!r}.",
            f"Choose one of {', '.join(LITES)}, or a classification network of torchvision, such as resnet50.",
        )


def check_cut(name: str, cut: int) -> None:
    """Raise InputError where a network cannot be cut before its last `cut` blocks."""
    if cut and name not in LITES:
        raise InputError(f"{name} cannot be cut.", f"Only these can: {', '.join(LITES)}.")
    if cut and not 0 < cut <= block_count(name):
        raise InputError(f"{name} has {block_count(name)} blocks, not {cut} to train.", "Choose fewer.")


def tail_module(name: str, cut: int, weights: Path | None = None) -> nn.Module:
    """Return the last blocks of an EfficientNet-Lite, to be trained on what the frozen part before them gives.

    Args:
        name: `efficientnet-lite0` to `2`.
        cut: how many blocks; 0 gives a module that does nothing, for features that are pooled already.
        weights: a file instead of the packaged weights.

    Returns:
        a module in eval mode, maps `[n, c, h, w]` float32 → features `[n, width]`: blocks, head convolution, batch
        norm, ReLU6, mean over the map. With the same weights, of what `load_backbone(…, cut=cut)` gives it makes what
        `load_backbone(…, cut=0)` gives.

    Raises:
        InputError: the network has fewer blocks, or is none of these.
        WeightsError: the weights cannot be had, or do not fit.

    """
    check_name(name)
    check_cut(name, cut)
    if not cut:
        from torch import nn

        return nn.Identity()
    return trained_part(lite_network(name, find_weights(name, Path(), weights)), cut)


def whole_module(
    name: str,
    classes: int,
    weights: Path | None = None,
    *,
    cache: Path | None = None,
    dropout: float | None = None,
    progress: Progress | None = None,
    pretrained: bool = True,
) -> Whole:
    """Return a whole network, every weight of which is to be trained, with a new last layer.

    Args:
        name: `efficientnet-lite0` to `2`, or a classification network of torchvision.
        classes: how many labels there are.
        weights: a state dict of the ImageNet network, instead of its own weights.
        cache: the folder that `load_backbone` is given too; downloads are kept in it. Needed where pretrained.
        dropout: share of features left out before the last layer while training; the network's own unless given.
        progress: is told of a download; may raise to stop.
        pretrained: False gives random weights, for who loads others into it.

    Returns:
        the network in eval mode, which takes pictures uint8 `[n, 3, size, size]` (RGB) and gives logits `[n, classes]`;
        the weights; the size.

    Raises:
        WeightsError: there is no such network, or its weights cannot be had or do not fit.

    """
    from torch import nn

    check_name(name)
    found = None
    if pretrained:
        if cache is None and weights is None and name not in LITES:
            raise ValueError("whole_module needs a cache for downloads")
        found = find_weights(name, downloads(cache or Path()), weights, progress)
    if name in LITES:
        network, size, mean, std = lite_network(name, found), LITES[name].size, MEAN, STD
        parent, last = network, "_fc"
    else:
        network = torchvision_models.torchvision_network(name, found)
        size, mean, std = torchvision_models.preparation(name, found)  # type: ignore[assignment]
        parent, last = torchvision_models.last_layer(network)
    layer: nn.Module = nn.Linear(getattr(parent, last).in_features, classes)
    if dropout is not None:
        own = [module for module in parent.children() if isinstance(module, nn.Dropout)]
        for module in own:
            module.p = dropout
        if not own:
            layer = nn.Sequential(nn.Dropout(dropout), layer)
    setattr(parent, last, layer)
    return Whole(normalised(network, mean, std).eval(), found or RANDOM, size)


def normalised(network: Any, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """Return a network before which pictures `[n, 3, h, w]` in steps of 255 become `(x - mean) / std`."""
    import torch
    from torch import nn

    class Normalised(nn.Module):
        mean: torch.Tensor
        scale: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = network
            for name, values in (("mean", torch.tensor(mean)), ("scale", 1 / torch.tensor(std))):
                self.register_buffer(name, values.view(1, 3, 1, 1), persistent=False)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network((pictures.float() - self.mean) * self.scale)
            return logits

    return Normalised()


def downloads(cache: Path) -> Path:
    """Return the folder of a cache in which downloaded weights are kept."""
    return cache / "weights"
