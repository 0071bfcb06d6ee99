"""From torch weights to an ONNX file and the rows of the last layer; run once, then cached.

torch is imported here only, and only when nothing is cached: whoever runs a backbone afterwards
needs ONNX Runtime alone.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from engine.backbones.weights import Weights


def lite0_module(weights: Weights) -> Any:
    """Return EfficientNet-Lite0 as a torch module in eval mode, loaded with `weights_only`."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(weights.path, map_location="cpu", weights_only=True))
    return model.eval()


def export_lite0(weights: Weights, onnx_path: Path, head_path: Path) -> None:
    """Write the feature extractor as ONNX and the last layer as npz, each atomically.

    The ONNX model takes `pixels` `[n, 3, 224, 224]` float32, already normalised, and gives
    `features` `[n, 1280]`. The npz holds `weight` `[1000, 1280]` and `bias` `[1000]`.
    """
    import torch

    class Features(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = lite0_module(weights)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self.model._avg_pooling(self.model.extract_features(images))
            return features.flatten(1)

    module = Features().eval()
    partial = onnx_path.with_name(f".{onnx_path.name}.{os.getpid()}")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        # The TorchScript exporter is deprecated but does without onnxscript, which is a dependency less
        # for one small convolutional network; torch is pinned below its removal.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(1, 3, 224, 224),),
            str(partial),
            input_names=["pixels"],
            output_names=["features"],
            dynamic_axes={"pixels": {0: "n"}, "features": {0: "n"}},
            dynamo=False,
        )
    last = module.model._fc
    partial_head = head_path.with_name(f".{os.getpid()}.{head_path.name}")
    np.savez(partial_head, weight=last.weight.detach().numpy(), bias=last.bias.detach().numpy())
    partial_head.replace(head_path)
    partial.replace(onnx_path)
