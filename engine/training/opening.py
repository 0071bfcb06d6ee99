"""What a phase of a recipe trains, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from engine.backbones import load_backbone, whole_module
from engine.quantities import agrees, counted
from engine.training.data import Example, Watch
from engine.training.device import Runtime
from engine.training.models import BACKBONES, network, start_head
from engine.training.recipes import Phase, Recipe
from engine.training.sources import Pictures, Seen, Source


@dataclass(frozen=True)
class Origin:
    """Which pretrained weights a backbone started from."""

    backbone: str
    weights: str
    sha256: str


@dataclass(frozen=True)
class Run:
    """What a run is given; see `loop.train`."""

    recipe: Recipe
    labels: Sequence[str]
    training: Sequence[Example]
    validation: Sequence[Example]
    cache: Path
    seed: int
    watch: Watch
    weights: Path | None
    runtime: Runtime


def open_phase(run: Run, name: str, phase: Phase, seed: int, stage: str) -> tuple[nn.Module, Source, Origin]:
    """Return a backbone's network with its first weights, the phase's data, and where the weights are from.

    Args:
        run: what it belongs to.
        name: the backbone.
        phase: which of the recipe's.
        seed: of the order and augmentation of this phase, 0 to 2³²-1.
        stage: begins when pictures are decoded or features computed.

    Raises:
        WeightsError: the weights cannot be had.

    """
    recipe, watch, cache = run.recipe, run.watch, run.cache / BACKBONES
    common: dict[str, Any] = {"mirror": recipe.mirror, "cache": run.cache, "seed": seed, "watch": watch}
    common |= {"training": run.training, "validation": run.validation, "batch_size": phase.batch_size}
    if phase.train == "all":
        model, weights, size = whole_module(
            name, len(run.labels), run.weights, cache=cache, dropout=recipe.dropout, progress=watch.phase
        )
        watch.stage(stage)
        pictures = Pictures(size=size, augment=recipe.augment, workers=run.runtime.workers, **common)
        return model, pictures, Origin(name, weights.source, weights.sha256)
    backbone = load_backbone(cache, name, cut=phase.blocks, weights=run.weights, progress=watch.phase)
    model = network(recipe, phase, backbone, len(run.labels), run.weights)
    known = start_head(model, backbone, run.labels, recipe.head)
    if known:
        watch.say(
            f"{name}: {known:,} of {counted(len(run.labels), 'label')} {agrees(known, 'is', 'are')} ImageNet"
            f" classes and start from its last layer"
        )
    watch.stage(stage)
    return model, Seen(backbone, **common), Origin(name, backbone.source, backbone.sha256)
