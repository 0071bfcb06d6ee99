"""The networks: what learns in each phase, and what its last layer starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from engine.backbones import Backbone, match_imagenet, tail_module
from engine.backbones.modules import downloads, find_weights
from engine.backbones.weights import Progress
from engine.errors import InputError
from engine.quantities import counted
from engine.training.recipes import Phase, Recipe

BACKBONES = "backbones"
"""Where in a cache exported backbones and downloaded weights are."""


class Classifier(nn.Module):
    """A body that gives features `[n, width]`, and a last layer that gives logits `[n, classes]`."""

    def __init__(self, body: nn.Module, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits of features, maps or pictures, as the body takes them."""
        logits: torch.Tensor = self.head(self.body(inputs))
        return logits

    @property
    def last(self) -> nn.Linear:
        """The last layer."""
        layer = self.head[-1]
        assert isinstance(layer, nn.Linear)
        return layer


def start_head(model: Classifier, backbone: Backbone, labels: Sequence[str], head: str) -> int:
    """Give a head its first weights; return how many labels ImageNet knows by name.

    With `imagenet`, a label that ImageNet names starts from that class's row, any other from the mean of all
    rows; where ImageNet knows none of them, all start at zero, that is, knowing nothing.
    """
    if head != "imagenet":
        return 0
    classes = match_imagenet(labels)
    known = sum(index is not None for index in classes)
    rows, biases = np.asarray(backbone.head_weight), np.asarray(backbone.head_bias)
    with torch.no_grad():
        model.last.weight.zero_()
        model.last.bias.zero_()
        for position, index in enumerate(classes if known else []):
            row = rows.mean(0) if index is None else rows[index]
            model.last.weight[position] = torch.from_numpy(np.array(row))
            model.last.bias[position] = float(biases.mean() if index is None else biases[index])
    return known


def network(recipe: Recipe, phase: Phase, backbone: Backbone, classes: int, weights: Path | None) -> Classifier:
    """Return what a phase trains on a frozen backbone's features (`head`) or maps (`blocks`)."""
    body = tail_module(backbone.name, phase.blocks, weights) if phase.train == "blocks" else nn.Identity()
    return Classifier(body, backbone.width, classes, recipe.dropout)


def check_weights(recipe: Recipe, cache: Path, weights: Path | None, progress: Progress | None = None) -> None:
    """Make sure that all weights of a recipe can be had; downloads what has to be.

    Raises:
        WeightsError: they cannot; nothing else is trained instead.
        InputError: one file was given for several backbones.

    """
    if weights is not None and len(recipe.backbones) > 1:
        raise InputError(
            f"Recipe {recipe.name} has {counted(len(recipe.backbones), 'backbone')}, and --weights is one file.",
            "Leave --weights out, or choose a recipe with one backbone.",
        )
    for name in recipe.backbones:
        find_weights(name, downloads(cache / BACKBONES), weights, progress)


def take_over(model: nn.Module, trained: Mapping[str, torch.Tensor]) -> None:
    """Go on from what another phase trained, as far as both have it."""
    own = model.state_dict()
    model.load_state_dict({name: value for name, value in trained.items() if name in own}, strict=False)


def parameter_groups(model: nn.Module, phase: Phase) -> list[dict[str, object]]:
    """Return the optimizer's groups: the pretrained layers and the head, each with its own rate in `base`."""
    body_rate = phase.backbone_learning_rate or phase.learning_rate
    if not isinstance(model, Classifier):
        return [{"params": list(model.parameters()), "lr": body_rate, "base": body_rate}]
    groups = [
        {"params": list(model.body.parameters()), "lr": body_rate, "base": body_rate},
        {"params": list(model.head.parameters()), "lr": phase.learning_rate, "base": phase.learning_rate},
    ]
    return [group for group in groups if group["params"]]


def freeze_statistics(model: nn.Module) -> None:
    """Keep the pretrained means and deviations of batch norms: a few small batches would only spoil them."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
