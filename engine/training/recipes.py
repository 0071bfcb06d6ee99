"""Recipes: everything that decides a training run, in one readable place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from engine.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """How a CNN is trained.

    `frozen`: the backbone only looks, once; a linear head is trained on what it saw. `full`: every
    weight is trained on augmented pictures.
    """

    name: str
    kind: Literal["frozen", "full"]
    backbone: str
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    dropout: float
    about: str


RECIPES = {
    "quick": Recipe(
        name="quick",
        kind="frozen",
        backbone="efficientnet-lite0",
        epochs=20,
        batch_size=64,
        learning_rate=3e-3,
        weight_decay=1e-2,
        dropout=0.2,
        about="frozen EfficientNet-Lite0 (ImageNet, packaged) and a linear head; seconds to minutes on a CPU",
    ),
    # The article's own settings: MobileNetV3-Small, AdamW 3e-4, weight decay 1e-4, cosine, batch 64, 8 epochs.
    "article": Recipe(
        name="article",
        kind="full",
        backbone="mobilenet_v3_small",
        epochs=8,
        batch_size=64,
        learning_rate=3e-4,
        weight_decay=1e-4,
        dropout=0.2,
        about="MobileNetV3-Small from ImageNet weights, every weight trained, as in the article",
    ),
}


def get_recipe(name: str, *, epochs: int | None = None) -> Recipe:
    """Return a recipe, with another number of epochs if one is given.

    Raises:
        InputError: there is no such recipe.

    """
    if name not in RECIPES:
        raise InputError(f"There is no recipe {name!r}.", f"Choose one of: {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    return replace(recipe, epochs=epochs) if epochs else recipe
