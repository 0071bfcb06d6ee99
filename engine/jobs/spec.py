"""An experiment's parameters: what `run` takes, what the TOML file says, what the store keeps."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import InputError
from engine.settings import MODEL
from engine.states import ContestantKind

ALL = (ContestantKind.ZERO_SHOT, ContestantKind.FINE_TUNED, ContestantKind.CNN)


class Spec(BaseModel):
    """Everything that decides an experiment, with the article's values as defaults.

    `weights` is a file for a recipe that trains every weight, instead of torchvision's download.
    `probe` is the number of single requests, one after another, from which latency is taken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    dataset: str
    contestants: tuple[ContestantKind, ...] = ALL
    model: str = MODEL
    epochs: int = Field(default=2, ge=1, le=50)
    batch_size: int = Field(default=6, ge=1, le=256)
    lr_multiplier: float = Field(default=0.5, gt=0, le=10)
    seed: int = Field(default=42, ge=0, le=2**31 - 1)
    detail: Literal["low", "high"] = "low"
    prompt: str = ""
    recipe: str = "quick"
    weights: str = ""
    max_cost: float | None = Field(default=None, ge=0)
    probe: int = Field(default=30, ge=0, le=1000)
    concurrency: int = Field(default=8, ge=1, le=64)
    keep_deployment: bool = False

    def to_toml(self) -> str:
        """Return the experiment file."""
        values = self.model_dump(mode="json", exclude_none=True)
        return tomli_w.dumps({key: value for key, value in values.items() if value != ""})


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
        name = ".".join(str(part) for part in first["loc"])
        place = f"{where}: " if where else ""
        raise InputError(f"{place}{name}: {first['msg']}.", "See: dogcls-tui run --help") from None


def read_spec(path: Path) -> dict[str, Any]:
    """Read an experiment file's values.

    Raises:
        InputError: there is no such file, or it is no TOML (with line and column).

    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}.", "Give an experiment file (TOML).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}.", "An experiment file is TOML.") from None
