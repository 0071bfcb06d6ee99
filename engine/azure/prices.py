"""What things cost: a dated table that users can edit, and the arithmetic on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from engine.errors import InputError
from engine.text_files import parse_toml, read_toml_if_there

CHARACTERS_A_TOKEN = 1905 / 494
"""The article's prompt of 120 breeds: 1,905 characters, 494 tokens. No tokenizer works offline."""
LOW_TOKENS = {"gpt-4o-mini": 2833}
"""Tokens of an image at low detail, where it is not 85."""


@dataclass(frozen=True)
class ModelPrices:
    """US dollars per million tokens; `hosting` per hour."""

    training: float
    input: float
    output: float
    batch_input: float
    batch_output: float
    hosting: float


@dataclass(frozen=True)
class Prices:
    """The table, and when it was true. `machine` is US dollars an hour of the machine that a local network runs on."""

    as_of: str
    models: dict[str, ModelPrices]
    machine: float = 0.0

    def of(self, model: str) -> ModelPrices:
        """Return a model's prices; a tuned model has its base's.

        Raises:
            InputError: the table does not have it.

        """
        base = model.split(".ft-")[0]
        if base not in self.models:
            raise InputError(
                f"There is no price for the model {model!r}.",
                f"Add it to prices.toml in the home folder; known are: {', '.join(self.models)}.",
            )
        return self.models[base]

    def inference_cost(self, model: str, prompt_tokens: int, completion_tokens: int, *, batch: bool = False) -> float:
        """Return US dollars for tokens in and out."""
        p = self.of(model)
        into, out = (p.batch_input, p.batch_output) if batch else (p.input, p.output)
        return (prompt_tokens * into + completion_tokens * out) / 1e6

    def training_cost(self, model: str, billed_tokens: int) -> float:
        """Return US dollars for training tokens (examples × tokens × epochs)."""
        return billed_tokens * self.of(model).training / 1e6

    def hosting_cost(self, model: str, seconds: float) -> float:
        """Return US dollars for a fine-tuned deployment's life, used or not."""
        return seconds / 3600 * self.of(model).hosting


def if_known(cost: Callable[[], float]) -> float | None:
    """Return a cost; None where the table has no price for the model."""
    try:
        return cost()
    except InputError:
        return None


def load_prices(*overrides: Path) -> Prices:
    """Read the packaged table, and the user's own on top of it where there is one.

    Raises:
        InputError: an override is no TOML, or lacks a price.

    """
    name = "prices.toml"
    table: dict[str, Any] = parse_toml((files("assets") / name).read_text(encoding="utf-8"), name)
    for path in overrides:
        own = read_toml_if_there(path)
        if own is None:
            continue
        name = str(path)
        named = own.get("models", {})
        if not isinstance(named, dict) or not all(isinstance(prices, dict) for prices in named.values()):
            raise InputError(f"{path}: models is not one table a model.", "As in: [models.NAME], then its prices.")
        for model, prices in named.items():
            table["models"][model] = table["models"].get(model, {}) | prices
        table["machine"] = own.get("machine", table["machine"])
        table["as_of"] = str(own.get("as_of", table["as_of"]))
    machine = table["machine"].get("hourly") if isinstance(table["machine"], dict) else None
    return Prices(
        table["as_of"],
        {model: ModelPrices(**_prices(f"models.{model}", prices, name)) for model, prices in table["models"].items()},
        _price("machine.hourly", machine, name),
    )


def _prices(model: str, prices: dict[str, Any], name: str) -> dict[str, float]:
    """Return a model's six prices; raises InputError, which names the file and the price."""
    known = [price.name for price in fields(ModelPrices)]
    if strange := [key for key in prices if key not in known]:
        raise InputError(f"{name}: {model}.{strange[0]} is no price.", f"Known are: {', '.join(known)}.")
    return {key: _price(f"{model}.{key}", prices.get(key), name) for key in known}


def _price(key: str, value: object, name: str) -> float:
    hint = "Give each model all six prices, and the machine `hourly`, as numbers: US dollars, 0 or more."
    if value is None:
        raise InputError(f"{name}: {key} is missing.", hint)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InputError(f"{name}: {key} is {value!r}, which is no price.", hint)
    return float(value)


def tokens_of_image(width: int, height: int, detail: str, model: str) -> int:
    """Return an image's tokens.

    `low` is one price for any size. `high`: fitted into 2048², shortest side at most 768, then 170 for
    each tile of 512 and 85 more (OpenAI's vision guide; 2048×4096 gives 1105).
    """
    if detail == "low":
        return next((tokens for name, tokens in LOW_TOKENS.items() if model.startswith(name)), 85)
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    tiles = math.ceil(width * scale / 512) * math.ceil(height * scale / 512)
    return 170 * tiles + 85


def estimate_text_tokens(text: str) -> int:
    """Return about how many tokens a text has."""
    return math.ceil(len(text) / CHARACTERS_A_TOKEN)
