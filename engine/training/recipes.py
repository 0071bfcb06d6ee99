"""Recipes: everything that decides a training run. Each is a short file in `assets/recipes`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.errors import InputError


class Phase(BaseModel):
    """One stretch of training, from a fresh optimizer to its last epoch.

    Attributes:
        train: what learns: `head` (the last layer, on features seen once), `blocks` (the last `blocks` blocks
            and the head, on maps seen once), or `all` (every weight, on pictures augmented anew each epoch).
        learning_rate: of the head; AdamW, falling along a cosine to 0 after a share `warmup` of the steps.
        backbone_learning_rate: of the pretrained layers; the head's unless given.
        patience: epochs without a better validation after which the phase ends early; 0 waits for ever.

    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: Literal["head", "blocks", "all"]
    blocks: int = Field(default=0, ge=0)
    epochs: int = Field(ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(gt=0)
    backbone_learning_rate: float | None = Field(default=None, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    warmup: float = Field(default=0.0, ge=0, lt=1)
    patience: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _blocks_where_blocks_learn(self) -> Phase:
        if (self.train == "blocks") != (self.blocks > 0):
            raise ValueError("`blocks` says how many when `train` is blocks, and only then")
        return self


class Recipe(BaseModel):
    """How a contestant is trained: one backbone or several whose answers are averaged.

    Attributes:
        head: what the last layer starts from: `imagenet` (ImageNet's own rows for the labels that it knows by
            name, zeros where it knows none) or `random`.
        augment: what happens to pictures in a phase that trains `all`: the article's augmentation, or nothing.
        mirror: pictures are learned from mirrored too, and an answer is the mean over both.

    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    backbones: tuple[str, ...] = Field(min_length=1)
    head: Literal["imagenet", "random"]
    dropout: float = Field(default=0.0, ge=0, lt=1)
    augment: Literal["none", "article"] = "none"
    mirror: bool = False
    phases: tuple[Phase, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole_alone(self) -> Recipe:
        kinds = {phase.train for phase in self.phases}
        if "all" in kinds and len(kinds) > 1:
            raise ValueError("a recipe trains all weights from the start, or none but the last")
        return self

    @property
    def whole(self) -> bool:
        """Tell whether every weight is trained."""
        return self.phases[0].train == "all"

    @property
    def epochs(self) -> int:
        """Epochs in all, if no phase ends early."""
        return len(self.backbones) * sum(phase.epochs for phase in self.phases)


@cache
def recipes() -> dict[str, Recipe]:
    """Return all recipes by name, the quickest first."""
    found = {}
    for name in ("quick", "article", "best"):
        text = (files("assets") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
        found[name] = Recipe(name=name, **tomllib.loads(text))
    return found


def get_recipe(name: str, *, epochs: int | None = None) -> Recipe:
    """Return a recipe, with another number of epochs in each phase if one is given.

    Raises:
        InputError: there is no such recipe.

    """
    if name not in recipes():
        raise InputError(f"There is no recipe {name!r}.", f"Choose one of: {', '.join(recipes())}.")
    recipe = recipes()[name]
    if not epochs:
        return recipe
    return recipe.model_copy(
        update={"phases": tuple(phase.model_copy(update={"epochs": epochs}) for phase in recipe.phases)}
    )
