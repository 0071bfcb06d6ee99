"""An experiment's parameters: what `run` takes, what the TOML file says, what the store keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import InputError
from engine.settings import MODEL
from engine.states import ContestantKind
from engine.text_files import read_toml

ALL = (ContestantKind.ZERO_SHOT, ContestantKind.FINE_TUNED, ContestantKind.CNN)

Automatic = Literal["auto"]
"""A hyperparameter that is left to the service."""


class Spec(BaseModel):
    """Everything that decides an experiment, with the article's values as defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="", description="The experiment's name; the dataset's, numbered, unless given.")
    dataset: str
    contestants: tuple[ContestantKind, ...] = ALL
    model: str = Field(default=MODEL, description="The base model: asked zero-shot, and fine-tuned.")
    epochs: Annotated[int, Field(ge=1, le=50)] | Automatic = Field(
        default=2,
        description="Fine-tuning: passes over the training images. Each is billed. The article trained 2.",
    )
    batch_size: Annotated[int, Field(ge=1, le=256)] | Automatic = Field(
        default=6, description="Fine-tuning: examples a step. The article's run used 6."
    )
    lr_multiplier: Annotated[float, Field(gt=0, le=10)] | Automatic = Field(
        default=0.5, description="Fine-tuning: multiplies the learning rate. The article's run used 0.5."
    )
    convert: bool = Field(
        default=False,
        description="Fine-tuning: train on RGB copies of grey, CMYK and palette images; else they are refused.",
    )
    seed: int = Field(
        default=42, ge=0, le=2**31 - 1, description="Of fine-tuning and of the CNN: the same seed, the same run."
    )
    detail: Literal["low", "high"] = Field(
        default="low", description="Of images: low is one price for any size; high costs by the tile of 512 pixels."
    )
    prompt: str = Field(
        default="",
        description="A file: the system message as text, or a whole template (.toml); {labels} stands for the classes.",
    )
    recipe: str = Field(
        default="quick",
        description="The CNN's: quick (seconds), article (its MobileNetV3-Small) or best (within 30 minutes).",
    )
    weights: str = Field(default="", description="Pretrained weights for the recipe's backbone, instead of its own.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where the CNN trains; auto takes CUDA, then MPS, then the CPU."
    )
    max_cost: float | None = Field(default=None, ge=0, description="Refuse to start above this price, in US dollars.")
    probe: int = Field(
        default=30, ge=0, le=1000, description="Single requests, one after another, from which latency is taken."
    )
    retry: Literal["batch", "realtime", "none"] = Field(
        default="batch",
        description="What a batch left unanswered: in a smaller batch, in real time (twice the price), or not again.",
    )
    concurrency: int = Field(
        default=32,
        ge=1,
        le=64,
        description="Real-time requests at a time, at most. How many are best, its quota tells.",
    )
    keep_deployment: bool = Field(
        default=False, description="Keep the tuned deployment after scoring. It then costs money every hour."
    )

    def to_toml(self) -> str:
        """Return the experiment file."""
        values = self.model_dump(mode="json", exclude_none=True)
        return tomli_w.dumps({key: value for key, value in values.items() if value != ""})


@dataclass(frozen=True)
class Parameter:
    """One parameter, for people: its default, what is allowed, what it means."""

    name: str
    default: str
    allowed: str
    help: str


def parameters() -> list[Parameter]:
    """Return the parameters that may be chosen freely, in the order of `Spec`."""
    found = []
    for name, field in Spec.model_fields.items():
        if field.description is None:
            continue
        automatic = Automatic in get_args(field.annotation)
        # The bounds of one that may be `auto` too stand at its number.
        number = (
            next((a for a in get_args(field.annotation) if get_origin(a) is Annotated), None) if automatic else None
        )
        metadata = next(m.metadata for m in number.__metadata__) if number else field.metadata
        low = next((str(m.ge) for m in metadata if hasattr(m, "ge")), None)
        above = next((str(m.gt) for m in metadata if hasattr(m, "gt")), None)
        high = next((str(m.le) for m in metadata if hasattr(m, "le")), None)
        allowed = f"{low or f'above {above}'} to {high}" if high else f"at least {low}" if low else ""
        if automatic:
            allowed += ", or auto"
        if get_origin(field.annotation) is Literal:
            allowed = " or ".join(get_args(field.annotation))
        elif field.annotation is bool:
            allowed = "true or false"
        default = "" if field.default is None else str(field.default).lower().removesuffix(".0")
        found.append(Parameter(name, default, allowed, field.description))
    return found


def make_spec(values: dict[str, Any], *, where: str = "") -> Spec:
    """Check an experiment's parameters.

    Args:
        values: by the names of `Spec`'s fields.
        where: the file they came from, for the error.

    Raises:
        InputError: names the parameter and what is wrong with it.

    """
    try:
        return Spec(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        # Of an item of a list its number too; what follows names the alternatives of a type, which is ours to know.
        name = ".".join(str(part) for n, part in enumerate(first["loc"]) if n == 0 or isinstance(part, int))
        place = f"{where}: " if where else ""
        told = first["msg"].removeprefix("Input ").split(", unable")[0]
        raise InputError(f"{place}{name}: {told}.", "See: dogcls-tui run --help") from None


def read_spec(path: Path) -> dict[str, Any]:
    """Read an experiment file's values.

    Raises:
        InputError: there is no such file, or it is no TOML (with line and column).

    """
    return read_toml(path, "An experiment file is TOML.", wait=True)
