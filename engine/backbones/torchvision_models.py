"""torchvision's classification networks: which there are, how their pictures are prepared, and their two halves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from engine.backbones.download import download
from engine.backbones.weights import Progress, Weights, hash_in_name, load_into, misfit, state_dict
from engine.errors import WeightsError
from engine.quantities import counted

CLASSES = 1000


def torchvision_names() -> list[str]:
    """Return the names of its classification networks whose last layer is a matrix."""
    models = _models()
    # SqueezeNet ends in a convolution: it has no row a class.
    return [name for name in models.list_models(module=models) if not name.startswith("squeezenet")]


def default_weights(name: str, folder: Path, progress: Progress | None) -> Weights:
    """Return torchvision's best weights of a network, downloaded into `folder` if need be.

    Raises:
        WeightsError: they cannot be had.

    """
    entry = _models().get_model_weights(name).DEFAULT
    return download(str(entry.url), folder, f"torchvision {entry}", progress)


def preparation(name: str, weights: Weights | None) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Return the side of a network's pictures, and the channels' means and deviations in steps of 255.

    A file that is one of torchvision's own, by the hash in its name's URL, is used as those weights want; any
    other as the best weights of that network do.
    """
    entries = _models().get_model_weights(name)
    chosen = entries.DEFAULT
    for entry in entries:
        known = hash_in_name(str(entry.url).rsplit("/", 1)[-1])
        if weights is not None and known and weights.sha256.startswith(known):
            chosen = entry
    wanted = chosen.transforms()
    return (
        int(wanted.crop_size[0]),
        tuple(255.0 * each for each in wanted.mean),
        tuple(255.0 * each for each in wanted.std),
    )


def torchvision_network(name: str, weights: Weights | None) -> Any:
    """Return a network in eval mode, with these weights, or random ones without.

    Raises:
        WeightsError: they do not fit.

    """
    more: dict[str, bool] = {}
    if name in ("googlenet", "inception_v3"):
        # Their weights are TensorFlow's, with its normalisation, and hold a second head that only training uses.
        more = {"transform_input": True, "aux_logits": True, "init_weights": weights is None}
    network = _models().get_model(name, weights=None, **more)
    if weights is not None:
        values = {_today(key): value for key, value in state_dict(weights, name).items()}
        load_into(network, values, weights, name)
    if more:
        network.aux_logits = False
        for head in ("AuxLogits", "aux1", "aux2"):
            if hasattr(network, head):
                setattr(network, head, None)
    return network.eval()


def last_layer(network: Any) -> tuple[Any, str]:
    """Return the module that holds a network's last layer, and that layer's name in it.

    Raises:
        WeightsError: it is not a matrix.

    """
    from torch import nn

    named = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not named:
        raise WeightsError(f"{type(network).__name__} has no linear last layer.", "Choose another backbone.")
    parent, _, name = named[-1][0].rpartition(".")
    return network.get_submodule(parent), name


def take_last_layer(network: Any, weights: Weights) -> Any:
    """Remove a network's last layer, so that it gives features, and return it: `nn.Linear(width, 1000)`.

    Raises:
        WeightsError: it is not one of ImageNet's 1,000 classes.

    """
    from torch import nn

    parent, name = last_layer(network)
    layer = getattr(parent, name)
    if layer.out_features != CLASSES:
        raise misfit(weights, type(network).__name__, f"it has {counted(layer.out_features, 'class')}, not {CLASSES}")
    setattr(parent, name, nn.Identity())
    return layer


def _models() -> Any:
    from engine.backbones.torchvision_import import import_torchvision  # which imports torch

    import_torchvision()
    from torchvision import models

    return models


def _today(key: str) -> str:
    """Return a weight's name as it is now: DenseNet's files have the names of torch 0.3 (torchvision's densenet.py)."""
    return re.sub(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", key)
