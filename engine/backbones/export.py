"""From torch weights to an ONNX file and the rows of the last layer; run once, then cached.

torch is imported here only, and only when nothing is cached: whoever runs a backbone afterwards
needs ONNX Runtime alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from engine.backbones import torchvision_models
from engine.backbones.lite import LITES, MEAN, STD, frozen_part, lite_network
from engine.backbones.modules import normalised
from engine.backbones.weights import Weights


def export(name: str, cut: int, weights: Weights, onnx_path: Path, head_path: Path) -> None:
    """Write the frozen part as ONNX and the last layer as npz, each atomically.

    The ONNX model takes `pixels` uint8 `[n, size, size, 3]` and gives `features`, `[n, width]` or maps
    `[n, c, h, w]`, float32; batch norms are folded into the convolutions before them. The npz holds `weight`
    `[1000, width]`, `bias` `[1000]` and `about`, a JSON object with `size`, `mean`, `std` and `shape`.

    Raises:
        WeightsError: the weights are not this network's.

    """
    import torch

    size, mean, std, body, last = _opened(name, cut, weights)

    class Pixels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = normalised(body, mean, std)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self.body(pixels.permute(0, 3, 1, 2))
            return features

    module = Pixels().eval()
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with torch.inference_mode():
        shape = list(module(example).shape[1:])
    partial = onnx_path.with_name(f".{onnx_path.name}.{os.getpid()}")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        # The TorchScript exporter is deprecated but does without onnxscript, which is a dependency less
        # for a few convolutional networks; torch is pinned below its removal.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (example,),
            str(partial),
            input_names=["pixels"],
            output_names=["features"],
            dynamic_axes={"pixels": {0: "n"}, "features": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    weight = last.weight.detach().numpy()
    bias = np.zeros(len(weight), np.float32) if last.bias is None else last.bias.detach().numpy()
    about = json.dumps({"size": size, "mean": mean, "std": std, "shape": shape})
    partial_head = head_path.with_name(f".{os.getpid()}.{head_path.name}")
    np.savez(partial_head, weight=weight, bias=bias, about=about)
    partial_head.replace(head_path)
    partial.replace(onnx_path)


def _opened(name: str, cut: int, weights: Weights) -> tuple[int, tuple[float, ...], tuple[float, ...], Any, Any]:
    """Return a network's size, means and deviations, its frozen part and its last layer."""
    if name in LITES:
        network = lite_network(name, weights)
        return LITES[name].size, MEAN, STD, frozen_part(network, cut), network._fc
    network = torchvision_models.torchvision_network(name, weights)
    last = torchvision_models.take_last_layer(network, weights)
    return *torchvision_models.preparation(name, weights), network, last
